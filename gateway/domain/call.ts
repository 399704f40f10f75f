import type { Readable } from 'node:stream'; // a type alone: domain/ takes nothing else from outside
import type { Caller, ClientCertificate } from './caller.ts';
import type { Deadlines, Timed } from './deadlines.ts';
import { GatewayError, toGatewayError, type FailureCode } from './errors.ts';
import type { RawFields } from './http/fields.ts';
import type { Cors, Route } from './route.ts';
import { type Answer, dropBody, type UpstreamRequest, type Via, type Waiting } from './upstream.ts';

/** A request as an edge read it. */
export type Received = Pick<
  Call,
  | 'id'
  | 'method'
  | 'path'
  | 'query'
  | 'hasQuery'
  | 'fields'
  | 'scheme'
  | 'host'
  | 'peerAddress'
  | 'callerAddress'
  | 'isPeerTrusted'
  | 'isUpgrade'
  | 'httpVersion'
  | 'body'
  | 'wire'
  | 'refusal'
>;

/** A request's body, not yet taken in: the edge's `HttpWire`, `Http2Wire` or `UpgradeWire`, or a job's. */
export interface IncomingBody {
  /** The announced size; undefined when it comes in chunks; 0 when there is none. */
  readonly length: number | undefined;
  /**
   * Takes the whole body in, and tells the reader once, perhaps at once. BODY_TOO_LARGE beyond `bytesMax`, REQUEST_TIMEOUT
   * when it stalls, BAD_REQUEST when it is cut off.
   */
  read(bytesMax: number, reader: BodyReader): void;
  /** The reader has no use for it any more, and is not told. */
  leave(): void;
}

/** What a body is handed to: the call. */
export interface BodyReader {
  onBody(content: Buffer): void;
  onBodyFailed(failure: GatewayError): void;
}

/** What an edge does for a call's caller: `HttpWire`, `Http2Wire`, `UpgradeWire`; for a job's calls `JobSide`. */
export interface CallerSide {
  /** What the caller's connection was opened with; undefined: without TLS, or without a certificate. */
  readonly certificate?: ClientCertificate | undefined;
  /** The same for each call on the caller's connection; undefined: it has this one call. */
  readonly connection?: object | undefined;
  /** Writes the answer. A body that is a stream is poured as fast as the caller takes it; then `call.over` is called. */
  send(call: Call, answer: Answer): void;
  /** An interim answer (102, 103) before it; an edge that cannot say it does nothing. */
  interim(status: number, fields: RawFields): void;
  /** The call is over before its answer was: the connection is of no use any more. */
  destroy(): void;
}

/** What a call waits for, when it waits (a body, R, a flight, a stream): it can be left for a reason. */
export interface Leavable {
  leave(reason: GatewayError): void;
}

/** What the route's cache was asked for a call, and what it does with what comes back. */
export interface CacheLookup {
  /** Something may be stored of this call. */
  readonly mayStore: boolean;
  /** Takes an answer that comes when its callers are gone; undefined: nothing is to be stored of this call. */
  readonly keepLate: ((answer: Answer) => void) | undefined;
  /** Stores an answer of R's; `requestedMs`: when R was asked, if that was before this call came. */
  store(answer: Answer, requestedMs?: number): void;
  /** Another call that shared the flight has offered the answer already. */
  follow(other: CacheLookup): void;
  /** R's answer as the caller gets it, or a stored one in its place where it is an error. */
  answered(answer: Answer): Answer;
  /** A stored answer in the place of a failure of R's; undefined: the caller gets the failure. */
  failed(failure: GatewayError): Answer | undefined;
}

/**
 * Serves a caller who speaks another form than JSON over REST.
 *
 * Between its two halves a call is like any other: what validates, caches, coalesces and batches sees JSON, and what R is
 * sent equals what REST would send. A call has one from the moment its form is known (`Call.transcoder`); one that
 * speaks JSON has none.
 */
export interface Transcoder {
  /** What the caller speaks, for the log. */
  readonly protocol?: string;
  /** Path and method as the caller asked, where the call goes on under others. */
  readonly originalPath?: string;
  readonly originalMethod?: string;
  /** Its protocol has no other status than the one it answers with: filters of the reply leave it as it is. */
  readonly keepsStatus?: boolean;
  /**
   * Makes the body that came JSON, its fields with it, and goes on with `next`, at once or later; or answers in R's place
   * (`call.answered`). Throws the GatewayError that the call is refused with.
   */
  request(call: Complete, next: (call: Complete) => void): void;
  /**
   * An answer in the caller's form: R's own, whether it comes from R, the cache, a flight or a batch. The body is not its
   * own to change, the list of fields is. Throws a GatewayError, and lets go of a body that is a stream.
   */
  answer(call: Matched, answer: Answer): Answer;
  /** A refusal or failure in the caller's form. Where it is left out, problem+json. */
  failure?(call: Call, failure: GatewayError): Answer;
}

