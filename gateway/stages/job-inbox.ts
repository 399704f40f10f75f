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

/**
 * Makes jobs of files that lie in a folder, and writes each one's answers, or why there are none, beside it or where
 * results go. What has its result is left alone, until it is written anew.
 */
export class JobInbox {
  readonly #ports: InboxPorts;
  readonly #settled = new Settled();
  #reported = '';
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
      .then(() => this.#say(''))
      .catch((error: unknown) => this.#say(error instanceof Error ? error.message : String(error)))
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
    const faults: unknown[] = []; // of one file, which is no other's
    const note = (error: unknown) => {
      faults.push(error);
      return false;
    };
    for (const job of own.filter(({ state }) => isOver(state))) await this.#finish(job).catch(note);
    const inHand = new Set(own.map(({ origin }) => origin.inbox));
    for (const file of this.#settled.of(await folder.list())) {
      if (this.#isClosed || inHand.size >= filesMax) break;
      if (!inHand.has(file.name) && (await this.#begin(file).catch(note))) inHand.add(file.name);
    }
    if (faults.length > 0) throw faults[0] as Error;
  }

  /** False: it is none of ours, or is done with. */
  async #begin(file: InboxFile): Promise<boolean> {
    const named = namedFile(file.name);
    if (named === undefined) return false;
    const { folder, files, store, jobs, createId, routes, routeId } = this.#ports;
    const writtenMs = await folder.writtenMs([named.result, named.error]);
    if (writtenMs !== undefined && writtenMs >= file.changedMs) return false;
    const route = routes().find(({ id }) => id === routeId);
    const path = route && takesJobs(route) ? pathOfJobs(route, '') : undefined;
    if (path === undefined)
      throw new Error(`no route ${routeId} takes files: it must be \`pure: true\`, with a plain path`);
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

  /** Once, until it is another problem. */
  #say(problem: string): void {
    if (problem === this.#reported) return;
    this.#reported = problem;
    const text = problem === '' ? 'the inbox is looked at again' : 'the inbox cannot be worked off';
    const level = problem === '' ? 'info' : 'error';
    this.#ports.observe({ kind: 'notice', level, text, about: { problem, route: this.#ports.routeId } });
  }
}
