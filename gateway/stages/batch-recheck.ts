import { BoundedMap } from '../domain/bounded-map.ts';
import { backOffMs } from '../domain/back-off.ts';
import type { Clock, Random } from '../domain/clock.ts';
import type { Observe } from '../domain/events.ts';
import type { BatchPolicy, Route } from '../domain/route.ts';
import { bodyTextOf, differenceOf, fieldsText, splitAnswer } from '../domain/sharing/batch/answer-form.ts';
import { isInTime, type Trust } from '../domain/sharing/batch/batch-limits.ts';
import type { BatchingStates } from '../domain/sharing/batch/batching-states.ts';
import { OTHERWISE } from '../domain/sharing/batch/proof.ts';
import { concatRows, type Rows } from '../domain/sharing/batch/rows.ts';
import { ownCopyOf, type Subject } from '../domain/sharing/batch/subject.ts';
import type { Answer, UpstreamMessage } from '../domain/upstream.ts';
import { placeOf, type OwnRequests, type Said } from './batch-proof.ts';

/** A call, what R answered to it, and where that is compared. */
export interface Answered {
  readonly subject: Subject;
  readonly route: Route;
  readonly policy: BatchPolicy;
  /** Equal for calls that may travel together. */
  readonly group: string;
  readonly message: UpstreamMessage;
  readonly rows: Rows;
  /** One character a byte. */
  readonly text: string;
  readonly version: string;
}

interface RecheckPorts {
  readonly own: OwnRequests;
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: Observe;
  readonly states: BatchingStates;
}

/** Calls of one group that were answered alone: those not compared yet, and some that were, to compare others with. */
interface Pool {
  readonly pending: Answered[];
  readonly compared: Answered[];
  isRunning: boolean;
  notBeforeMs: number;
  failures: number;
}

const POOLS_MAX = 64;
const PENDING_MAX = 32;
const COMPARED_MAX = 16;
/** A longer call is not compared, so that it always travels alone. */
const CALL_LENGTH_MAX = 32 * 1_024;
/** All that is kept to compare. */
const KEPT_LENGTH_MAX = 16 * 1_024 * 1_024;
/** Comparisons under way at once. */
const RUNNING_MAX = 4;
const BACK_OFF = { baseMs: 1_000, maxMs: 60_000 };

/** Answers from batches that wait to be asked for again, of one service. */
const WAITING_MAX = 16;
/** So often is looked whether an instance is idle. */
const LOOK_EVERY_MS = 50;
/** Where none has been for so long, what waits goes on after all callers. */
const NO_IDLE_MS_MAX = 10_000;

/** Of one service. */
interface Waiting {
  readonly calls: Answered[];
  /** When one began to wait, or the last was sent. */
  sinceMs: number;
  isSending: boolean;
}

/**
 * Compares, as long as calls travel together, what R answers to rows together with what it answers to each call alone,
 * byte for byte.
 *
 * What is not trusted yet was answered alone: its rows are asked together, with others of the group, in growing numbers
 * and in any order. What has travelled with others is asked again alone, in idle places, a share of it. One contradiction
 * ends batching for that version, at once.
 */
export class Rechecks {
  readonly #ports: RecheckPorts;
  readonly #pools = new BoundedMap<string, Pool>(POOLS_MAX, (_group, pool) => this.#drop(pool));
  readonly #waiting = new Map<string, Waiting>();
  #keptLength = 0;
  #running = 0;
  #cancelLook: (() => void) | undefined;

  constructor(ports: RecheckPorts) {
    this.#ports = ports;
  }

  /** A call that is not trusted yet was answered alone. */
  answeredAlone(call: Answered): void {
    const length = lengthOf(call);
    if (length > CALL_LENGTH_MAX) return;
    const pool = this.#poolOf(call.group);
    if (pool.pending.length < PENDING_MAX) {
      this.#makeRoom(length);
      pool.pending.push({ ...call, rows: ownCopyOf(call.rows) });
      this.#keptLength += length;
    }
    this.#compareNext(pool);
  }

  /** A call was answered in a batch. */
  answeredTogether(call: Answered): void {
    const { clock, random } = this.#ports;
    const nowMs = clock.nowMs();
    const { recheckShare } = call.policy;
    if (call.subject.trustOf(call.version)?.isDue(random.below(CHANCES) / CHANCES, { recheckShare, nowMs }) !== true)
      return;
    const { name } = call.route.service;
    const waiting = this.#waiting.get(name) ?? { calls: [], sinceMs: nowMs, isSending: false };
    this.#waiting.set(name, waiting);
    if (waiting.calls.length === 0) waiting.sinceMs = nowMs;
    if (waiting.calls.length < WAITING_MAX) waiting.calls.push(call);
    else waiting.calls[random.below(WAITING_MAX)] = call;
    this.#cancelLook ??= clock.after(LOOK_EVERY_MS, () => this.#look());
    const pool = this.#pools.get(call.group);
    if (pool !== undefined) this.#compareNext(pool);
  }

