import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { believeForwarded, isHost, type BelievedOrigin, type Party } from '../../domain/http/believed-origin.ts';
import { createDeadline } from '../../domain/deadline.ts';
import { GatewayError } from '../../domain/errors.ts';
import type { Received } from '../../domain/exchange.ts';
import { blankNotes } from '../../domain/notes.ts';
import type { Clock } from '../../domain/ports.ts';
import { isRequestId } from '../../domain/http/request-id.ts';
import { parseRequestTarget, type RequestTarget } from '../../domain/http/request-target.ts';
import { HttpBody, NO_BODY } from './body.ts';
import { readHead, type HeadFacts } from './head.ts';
import type { ListenOptions } from './listen-options.ts';
import { plainAddress } from './trust.ts';
import type { HttpWire, UpgradeWire } from './wire.ts';

/** A refused request's path is told in the log, but no longer than this. */
const TOLD_PATH_LENGTH_MAX = 256;

interface IntakeParts {
  readonly listen: ListenOptions;
  readonly clock: Clock;
  readonly partyOf: (address: string) => Party;
}

/** Makes of what Node parsed what the flow receives: a request, or one that carries its own refusal. */
export type Intake = (wire: HttpWire | UpgradeWire, refusal: GatewayError | undefined) => Received;

/** The intake of one listener. */
export function createIntake({ listen, clock, partyOf }: IntakeParts): Intake {
  return (wire, refusal) => {
    const { req } = wire;
    const startedMs = clock.nowMs();
    const head = readHead(req.rawHeaders);
    const target = parseRequestTarget(req.url ?? '');
    const origin = originOf(req, hostOf(head, target), partyOf);
    return {
      id: idOf(head),
      method: req.method ?? '',
      ...pathAndQuery(req, target),
      rawHeaders: req.rawHeaders,
      ...origin,
      isUpgrade: wire.kind === 'upgrade',
      body: wire.kind === 'http' ? bodyOf(wire, head) : NO_BODY,
      deadline: createDeadline(clock, startedMs),
      notes: blankNotes(startedMs),
      wire,
      refusal: refusal ?? sizeRefusal(req, head, listen) ?? formRefusal(wire, head, target),
    };
  };

  function bodyOf(wire: HttpWire, head: HeadFacts): HttpBody {
    return new HttpBody({ wire, length: head.contentLength, idleMsMax: listen.bodyIdleTimeoutMs, clock });
  }
}

type Target = RequestTarget | string;

function idOf({ requestId }: HeadFacts): string {
  return requestId !== undefined && isRequestId(requestId) ? requestId : randomUUID();
}

/** In the absolute form the target's own authority counts, whatever `Host` says (RFC 9112 §3.2.2). */
function hostOf(head: HeadFacts, target: Target): string {
  return typeof target === 'string' ? head.host : (target.authority ?? head.host);
}

function pathAndQuery({ url = '' }: IncomingMessage, target: Target): Pick<Received, 'path' | 'query'> {
  if (typeof target !== 'string') return { path: target.path, query: target.query };
  return { path: (url.split('?', 1)[0] ?? '').slice(0, TOLD_PATH_LENGTH_MAX), query: '' };
}

type Origin = BelievedOrigin & Pick<Received, 'peerAddress' | 'isPeerTrusted'>;

function originOf(req: IncomingMessage, host: string, partyOf: IntakeParts['partyOf']): Origin {
  const peerAddress = plainAddress(req.socket.remoteAddress);
  if (partyOf(peerAddress) !== 'trusted') {
    return { peerAddress, callerAddress: peerAddress, isPeerTrusted: false, scheme: 'http', host };
  }
  const believed = believeForwarded(req.rawHeaders, { peerAddress, scheme: 'http', host }, partyOf);
  return { ...believed, peerAddress, isPeerTrusted: true };
}

function sizeRefusal({ url = '' }: IncomingMessage, head: HeadFacts, listen: ListenOptions): GatewayError | undefined {
  if (url.length > listen.urlBytesMax) return new GatewayError('URL_TOO_LONG', 'the URL is too long');
  if (head.bytes > listen.headerBytesMax) return new GatewayError('HEADERS_TOO_LARGE', 'the fields are too large');
  return undefined;
}

function formRefusal(wire: HttpWire | UpgradeWire, head: HeadFacts, target: Target): GatewayError | undefined {
  if (typeof target === 'string') return malformed(target);
  if (target.authority !== undefined && !isHost(target.authority)) return malformed('The target’s host is malformed.');
  if (wire.kind === 'upgrade' && head.contentLength !== 0) return malformed('A request to upgrade has no body.');
  return hostRefusal(wire.req, head) ?? framingRefusal(wire.req, head);
}

/** What another hop might frame otherwise: of HTTP/1.0 with a coding even its length is doubtful (RFC 9112 §6.1). */
function framingRefusal(req: IncomingMessage, { transferCoding }: HeadFacts): GatewayError | undefined {
  if (req.httpVersionMajor !== 1) return malformed('The request is not HTTP/1.0 or HTTP/1.1.');
  if (transferCoding === undefined) return undefined;
  if (req.httpVersionMinor === 0) return malformed('HTTP/1.0 has no Transfer-Encoding.');
  return /^chunked$/i.test(transferCoding)
    ? undefined
    : malformed('A body may come in chunks, and coded no other way.');
}

function hostRefusal(req: IncomingMessage, { hosts, host }: HeadFacts): GatewayError | undefined {
  if (hosts > 1) return malformed('The request has more than one Host field.');
  if (hosts === 0 && req.httpVersionMinor >= 1) return malformed('The request has no Host field.');
  return hosts === 1 && !isHost(host) ? malformed('The Host field is malformed.') : undefined;
}

function malformed(detail: string): GatewayError {
  return new GatewayError('BAD_REQUEST', detail, { detail });
}
