import { randomFillSync } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { CallerSide, IncomingBody, Received } from '../../domain/call.ts';
import { GatewayError } from '../../domain/errors.ts';
import { withinRanges } from '../../domain/http/address-range.ts';
import { believeForwarded, isHost, type BelievedOrigin, type Trust } from '../../domain/http/forwarding.ts';
import { type PathRules, parseRequestTarget, type RequestTarget } from '../../domain/http/request-target.ts';
import type { CertificateFiles } from '../tls/certificates.ts';
import type { SecurePeer } from '../tls/secure-peer.ts';

/** Where to listen, and what a connection may cost: `listen` in gateway.yaml. */
export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly trustedProxies: readonly string[];
  readonly urlBytesMax: number;
  readonly headerBytesMax: number;
  readonly headersTimeoutMs: number;
  readonly bodyIdleTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly connectionsMax: number;
  readonly requestsPerConnectionMax: number;
  readonly bytesPerConnectionMax: number;
  readonly mergeSlashes: boolean;
  /** Absent: callers speak without TLS. */
  readonly tls?:
    | (CertificateFiles & {
        readonly more: readonly CertificateFiles[];
        readonly clientCa?: string | undefined;
        readonly hstsSeconds: number;
      })
    | undefined;
  /** HTTP/2 without TLS, by prior knowledge. */
  readonly h2c?: boolean | undefined;
  /** A plain port that only redirects to this one. */
  readonly redirectFrom?: number | undefined;
}

/** Whose connection it is. */
export interface Peer {
  readonly address: string;
  readonly isTrusted: boolean;
  /** Undefined: it speaks without TLS. */
  readonly tls: SecurePeer | undefined;
}

/** A request's head as Node parsed it; in HTTP/2 as HTTP/1.1 would have said it. */
export type RequestHead = Pick<
  IncomingMessage,
  'method' | 'url' | 'rawHeaders' | 'httpVersion' | 'httpVersionMajor' | 'httpVersionMinor'
>;

/** A request as Node parsed it, and the edge's object for its caller. */
export interface Came {
  readonly req: RequestHead;
  readonly wire: CallerSide & IncomingBody & { length: number | undefined };
  readonly peer: Peer;
  readonly isUpgrade: boolean;
  /** Why nothing new is taken, while that is so. */
  readonly refusal: GatewayError | undefined;
}

/** A request of more fields is none that people or programs send. */
const FIELDS_MAX = 256;

/** A refused request's path is told in the log, but no longer than this. */
const SHOWN_PATH_LENGTH_MAX = 256;

/** `OPTIONS *`: about the server as a whole. */
const WHOLE_SERVER: RequestTarget = { path: '*', query: '', hasQuery: false, authority: undefined };

/** Makes of what Node parsed what the flow receives: a request, or one that carries its own refusal. */
export class Intake {
  readonly #listen: ListenOptions;
  readonly #trustOf: (address: string) => Trust;
  /** Of the request that is just being read. */
  readonly #head = new Head();

  constructor(listen: ListenOptions) {
    this.#listen = listen;
    this.#trustOf = trustAmong(listen.trustedProxies);
  }

  peerOf(remoteAddress: string | undefined, tls?: SecurePeer): Peer {
    const address = plainAddress(remoteAddress);
    const isTrusted = this.#trustOf(address) === 'trusted';
    if (isTrusted) tls?.trust();
    return { address, isTrusted, tls };
  }