  close(): void {
    this.#cancelLook?.();
    this.#waiting.clear();
    this.#pools.clear();
  }

  #poolOf(group: string): Pool {
    const known = this.#pools.get(group) ?? {
      ...{ pending: [], compared: [], isRunning: false, notBeforeMs: 0, failures: 0 },
    };
    this.#pools.set(group, known); // the one goes that was not asked for the longest
    return known;
  }

  /** What is kept of the groups that were not asked for the longest goes: they may never be asked for again. */
  #makeRoom(length: number): void {
    for (const [group, pool] of this.#pools) {
      if (this.#keptLength + length <= KEPT_LENGTH_MAX) return;
      this.#pools.delete(group);
      this.#drop(pool);
    }
  }

  #drop({ pending, compared }: Pool): void {
    for (const call of pending.splice(0)) this.#keptLength -= lengthOf(call);
    for (const call of compared.splice(0)) this.#keptLength -= lengthOf(call);
  }

  #compareNext(pool: Pool): void {
    const { own, clock } = this.#ports;
    if (pool.isRunning || this.#running >= RUNNING_MAX || own.isClosed || clock.nowMs() < pool.notBeforeMs) return;
    const mix = this.#mixOf(pool);
    if (mix !== undefined) void this.#compare(pool, mix);
  }

  /** Which calls are asked together next; undefined: there are too few, or nothing is left to compare. */
  #mixOf({ pending, compared }: Pool): readonly Answered[] | undefined {
    const all = [...pending, ...compared];
    const [first] = all;
    const trust = first?.subject.trustOf(first.version);
    if (first === undefined || trust === undefined || all.length < 2) return undefined;
    const rows = Math.max(this.#sizeFor(first, trust) ?? trust.rowsMax, first.rows.count + 1);
    const mix = fill(all, { rows, rowsMax: first.policy.sizeMax, bytesMax: first.route.policy.bodyBytesMax });
    const isNew = pending.length > 0 || rowsOf(mix) > trust.rowsMax;
    return isNew && mix.length > 1 ? this.#shuffled(mix) : undefined;
  }

  #sizeFor({ subject, policy, route }: Answered, trust: Trust): number | undefined {
    const size = trust.nextSize(policy.sizeMax);
    const attemptMs = route.policy.retry.repeatableTimeoutMs;
    return size !== undefined && isInTime(subject.time, size, attemptMs) ? size : undefined;
  }

  #shuffled(calls: readonly Answered[]): readonly Answered[] {
    const left = [...calls];
    return calls.flatMap(() => left.splice(this.#ports.random.below(left.length), 1));
  }

  async #compare(pool: Pool, mix: readonly Answered[]): Promise<void> {
    pool.isRunning = true;
    this.#running += 1;
    const [first] = mix as [Answered];
    const body = concatRows(
      mix.map(({ rows }) => rows),
      first.policy.rows,
    );
    const said = await this.#send(first.route, { ...first.message, body });
    this.#running -= 1;
    pool.isRunning = false;
    const isAgreed = said !== undefined && this.#judge(mix, said);
    this.#settle(pool, mix, isAgreed);
    for (const each of [pool, ...this.#pools.values()]) this.#compareNext(each);
  }

  async #send(route: Route, message: UpstreamMessage): Promise<Said | undefined> {
    try {
      return await this.#ports.own.put(route, message);
    } catch {
      return undefined; // no permit, or no answer: asked again later
    }
  }

  /** True: they were answered together as each alone. */
  #judge(mix: readonly Answered[], { answer, version }: Said): boolean {
    const [first] = mix as [Answered];
    const { subject, route } = first;
    const [trust, form] = [subject.trustOf(version), subject.formOf(version)];
    const text = comparableText(answer);
    const same = mix.filter(call => call.version === version);
    if (text === undefined || form === undefined || trust === undefined || same.length === 0) {
      this.#count(route, 'unanswered');
      return false;
    }
    const counts = mix.map(({ rows }) => rows.count);
    const isOfForm = fieldsText(answer) === subject.fieldsOf(version);
    const flaw = flawOf(mix, version, isOfForm ? splitAnswer(text, form, counts) : undefined);
    if (flaw !== undefined) {
      this.#contradicted(first, version, flaw);
      return false;
    }
    trust.rowsMax = Math.max(trust.rowsMax, rowsOf(mix));
    for (const call of new Set(same)) trust.agreed(call.rows);
    this.#count(route, 'agreed');
    return true;
  }

  /** Those that were compared make room; where they could not be, all is tried again a while later. */
  #settle(pool: Pool, mix: readonly Answered[], isAgreed: boolean): void {
    const [first] = mix as [Answered];
    if (first.subject.trustOf(first.version) === undefined) {
      if (this.#pools.get(first.group) === pool) this.#pools.delete(first.group);
      this.#drop(pool);
      return;
    }
    pool.failures = isAgreed ? 0 : pool.failures + 1;
    if (!isAgreed) pool.notBeforeMs = this.#ports.clock.nowMs() + backOffMs(pool.failures + 1, BACK_OFF);
    for (const call of mix) {
      const at = pool.pending.indexOf(call);
      if (at < 0) continue;
      pool.pending.splice(at, 1);
      if (isAgreed) pool.compared.push(call);
      else this.#keptLength -= lengthOf(call);
    }
    while (pool.compared.length > COMPARED_MAX) {
      const gone = pool.compared.shift();
      if (gone !== undefined) this.#keptLength -= lengthOf(gone);
    }
  }

  #look(): void {
    this.#cancelLook = undefined;
    const nowMs = this.#ports.clock.nowMs();
    for (const [name, waiting] of this.#waiting) {
      const [call] = waiting.calls;
      if (call === undefined) this.#waiting.delete(name);
      else if (!waiting.isSending && (isIdle(call.route) || nowMs - waiting.sinceMs >= NO_IDLE_MS_MAX))
        void this.#sendAgain(waiting);
    }
    if (this.#waiting.size > 0) this.#cancelLook = this.#ports.clock.after(LOOK_EVERY_MS, () => this.#look());
  }

  async #sendAgain(waiting: Waiting): Promise<void> {
    const call = waiting.calls.shift();
    if (call?.subject.trustOf(call.version) === undefined) return; // it has been refuted meanwhile
    waiting.isSending = true;
    waiting.sinceMs = this.#ports.clock.nowMs();
    const said = await this.#send(call.route, call.message);
    waiting.isSending = false;
    if (said !== undefined) this.#judgeAlone(call, said);
    else this.#count(call.route, 'unanswered');
  }

  #judgeAlone(call: Answered, { answer, version }: Said): void {
    const trust = call.subject.trustOf(version);
    const text = bodyTextOf(answer);
    if (version !== call.version || trust === undefined || text === undefined || answer.status >= 500) {
      this.#count(call.route, 'unanswered');
    } else if (answer.status !== 200) {
      this.#contradicted(call, version, `${OTHERWISE}: alone with ${answer.status}`);
    } else if (text !== call.text) {
      this.#contradicted(call, version, `${OTHERWISE}: ${differenceOf(call.text, text)}`);
    } else {
      trust.agreed(call.rows);
      this.#count(call.route, 'agreed');
    }
  }

  #contradicted({ subject, route, message }: Answered, version: string, reason: string): void {
    const { clock, observe, states } = this.#ports;
    subject.judge(version, { kind: 'refuted', reason }, clock.nowMs());
    const said = `${placeOf(message, version)}: ${reason}`;
    states.ended(route.service.name, said);
    this.#count(route, 'contradicted');
    observe({ kind: 'batching', route: route.id, isOn: false, reason: said });
  }

  #count({ service }: Route, result: 'agreed' | 'contradicted' | 'unanswered'): void {
    this.#ports.observe({ kind: 'batch-recheck', service: service.name, result });
  }
}

