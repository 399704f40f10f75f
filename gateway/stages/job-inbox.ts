import type { Clock } from '../domain/clock.ts';
import { GatewayError, toGatewayError } from '../domain/errors.ts';
import type { Observe } from '../domain/events.ts';
import {
  INBOX_CALLER,
  namedFile,
  Settled,
  type InboxFile,
  type InboxFolder,
  type NamedFile,
} from '../domain/jobs/inbox.ts';
import { isOver, type Job, type JobError, type JobFiles, type JobStore } from '../domain/jobs/job.ts';
import { pathOfJobs, takesJobs } from '../domain/jobs/job-route.ts';
import { printable } from '../domain/printable.ts';
import type { Route } from '../domain/route.ts';
import { resultOf, type Jobs } from './jobs.ts';

interface InboxPorts {
  readonly routeId: string;
  readonly folder: InboxFolder;
  /** The routes in force. */
  readonly routes: () => readonly Route[];
  readonly store: JobStore;
  readonly files: JobFiles;
  readonly jobs: Jobs;
  readonly bytesMax: number;
  /** In hand at once. */
  readonly filesMax: number;
  readonly createId: () => string;
  readonly clock: Clock;
  readonly observe: Observe;
}

const LOOK_EVERY_MS = 1_000;
/** Files whose problem is kept, so that it is reported once. */
const REPORTED_MAX = 1_000;
const PROBLEM_CHARS_MAX = 500;

/**
 * Makes jobs of files that lie in a folder, and writes each one's answers, or why there are none, beside it or where
 * results go. What has its result is left alone, until it is written anew.
 */
export class JobInbox {
  readonly #ports: InboxPorts;
  readonly #settled = new Settled();
  /** What was reported, by file; '' is the inbox itself. */
  readonly #reported = new Map<string, string>();
  readonly #stop = new AbortController();
  #isClosed = false;
  #looking: Promise<void> = Promise.resolve();
  #cancel: () => void = () => undefined;

  constructor(ports: InboxPorts) {
    this.#ports = ports;
  }

  /** Looks now, and again and again. */
  begin(): void {
    this.#looking = this.#look()
      .then(() => this.#reportMended())
      .catch((error: unknown) => this.#report('', error))
      .finally(() => {
        if (!this.#isClosed) this.#cancel = this.#ports.clock.after(LOOK_EVERY_MS, () => this.begin());
      });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stop.abort(new GatewayError('JOBS_UNAVAILABLE', 'the gateway ends'));
    this.#cancel();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { folder, store, filesMax } = this.#ports;
    const own = store.ofCaller(INBOX_CALLER.id);
    for (const job of own.filter(({ state }) => isOver(state)))
      await this.#withFile(job.origin.inbox ?? '', () => this.#finish(job));
    const inHand = new Set(own.map(({ origin }) => origin.inbox));
    const settled = this.#settled.of(await folder.list());
    if (settled.length > 0) this.#pathOf();
    for (const file of settled) {
      if (this.#isClosed || inHand.size >= filesMax) break;
      if (inHand.has(file.name)) continue;
      if ((await this.#withFile(file.name, () => this.#begin(file))) === true) inHand.add(file.name);
    }
  }

  /** What is wrong with one file is reported, and holds up no other. */
  async #withFile<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await work();
      this.#reported.delete(name);
      return result;
    } catch (error) {
      this.#report(name, error);
      return undefined;
    }
  }

  /** Where its calls begin. Throws where the route takes none. */
  #pathOf(): string {
    const { routes, routeId } = this.#ports;
    const route = routes().find(({ id }) => id === routeId);
    const path = route && takesJobs(route) ? pathOfJobs(route, '') : undefined;
    if (path !== undefined) return path;
    throw new Error(`no route ${routeId} takes files: it must be \`pure: true\`, with a plain path`);
  }

  /** False: it is none of ours, or is done with. */
  async #begin(file: InboxFile): Promise<boolean> {
    const named = namedFile(file.name);
    if (named === undefined) return false;
    const { folder, files, store, jobs, createId } = this.#ports;
    const writtenMs = await folder.writtenMs([named.result, named.error]);
    if (writtenMs !== undefined && writtenMs >= file.changedMs) return false;
    const path = this.#pathOf();
    const id = createId();
    try {
      const bytes = await this.#take(file.name, id, named);
      const job = this.#jobOf({ id, form: named.form, inputBytes: bytes }, path, file.name);
      store.add(job);
      jobs.created(job);
      return true;
    } catch (error) {
      await files.remove(id);
      const { code, detail } = toGatewayError(error);
      if (code === 'JOBS_UNAVAILABLE' || code === 'INTERNAL') throw error;
      await this.#refuse(named.error, { code, detail });
      return false;
    }
  }

  async #take(name: string, id: string, { form, isPacked }: NamedFile): Promise<number> {
    const { folder, files, bytesMax } = this.#ports;
    const bytes = await folder.take(name, id, { isPacked, bytesMax });
    return form === 'parquet' ? files.toLines(id, { bytesMax, signal: this.#stop.signal }) : bytes;
  }

  #jobOf(file: Pick<Job, 'id' | 'form' | 'inputBytes'>, path: string, inbox: string): Job {
    const origin = { path, query: '', scheme: 'http', host: 'inbox', callerAddress: '127.0.0.1' } as const;
    return {
      ...{ ...file, routeId: this.#ports.routeId, caller: INBOX_CALLER, state: 'queued', callback: null },
      origin: { ...origin, variables: {}, fields: [], inbox },
      ...{ doneBytes: 0, doneRows: 0, answeredRows: 0, failedRows: 0, columns: null, note: null, error: null },
      ...{ createdMs: this.#ports.clock.wallMs(), startedMs: null, endedMs: null, isFetched: false },
    };
  }

  /** Its result is written, and the job is of no use any more. */
  async #finish(job: Job): Promise<void> {
    const { folder, store, files } = this.#ports;
    const named = namedFile(job.origin.inbox ?? '');
    if (named !== undefined && job.state === 'done') {
      await folder.write(named.result, await resultOf({ store, files }, job));
    } else if (named !== undefined && job.error !== null) await this.#refuse(named.error, job.error);
    store.remove(job.id);
    await files.remove(job.id);
  }

  #refuse(name: string, error: JobError): Promise<void> {
    return this.#ports.folder.write(name, [`${JSON.stringify(error)}\n`]);
  }

  /** Each problem once, until it is another; `file` is '' where it is the inbox's. */
  #report(file: string, error: unknown): void {
    const problem = printable(error instanceof Error ? error.message : 'unknown', PROBLEM_CHARS_MAX);
    if (problem === this.#reported.get(file)) return;
    if (this.#reported.size >= REPORTED_MAX) this.#reported.clear();
    this.#reported.set(file, problem);
    const { observe, routeId: route } = this.#ports;
    const about = { problem, route };
    if (file === '') observe({ kind: 'notice', level: 'error', text: 'the inbox cannot be worked off', about });
    else {
      const text = 'a file of the inbox cannot be worked off';
      observe({ kind: 'notice', level: 'error', text, about: { ...about, file: printable(file, PROBLEM_CHARS_MAX) } });
    }
  }

  #reportMended(): void {
    if (!this.#reported.delete('')) return;
    const about = { problem: '', route: this.#ports.routeId };
    this.#ports.observe({ kind: 'notice', level: 'info', text: 'the inbox is looked at again', about });
  }
}
