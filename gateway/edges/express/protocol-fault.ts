import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { GatewayError } from '../../domain/errors.ts';
import type { Observe } from '../../domain/events.ts';
import type { Clock } from '../../domain/clock.ts';
import { answerRaw } from './upgrade-wire.ts';
import { toProblem } from '../../domain/http/reply.ts';

/** What Node's parser says of bytes that are no request, or not in time; `rawPacket` is what it choked on. */
export interface ProtocolFault extends Error {
  readonly code?: string;
  readonly rawPacket?: Buffer;
}

type FaultySocket = Duplex & { readonly bytesRead?: number };

/** The failure to answer with, or undefined where no one is left, or nothing was said, to answer. */
export function toFailure(fault: ProtocolFault, socket: FaultySocket, urlBytesMax: number): GatewayError | undefined {
  if (!socket.writable || fault.code === 'ECONNRESET' || fault.code === 'HPE_INVALID_EOF_STATE') return undefined;
  const options = { cause: fault };
  switch (fault.code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      // A connection opened ahead of need, as browsers do, says nothing, and is told nothing.
      return socket.bytesRead === 0
        ? undefined
        : new GatewayError('REQUEST_TIMEOUT', 'the head came too slowly', options);
    case 'HPE_HEADER_OVERFLOW':
      return isRequestLineTooLong(fault.rawPacket, urlBytesMax)
        ? new GatewayError('URL_TOO_LONG', 'the request line does not end', options)
        : new GatewayError('HEADERS_TOO_LARGE', 'the head does not end', options);
    case undefined:
    default:
      return new GatewayError('BAD_REQUEST', `no HTTP: ${fault.code ?? fault.message}`, options);
  }
}

/** It begins like a request, and its first line alone is longer than a URL may be. */
function isRequestLineTooLong(packet: Buffer | undefined, urlBytesMax: number): boolean {
  if (packet === undefined || !/^[A-Z]+ /.test(packet.toString('latin1', 0, 32))) return false;
  const lineEnd = packet.indexOf('\n');
  return lineEnd < 0 || lineEnd > urlBytesMax;
}

interface RefusePorts {
  readonly observe: Observe;
  readonly clock: Clock;
}

/** Refuses what is no request, on the connection itself, and tells of it as of a call of which nothing is known. */
export function refuseRaw(failure: GatewayError, socket: Duplex, { observe, clock }: RefusePorts): void {
  const id = randomUUID();
  const problem = toProblem(failure, id);
  problem.fields.push('X-Request-Id', id);
  observe({
    ...{ kind: 'request', id, caller: null, method: '', path: '', route: null, service: null },
    ...{ instance: null, version: null, attempts: 0, queueMs: 0, connectMs: null, firstByteMs: null },
    ...{ status: failure.status, code: failure.code, totalMs: 0, bytesIn: 0 },
    ...{ cache: null, isCoalesced: false, attempt: null },
    bytesOut: Buffer.isBuffer(problem.body) ? problem.body.length : 0,
  });
  answerRaw(socket, problem, clock.wallMs());
}