/** Where a call's way back begins; `flow.ts` gives it. */
export interface WayBack {
  answered(call: Matched, answer: Answer): void;
  failed(call: Call, failure: GatewayError): void;
  /** The reply is over. */
  over(call: Call): void;
}

/**
 * One call: a request of a caller, from its arrival to the end of its answer, and all that is known of it.
 *
 * It is one object all along. What a stage found is written here, and the type of the same object says so: `Matched`,
 * `Admitted`, `Complete`. It waits for one thing at a time (`waitsFor`), and is told by that, or ends: by its deadline, or
 * because the caller hung up. It is answered once.
 */
export class Call implements Timed, Waiting, BodyReader {
  readonly id: string;
  /** In capitals, as it was asked; a transcoder may change it, path and query for those of the request that R is sent. */
  method: string;
  /** In its normal form, percent-encoded, without the query; of a refused request, as it came. */
  path: string;
  /** Without its question mark; empty when there is none, or nothing behind it. */
  query: string;
  /** There is a question mark, though nothing may stand behind it. */
  hasQuery: boolean;
  /** As they came, but for what described a compressed body that was unpacked. */
  fields: RawFields;
  readonly scheme: 'http' | 'https';
  /** Host and port as the caller named them, believing `X-Forwarded-Host` only from trusted proxies. */
  readonly host: string;
  /** Whose connection it is. */
  readonly peerAddress: string;
  /** Who is calling, believing `X-Forwarded-For` only from trusted proxies. */
  readonly callerAddress: string;
  /** The peer is one of `listen.trustedProxies`: what it says of where a request came from is believed. */
  readonly isPeerTrusted: boolean;
  readonly isUpgrade: boolean;
  /** `1.0` or `1.1`; what `Via` says. */
  readonly httpVersion: string;
  /** A door that had to read it to find its route leaves an empty one here. */
  body: IncomingBody;
  /** The caller's side of the connection. */
  readonly wire: CallerSide;
  /** Why the edge itself refuses the request, where it does: `respond` answers with it and nothing else happens. */
  readonly refusal: GatewayError | undefined;
  readonly record: AccessRecord;

  route: Route | undefined = undefined;
  /** What the route's patterns captured, by name. */
  variables: ReadonlyMap<string, string> = NO_VARIABLES;
  /** A browser's preflight request: it asks whether it may send another; the route has `cors`. */
  isPreflight = false;
  caller: Caller | undefined = undefined;
  content: Buffer = NO_CONTENT;
  /** Undefined: its caller speaks JSON over REST. */
  transcoder: Transcoder | undefined = undefined;
  /** What the route's cache was asked; undefined: it was not. */
  lookup: CacheLookup | undefined = undefined;
  /** Fields that the reply will have, whatever it turns out to be: name, value, name, value, … */
  replyFields: string[] = NO_FIELDS;
  /** Whose CORS fields a reply carries where no route answers; else the route's own. */
  corsOf: Cors | undefined = undefined;
  /** Milliseconds since 1970 when it arrived, once `match` has looked. */
  wallMs = 0;

  endsMs = Infinity;
  watchedAt = -1;
  waitsFor: Leavable | undefined = undefined;
  /** The edge has its reply, or there is no caller any more. */
  isReplied = false;
  /** The reply's body while it is poured. */
  poured: Readable | undefined = undefined;
  readonly #back: WayBack;
  readonly #deadlines: Deadlines;
  #afterBody: ((call: Complete) => void) | undefined = undefined;

  constructor(received: Received, { arrivedMs, back, deadlines }: CallParts) {
    this.id = received.id;
    this.method = received.method;
    this.path = received.path;
    this.query = received.query;
    this.hasQuery = received.hasQuery;
    this.fields = received.fields;
    this.scheme = received.scheme;
    this.host = received.host;
    this.peerAddress = received.peerAddress;
    this.callerAddress = received.callerAddress;
    this.isPeerTrusted = received.isPeerTrusted;
    this.isUpgrade = received.isUpgrade;
    this.httpVersion = received.httpVersion;
    this.body = received.body;
    this.wire = received.wire;
    this.refusal = received.refusal;
    this.record = new AccessRecord(arrivedMs);
    this.#back = back;
    this.#deadlines = deadlines;
  }

  /** Its transcoder leads it to another path than its caller wrote, which has no query. */
  goesOnAt(path: string): void {
    this.path = path;
    this.query = '';
    this.hasQuery = false;
  }

  /** The path as its caller wrote it. */
  get originalPath(): string {
    return this.transcoder?.originalPath ?? this.path;
  }

  /** `match` found its route. */
  matched(route: Route, variables: ReadonlyMap<string, string>): Matched {
    this.route = route;
    this.variables = variables;
    return this as Matched;
  }

  /** `admit` lets it in. */
  admitted(caller: Caller): Admitted {
    this.caller = caller;
    return this as unknown as Admitted;
  }

  /** The time begins: counted from its arrival. */
  arm(timeoutMs: number): void {
    this.#deadlines.move(this, this.record.arrivedMs + timeoutMs);
  }

