import type { Deadlines, Timed } from '../deadlines.ts';
import { FairQueue, ONE_FLOW, turnNumberOf, type Rank, type Flow, type FlowKey, type Queueable } from './fair-queue.ts';
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

  /** The number of its turn among all queues of the process. */
  get turn(): number {
    return turnNumberOf<QueueEntry>(this);
  }

  /** Whether it waits in the queue of this one. */
  isIn(owner: QueueOwner): boolean {
    return this.isLinked && this.#owner === owner;
  }

  onTimeOver(): void {
    this.#owner.onWaitOver(this);
  }
}

/** The requests that wait for a service, in the order of their turns, each for so long at most. */
export class Queue {
  readonly #order: FairQueue<QueueEntry>;
  readonly #deadlines: Deadlines;

  /** `ticket` numbers turns throughout the process. */
  constructor(deadlines: Deadlines, ticket: () => number) {
    this.#order = new FairQueue(ticket);
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

  /** The first, in the order of turns, that would take what is offered; `isEachAsked` as of `FairQueue.first`. */
  first(wouldTake: (entry: QueueEntry) => boolean, isEachAsked: boolean): QueueEntry | undefined {
    return this.#order.first(wouldTake, isEachAsked);
  }

  /** How many turns would come before that of a newcomer. */
  turnsBefore(newcomer: Rank): number {
    return this.#order.turnsBefore(newcomer);
  }

  /** How many calls of a caller wait for their turn. */
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