  receive({ req, wire, peer, isUpgrade, refusal }: Came): Received {
    const head = this.#head;
    head.read(req.rawHeaders);
    const { method = '', url = '' } = req;
    const target = targetOf(method, url, this.#listen);
    const { path, query, hasQuery, authority } = typeof target === 'string' ? shownTarget(url) : target;
    wire.length = head.transferCoding === undefined ? head.contentLength : undefined;
    // In the absolute form the target's own authority counts, whatever `Host` says (RFC 9112 §3.2.2).
    const { scheme, host, callerAddress } = this.#originOf(req, peer, authority ?? head.host);
    return {
      id: idOf(head),
      method,
      path,
      query,
      hasQuery,
      fields: req.rawHeaders,
      scheme,
      host,
      isUpgrade,
      peerAddress: peer.address,
      callerAddress,
      isPeerTrusted: peer.isTrusted,
      httpVersion: req.httpVersion,
      body: wire,
      wire,
      refusal: refusal ?? this.#refusalOf(req, target, isUpgrade) ?? peer.tls?.refusalOf(authority ?? head.host),
    };
  }

  #refusalOf(req: RequestHead, target: RequestTarget | string, isUpgrade: boolean): GatewayError | undefined {
    const { url = '' } = req;
    return this.#sizeRefusal(url) ?? this.#formRefusal(req, target) ?? this.#framingRefusal(req, isUpgrade);
  }

  #originOf({ rawHeaders }: RequestHead, { address, isTrusted, tls }: Peer, host: string): BelievedOrigin {
    const scheme = tls === undefined ? 'http' : 'https';
    if (!isTrusted) return { callerAddress: address, scheme, host };
    return believeForwarded(rawHeaders, { peerAddress: address, scheme, host }, this.#trustOf);
  }

  #sizeRefusal(url: string): GatewayError | undefined {
    const { urlBytesMax, headerBytesMax } = this.#listen;
    if (url.length > urlBytesMax) return new GatewayError('URL_TOO_LONG', 'the URL is too long');
    if (this.#head.bytes > headerBytesMax) return new GatewayError('HEADERS_TOO_LARGE', 'the fields are too large');
    if (this.#head.fields > FIELDS_MAX) return new GatewayError('HEADERS_TOO_LARGE', 'too many fields');
    return undefined;
  }

  #formRefusal(req: RequestHead, target: RequestTarget | string): GatewayError | undefined {
    if (typeof target === 'string') return malformed(target);
    if (target.authority !== undefined && !isHost(target.authority))
      return malformed('The target’s host is malformed.');
    if (req.httpVersionMajor !== 1) return malformed('The request is not HTTP/1.0 or HTTP/1.1.');
    return this.#hostRefusal(isTen(req));
  }

  #framingRefusal(req: RequestHead, isUpgrade: boolean): GatewayError | undefined {
    const { transferCoding, contentLength } = this.#head;
    if (isUpgrade && (contentLength !== 0 || transferCoding !== undefined)) return malformed('An upgrade has no body.');
    if (transferCoding === undefined) return undefined;
    return isTen(req) ? malformed('HTTP/1.0 has no Transfer-Encoding.') : codingRefusal(transferCoding);
  }

  #hostRefusal(mayLack: boolean): GatewayError | undefined {
    const { hosts, host } = this.#head;
    if (hosts > 1) return malformed('The request has more than one Host field.');
    if (hosts === 0 && !mayLack) return malformed('The request has no Host field.');
    return hosts === 1 && !isHost(host) ? malformed('The Host field is malformed.') : undefined;
  }
}

function isTen({ httpVersionMajor, httpVersionMinor }: RequestHead): boolean {
  return httpVersionMajor === 1 && httpVersionMinor === 0;
}

/** What the edge itself wants to know of a request's fields, found in one pass. */
class Head {
  fields = 0;
  /** Names and values together. */
  bytes = 0;
  hosts = 0;
  host = '';
  requestId = '';
  contentLength = 0;
  /** How the body is coded for its way; undefined: as it is. */
  transferCoding: string | undefined = undefined;

