import { mkdir } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { GatewayConfig } from './config/gateway-config.ts';
import type { Admitted } from './domain/call.ts';
import type { Clock, Random } from './domain/clock.ts';
import type { Deadlines } from './domain/deadlines.ts';
import { GatewayError } from './domain/errors.ts';
import type { Observe } from './domain/events.ts';
import type { ColumnsFor } from './domain/table/csv-transcoder.ts';
import type { ServiceRegistry } from './domain/service/service-registry.ts';
import { createInboxFolder } from './edges/jobs/inbox-folder.ts';
import { createJobFiles, type FolderFiles } from './edges/jobs/job-files.ts';
import { openJobStore, type SqliteJobStore } from './edges/jobs/node-sqlite.ts';
import { sendWebhook } from './edges/jobs/webhook.ts';
import { uploadBody } from './edges/jobs/upload.ts';
import { ParquetProcesses } from './edges/parquet/parquet-process.ts';
import type { JobCounts } from './edges/prom-client.ts';
import type { Flow } from './flow.ts';
import type { Generation } from './reload.ts';
import { createJobDoor } from './stages/job-door.ts';
import { JobCallbacks } from './stages/job-callbacks.ts';
import { JobInbox } from './stages/job-inbox.ts';
import { JobApi, type Intake, type JobsAtWork, type NewFile } from './stages/job-api.ts';
import { Jobs } from './stages/jobs.ts';
import type { Match } from './stages/match.ts';

/** The jobs of a gateway; without `jobs` in its configuration calls are matched as they would be. */
export interface GatewayJobs {
  /** Around what finds the route of a call. */
  match(match: Match): Match;
  /** The flow that calls of jobs take. */
  use(flow: Flow): void;
  /** Jobs that were not over go on. Where that cannot be it is tried again, and callers are told meanwhile. */
  open(): Promise<void>;
  /** Begins no more; what is in hand may take so long. */
  close(withinMs: number): Promise<void>;
  counts(): JobCounts;
}

interface JobsParts {
  readonly config: GatewayConfig;
  readonly current: () => Generation;
  readonly registry: Pick<ServiceRegistry, 'services'>;
  readonly columnsFor: ColumnsFor;
  readonly clock: Clock;
  readonly random: Random;
  readonly deadlines: Deadlines;
  readonly observe: Observe;
}

const NOTHING: JobCounts = { states: {}, rows: new Map() };

/** Puts together what jobs need. */
export function composeJobs(parts: JobsParts): GatewayJobs {
  const { jobs: rules } = parts.config;
  if (rules !== undefined) return new ComposedJobs({ ...parts, rules });
  const done = () => Promise.resolve();
  return { match: match => match, use: () => undefined, open: done, close: done, counts: () => NOTHING };
}

type Rules = NonNullable<GatewayConfig['jobs']>;
type Parts = JobsParts & { readonly rules: Rules };

const MODE = 0o700;
/** What could not be opened is tried again. */
const OPEN_AGAIN_MS = 10_000;
/** Of a short row the answer, or what is wrong with it, takes more room than the row. */
const ANSWERS_PER_BYTE = 4;
/** Jobs whose time is over are looked for so often. */
const SWEEP_EVERY_MS = 60_000;

