import type { Admitted } from '../domain/call.ts';
import { pause, type Clock } from '../domain/clock.ts';
import { bodyTooLarge, GatewayError } from '../domain/errors.ts';
import { fieldOf, type RawFields } from '../domain/http/fields.ts';
import { callbackIn, ruleFor, type CallbackRule } from '../domain/jobs/callback.ts';
import { formOf, TAKEN_TYPES, typeOf, type JobForm } from '../domain/jobs/forms.ts';
import { isOver, isOwner, jobView, type Job, type JobFiles, type JobStore } from '../domain/jobs/job.ts';
import { prefersAsync } from '../domain/jobs/job-route.ts';
import type { Route } from '../domain/route.ts';
import type { Answer } from '../domain/upstream.ts';
import { resultOf, type Jobs } from './jobs.ts';

/** `jobs` in gateway.yaml, as far as callers meet it. */
interface JobRules {
  /** Below which jobs are made and looked at, without a slash at the end. */
  readonly path: string;
  readonly keepMs: number;
  readonly bytesMax: number;
  readonly perCallerMax: number;
  readonly callbacks: readonly CallbackRule[];
}

/** Where jobs are written down and worked off, while that can be done. */
export interface JobsAtWork {
  readonly store: JobStore;
  readonly files: JobFiles;
  readonly jobs: Jobs;
  /** Takes a call's body into a new job's file, unpacked, ready to be cut, and says how many bytes it is. Rejects with a GatewayError. */
  readonly takeIn: (call: Admitted, file: NewFile) => Intake;
}

/** The file of a new job. */
export interface NewFile {
  readonly id: string;
  readonly form: JobForm;
  readonly bytesMax: number;
}

/** A body on its way into a file. */
export interface Intake {
  readonly done: Promise<number>;
  leave(reason: GatewayError): void;
}

interface JobApiPorts {
  readonly rules: JobRules;
  /** Throws JOBS_UNAVAILABLE. */
  readonly atWork: () => JobsAtWork;
  readonly createId: () => string;
  readonly toStream: (pieces: AsyncIterable<string | Buffer>) => Answer['body'];
  readonly isClosing: () => boolean;
  readonly clock: Clock;
}

const POLL_EVERY_MS = 500;
const COMMENT_EVERY_POLLS = 30;
/** Where a caller has as many jobs as it may. */
const FULL_RETRY_AFTER_MS = 60_000;
/** What a caller is told to wait before it looks again. */
const RETRY_AFTER_S = 2;
const NOTHING = Buffer.alloc(0);

const NEVER = new AbortController().signal;

/** Where a job's calls go. */
export interface JobTarget {
  readonly route: Route;
  /** As a call to the route has it. */
  readonly path: string;
  readonly variables: ReadonlyMap<string, string>;
}

interface NewJob extends JobTarget {
  readonly id: string;
  readonly form: JobForm;
  readonly bytes: number;
  readonly callback: string | null;
}

/** What callers that were admitted do about jobs. */
export class JobApi {
  readonly #ports: JobApiPorts;
  /** Files that are on their way, by caller. */
  readonly #uploads = new Map<string, number>();

  constructor(ports: JobApiPorts) {
    this.#ports = ports;
  }

  /** By whose rules a job is looked at; undefined: there is none. */
  routeOf(id: string): string | undefined {
    return this.#ports.atWork().store.find(id)?.routeId;
  }