  /** Names are compared only where their length fits. */
  read(fields: readonly string[]): void {
    this.fields = fields.length / 2;
    this.bytes = this.hosts = this.contentLength = 0;
    this.host = this.requestId = '';
    this.transferCoding = undefined;
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const [name = '', value = ''] = [fields[i], fields[i + 1]];
      this.bytes += name.length + value.length;
      const { length } = name;
      if (length === 4 || length === 12 || length === 14 || length === 17) this.#note(name.toLowerCase(), value);
    }
  }

  #note(name: string, value: string): void {
    if (name === 'host') {
      this.hosts += 1;
      this.host = value;
    } else if (name === 'x-request-id') {
      if (this.requestId === '') this.requestId = value;
    } else if (name === 'content-length') this.contentLength = Number(value);
    else if (name === 'transfer-encoding') {
      this.transferCoding = this.transferCoding === undefined ? value : `${this.transferCoding}, ${value}`;
    }
  }
}

/** A coding that is not known is no mistake of form; chunks twice, or none to end with, are one (RFC 9112 §6.1, §6.3). */
function codingRefusal(transferCoding: string): GatewayError | undefined {
  const codings = transferCoding.split(',').map(coding => coding.trim().toLowerCase());
  if (codings.length === 1 && codings[0] === 'chunked') return undefined;
  if (codings.indexOf('chunked') !== codings.length - 1)
    return malformed('`chunked` must be the last transfer coding, and stand there once.');
  return new GatewayError('NOT_IMPLEMENTED', `a body with the codings ${JSON.stringify(transferCoding)}`);
}

function malformed(detail: string): GatewayError {
  return new GatewayError('BAD_REQUEST', detail, { detail });
}

function idOf({ requestId }: Head): string {
  return requestId !== '' && isRequestId(requestId) ? requestId : newId();
}

function targetOf(method: string, url: string, rules: PathRules): RequestTarget | string {
  return url === '*' && method === 'OPTIONS' ? WHOLE_SERVER : parseRequestTarget(url, rules);
}

/** What the log says of a target that is refused. */
function shownTarget(url: string): RequestTarget {
  const mark = url.indexOf('?');
  const path = url.slice(0, Math.min(mark < 0 ? url.length : mark, SHOWN_PATH_LENGTH_MAX));
  return { path, query: '', hasQuery: false, authority: undefined };
}

/** Tells whether an address is one of the trusted proxies', which are addresses and ranges in CIDR notation. */
function trustAmong(trustedProxies: readonly string[]): (address: string) => Trust {
  const isTrusted = withinRanges(trustedProxies);
  return address => {
    if (isIP(address) === 0) return 'no-address';
    return isTrusted(address) ? 'trusted' : 'stranger';
  };
}

/** A peer's address in the spelling that people write: an IPv4 address stays one on a socket that speaks both. */
function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

const ID_BYTES = 16;
/** Where each byte's two digits stand in an id. */
const PLACES = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
const DIGITS = Buffer.from('0123456789abcdef', 'latin1');
const HYPHEN = '-'.charCodeAt(0);
const random = Buffer.alloc(256 * ID_BYTES);
const idText = Buffer.alloc(36, HYPHEN);
let idsLeft = 0;

/** A random UUID (RFC 9562 §5.4), written in one place: Node's is put together of twenty pieces. */
function newId(): string {
  if (idsLeft === 0) {
    randomFillSync(random);
    idsLeft = random.length / ID_BYTES;
  }
  idsLeft -= 1;
  const at = idsLeft * ID_BYTES;
  random[at + 6] = ((random[at + 6] ?? 0) & 0x0f) | 0x40;
  random[at + 8] = ((random[at + 8] ?? 0) & 0x3f) | 0x80;
  for (let i = 0; i < ID_BYTES; i++) {
    const byte = random[at + i] ?? 0;
    const place = PLACES[i] ?? 0;
    idText[place] = DIGITS[byte >> 4] ?? 0;
    idText[place + 1] = DIGITS[byte & 0x0f] ?? 0;
  }
  return idText.toString('latin1');
}

const WELL_FORMED = /^[A-Za-z0-9._:+/=@-]{1,128}$/;

/** True for a caller's request id that may stand in logs, fields and answers as it is. */
export function isRequestId(text: string): boolean {
  return WELL_FORMED.test(text);
}