/** Steps in which chance is drawn. */
const CHANCES = 1_000_000;

interface Filling {
  /** As many as these, or a few more. */
  readonly rows: number;
  readonly rowsMax: number;
  readonly bytesMax: number;
}

function rowsOf(calls: readonly Answered[]): number {
  return calls.reduce((sum, { rows }) => sum + rows.count, 0);
}

/** What waits first, then what was compared, and all of it again until so many rows are there. */
function fill(calls: readonly Answered[], { rows: wanted, rowsMax, bytesMax }: Filling): Answered[] {
  const mix: Answered[] = [];
  let [rows, bytes, misses] = [0, 0, 0];
  while (rows < wanted && misses < calls.length) {
    for (const call of calls) {
      const isFitting = rows + call.rows.count <= rowsMax && bytes + call.message.body.length <= bytesMax;
      misses = isFitting ? 0 : misses + 1;
      if (!isFitting || rows >= wanted) continue;
      mix.push(call);
      rows += call.rows.count;
      bytes += call.message.body.length;
    }
  }
  return mix;
}

/** In what rows together were answered otherwise than alone; undefined: in nothing. */
function flawOf(mix: readonly Answered[], version: string, split: readonly string[] | undefined): string | undefined {
  if (split === undefined) return 'rows together are answered in another form';
  const wrong = mix.findIndex((call, i) => call.version === version && call.text !== split[i]);
  return wrong < 0 ? undefined : `${OTHERWISE}: ${differenceOf(split[wrong] ?? '', mix[wrong]?.text ?? '')}`;
}

function lengthOf({ message, text }: Answered): number {
  return message.body.length + text.length;
}

function isIdle({ service }: Route): boolean {
  const { queue, instances } = service.view();
  return queue.depth === 0 && instances.some(({ state, inFlight }) => state === 'in-rotation' && inFlight === 0);
}

/** What of an answer is compared; undefined: it is no good answer, or a stream. */
export function comparableText(answer: Answer): string | undefined {
  return answer.status === 200 ? bodyTextOf(answer) : undefined;
}
