import type { CacheLookup, Leavable } from '../call.ts';
import type { Clock } from '../clock.ts';
import type { GatewayError } from '../errors.ts';
import { mayServeSeveral } from './freshness.ts';
import type { SharedCall } from './shared-call.ts';
import {
  type Answer,
  dropBody,
  type UpstreamRequest,
  type UpstreamRequestOptions,
  type Via,
  type Waiting,
} from '../upstream.ts';

/** Puts a shared call to R: by itself, or with others in a batch. */
export type SendShared = (shared: SharedCall, options: UpstreamRequestOptions) => UpstreamRequest;

/** What a flight is told time by, and tells. */
export interface FlightOwner {
  readonly clock: Clock;
  /** No call may be added any more: it has landed, or all have left. */
  onOver(flight: Flight): void;
  /** Its answer served another call: these ask again, each for itself. */
  sendAlone(members: readonly FlightMember[], send: SendShared): void;
  /** Its failure says little of these: they ask once more, together. */
  sendAgain(members: readonly FlightMember[], send: SendShared): void;
}

/** One call in a flight; what the call waits for. */
export class FlightMember implements Leavable {
  readonly shared: SharedCall;
  /** The flights before this one that had to be asked again; one is enough. */
  readonly isAgain: boolean;
  /** In the queue, with the flight before this one. */
  readonly queuedMs: number;
  sharesSinceMs = 0;
  flight: Flight | undefined = undefined;

  constructor(shared: SharedCall, isAgain = false, queuedMs = 0) {
    this.shared = shared;
    this.isAgain = isAgain;
    this.queuedMs = queuedMs;
  }

  leave(reason: GatewayError): void {
    this.flight?.leave(this, reason);
  }

  /** Of the time in the queue only what was shared: a call that came later did not wait as long as the first. */
  viaOf(via: Via, startedMs: number): Via {
    const lateMs = this.sharesSinceMs - startedMs;
    if (lateMs === 0 && this.queuedMs === 0) return via;
    const { instance, version, attempts, queueMs, connectMs, firstByteMs } = via;
    const ownMs = this.queuedMs + Math.max(0, queueMs - lateMs);
    return { instance, version, attempts, queueMs: ownMs, connectMs, firstByteMs };
  }
}

/**
 * One upstream request that equal calls share.
 *
 *   open → landed   its answer, or its failure, is that of all its calls
 *   open → left     the last call that shared it has left: R need not be asked any more
 *
 * It has no time of its own: each call that shares it waits as long as its own deadline says, and leaves alone; it lasts
 * as long as any waits, and ends for the reason of the last that leaves.
 */
export class Flight implements Waiting {
  /** The call for which R is asked, in whose caller's flow of the queue the request waits. */
  readonly leader: SharedCall;
  /** The latest deadline among the calls that share it. */
  endsMs = 0;
  readonly #owner: FlightOwner;
  readonly #send: SendShared;
  readonly #startedMs: number;
  readonly #members = new Set<FlightMember>();
  /** Of the first call that would store the answer. */
  #lookup: CacheLookup | undefined = undefined;
  #request: UpstreamRequest | undefined = undefined;
  #isOver = false;
  #leftFor: GatewayError | undefined = undefined;

  constructor(leader: SharedCall, owner: FlightOwner, send: SendShared) {
    this.leader = leader;
    this.#owner = owner;
    this.#send = send;
    this.#startedMs = owner.clock.nowMs();
  }

  add(member: FlightMember): void {
    const { call } = member.shared;
    member.sharesSinceMs = this.#owner.clock.nowMs();
    member.flight = this;
    this.#members.add(member);
    call.waitsFor = member;
    if (call.lookup?.mayStore === true) this.#lookup ??= call.lookup;
    if (call.endsMs <= this.endsMs) return;
    this.endsMs = call.endsMs;
    this.#request?.extend(call.endsMs);
  }