  /** A stream has no deadline. */
  disarm(): void {
    this.#deadlines.move(this, Infinity);
  }

  addReplyField(name: string, value: string): void {
    if (this.replyFields === NO_FIELDS) this.replyFields = [];
    this.replyFields.push(name, value);
  }

  /** Takes the body in, and goes on with `next`. */
  receive(bytesMax: number, next: (call: Complete) => void): void {
    this.#afterBody = next;
    this.waitsFor = this.body;
    this.body.read(bytesMax, this);
  }

  onBody(content: Buffer): void {
    this.content = content;
    this.record.bytesIn = content.length;
    this.resume(() => this.#afterBody?.(this as unknown as Complete));
  }

  onBodyFailed(failure: GatewayError): void {
    this.waitsFor = undefined;
    this.fail(failure);
  }

  /** Goes on after a wait, unless the call has ended meanwhile; what is thrown is its failure. */
  resume(next: () => void): void {
    if (this.isReplied) return;
    this.waitsFor = undefined;
    try {
      next();
    } catch (error) {
      this.fail(toGatewayError(error));
    }
  }

  /** Waits for what R is asked: should it end first, this is what its record says. */
  sends(request: UpstreamRequest): void {
    if (this.isReplied) return;
    this.waitsFor = request;
    this.record.via = request;
  }

  answered(answer: Answer): void {
    this.record.via = answer.via;
    if (this.isReplied) dropBody(answer);
    else this.resume(() => this.#back.answered(this as Matched, answer));
  }

  failed(failure: GatewayError, via: Via): void {
    this.record.via = via;
    this.fail(failure);
  }

  interim(status: number, fields: string[]): void {
    if (!this.isReplied) this.wire.interim(status, fields);
  }

  /** Waits for what has to be asked elsewhere, and goes on with it. */
  awaits<T>(promise: Promise<T>, next: (value: T) => void): void {
    promise.then(
      value => this.resume(() => next(value)),
      (error: unknown) => this.fail(toGatewayError(error)),
    );
  }

  /** A refusal or failure from here on the way. */
  fail(failure: GatewayError): void {
    if (!this.isReplied) this.#back.failed(this, failure);
  }

  /** The caller hung up before the reply was over. */
  hangUp(): void {
    this.#end(() => new GatewayError('CALLER_GONE', 'the caller hung up'));
  }

  onTimeOver(): void {
    const afterMs = this.endsMs - this.record.arrivedMs;
    this.#end(() => new GatewayError('DEADLINE_EXCEEDED', `no answer within ${afterMs} ms`));
  }

  /** The reply is over: nothing more is timed. */
  over(): void {
    this.#deadlines.remove(this);
    this.#back.over(this);
  }

  /** Most calls have had their whole answer by then: they need no error, which is dear to make. */
  #end(toReason: () => GatewayError): void {
    this.#deadlines.remove(this);
    if (this.isReplied) {
      this.poured?.destroy(toReason());
      return;
    }
    const reason = toReason();
    const left = this.waitsFor;
    this.waitsFor = undefined;
    left?.leave(reason);
    this.fail(reason);
  }
}

interface CallParts {
  /** By the clock. */
  readonly arrivedMs: number;
  readonly back: WayBack;
  readonly deadlines: Deadlines;
}

/** A call whose route is known. */
export type Matched = Call & { readonly route: Route };

/** True once `match` has found the route: what comes after may fail knowing whose rules apply. */
export function isMatched(call: Call): call is Matched {
  return call.route !== undefined;
}

declare const isAdmitted: unique symbol;

/** A call that may go on to R: only `admit` makes one. */
export type Admitted = Matched & { readonly caller: Caller; readonly [isAdmitted]: true };

declare const isComplete: unique symbol;

/** A call whose body is in. */
export type Complete = Admitted & { readonly [isComplete]: true };

const NO_VARIABLES: ReadonlyMap<string, string> = new Map();
const NO_CONTENT = Buffer.alloc(0);
const NO_FIELDS: string[] = [];

/**
 * What a cache made of a call; the label of `penstock_cache_requests_total`.
 *
 *   hit      an answer that is fresh
 *   stale    one whose time is over, since R gave none
 *   miss     none was there
 *   bypass   the caller would not have one
 */
export type CacheResult = 'hit' | 'stale' | 'miss' | 'bypass';

/**
 * What the log line and the metrics say of one call. Stages write it, and `observe` alone reads it: nothing is decided
 * by what stands here.
 */
class AccessRecord {
  readonly arrivedMs: number;
  status = 0;
  code: FailureCode | null = null;
  bytesIn = 0;
  bytesOut = 0;
  /** Who answered, or failed to; null: no instance was asked. */
  via: Via | null = null;
  /** Null: the route has no cache for it. */
  cache: CacheResult | null = null;
  /** It shared the upstream request of another. */
  isCoalesced = false;

  constructor(arrivedMs: number) {
    this.arrivedMs = arrivedMs;
  }
}
