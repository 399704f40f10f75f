import type { BatchMember, Carriage } from './batch-member.ts';
import type { Answer, Question, TimeLeft } from '../../exchange.ts';
import { blankNotes } from '../../notes.ts';
import type { UpstreamMessage } from '../../ports.ts';
import { joinParcels, type RowFormat } from './row-parcel.ts';

/** What becomes of a batch. */
interface BatchOptions {
  readonly format: RowFormat;
  readonly nowMs: () => number;
  /** A place was found: who travels, of those who would. The others are somebody else's matter. */
  readonly depart: (batch: Batch) => readonly BatchMember[];
  /** All have left. */
  readonly emptied: (batch: Batch) => void;
  /** Takes an answer that came after all have left. */
  readonly late: (batch: Batch, answer: Answer) => void;
}

/**
 * Calls that travel as one question.
 *
 *   open      others may join, while it waits for a place
 *   departed  `message` was asked for: who is in it stays in it
 *
 * Who leaves before that is taken out; who leaves after costs the others nothing. When all have left, the question is
 * given up.
 */
export class Batch implements Question, Carriage {
  readonly id;
  readonly route;
  readonly method;
  readonly callerId;
  readonly affinity;
  readonly notes;
  readonly deadline: BatchTimeLeft;
  readonly isOpenEnded = true;
  members: readonly BatchMember[];
  rows = 0;
  bytes = 0;
  /** Before that nobody in it runs out of time; whoever would have been first may have left. */
  endsMs = Infinity;
  departedMs: number | undefined;
  readonly #options: BatchOptions;
  readonly #waiting: Set<BatchMember>;
  #message: UpstreamMessage | undefined;

  /** There is at least one member. */
  constructor(members: readonly BatchMember[], first: Question, options: BatchOptions) {
    this.id = first.id;
    this.route = first.route;
    this.method = first.method;
    this.callerId = first.callerId;
    this.affinity = first.affinity;
    this.notes = blankNotes(options.nowMs());
    this.#options = options;
    this.#waiting = new Set();
    this.members = [];
    this.deadline = new BatchTimeLeft(this.#waiting);
    for (const member of members) this.add(member);
  }

  add(member: BatchMember): void {
    member.carriage = this;
    this.#waiting.add(member);
    this.rows += member.parcel.rows;
    this.bytes += member.message.body.length;
    this.endsMs = Math.min(this.endsMs, this.#options.nowMs() + member.question.deadline.remainingMs());
  }

  /** Those who have not left, in the order in which they came. */
  get waiting(): readonly BatchMember[] {
    return [...this.#waiting];
  }

  /** Takes out, before the departure, someone who will not travel. */
  remove(member: BatchMember): void {
    if (!this.#waiting.delete(member)) return;
    this.rows -= member.parcel.rows;
    this.bytes -= member.message.body.length;
  }

  left(member: BatchMember): void {
    if (this.departedMs === undefined) this.remove(member);
    else this.#waiting.delete(member);
    if (this.#waiting.size > 0) return;
    this.#options.emptied(this);
    this.deadline.giveUp(member.question.deadline.signal.reason);
  }

  message(): UpstreamMessage {
    return (this.#message ??= this.#depart());
  }

  #depart(): UpstreamMessage {
    const { depart, format, nowMs } = this.#options;
    this.members = depart(this);
    this.departedMs = nowMs();
    const [first] = this.members;
    if (first === undefined) throw new Error('a batch without members was sent');
    if (this.members.length === 1) return first.message;
    return {
      ...first.message,
      body: joinParcels(
        this.members.map(({ parcel }) => parcel),
        format,
      ),
    };
  }

  /** What comes after all have left is kept for those of them who wish it. */
  get keep(): ((answer: Answer) => void) | undefined {
    if (!this.members.some(({ question }) => question.keep !== undefined)) return undefined;
    return answer => this.#options.late(this, answer);
  }
}

/** The time of a batch is that of its most patient member; its signal aborts when nobody waits any more. */
class BatchTimeLeft implements TimeLeft {
  readonly #controller = new AbortController();
  readonly #waiting: ReadonlySet<BatchMember>;

  constructor(waiting: ReadonlySet<BatchMember>) {
    this.#waiting = waiting;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  remainingMs(): number {
    let longestMs = 0;
    for (const { question } of this.#waiting) longestMs = Math.max(longestMs, question.deadline.remainingMs());
    return longestMs;
  }

  giveUp(reason: unknown): void {
    this.#controller.abort(reason);
  }
}
