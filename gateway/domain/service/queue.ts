import type { Deadlines, Timed } from '../deadlines.ts';
import type { PermitRequest, Priority } from '../service.ts';

/** What is told when a request has waited as long as it may. It must end the waiting, one way or the other. */
export interface QueueOwner {
  onWaitOver(entry: QueueEntry): void;
}

/** A request that waits, or would. */
export class QueueEntry implements Queueable<QueueEntry>, Timed {
  readonly request: PermitRequest;
  readonly priority: Priority;
  readonly flowKey: FlowKey;
  readonly isReturning: boolean;
  readonly #owner: QueueOwner;
  endsMs = Infinity;
  watchedAt = -1;
  number = 0;
  flow: Flow<QueueEntry> | undefined = undefined;
  previous: QueueEntry | undefined = undefined;
  next: QueueEntry | undefined = undefined;
  isLinked = false;

  /** A request that comes again after an instance failed it has waited already. */
  constructor(request: PermitRequest, { isFair, owner }: { readonly isFair: boolean; readonly owner: QueueOwner }) {
    this.request = request;
    this.priority = request.priority;
    this.flowKey = isFair ? request.callerId : ONE_FLOW;
    this.isReturning = request.tried.length > 0;
    this.#owner = owner;
  }

  /** When it is served, among the calls of all queues of the process: the smaller goes first. */
  get sequenceNumber(): number {
    return sequenceNumberOf<QueueEntry>(this);
  }

  /** Whether it waits in the queue of this one. */
  isIn(owner: QueueOwner): boolean {
    return this.isLinked && this.#owner === owner;
  }

  onTimeOver(): void {
    this.#owner.onWaitOver(this);
  }
}

/** The requests that wait for a service, in the order in which they are served, each for so long at most. */
export class Queue {
  readonly #order: FairQueue<QueueEntry>;
  readonly #deadlines: Deadlines;

  /** `nextNumber` is one sequence throughout the process. */
  constructor(deadlines: Deadlines, nextNumber: () => number) {
    this.#order = new FairQueue(nextNumber);
    this.#deadlines = deadlines;
  }

  get depth(): number {
    return this.#order.length;
  }

  add(entry: QueueEntry, endsMs: number): void {
    entry.endsMs = endsMs;
    entry.request.queued = entry;
    this.#order.add(entry);
    this.#deadlines.add(entry);
  }

  /** It waits no longer, and was not served. */
  remove(entry: QueueEntry): void {
    this.#order.remove(entry);
    this.#forget(entry);
  }

  /** It waits no longer: it gets its permit. */
  served(entry: QueueEntry): void {
    this.#order.served(entry);
    this.#forget(entry);
  }

  /** The first, in the order of service, that would take what is offered; `isEachTried` as of `FairQueue.first`. */
  first(wouldTake: (entry: QueueEntry) => boolean, isEachTried: boolean): QueueEntry | undefined {
    return this.#order.first(wouldTake, isEachTried);
  }

  /** How many calls would be served before a newcomer. */
  servedBefore(newcomer: Rank): number {
    return this.#order.servedBefore(newcomer);
  }

  /** How many calls of a caller wait. */
  waitingOf(callerId: string): number {
    return this.#order.lengthOf(callerId);
  }

  /** What must go that a newcomer may stay, where there is no room; undefined: nothing has less right to it. */
  leastEntitled(newcomer: Rank): QueueEntry | undefined {
    return this.#order.leastEntitled(newcomer);
  }

  /** All, in no order. */
  entries(): readonly QueueEntry[] {
    return [...this.#order];
  }

  #forget(entry: QueueEntry): void {
    entry.request.queued = undefined;
    this.#deadlines.remove(entry);
  }
}

/** Whose calls are served as one flow: a caller's, or all together in a queue that is not fair. */
export type FlowKey = string | typeof ONE_FLOW;

/** The only flow of a queue that serves calls in the order they came. */
export const ONE_FLOW = Symbol('one flow');

/** By what an item is ordered. */
export interface Rank {
  readonly priority: Priority;
  readonly flowKey: FlowKey;
  /** It was served, and an instance failed it: it comes before those that have not. */
  readonly isReturning: boolean;
}

