import { type GatewayError, toGatewayError } from '../errors.ts';
import type { Answer, Complete, TimeLeft } from '../exchange.ts';
import { dropBody } from '../http/dress.ts';
import { blankNotes, type Notes } from '../notes.ts';
import type { Clock } from '../ports.ts';
import { mayServeSeveral } from './cache/freshness.ts';
import type { Keep } from './shared.ts';
import { isWronged } from './wronged.ts';

/** What a flight is told time by, and tells. */
interface FlightPorts {
  readonly clock: Clock;
  /** Nobody may join any more: it has landed, or all have left. */
  readonly onOver: (flight: Flight) => void;
}

/** Who wants to share a flight. */
export interface Joining {
  readonly complete: Complete;
  readonly keep: Keep | undefined;
  /** Asks for this request alone, where the flight's answer serves only one. */
  readonly askAlone: () => Promise<Answer>;
  /** Asks once more, with others who do; undefined: it has done so. */
  readonly askAgain: (() => Promise<Answer>) | undefined;
}

interface Member extends Joining {
  readonly joinedMs: number;
  readonly leave: () => void;
  readonly resolve: (answer: Answer | Promise<Answer>) => void;
  readonly reject: (reason: Error) => void;
}

/**
 * One question that several share.
 *
 *   open → landed   its answer, or its failure, is everyone's
 *   open → left     the last who shared it has left: R need not be asked any more
 *
 * It has no time of its own: each who shares it waits as long as their own deadline says, and leaves alone; it lasts as
 * long as anybody waits, and ends for the reason of the last who leaves.
 */
export class Flight {
  readonly deadline: TimeLeft;
  readonly notes: Notes;
  readonly #ports: FlightPorts;
  readonly #controller = new AbortController();
  readonly #members = new Set<Member>();
  /** In whose turn it waits. */
  #callerId: string | undefined;
  #keep: Keep | undefined;
  #endsMs = 0;

  constructor(ports: FlightPorts) {
    this.#ports = ports;
    this.notes = blankNotes(ports.clock.nowMs());
    this.deadline = {
      signal: this.#controller.signal,
      remainingMs: () => Math.max(0, this.#endsMs - ports.clock.nowMs()),
    };
  }

  /** Remembers the answer, for whoever of those who share it can; undefined where nobody would. */
  get keep(): Keep | undefined {
    const keep = this.#keep;
    return keep && (answer => keep(answer, this.notes.startedMs));
  }

  /** The answer as this request gets it, the flight's failure, or the reason why the request's own signal aborts. */
  join(joining: Joining): Promise<Answer> {
    const { deadline } = joining.complete;
    const joinedMs = this.#ports.clock.nowMs();
    this.#callerId ??= joining.complete.caller.id;
    this.#endsMs = Math.max(this.#endsMs, joinedMs + deadline.remainingMs());
    this.#keep ??= joining.keep;
    return new Promise((resolve, reject) => {
      const leave = () => this.#leave(member, deadline.signal.reason as Error);
      const member: Member = { ...joining, joinedMs, leave, resolve, reject };
      this.#members.add(member);
      deadline.signal.addEventListener('abort', leave);
    });
  }

  /**
   * The question came back with an answer. Where it may serve but one (its body is still a stream, or R says that it is
   * meant for one), the first who waits gets it, and the others ask for themselves.
   */
  land(answer: Answer): void {
    if (Buffer.isBuffer(answer.body)) this.keep?.(answer);
    const [first, ...others] = this.#end();
    if (first === undefined) dropBody(answer);
    else first.resolve(answer);
    const isForAll = mayServeSeveral(answer);
    for (const member of others) member.resolve(isForAll ? answer : member.askAlone());
  }

  /** The question came back with a failure: it is everyone's whom it does not wrong, and was repeated, if at all, once for all. */
  fail(error: unknown): void {
    const failure = toGatewayError(error);
    for (const member of this.#end()) {
      const { askAgain } = member;
      if (askAgain !== undefined && this.#isWronged(member, failure)) member.resolve(askAgain());
      else member.reject(failure);
    }
  }

  #isWronged({ joinedMs, complete: { caller, route } }: Member, failure: GatewayError): boolean {
    const refused = { route, callerId: this.#callerId, nowMs: this.#ports.clock.nowMs() };
    return isWronged(failure, { callerId: caller.id, joinedMs }, refused);
  }

  #leave(member: Member, reason: Error): void {
    this.#dismiss(member);
    member.reject(reason);
    if (this.#members.size > 0) return;
    this.#ports.onOver(this);
    this.#controller.abort(reason);
  }

  /** Those who still wait, in the order in which they came. */
  #end(): Member[] {
    this.#ports.onOver(this);
    const members = [...this.#members];
    for (const member of members) this.#dismiss(member);
    return members;
  }

  #dismiss(member: Member): void {
    this.#members.delete(member);
    member.complete.deadline.signal.removeEventListener('abort', member.leave);
    tellNotes(this.notes, member);
  }
}

/** Of the time in the queue only what was shared: who came last did not wait as long as who came first. */
function tellNotes(noted: Notes, { complete: { notes }, joinedMs }: Member): void {
  const { startedMs, attempts, instance, version, connectMs, firstByteMs } = noted;
  const queueMs = notes.queueMs + Math.max(0, noted.queueMs - (joinedMs - startedMs));
  Object.assign(notes, { attempts, instance, version, queueMs, connectMs, firstByteMs });
}
