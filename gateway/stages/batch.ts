import type { Clock } from '../domain/clock.ts';
import type { Deadlines, Timed } from '../domain/deadlines.ts';
import { type GatewayError, toGatewayError } from '../domain/errors.ts';
import type { Observe } from '../domain/events.ts';
import type { BatchPolicy, Route, Sharing } from '../domain/route.ts';
import { bodyTextOf, fieldsText, splitAnswer } from '../domain/sharing/batch/answer-form.ts';
import {
  addTo,
  firstToStay,
  isWronged,
  mayBeBroughtOn,
  mayBeItsRows,
  type Entry,
  type Room,
  OpenBatches,
  type Added,
  type OpenBatch,
} from '../domain/sharing/batch/batch-rules.ts';
import type { BatchingStates } from '../domain/sharing/batch/batching-states.ts';
import { concatRows, readRows, type Rows } from '../domain/sharing/batch/rows.ts';
import { subjectName, type Subject, type Subjects } from '../domain/sharing/batch/subject.ts';
import { bodyReadingOf } from '../domain/sharing/body-reading.ts';
import type { Prover } from './batch-proof.ts';
import { type Rechecks, comparableText } from './batch-recheck.ts';
import {
  type Answer,
  type SendUpstream,
  dropBody,
  type UpstreamMessage,
  type UpstreamRequest,
  type UpstreamRequestOptions,
  type Via,
  type Waiting,
} from '../domain/upstream.ts';

/** A call on a route that shares, as far as batches look at it. */
interface SharedCall {
  readonly sharing: Sharing;
  readonly message: UpstreamMessage;
  readonly group: string;
}

interface BatchPorts {
  readonly send: SendUpstream;
  readonly subjects: Subjects;
  readonly prover: Pick<Prover, 'consider'>;
  readonly rechecks: Pick<Rechecks, 'answeredAlone' | 'answeredTogether'>;
  readonly states: Pick<BatchingStates, 'called'>;
  readonly deadlines: Deadlines;
  readonly clock: Clock;
  readonly observe: Observe;
}

/** A call that may travel with others, and how. */
interface Traveller {
  readonly subject: Subject;
  readonly policy: BatchPolicy;
  readonly message: UpstreamMessage;
  readonly rows: Rows;
  /** Equal for calls that may travel together: what R sees of them but their rows, and what the rows are to R. */
  readonly group: string;
}

/**
 * Lets calls travel together that wait for the same service and differ in nothing but their rows.
 *
 * The first is put at once, and waits for a permit like any other; those that come meanwhile are taken in. Where the
 * model has not shown that rows together get the answers they get alone, where rows like these have not been compared
 * often enough, and where a body is not rows beyond doubt, each travels by itself.
 */
export function createBatch(
  ports: BatchPorts,
): (shared: SharedCall, options: UpstreamRequestOptions) => UpstreamRequest {
  const { send, subjects, prover, states, clock } = ports;
  const openBatches = new WeakMap<Route, OpenBatches<BatchEntry, Batch>>(); // a generation's own: the next one's rules may be others

  return function batch(shared, options) {
    const policy = shared.sharing.batch;
    if (policy === undefined || options.method !== 'POST') return send(options);
    const traveller = travellerOf(shared, options, policy);
    const { route } = options;
    const isTrusted = traveller?.subject.isTrusted(route.service.versions, traveller.rows, clock.nowMs()) === true;
    states.called(route, isTrusted);
    if (traveller === undefined) return send(options);
    return isTrusted ? travel(traveller, options) : send(new WatchedCall(ports, traveller, options));
  };

  /** Undefined: it travels by itself, whatever comes of rows like these. */
  function travellerOf(
    { message, group }: SharedCall,
    { route, callerId, affinity }: UpstreamRequestOptions,
    policy: BatchPolicy,
  ): Traveller | undefined {
    const reading = bodyReadingOf(message.fields, message.body);
    if (reading === 'bytes') return undefined;
    const { versions, name } = route.service;
    const subject = subjects.of(subjectName(name, message, [reading, policy.rows]));
    const nowMs = clock.nowMs();
    const standing = subject.standing(versions, nowMs);
    if (standing === 'refuted' || subject.failingCallers.isApart(callerId, nowMs)) return undefined;
    const rowsMax = standing === 'open' ? policy.sizeMax : subject.size.rowsMax(policy.sizeMax, nowMs);
    const rows = rowsMax > 1 ? readRows(message.body, policy.rows, rowsMax) : undefined;
    if (rows === undefined) return undefined;
    if (standing === 'proven')
      return { subject, policy, message, rows, group: `${group}${affinity.length}:${affinity}${rows.shape}` };
    if (policy.rowsIndependent) subject.notice(rows, message, group);
    prover.consider({ subject, route, policy, message, isCalled: true });
    return undefined;
  }

  function travel(traveller: Traveller, options: UpstreamRequestOptions): UpstreamRequest {
    const { subject, policy, rows, group } = traveller;
    const { route, callerId } = options;
    const nowMs = clock.nowMs();
    const rowsMax = rowsMaxOf(subject, { route, policy, nowMs });
    if (rows.count > rowsMax) return send(options);
    const entry = new BatchEntry(traveller, options, nowMs);
    const isQueued = route.service.waitingOf(callerId) > 0;
    openOf(route).add({ entry, callerId, isQueued, group, rowsMax }, onClosed => {
      return new Batch(ports, [entry], { isFixed: false, onClosed });
    });
    return entry;
  }

  function openOf(route: Route): OpenBatches<BatchEntry, Batch> {
    const known = openBatches.get(route);
    if (known !== undefined) return known;
    const open = new OpenBatches<BatchEntry, Batch>();
    openBatches.set(route, open);
    return open;
  }
}