class ComposedJobs implements GatewayJobs {
  readonly #parts: Parts;
  readonly #parquet: ParquetProcesses;
  readonly #files: FolderFiles;
  #flow: Flow | undefined = undefined;
  #store: SqliteJobStore | undefined = undefined;
  #jobs: Jobs | undefined = undefined;
  #callbacks: JobCallbacks | undefined = undefined;
  #inbox: JobInbox | undefined = undefined;
  #isClosing = false;
  #isLogged = false;
  #reported = { problem: '', atMs: 0 };
  #cancelTimer: () => void = () => undefined;
  readonly #uploads = new Set<Promise<unknown>>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#parquet = new ParquetProcesses(parts.clock);
    this.#files = createJobFiles(parts.rules.folder, this.#parquet);
  }

  match(match: Match): Match {
    const { rules, current, clock, random } = this.#parts;
    const api = new JobApi({
      ...{ rules, clock, atWork: () => this.#atWork(), createId: randomUUID, isClosing: () => this.#isClosing },
      toStream: pieces => Readable.from(pieces, { objectMode: false }),
    });
    return createJobDoor({ path: rules.path, match, api, table: () => current().table, clock, random });
  }

  use(flow: Flow): void {
    this.#flow = flow;
  }

  async open(): Promise<void> {
    if (this.#isClosing) return;
    const { rules, observe, clock } = this.#parts;
    try {
      await mkdir(rules.folder, { recursive: true, mode: MODE });
      this.#store = openJobStore(join(rules.folder, 'jobs.db'), cause => this.#report(cause));
      await this.#files.sweep(this.#store.ids());
      this.#begin(this.#store);
    } catch (error) {
      this.#store?.close();
      this.#store = undefined;
      const about = { folder: rules.folder, problem: problemOf(error) };
      if (!this.#isLogged)
        observe({ kind: 'notice', level: 'error', text: 'there are no jobs: `jobs.folder` cannot be used', about });
      this.#isLogged = true;
      this.#cancelTimer = clock.after(OPEN_AGAIN_MS, () => void this.open());
    }
  }

  async close(withinMs: number): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#cancelTimer();
    this.#parquet.close();
    await Promise.all([this.#jobs?.close(withinMs), this.#callbacks?.close(), this.#inbox?.close()]);
    await Promise.allSettled(this.#uploads);
    this.#store?.close();
    this.#store = undefined;
  }

  counts(): JobCounts {
    if (this.#store === undefined || this.#jobs === undefined) return NOTHING;
    return { states: this.#store.counts(), rows: this.#jobs.rows };
  }

  #begin(store: SqliteJobStore): void {
    const { rules, current, registry, columnsFor, clock, random, deadlines, observe } = this.#parts;
    const flow = this.#flow;
    if (flow === undefined) throw new Error('there is no flow for the calls of jobs');
    this.#jobs = new Jobs({
      ...{ store, files: this.#files, routes: () => current().routes, columnsFor, clock, random, deadlines, observe },
      viewOf: name =>
        registry
          .services()
          .find(service => service.name === name)
          ?.view(),
      answersBytesMax: ANSWERS_PER_BYTE * rules.bytesMax,
      ...{ enterAdmitted: flow.enterAdmitted, back: flow.back, ended: () => this.#callbacks?.look() },
    });
    this.#callbacks = new JobCallbacks({
      ...{ rules: rules.callbacks, view: rules, store, clock, observe, send: sendWebhook },
    });
    this.#inbox = this.#inboxOf(store, this.#jobs);
    this.#sweep(store);
    this.#jobs.look();
    this.#inbox?.begin();
  }

  #inboxOf(store: SqliteJobStore, jobs: Jobs): JobInbox | undefined {
    const { rules, current, clock, observe } = this.#parts;
    const { inbox, bytesMax, perCallerMax: filesMax } = rules;
    if (inbox === undefined) return undefined;
    const create = (id: string) => this.#files.create(id);
    const folder = createInboxFolder({ folder: inbox.folder, out: inbox.out ?? inbox.folder, create });
    return new JobInbox({
      ...{ routeId: inbox.route, folder, routes: () => current().routes, store, files: this.#files, jobs },
      ...{ bytesMax, filesMax, createId: randomUUID, clock, observe },
    });
  }

  /** A clock that was put forward ends jobs early: their owners see what was answered no more, and R is not asked for it. */
  #sweep(store: SqliteJobStore): void {
    const { clock, rules, observe } = this.#parts;
    try {
      this.#callbacks?.look();
      for (const { id } of store.olderThan(clock.wallMs() - rules.keepMs)) {
        this.#jobs?.cancel(id);
        store.remove(id);
        this.#files.remove(id).catch(() => undefined); // the next start removes what is left
      }
    } catch (error) {
      observe({
        kind: 'notice',
        level: 'warn',
        text: 'jobs whose time is over cannot be removed',
        about: { problem: problemOf(error) },
      });
    }
    this.#cancelTimer = clock.after(SWEEP_EVERY_MS, () => this.#sweep(store));
  }

  #atWork(): JobsAtWork {
    const [store, jobs] = [this.#store, this.#jobs];
    if (store === undefined || jobs === undefined) {
      throw new GatewayError('JOBS_UNAVAILABLE', 'the folder of jobs is not open', { retryAfterMs: OPEN_AGAIN_MS });
    }
    return { store, files: this.#files, jobs, takeIn: (call, file) => this.#takeIn(call, file) };
  }

  /** Why a caller is told that there are no jobs now; not again for a while. */
  #report(cause: unknown): void {
    const { clock, rules, observe } = this.#parts;
    const [problem, atMs] = [problemOf(cause), clock.nowMs()];
    if (problem.replaceAll(IDS, '') === this.#reported.problem && atMs - this.#reported.atMs < REPORT_AGAIN_MS) return;
    this.#reported = { problem: problem.replaceAll(IDS, ''), atMs };
    const about = { folder: rules.folder, problem };
    observe({ kind: 'notice', level: 'error', text: 'jobs can be neither made nor read now', about });
  }

  #takeIn({ wire, fields }: Admitted, { id, form, bytesMax }: NewFile): Intake {
    const { clock, config } = this.#parts;
    const about = { wire, fields, bytesMax, clock, idleMsMax: config.listen.bodyIdleTimeoutMs };
    const upload = uploadBody({ ...about, create: () => this.#files.create(id) });
    const left = new AbortController();
    const whole = upload.done.then(bytes =>
      form === 'parquet' ? this.#files.toLines(id, { bytesMax, signal: left.signal }) : bytes,
    );
    const done = whole.catch(async (error: unknown) => {
      if (error instanceof GatewayError && error.code === 'JOBS_UNAVAILABLE') this.#report(error.cause ?? error);
      await this.#files.remove(id).catch(() => undefined); // the next start removes what is left
      throw error;
    });
    const taken = done.catch(() => undefined).finally(() => this.#uploads.delete(taken));
    this.#uploads.add(taken);
    const leave = (reason: GatewayError) => {
      upload.leave(reason);
      left.abort(reason);
    };
    return { done, leave };
  }
}

/** They make no other problem of it. */
const IDS = /[0-9a-f-]{36}/g;
const REPORT_AGAIN_MS = 60_000;

function problemOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
