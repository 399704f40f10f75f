import type { Duplex } from 'node:stream';
import { GatewayError } from '../../domain/errors.ts';

/** What Node's parser says of bytes that are no request, or not in time; `rawPacket` is what it choked on. */
export interface ProtocolFault extends Error {
  readonly code?: string;
  readonly rawPacket?: Buffer;
}

/** The failure to answer with, or undefined where nobody is left, or nothing was said, to answer. */
export function toFailure(
  fault: ProtocolFault,
  socket: Duplex & { readonly bytesRead?: number },
): GatewayError | undefined {
  if (!socket.writable || fault.code === 'ECONNRESET' || fault.code === 'HPE_INVALID_EOF_STATE') return undefined;
  const options = { cause: fault };
  switch (fault.code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      // A connection opened ahead of need, as browsers do, says nothing, and is told nothing.
      return socket.bytesRead === 0
        ? undefined
        : new GatewayError('REQUEST_TIMEOUT', 'the head came too slowly', options);
    case 'HPE_HEADER_OVERFLOW':
      return isWithinRequestLine(fault.rawPacket)
        ? new GatewayError('URL_TOO_LONG', 'the request line does not end', options)
        : new GatewayError('HEADERS_TOO_LARGE', 'the head does not end', options);
    case undefined:
    default:
      return new GatewayError('BAD_REQUEST', `no HTTP: ${fault.code ?? fault.message}`, options);
  }
}

/** Not one line has ended, and it begins like a request's: the URL it is that has no end. */
function isWithinRequestLine(packet: Buffer | undefined): boolean {
  return packet !== undefined && !packet.includes('\n') && /^[A-Z]+ /.test(packet.toString('latin1', 0, 32));
}