  /** A file. */
  create(call: Admitted, target: JobTarget): void {
    const form = formOf(fieldOf(call.fields, 'content-type'));
    if (form === undefined) {
      const detail = `A job takes ${TAKEN_TYPES.join(', ')}.`;
      throw new GatewayError('UNSUPPORTED_MEDIA_TYPE', 'no form of a job', {
        detail,
        fields: ['Accept', TAKEN_TYPES.join(', ')],
      });
    }
    const { bytesMax, callbacks } = this.#ports.rules;
    const callback = callbackIn(call.fields) ?? null;
    if (callback !== null && ruleFor(callback, callbacks) === undefined) {
      const detail = 'The URL of the callback is none that this gateway calls.';
      throw new GatewayError('BAD_REQUEST', 'a callback that no rule allows', { detail });
    }
    if (call.body.length === 0) throw new GatewayError('BAD_REQUEST', 'no rows', { detail: 'The file is empty.' });
    if ((call.body.length ?? 0) > bytesMax) throw bodyTooLarge(bytesMax);
    const atWork = this.#ports.atWork();
    const under = this.#uploads.get(call.caller.id) ?? 0;
    this.#makeRoom(atWork, call, under);
    const id = this.#ports.createId();
    const intake = atWork.takeIn(call, { id, form, bytesMax }); // may throw
    this.#uploads.set(call.caller.id, under + 1);
    call.waitsFor = intake;
    const done = intake.done.finally(() => {
      this.#forget(call.caller.id);
      if (call.isReplied) drop(atWork.files, id); // its caller has left
    });
    call.awaits(done, bytes =>
      this.#created(call, atWork, this.#jobOf(call, { ...target, id, form, bytes, callback })),
    );
  }

  #forget(callerId: string): void {
    const left = (this.#uploads.get(callerId) ?? 1) - 1;
    if (left === 0) this.#uploads.delete(callerId);
    else this.#uploads.set(callerId, left);
  }

  /** The oldest whose result was read makes room for another. Throws RATE_LIMITED where none was. */
  #makeRoom({ store, files }: JobsAtWork, call: Admitted, underWay: number): void {
    const own = store.ofCaller(call.caller.id).filter(job => isOwner(job, call.caller));
    if (own.length + underWay < this.#ports.rules.perCallerMax) return;
    const oldest = own.find(({ state, isFetched }) => isOver(state) && isFetched);
    if (oldest === undefined) {
      const detail = `You have ${own.length + underWay} jobs, and no more are kept for one caller. Read the result of one that is done, or delete one.`;
      throw new GatewayError('RATE_LIMITED', `${own.length + underWay} jobs of one caller`, {
        detail,
        retryAfterMs: FULL_RETRY_AFTER_MS,
      });
    }
    store.remove(oldest.id);
    drop(files, oldest.id);
  }

  #jobOf(call: Admitted, { route, path, variables, ...file }: NewJob): Job {
    return {
      ...{
        id: file.id,
        form: file.form,
        callback: file.callback,
        routeId: route.id,
        caller: call.caller,
        state: 'queued',
        inputBytes: file.bytes,
      },
      origin: {
        ...{ path, query: call.query, scheme: call.scheme, host: call.host, callerAddress: call.callerAddress },
        ...{ variables: Object.fromEntries(variables), fields: variedFields(call.fields, route) },
      },
      ...{ doneBytes: 0, doneRows: 0, answeredRows: 0, failedRows: 0, columns: null, note: null, error: null },
      ...{ createdMs: this.#ports.clock.wallMs(), startedMs: null, endedMs: null, isFetched: false },
    };
  }

  #created(call: Admitted, { store, files, jobs }: JobsAtWork, job: Job): void {
    call.record.bytesIn = job.inputBytes;
    try {
      store.add(job);
    } catch (error) {
      drop(files, job.id);
      throw error;
    }
    jobs.created(job);
    call.addReplyField('Location', `${this.#ports.rules.path}/${job.id}`);
    if (prefersAsync(call.fields)) call.addReplyField('Preference-Applied', 'respond-async');
    call.answered(this.#viewAnswer(202, job));
  }

