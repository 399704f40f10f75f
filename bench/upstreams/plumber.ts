import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../../gateway/setup/state.mjs';
import type { Place } from '../place.ts';

/** The folder of a Plumber application of the benchmark's own, here. */
export function applicationHere(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** Starts real R processes that serve this model, or the application in this folder, and gives their addresses. */
export async function startPlumber(place: Place, service: string, instances: number): Promise<string[]> {
  return Promise.all(Array.from({ length: instances }, (_, i) => startOne(place, service, `r-${i}`)));
}

async function startOne(place: Place, service: string, name: string): Promise<string> {
  const temporary = place.path(`${name}.tmp`);
  mkdirSync(temporary);
  const started = place.start(name, {
    program: join(ROOT, 'plumber-services', 'serve.sh'),
    args: [service, '--watch-stdin'],
    env: { CONSUL_HTTP_ADDR: '', TMPDIR: temporary },
  });
  const portOf = () => /"event":"listening".*"port":(\d+)/.exec(started.log())?.[1];
  await place.until(started, () => portOf() !== undefined);
  return `127.0.0.1:${portOf() ?? ''}`;
}