/** What can wait in a fair queue. Its links, number and flow are the queue's. */
export interface Queueable<T extends Queueable<T>> extends Rank, Linked<T> {
  number: number;
  flow: Flow<T> | undefined;
}

/** The items of one flow that wait, first in, first out. */
export class Flow<T extends Queueable<T>> implements Linked<Flow<T>> {
  readonly key: FlowKey;
  readonly items = new LinkedList<T>();
  /** Given when it was last served: the smaller, the sooner it comes. */
  number: number;
  readonly byLength: ByLength<T> = { flow: this, previous: undefined, next: undefined, isLinked: false };
  previous: Flow<T> | undefined = undefined;
  next: Flow<T> | undefined = undefined;
  isLinked = false;

  constructor(key: FlowKey, number: number) {
    this.key = key;
    this.number = number;
  }
}

/** A flow's link among those of its length. */
interface ByLength<T extends Queueable<T>> extends Linked<ByLength<T>> {
  readonly flow: Flow<T>;
}

/** What being served once costs a priority: of those that wait, each is served in inverse proportion. */
const STRIDES: Readonly<Record<Priority, number>> = { high: 1, normal: 4, low: 16 };

/**
 * The order in which what waits is served: priorities are served by weight, 16 to 4 to 1, so that none starves;
 * within a priority flows are served round robin; within a flow the first goes first.
 *
 * Priorities are kept apart by self-clocked fair queueing: each has a time at which its next call will have been
 * served, and the earliest goes first. One that was empty starts at the present: it has saved nothing up.
 */
export class FairQueue<T extends Queueable<T>> {
  readonly #byPriority: Readonly<Record<Priority, PriorityClass<T>>>;
  readonly #classes: readonly PriorityClass<T>[];
  readonly #nextNumber: () => number;
  /** The queue's own time: when what was served last was due. */
  #now = 0;

  /** `nextNumber` is one sequence for all queues. */
  constructor(nextNumber: () => number) {
    const of = (priority: Priority) => new PriorityClass<T>(STRIDES[priority]);
    this.#byPriority = { high: of('high'), normal: of('normal'), low: of('low') };
    this.#classes = Object.values(this.#byPriority);
    this.#nextNumber = nextNumber;
  }