  /** How far it is: once, or as server-sent events. */
  show(call: Admitted, id: string): void {
    const job = this.#ownJob(call, id);
    if (/^\s*text\/event-stream\s*(?:[;,]|$)/i.test(fieldOf(call.fields, 'accept') ?? '') && call.method === 'GET') {
      call.disarm();
      call.answered(this.#streamed('text/event-stream', this.#progress(id)));
    } else call.answered(this.#viewAnswer(200, job));
  }

  /** The answers, once it is over. */
  result(call: Admitted, id: string): void {
    const job = this.#ownJob(call, id);
    if (!isOver(job.state)) {
      call.answered(this.#viewAnswer(202, job));
      return;
    }
    call.disarm(); // it takes as long as its caller reads
    const { store, files } = this.#ports.atWork();
    call.awaits(resultOf({ store, files }, job), pieces =>
      call.answered(this.#streamed(typeOf(job.form), this.#fetched(job, pieces))),
    );
  }

  /** Cancels it, or removes it where it is over. */
  remove(call: Admitted, id: string): void {
    const { state } = this.#ownJob(call, id);
    const { store, files, jobs } = this.#ports.atWork();
    if (isOver(state)) {
      store.remove(id);
      drop(files, id);
    } else jobs.cancel(id);
    call.answered({ status: 204, fields: [], body: NOTHING, via: null });
  }

  #ownJob({ caller }: Admitted, id: string): Job {
    const job = this.#ports.atWork().store.find(id);
    if (job === undefined || !isOwner(job, caller)) throw new GatewayError('NO_JOB', 'no such job of this caller');
    return job;
  }

  #viewAnswer(status: number, job: Job): Answer {
    const fields = ['Content-Type', 'application/json', 'Cache-Control', 'no-store'];
    if (!isOver(job.state)) fields.push('Retry-After', String(RETRY_AFTER_S));
    return { status, fields, body: Buffer.from(JSON.stringify(jobView(job, this.#ports.rules))), via: null };
  }

  #streamed(type: string, of: AsyncIterable<string | Buffer>): Answer {
    return {
      status: 200,
      fields: ['Content-Type', type, 'Cache-Control', 'no-store'],
      body: this.#ports.toStream(of),
      via: null,
    };
  }

  /** What was answered; its owner has it then. */
  async *#fetched({ id }: Job, pieces: AsyncIterable<string | Buffer>): AsyncGenerator<string | Buffer> {
    yield* pieces;
    try {
      this.#ports.atWork().store.change(id, { isFetched: true });
    } catch {
      // Its caller has all of it, whether that can be written down or not.
    }
  }

  /** Server-sent events until it is over: `progress` where something changed, at last `done`, `failed` or `cancelled`. */
  async *#progress(id: string): AsyncGenerator<string> {
    let shown = '';
    for (let polls = 1; !this.#ports.isClosing(); polls += 1) {
      const job = this.#ports.atWork().store.find(id);
      if (job === undefined) return;
      const view = JSON.stringify(jobView(job, this.#ports.rules));
      if (isOver(job.state)) {
        yield `event: ${job.state}\ndata: ${view}\n\n`;
        return;
      }
      if (view !== shown) yield `event: progress\ndata: ${view}\n\n`;
      else if (polls % COMMENT_EVERY_POLLS === 0) yield ':\n\n'; // keeps what stands between from closing it
      shown = view;
      await pause(this.#ports.clock, POLL_EVERY_MS, NEVER);
    }
  }
}

/** What is left of it the next start removes. */
function drop(files: JobFiles, id: string): void {
  files.remove(id).catch(() => undefined);
}

/** What the route's callers may differ in, but for what says who they are. */
function variedFields(fields: RawFields, route: Route): string[] {
  const named = route.policy.sharing?.varyBy ?? [];
  const names = new Set(named.flatMap(key => (key.kind === 'header' ? [key.name] : [])));
  for (const secret of ['authorization', 'cookie', route.policy.auth?.keyField ?? '']) names.delete(secret);
  return fields.filter((_, i) => names.has((fields[i - (i % 2)] ?? '').toLowerCase()));
}
