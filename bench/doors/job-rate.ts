import { setTimeout as sleep } from 'node:timers/promises';

interface JobView {
  readonly state: string;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly rows: { readonly answered: number; readonly failed: number };
}

const LOOK_EVERY_MS = 250;

/** Brings a route a file of so many rows, and resolves with the rows a second that its job has answered. */
export async function jobRate(url: string, route: string, rows: number): Promise<number> {
  const lines = Array.from({ length: rows }, (_, i) => `${1 + (i % 8_999_999) / 1_000_000},${100 + (i % 300)}.5\n`);
  const headers = { 'content-type': 'text/csv' };
  const made = await fetch(`${url}/jobs/${route}`, { method: 'POST', headers, body: `wt,hp\n${lines.join('')}` });
  const location = made.headers.get('location');
  if (location === null) throw new Error(`no job: ${await made.text()}`);
  const view = await overOf(`${url}${location}`);
  const { answered, failed } = view.rows;
  if (view.state !== 'done' || failed > 0 || answered !== rows) throw new Error(`the job: ${JSON.stringify(view)}`);
  await fetch(`${url}${location}`, { method: 'DELETE' });
  return (answered * 1_000) / (Date.parse(view.endedAt) - Date.parse(view.startedAt));
}

async function overOf(url: string): Promise<JobView> {
  for (;;) {
    const view = (await (await fetch(url)).json()) as JobView;
    if (view.state !== 'queued' && view.state !== 'running') return view;
    await sleep(LOOK_EVERY_MS);
  }
}