  get length(): number {
    let length = 0;
    for (const each of this.#classes) length += each.length;
    return length;
  }

  add(item: T): void {
    const own = this.#byPriority[item.priority];
    if (own.length === 0) own.dueAt = this.#now + own.stride;
    item.number = this.#nextNumber();
    if (item.isReturning) own.returning.add(item);
    else own.flows.add(item, item.number);
  }

  /** Without having been served; twice does nothing. */
  remove(item: T): void {
    const own = this.#byPriority[item.priority];
    if (item.isReturning) own.returning.remove(item);
    else own.flows.remove(item);
  }

  served(item: T): void {
    const own = this.#byPriority[item.priority];
    if (item.isReturning) own.returning.remove(item);
    else own.flows.served(item, this.#nextNumber);
    this.#now = Math.max(this.#now, own.dueAt);
    own.dueAt = this.#now + own.stride;
  }

  /**
   * The first in the order of service that would take what is offered. Of those that return each is tried; of the others,
   * which have tried nothing yet, the first speaks for all, unless `isEachTried`.
   */
  first(wouldTake: (item: T) => boolean, isEachTried = false): T | undefined {
    for (const { returning, flows } of this.#byDue()) {
      for (let item = returning.first; item !== undefined; item = item.next) if (wouldTake(item)) return item;
      const found = isEachTried ? flows.find(wouldTake) : flows.first;
      if (found !== undefined && (isEachTried || wouldTake(found))) return found;
    }
    return undefined;
  }

  /** How many calls would be served before a newcomer, if no other came. */
  servedBefore({ priority, flowKey, isReturning }: Rank): number {
    const own = this.#byPriority[priority];
    const ownBefore = own.returning.length + (isReturning ? 0 : own.flows.servedBefore(flowKey));
    const startAt = own.length === 0 ? this.#now + own.stride : own.dueAt;
    const dueAt = startAt + ownBefore * own.stride;
    let before = ownBefore;
    for (const other of this.#classes) {
      if (other === own || other.dueAt >= dueAt) continue;
      before += Math.min(other.length, Math.ceil((dueAt - other.dueAt) / other.stride));
    }
    return before;
  }

  /** How many of a flow wait. */
  lengthOf(key: FlowKey): number {
    let length = 0;
    for (const { flows } of this.#classes) length += flows.lengthOf(key);
    return length;
  }

  /**
   * What must go that the newcomer may stay, where room is as unevenly taken as service never would be: first among
   * priorities, by their weights, then among the flows of one. Undefined: nothing has less right to it.
   */
  leastEntitled({ priority, flowKey }: Rank): T | undefined {
    const own = this.#byPriority[priority];
    const greediest = this.#classes.reduce((most, each) => (each.share > most.share ? each : most));
    if (greediest.share > own.share + own.stride) return greediest.flows.newestOfLongest;
    const { flows } = own;
    return flows.longest > flows.lengthOf(flowKey) + 1 ? flows.newestOfLongest : undefined;
  }

  /** By priority, and in no other order. */
  *[Symbol.iterator](): Generator<T> {
    for (const { returning, flows } of this.#classes) {
      yield* returning;
      yield* flows;
    }
  }

  #byDue(): readonly PriorityClass<T>[] {
    const waiting = this.#classes.filter(each => each.length > 0);
    return waiting.length > 1 ? waiting.sort((one, other) => one.dueAt - other.dueAt) : waiting;
  }
}

/** Of two queues that share an instance, the smaller is served first. */
export function sequenceNumberOf<T extends Queueable<T>>({ flow, number }: T): number {
  return flow === undefined || flow.key === ONE_FLOW ? number : flow.number;
}

/** What waits with one priority. */
class PriorityClass<T extends Queueable<T>> {
  readonly stride: number;
  readonly returning = new LinkedList<T>();
  readonly flows = new Flows<T>();
  /** When, in the queue's own time, its next call will have been served. */
  dueAt = 0;

  constructor(stride: number) {
    this.stride = stride;
  }

  get length(): number {
    return this.returning.length + this.flows.length;
  }

  /** How much of the room it has taken, for the share it should have. */
  get share(): number {
    return this.length * this.stride;
  }
}

/**
 * Flows are served round robin: one that was served goes to the end, however many of it wait. Each step costs the same,
 * whether ten or ten thousand wait.
 */
class Flows<T extends Queueable<T>> {
  readonly #byKey = new Map<FlowKey, Flow<T>>();
  readonly #ring = new LinkedList<Flow<T>>();
  readonly #byLength: LinkedList<ByLength<T>>[] = [];
  /** At each length, how many flows have at least so many waiting. */
  readonly #atLeast = new FenwickTree();
  /** How many of the longest flow wait. */
  longest = 0;
  length = 0;

  /** `number` is for a flow that was empty. */
  add(item: T, number: number): void {
    const flow = this.#byKey.get(item.flowKey) ?? this.#open(item.flowKey, number);
    item.flow = flow;
    flow.items.add(item);
    this.length += 1;
    this.#recount(flow, flow.items.length - 1);
  }

  /** Without having been served. */
  remove(item: T): void {
    const { flow } = item;
    if (flow === undefined) return;
    item.flow = undefined;
    flow.items.remove(item);
    this.length -= 1;
    this.#recount(flow, flow.items.length + 1);
    if (flow.items.length > 0) return;
    this.#ring.remove(flow);
    this.#byKey.delete(flow.key);
  }

  /** It is served, and its flow goes to the end; `nextNumber` numbers it anew. */
  served(item: T, nextNumber: () => number): void {
    const { flow } = item;
    this.remove(item);
    if (flow === undefined || flow.items.length === 0) return;
    this.#ring.remove(flow);
    this.#ring.add(flow);
    flow.number = nextNumber();
  }

  /** What is served next. */
  get first(): T | undefined {
    return this.#ring.first?.items.first;
  }

  /** The first in the order of service of which this holds. It looks at each. */
  find(holds: (item: T) => boolean): T | undefined {
    for (let flow = this.#ring.first; flow !== undefined; flow = flow.next) {
      for (let item = flow.items.first; item !== undefined; item = item.next) if (holds(item)) return item;
    }
    return undefined;
  }

  /** Of the longest flow what came last. */
  get newestOfLongest(): T | undefined {
    return this.#byLength[this.longest]?.last?.flow.items.last;
  }

  lengthOf(key: FlowKey): number {
    return this.#byKey.get(key)?.items.length ?? 0;
  }

  /** How many calls would be served before a newcomer of the flow, if no other came. */
  servedBefore(key: FlowKey): number {
    const own = this.lengthOf(key);
    const rounds = Math.max(1, own);
    return own + this.#atLeast.upTo(rounds) - Math.min(own, rounds);
  }

  *[Symbol.iterator](): Generator<T> {
    for (const { items } of this.#ring) yield* items;
  }

  #open(key: FlowKey, number: number): Flow<T> {
    const flow = new Flow<T>(key, number);
    this.#ring.add(flow);
    this.#byKey.set(key, flow);
    return flow;
  }

  #recount({ items, byLength }: Flow<T>, before: number): void {
    const { length } = items;
    this.#byLength[before]?.remove(byLength);
    if (length > 0) (this.#byLength[length] ??= new LinkedList()).add(byLength);
    if (length > before) this.#atLeast.add(length, 1);
    else this.#atLeast.add(before, -1);
    this.longest = Math.max(this.longest, length);
    if (this.longest > 0 && (this.#byLength[this.longest]?.length ?? 0) === 0) this.longest -= 1;
  }
}

/** Counts by number, from 1 on, whose sums up to a number are known without adding them up. */
export class FenwickTree {
  readonly #partialSums: number[] = [0];

  add(index: number, change: number): void {
    while (this.#partialSums.length <= index) this.#grow();
    for (let i = index; i < this.#partialSums.length; i += lowestBit(i)) {
      this.#partialSums[i] = (this.#partialSums[i] ?? 0) + change;
    }
  }

  /** The sum of the counts from 1 to `index`. */
  upTo(index: number): number {
    let sum = 0;
    for (let i = Math.min(index, this.#partialSums.length - 1); i > 0; i -= lowestBit(i)) {
      sum += this.#partialSums[i] ?? 0;
    }
    return sum;
  }

  /** One more number, of which nothing is counted yet. */
  #grow(): void {
    const index = this.#partialSums.length;
    this.#partialSums.push(this.upTo(index - 1) - this.upTo(index - lowestBit(index)));
  }
}

function lowestBit(i: number): number {
  return i & -i;
}

/** What can stand in a `LinkedList`, in one at a time. */
export interface Linked<T> {
  previous: T | undefined;
  next: T | undefined;
  isLinked: boolean;
}

/**
 * First in, first out, and what stands in the middle may leave, all at the same cost however long it is. What stands in
 * it carries the links itself.
 *
 * (A Set keeps order, too; but its first is looked for among the gaps of all that left before.)
 */
export class LinkedList<T extends Linked<T>> {
  first: T | undefined = undefined;
  last: T | undefined = undefined;
  length = 0;

  /** At the end. It must not stand in a list. */
  add(item: T): void {
    item.previous = this.last;
    item.next = undefined;
    item.isLinked = true;
    if (this.last === undefined) this.first = item;
    else this.last.next = item;
    this.last = item;
    this.length += 1;
  }

  /** It must stand in this list or in none; then nothing happens. */
  remove(item: T): void {
    if (!item.isLinked) return;
    if (item.previous === undefined) this.first = item.next;
    else item.previous.next = item.next;
    if (item.next === undefined) this.last = item.previous;
    else item.next.previous = item.previous;
    item.previous = undefined;
    item.next = undefined;
    item.isLinked = false;
    this.length -= 1;
  }

  /** From the first to the last. None may leave meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    for (let item = this.first; item !== undefined; item = item.next) yield item;
  }
}