  /** Puts it to R, for those that share it. It may be over when this returns, with what was thrown as their failure. */
  send(): void {
    const request = this.#send(this.leader, this.leader.requestOptions(this, this));
    if (!this.#isOver) this.#request = request;
    else if (this.#leftFor !== undefined) request.leave(this.#leftFor);
  }

  /** Takes an answer that comes when all have left; undefined: no call would store it. */
  get keepLate(): ((answer: Answer) => void) | undefined {
    const lookup = this.#lookup;
    return lookup && (answer => lookup.store(answer, this.#startedMs));
  }

  /**
   * Where the answer may serve but one call (its body is still a stream, or R says that it is meant for one), the first
   * that waits gets it, and the others ask for themselves.
   */
  answered(answer: Answer): void {
    if (Buffer.isBuffer(answer.body)) this.#lookup?.store(answer, this.#startedMs);
    const members = this.#end();
    const [first, ...others] = members;
    if (first === undefined) dropBody(answer);
    else if (others.length === 0) this.#give(first, answer, answer.fields);
    else if (mayServeSeveral(answer)) this.#giveAll(members, answer);
    else {
      this.#owner.sendAlone(this.#again(others, answer.via), this.#send);
      this.#give(first, answer, answer.fields);
    }
  }

  /** The last gets R's own list of fields, the others copies: each makes a reply of its own of it. */
  #giveAll(members: readonly FlightMember[], answer: Answer): void {
    const last = members.length - 1;
    members.forEach((member, i) => this.#give(member, answer, i < last ? [...answer.fields] : answer.fields));
  }

  #give(member: FlightMember, { status, body, via }: Answer, fields: string[]): void {
    const { call } = member.shared;
    if (this.#lookup !== undefined && Buffer.isBuffer(body)) call.lookup?.follow(this.#lookup);
    call.answered({ status, fields, body, via: via && member.viaOf(via, this.#startedMs) });
  }

  /** All calls fail so, but those it would wrong; it was repeated, if at all, once for all. */
  failed(failure: GatewayError, via: Via): void {
    const [wronged, others]: [FlightMember[], FlightMember[]] = [[], []];
    for (const member of this.#end()) (this.#isWronged(member, failure) ? wronged : others).push(member);
    if (wronged.length > 0) this.#owner.sendAgain(this.#again(wronged, via), this.#send);
    for (const member of others) member.shared.call.failed(failure, member.viaOf(via, this.#startedMs));
  }

  /**
   * True where the failure says little of a call: the queue has refused the leader, and this one has waited for less
   * long, or is of another caller.
   */
  #isWronged({ shared, sharesSinceMs, isAgain }: FlightMember, { code }: GatewayError): boolean {
    if (isAgain || shared === this.leader) return false;
    const { caller, route } = shared.call;
    if (code === 'QUEUE_FULL') return caller.id !== this.leader.call.caller.id;
    const waitedMs = this.#owner.clock.nowMs() - sharesSinceMs;
    return code === 'QUEUE_TIMEOUT' && waitedMs < route.service.policy.queueWaitMsMax;
  }

  #again(members: readonly FlightMember[], via: Via | null): FlightMember[] {
    return members.map(member => {
      const queuedMs = via === null ? member.queuedMs : member.viaOf(via, this.#startedMs).queueMs;
      return new FlightMember(member.shared, true, queuedMs);
    });
  }

  leave(member: FlightMember, reason: GatewayError): void {
    if (!this.#members.delete(member)) return;
    const request = this.#request;
    if (this.#members.size === 0) {
      this.#leftFor = reason;
      this.#end();
      request?.leave(reason);
    }
    if (request !== undefined) member.shared.call.record.via = member.viaOf(request, this.#startedMs);
  }

  /** Those that still wait, in the order in which they came. */
  #end(): FlightMember[] {
    this.#isOver = true;
    this.#owner.onOver(this);
    const members = [...this.#members];
    this.#members.clear();
    return members;
  }
}
