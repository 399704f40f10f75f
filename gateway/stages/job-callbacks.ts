import { pause, type Clock } from '../domain/clock.ts';
import type { Observe } from '../domain/events.ts';
import {
  CALLBACK_DELAYS_MS,
  callbackOutcome,
  ruleFor,
  type CallbackRule,
  type WebhookMessage,
} from '../domain/jobs/callback.ts';
import { jobView, type Job, type JobStore } from '../domain/jobs/job.ts';

interface CallbackPorts {
  readonly rules: readonly CallbackRule[];
  /** What the owner sees of a job, as it is sent. */
  readonly view: { readonly path: string; readonly keepMs: number };
  readonly store: JobStore;
  readonly clock: Clock;
  readonly observe: Observe;
  /** Resolves with the status of the answer; undefined: there was none. Follows no redirect. */
  readonly send: (message: WebhookMessage) => Promise<number | undefined>;
}

/** Under way at once; the others wait. */
const AT_ONCE_MAX = 32;

/** Calls the URLs that owners of jobs named, when these are over: signed, repeated, and never beyond the rules. */
export class JobCallbacks {
  readonly #ports: CallbackPorts;
  readonly #under = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();

  constructor(ports: CallbackPorts) {
    this.#ports = ports;
  }

  /** Those that are due: a job is over, and its callback was not made. */
  look(): void {
    if (this.#stop.signal.aborted || this.#ports.rules.length === 0) return;
    const free = AT_ONCE_MAX - this.#under.size;
    const due = this.#ports.store.untold(AT_ONCE_MAX).filter(({ id }) => !this.#under.has(id));
    for (const job of due.slice(0, Math.max(0, free))) this.#begin(job);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#under.values());
  }

  #begin(job: Job): void {
    const done = this.#notify(job)
      .catch((error: unknown) => {
        this.#ports.observe({ kind: 'internal-error', where: 'callback', error, requestId: job.id });
      })
      .finally(() => this.#under.delete(job.id));
    this.#under.set(job.id, done);
  }

  async #notify(job: Job): Promise<void> {
    const { rules, clock } = this.#ports;
    const rule = ruleFor(job.callback ?? '', rules);
    if (rule === undefined) this.#over(job, 'no rule of `jobs.callbacks` allows it any more');
    for (let attempt = 0; rule !== undefined && (await this.#isToRepeat(job, rule, attempt)); attempt += 1) {
      await pause(clock, CALLBACK_DELAYS_MS[attempt] ?? 0, this.#stop.signal);
    }
  }

  /** One attempt. False: it is over, or the next gateway goes on with it. */
  async #isToRepeat(job: Job, rule: CallbackRule, attempt: number): Promise<boolean> {
    const { store, clock, view, send } = this.#ports;
    const { signal } = this.#stop;
    if (signal.aborted || store.find(job.id) === undefined) return false;
    const seconds = Math.floor(clock.wallMs() / 1_000);
    const message = { id: job.id, url: job.callback ?? '', body: JSON.stringify(messageOf(job, view)), seconds };
    const outcome = callbackOutcome(await send({ ...message, secret: rule.secret.reveal(), signal }));
    if (this.#isStopped()) return false;
    if (outcome === 'again' && attempt < CALLBACK_DELAYS_MS.length) return true;
    if (outcome === 'delivered') store.change(job.id, { callback: null });
    else this.#over(job, outcome === 'refused' ? 'the receiver answered 410' : `${attempt + 1} attempts failed`);
    return false;
  }

  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  #over({ id, routeId: route }: Job, problem: string): void {
    this.#ports.store.change(id, { callback: null });
    const text = 'the callback of a job was given up';
    this.#ports.observe({ kind: 'notice', level: 'warn', text, about: { job: id, route, problem } });
  }
}

/** As Standard Webhooks proposes: a type, when it happened, and what. */
function messageOf(job: Job, view: CallbackPorts['view']) {
  const timestamp = new Date(job.endedMs ?? job.createdMs).toISOString();
  return { type: `job.${job.state}`, timestamp, data: jobView(job, view) };
}