function noop(): void {
  // No call waits for it any more.
}

interface SizeParts {
  readonly route: Route;
  readonly policy: BatchPolicy;
  readonly nowMs: number;
}

/** As failures have shown, and no more than have been compared. */
function rowsMaxOf(subject: Subject, { route, policy, nowMs }: SizeParts): number {
  return Math.min(subject.size.rowsMax(policy.sizeMax, nowMs), subject.rowsMax(route.service.versions, nowMs));
}

/** A call that is not trusted to travel with others: it is put by itself, and what R answers is compared. */
class WatchedCall implements UpstreamRequestOptions, Waiting {
  readonly id: string;
  readonly route: Route;
  readonly method: string;
  readonly callerId: string;
  readonly affinity: string;
  readonly endsMs: number;
  readonly isShared: boolean;
  readonly waiting = this;
  readonly #ports: BatchPorts;
  readonly #traveller: Traveller;
  readonly #options: UpstreamRequestOptions;

  constructor(ports: BatchPorts, traveller: Traveller, options: UpstreamRequestOptions) {
    this.id = options.id;
    this.route = options.route;
    this.method = options.method;
    this.callerId = options.callerId;
    this.affinity = options.affinity;
    this.endsMs = options.endsMs;
    this.isShared = options.isShared;
    this.#ports = ports;
    this.#traveller = traveller;
    this.#options = options;
  }

  message(): UpstreamMessage {
    return this.#options.message();
  }

  get keepLate(): UpstreamRequestOptions['keepLate'] {
    return this.#options.keepLate;
  }

  answered(answer: Answer): void {
    const text = comparableText(answer);
    const version = answer.via?.version ?? '';
    const { rows, policy } = this.#traveller;
    const isToCompare = text !== undefined && answer.via?.attempts === 1 && rows.count < policy.sizeMax;
    if (isToCompare) this.#ports.rechecks.answeredAlone({ ...this.#traveller, route: this.route, text, version });
    this.#options.waiting.answered(answer);
  }

  failed(failure: GatewayError, via: Via): void {
    this.#options.waiting.failed(failure, via);
  }
}

/**
 * One call in a batch: an entry in its list. To what waits for it, it is the upstream request, and reports the
 * batch's one exchange, with its own time in the queue.
 */
class BatchEntry implements UpstreamRequest, Entry {
  readonly traveller: Traveller;
  readonly options: UpstreamRequestOptions;
  readonly addedMs: number;
  endsMs: number;
  batch: Batch | undefined = undefined;
  hasLeft = false;
  /** In queues before this one. */
  queuedMs = 0;

  constructor(traveller: Traveller, options: UpstreamRequestOptions, addedMs: number) {
    this.traveller = traveller;
    this.options = options;
    this.addedMs = addedMs;
    this.endsMs = options.endsMs;
  }

  get rows(): Rows {
    return this.traveller.rows;
  }

