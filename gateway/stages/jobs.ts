import { callsAtOnce, takesJobs } from '../domain/jobs/job-route.ts';
import { isOver, type Job, type JobState, type JobFiles, type JobStore } from '../domain/jobs/job.ts';
import { ConcurrencyLimit } from '../domain/concurrency-limit.ts';
import { type RowResult, fromOutputLine } from '../domain/jobs/answers.ts';
import type { Route } from '../domain/route.ts';
import type { ServiceView } from '../domain/service.ts';
import { JobRun, type JobRunPorts } from './job-run.ts';
import { resultForm } from '../domain/jobs/results.ts';

/** What working jobs off asks. */
export interface JobsPorts extends Omit<JobRunPorts, 'routeOf' | 'concurrency' | 'count'> {
  /** The routes in force. */
  readonly routes: () => readonly Route[];
  readonly viewOf: (serviceName: string) => ServiceView | undefined;
}

/** How rows of jobs have fared since the gateway started. */
export interface RowCounts {
  readonly ok: number;
  readonly failed: number;
}

/** Of one route at once: more would only wait for one another. */
const ACTIVE_MAX = 4;

interface Active {
  readonly job: Job;
  readonly done: Promise<void>;
  readonly abort: AbortController;
}

/** The jobs of a gateway: each is read, call by call, and its answers are written down as they come. */
export class Jobs {
  readonly #ports: JobsPorts;
  readonly #runPorts: JobRunPorts;
  readonly #active = new Map<string, Active>();
  readonly #limits = new Map<string, ConcurrencyLimit>();
  readonly #rows = new Map<string, { ok: number; failed: number }>();
  readonly #stop = new AbortController();
  /** Not to be begun again by this process. */
  readonly #givenUp = new Set<string>();

