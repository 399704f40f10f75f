import type { Answer, Question } from '../../exchange.ts';
import type { Notes } from '../../notes.ts';
import type { UpstreamMessage } from '../../ports.ts';
import type { Parcel } from './row-parcel.ts';

/** Told when somebody in it gives up. */
export interface Carriage {
  left(member: BatchMember): void;
}

/** What a call brings into a batch. */
interface Luggage {
  readonly question: Question;
  readonly message: UpstreamMessage;
  readonly parcel: Parcel;
  readonly nowMs: number;
}

/**
 * One caller's call in a batch. Its promise is settled once: by an answer of its own, by what became of the batch, or by
 * its own signal, whatever the others do.
 */
export class BatchMember {
  readonly question: Question;
  readonly message: UpstreamMessage;
  readonly parcel: Parcel;
  readonly outcome: Promise<Answer>;
  readonly joinedMs: number;
  hasLeft = false;
  carriage: Carriage | undefined;
  #resolve: (answer: Answer) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor({ question, message, parcel, nowMs }: Luggage) {
    this.question = question;
    this.message = message;
    this.parcel = parcel;
    this.joinedMs = nowMs;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    question.deadline.signal.addEventListener('abort', this);
  }

  /** Its time is over, or its caller has gone. */
  handleEvent(): void {
    this.hasLeft = true;
    this.#reject(this.question.deadline.signal.reason);
    this.carriage?.left(this);
  }

  /** Whoever has left may still want the answer remembered. */
  answer(answer: Answer): void {
    if (this.hasLeft) this.question.keep?.(answer);
    else this.#end(() => this.#resolve(answer));
  }

  fail(error: unknown): void {
    if (!this.hasLeft) this.#end(() => this.#reject(error));
  }

  /** What the batch's exchange was like, as the caller's own access line tells it. */
  note(shared: Notes, departedMs: number): void {
    const { notes } = this.question;
    notes.attempts = shared.attempts;
    notes.instance = shared.instance;
    notes.version = shared.version;
    notes.queueMs += Math.min(shared.queueMs, Math.max(0, departedMs - this.joinedMs));
    notes.connectMs = shared.connectMs;
    notes.firstByteMs = shared.firstByteMs;
  }

  #end(settle: () => void): void {
    this.question.deadline.signal.removeEventListener('abort', this);
    settle();
  }
}