  get bytes(): number {
    return this.traveller.message.body.length;
  }

  get callerId(): string {
    return this.options.callerId;
  }

  get instance(): string | null {
    return this.batch?.via?.instance ?? null;
  }

  get version(): string | null {
    return this.batch?.via?.version ?? null;
  }

  get attempts(): number {
    return this.batch?.via?.attempts ?? 0;
  }

  get queueMs(): number {
    return this.queuedMs + (this.batch?.queueMsOf(this) ?? 0);
  }

  get connectMs(): number | null {
    return this.batch?.via?.connectMs ?? null;
  }

  get firstByteMs(): number | null {
    return this.batch?.via?.firstByteMs ?? null;
  }

  get isSent(): boolean {
    return this.batch?.isSent ?? false;
  }

  leave(reason: GatewayError): void {
    if (this.hasLeft) return;
    this.hasLeft = true;
    this.batch?.left(this, reason);
  }

  extend(endsMs: number): void {
    if (endsMs <= this.endsMs) return;
    this.endsMs = endsMs;
    this.batch?.extend(endsMs);
  }

  /** What waited has left, but may still want the answer stored. */
  answered(answer: Answer): void {
    if (this.hasLeft) this.options.keepLate?.(answer);
    else this.options.waiting.answered(answer);
  }
}

interface BatchOptions {
  /** Part of a batch that failed: it takes no other in, and leaves none behind. */
  readonly isFixed: boolean;
  /** It was sent, or given up: from here on it takes no other in. */
  readonly onClosed: (batch: Batch) => void;
}

/**
 * Calls that travel as one upstream request.
 *
 *   open    others may be taken in, while it waits for a permit
 *   closed  `message` was asked for, since a permit is there: what is in it stays in it; or all have left
 *
 * An entry that leaves before that is taken out; one that leaves after costs the others nothing. When all have left, the
 * upstream request is left. What comes back is split. An answer that cannot be is asked for again in halves, until the
 * failing call stands alone; what broke an instance is asked one by one, since halves would break more on the way.
 */
class Batch implements Waiting, Timed, OpenBatch<BatchEntry>, Room {
  /** When it is put though it waits for others. */
  endsMs = Infinity;
  watchedAt = -1;
  entries: BatchEntry[] = [];
  rows = 0;
  bytes = 0;
  isSent = false;
  via: Via | undefined = undefined;
  readonly callerId: string;
  readonly #ports: BatchPorts;
  readonly #options: BatchOptions;
  readonly #first: BatchEntry;
  #request: UpstreamRequest | undefined = undefined;
  #message: UpstreamMessage | undefined = undefined;
  #sentMs = 0;
  #lastEndsMs = 0;
  #isClosed = false;
  #hasStarted = false;
  #isOver = false;

  /** There is at least one entry. */
  constructor(ports: BatchPorts, entries: readonly BatchEntry[], options: BatchOptions) {
    const [first] = entries;
    if (first === undefined) throw new Error('a batch without entries');
    this.#ports = ports;
    this.#options = options;
    this.#first = first;
    this.callerId = first.callerId;
    for (const entry of entries) this.#add(entry);
  }

  get time(): Room['time'] {
    return this.#subject.time;
  }

  get bytesMax(): number {
    return this.#route.policy.bodyBytesMax;
  }

  get attemptMs(): number {
    return this.#route.policy.retry.repeatableTimeoutMs; // only what may be repeated travels together
  }