  constructor(ports: JobsPorts) {
    this.#ports = ports;
    this.#runPorts = {
      ...ports,
      routeOf: id => ports.routes().find(route => route.id === id && takesJobs(route)),
      concurrency: route => this.#limitOf(route),
      count: (routeId, results) => this.#count(routeId, results),
    };
  }

  /** How rows have fared since the gateway started, by route. */
  get rows(): ReadonlyMap<string, RowCounts> {
    return this.#rows;
  }

  /** A job was added. */
  created({ id: job, routeId: route, state }: Job): void {
    this.#ports.observe({ kind: 'job', job, route, state, rows: 0, failed: 0 });
    this.#lookOn();
  }

  /** There may be a job to begin with. */
  look(): void {
    if (this.#stop.signal.aborted) return;
    const waiting = this.#ports.store.unfinished().filter(({ id }) => !this.#givenUp.has(id));
    const next = () => nextOf(waiting, this.#active);
    for (let job = next(); job !== undefined; job = next()) this.#begin(job);
  }

  /** Its owner does not want it any more. */
  cancel(id: string): void {
    const { store, clock, files } = this.#ports;
    const job = store.find(id);
    if (job === undefined || isOver(job.state)) return;
    store.change(id, { state: 'cancelled', note: null, endedMs: clock.wallMs() });
    const active = this.#active.get(id);
    active?.abort.abort();
    this.#report(job, 'cancelled');
    this.#ports.ended();
    const ended = active?.done ?? Promise.resolve();
    ended.then(() => files.dropInput(id)).catch(() => undefined); // it goes with the job, when that is removed
  }

  /** Asks for no more rows; those in hand may take so long. */
  async close(withinMs: number): Promise<void> {
    this.#stop.abort();
    const runs = [...this.#active.values()];
    const end = this.#ports.clock.after(withinMs, () => runs.forEach(({ abort }) => abort.abort()));
    await Promise.all(runs.map(({ done }) => done));
    end();
  }

  #begin(job: Job): void {
    const abort = new AbortController();
    const signals = { abort: abort.signal, stop: AbortSignal.any([abort.signal, this.#stop.signal]) };
    const done = new JobRun(this.#runPorts, job, signals)
      .work()
      .catch((error: unknown) => this.#giveUp(job, error))
      .finally(() => {
        this.#active.delete(job.id);
        this.#lookOn();
      });
    this.#active.set(job.id, { job, done, abort });
  }

  /** Where the jobs cannot be read now they are looked for again with the next that is added. */
  #lookOn(): void {
    try {
      this.look();
    } catch (error) {
      this.#ports.observe({ kind: 'internal-error', where: 'job', error, requestId: null });
    }
  }

  /** What went wrong would go wrong again. */
  #giveUp({ id }: Job, error: unknown): void {
    const { store, clock, observe } = this.#ports;
    observe({ kind: 'internal-error', where: 'job', error, requestId: id });
    this.#givenUp.add(id);
    try {
      store.change(id, { state: 'failed', error: BROKEN, note: null, endedMs: clock.wallMs() });
      const job = store.find(id);
      if (job !== undefined) this.#report(job, 'failed');
      this.#ports.ended();
    } catch (cause) {
      observe({ kind: 'internal-error', where: 'job', error: cause, requestId: id });
    }
  }

  #report({ id: job, routeId: route, answeredRows: rows, failedRows: failed }: Job, state: JobState): void {
    this.#ports.observe({ kind: 'job', job, route, state, rows, failed });
  }

  #limitOf({ service }: Route): ConcurrencyLimit {
    const { name } = service;
    const known = this.#limits.get(name);
    if (known !== undefined) return known;
    const { viewOf } = this.#ports;
    const made = new ConcurrencyLimit(() => callsAtOnce(viewOf(name) ?? { instances: [] }, service.policy.concurrency));
    this.#limits.set(name, made);
    return made;
  }

  #count(routeId: string, results: readonly RowResult[]): void {
    const of = this.#rows.get(routeId) ?? { ok: 0, failed: 0 };
    for (const result of results) of['answer' in result ? 'ok' : 'failed'] += 1;
    this.#rows.set(routeId, of);
  }
}

const BROKEN = { code: 'INTERNAL', detail: 'The file of this job cannot be worked off any further.' } as const;

/** Of the callers with the fewest jobs under way the one that has waited longest. */
function nextOf(waiting: readonly Job[], active: ReadonlyMap<string, Active>): Job | undefined {
  const underWay = [...active.values()].map(({ job }) => job);
  const ofCaller = ({ caller }: Job) => underWay.filter(job => job.caller.id === caller.id).length;
  const isFree = ({ id, routeId }: Job) =>
    !active.has(id) && underWay.filter(job => job.routeId === routeId).length < ACTIVE_MAX;
  return waiting
    .filter(isFree)
    .toSorted((one, other) => ofCaller(one) - ofCaller(other) || one.createdMs - other.createdMs)[0];
}

const PARTS_AT_ONCE = 64;

interface ResultPorts {
  readonly store: JobStore;
  readonly files: JobFiles;
}

/** What was answered of a job, in the order of its rows and the form of its file, piece by piece. */
export async function resultOf(ports: ResultPorts, job: Job): Promise<AsyncIterable<string | Buffer>> {
  const pieces = piecesOf(ports, job);
  return job.form === 'parquet' ? ports.files.toParquet(job.id, pieces) : pieces;
}

async function* piecesOf({ store, files }: ResultPorts, job: Job): AsyncGenerator<string> {
  const { id, form, columns, doneRows } = job;
  const writer = resultForm(form, columns);
  yield writer.head;
  let row = 0;
  while (row < doneRows) {
    const parts = store.parts(id, row, PARTS_AT_ONCE);
    if (parts.length === 0) throw new Error('the result was removed while it was read');
    for (const part of parts.filter(each => each.row < doneRows)) {
      const lines = (await files.answers(id, part.at, part.bytes)).toString().split('\n');
      yield writer.rows(lines.slice(0, part.rows).map(fromOutputLine), row === 0);
      row = part.row + part.rows;
    }
  }
  yield writer.tail;
}