  get #subject(): Subject {
    return this.#first.traveller.subject;
  }

  get #policy(): BatchPolicy {
    return this.#first.traveller.policy;
  }

  get #route(): Route {
    return this.#first.options.route;
  }

  begin(): void {
    const { waitMsMax } = this.#policy;
    if (waitMsMax === 0) this.start();
    else this.#ports.deadlines.move(this, this.#ports.clock.nowMs() + waitMsMax);
  }

  onTimeOver(): void {
    this.start();
  }

  start(): void {
    if (this.#hasStarted || this.#isOver) return;
    this.#hasStarted = true;
    this.#ports.deadlines.remove(this);
    const { id, route, method, callerId, affinity } = this.#first.options;
    try {
      this.#request = this.#ports.send({
        ...{ id, route, method, callerId, affinity, endsMs: this.#lastEndsMs, isShared: true, waiting: this },
        message: () => (this.#message ??= this.#close()),
        keepLate: answer => this.#late(answer),
      });
    } catch (error) {
      this.failed(toGatewayError(error), NOWHERE);
    }
  }

  tryAdd(entry: BatchEntry, rowsMax: number): Added {
    if (this.#isClosed) return 'full';
    const added = addTo(this, entry, { rowsMax, nowMs: this.#ports.clock.nowMs() });
    if (added !== 'in') return added;
    this.#add(entry);
    this.#request?.extend(this.#lastEndsMs);
    if (this.rows === rowsMax) this.start();
    return 'in';
  }

  left(entry: BatchEntry, reason: GatewayError): void {
    if (!this.isSent) this.#remove(entry);
    if (this.#isOver || this.entries.some(({ hasLeft }) => !hasLeft)) return;
    this.#closeToOthers();
    this.#isOver = !this.#hasStarted;
    this.#ports.deadlines.remove(this);
    this.#request?.leave(reason);
  }

  extend(endsMs: number): void {
    if (endsMs <= this.#lastEndsMs) return;
    this.#lastEndsMs = endsMs;
    this.#request?.extend(endsMs);
  }

  /** Of the batch's time in the queue only what was shared: an entry that came last did not wait as long as the first. */
  queueMsOf({ addedMs }: BatchEntry): number {
    const queueMs = this.via?.queueMs ?? 0;
    return this.isSent ? Math.min(queueMs, Math.max(0, this.#sentMs - addedMs)) : queueMs;
  }

  answered(answer: Answer): void {
    this.via = answer.via ?? NOWHERE;
    this.#isOver = true;
    if (this.#give(answer)) return;
    dropBody(answer);
    this.#divide();
  }

  failed(failure: GatewayError, via: Via): void {
    this.via = via;
    this.#isOver = true;
    this.#closeToOthers();
    const isOfRows = mayBeItsRows(failure);
    if (this.isSent && (isOfRows || mayBeBroughtOn(failure))) {
      if (this.entries.length > 1) {
        if (isOfRows) this.#divide();
        else this.#sendSingly();
        return;
      }
      this.#noteFailure();
    }
    const { queueWaitMsMax } = this.#route.service.policy;
    const refused = { callerId: this.callerId, queueWaitMsMax, nowMs: this.#ports.clock.nowMs() };
    const wronged = this.#staying().filter(entry => isWronged(failure, entry, refused));
    const others = this.#staying().filter(entry => !wronged.includes(entry));
    this.#again(wronged, false);
    for (const entry of others) entry.options.waiting.failed(failure, entry);
  }

  #add(entry: BatchEntry): void {
    entry.batch = this;
    this.entries.push(entry);
    this.rows += entry.rows.count;
    this.bytes += entry.bytes;
    this.#lastEndsMs = Math.max(this.#lastEndsMs, entry.endsMs);
  }

  #remove(entry: BatchEntry): void {
    const at = this.entries.indexOf(entry);
    if (at < 0) return;
    this.entries.splice(at, 1);
    this.rows -= entry.rows.count;
    this.bytes -= entry.bytes;
  }

  #staying(): BatchEntry[] {
    return this.entries.filter(({ hasLeft }) => !hasLeft);
  }

  #closeToOthers(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.onClosed(this);
  }

  /** A permit is there: what would not be answered in time among the others waits for the next. */
  #close(): UpstreamMessage {
    this.#closeToOthers();
    const { clock, observe } = this.#ports;
    const nowMs = clock.nowMs();
    const rowsMax = rowsMaxOf(this.#subject, { route: this.#route, policy: this.#policy, nowMs });
    const first = this.#options.isFixed ? undefined : firstToStay(this, { rowsMax, nowMs });
    const behind = first === undefined ? [] : this.entries.slice(first);
    for (const entry of behind) this.#remove(entry);
    this.isSent = true;
    this.#sentMs = nowMs;
    this.#again(behind, false);
    observe({ kind: 'batch', service: this.#route.service.name, rows: this.rows });
    const { message } = this.#first.traveller;
    const [only, ...others] = this.entries;
    if (others.length === 0 && only !== undefined) return only.traveller.message;
    const body = concatRows(
      this.entries.map(({ rows }) => rows),
      this.#policy.rows,
    );
    return { ...message, body };
  }

  /** To each its own. False: the answer is not one that can be split. */
  #give(answer: Answer): boolean {
    const { entries } = this;
    const [only] = entries;
    if (entries.length === 1 && only !== undefined) {
      this.#record(answer);
      if (answer.status !== 200) this.#noteFailure();
      only.answered({ status: answer.status, fields: answer.fields, body: answer.body, via: only });
      return true;
    }
    const texts = this.#split(answer);
    if (texts === undefined) return false;
    this.#record(answer);
    const { status, fields } = answer;
    const version = this.via?.version ?? '';
    for (const [i, entry] of entries.entries()) {
      const text = texts[i] ?? '';
      this.#ports.rechecks.answeredTogether({ ...entry.traveller, route: this.#route, text, version });
      entry.answered({ status, fields: [...fields], body: Buffer.from(text, 'latin1'), via: entry });
    }
    return true;
  }

  /** What comes after all callers have left is still stored where a call has a cache. */
  #late(answer: Answer): void {
    this.via = answer.via ?? NOWHERE;
    if (!this.#give(answer)) dropBody(answer);
  }

  #split(answer: Answer): readonly string[] | undefined {
    const version = this.via?.version ?? '';
    const form = this.#subject.formOf(version);
    const text = bodyTextOf(answer);
    if (answer.status !== 200 || form === undefined || text === undefined) return undefined;
    if (fieldsText(answer) !== this.#subject.fieldsOf(version)) return undefined; // one caller's, and it is not known whose
    return splitAnswer(
      text,
      form,
      this.entries.map(({ rows }) => rows.count),
    );
  }

  /** How long so many rows take, and that they went well. */
  #record({ status }: Answer): void {
    const { clock, observe } = this.#ports;
    if (status !== 200 || (this.via?.attempts ?? 1) > 1) return;
    this.#subject.time.record(this.rows, clock.nowMs() - this.#sentMs);
    if (this.#options.isFixed || this.entries.length === 1) return;
    if (!this.#subject.size.succeeded(this.rows, this.#policy.sizeMax)) return;
    observe({ kind: 'batching', route: this.#route.id, isOn: true, reason: 'a batch went well again' });
  }

  /** Every call still there is asked again by itself. */
  #sendSingly(): void {
    this.#countFailure();
    for (const entry of this.#staying()) this.#again([entry], true);
  }

  /** Every call still there is asked again, with half of the others. */
  #divide(): void {
    this.#countFailure();
    const staying = this.#staying();
    const middle = Math.ceil(staying.length / 2);
    for (const part of [staying.slice(0, middle), staying.slice(middle)]) this.#again(part, true);
  }

  #again(entries: readonly BatchEntry[], isFixed: boolean): void {
    if (entries.length === 0) return;
    for (const entry of entries) if (this.via !== undefined) entry.queuedMs += this.queueMsOf(entry);
    new Batch(this.#ports, entries, { isFixed, onClosed: noop }).start();
  }

  /**
   * Where batches fail too often, those whose calls brought it about travel singly for a while; where it was none in
   * particular, all do. Its parts fail for the same reason as the whole did: only that counts.
   */
  #countFailure(): void {
    if (this.#options.isFixed) return;
    const { clock, observe } = this.#ports;
    const { size, failingCallers } = this.#subject;
    const nowMs = clock.nowMs();
    const forMs = size.divided(nowMs);
    if (forMs === undefined) return;
    const failing = failingCallers.setApart(
      this.entries.map(({ callerId }) => callerId),
      nowMs + forMs,
    );
    const seconds = forMs / 1000;
    if (failing.length === 0) {
      const reason = `batches keep failing: calls travel singly for ${seconds} s`;
      observe({ kind: 'batching', route: this.#route.id, isOn: false, reason });
      return;
    }
    size.resume();
    observe({
      kind: 'notice',
      level: 'warn',
      text: `batches keep failing by the calls of some: those travel singly for ${seconds} s`,
      about: { route: this.#route.id, callers: failing.join(', ') },
    });
  }

  /** It fails alone as well: it is why the batch did in which it was. */
  #noteFailure(): void {
    const [only] = this.entries;
    if (this.#options.isFixed && only !== undefined) this.#subject.failingCallers.note(only.callerId);
  }
}

/** No instance was asked. */
const NOWHERE: Via = { instance: null, version: null, attempts: 0, queueMs: 0, connectMs: null, firstByteMs: null };
