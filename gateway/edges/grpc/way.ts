import { constants } from 'node:http2';
import { GatewayError } from '../../domain/errors.ts';
import { enveloped, PREFIX_BYTES } from '../../domain/grpc/envelope.ts';
import { printable } from '../../domain/printable.ts';
import type { Transport } from '../../domain/upstream.ts';
import type { Way } from '../by-scheme.ts';
import type { ProbeRequest, ProbeResult } from '../http-probe.ts';
import type { GrpcConnections } from './connections.ts';
import { distrustIn, openSession } from './session.ts';

/** The way to instances that speak gRPC. Their calls are streams, whatever they are: only a route that carries streams leads there. */
export function createGrpcWay(connections: GrpcConnections): Way {
  const transport: Transport = {
    send(_origin, _message, { listener, route }) {
      const message = `route ${route?.id ?? ''} has no \`stream: true\`, and its service speaks gRPC`;
      const failure = new GatewayError('UPSTREAM_FAULT', message);
      queueMicrotask(() => listener.onEnd({ kind: 'abandoned', failure }));
      return { sentMs: undefined, firstByteMs: undefined, listener, discard: () => undefined };
    },
    forget: origin => connections.forget(origin),
    close() {
      connections.close();
      return Promise.resolve();
    },
  };
  return { transport, probe: probeGrpc };
}

/** Of `grpc.health.v1.HealthCheckResponse`. */
const SERVING = 1;
const UNIMPLEMENTED = '12';
const NOTE_CHARS_MAX = 200;
const BYTES_MAX = 1_024;

/**
 * Asks `grpc.health.v1.Health`, of the server as a whole or of the service that `health.path` names. A server without it
 * is well if it says so: it speaks gRPC.
 */
function probeGrpc({ origin, path, timeoutMs, tls, signal }: ProbeRequest): Promise<ProbeResult> {
  return new Promise(resolve => {
    const session = openSession(origin, tls);
    const done = (result: ProbeResult) => {
      clearTimeout(late);
      signal.removeEventListener('abort', left);
      session.destroy();
      resolve(result);
    };
    const ill = (note: string) => done({ isWell: false, note: printable(note, NOTE_CHARS_MAX) });
    const left = () => ill('given up');
    const late = setTimeout(() => ill(`no answer within ${timeoutMs} ms`), timeoutMs);
    signal.addEventListener('abort', left, { once: true });
    const failed = (error: Error) => {
      const distrust = distrustIn(session);
      if (distrust === undefined) ill(error.message);
      else done({ isWell: false, isUntrusted: true, note: printable(distrust.message, NOTE_CHARS_MAX) });
    };
    session.on('error', failed);
    const stream = session.request({
      ...{ ':method': 'POST', ':path': CHECK, 'content-type': 'application/grpc', te: 'trailers' },
    });
    let [status, bytes]: [string | undefined, number] = [undefined, 0];
    const chunks: Buffer[] = [];
    const note = (fields: { readonly 'grpc-status'?: unknown }) => {
      if (typeof fields['grpc-status'] === 'string') status = fields['grpc-status'];
    };
    stream.on('response', note).on('trailers', note).on('error', failed);
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= BYTES_MAX) chunks.push(chunk);
      else stream.close(constants.NGHTTP2_CANCEL);
    });
    stream.on('close', () => done(resultOf(status, Buffer.concat(chunks))));
    stream.end(enveloped(requestFor(path)));
  });
}

const CHECK = '/grpc.health.v1.Health/Check';

/** Its one field is the service's name. */
function requestFor(path: string | undefined): Buffer {
  const name = Buffer.from((path ?? '').replace(/^\//, ''), 'utf8').subarray(0, 127);
  return name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
}

function resultOf(status: string | undefined, body: Buffer): ProbeResult {
  if (status === UNIMPLEMENTED) return { isWell: true, note: 'it speaks gRPC, and has no grpc.health.v1.Health' };
  if (status !== '0') return { isWell: false, note: `${CHECK} ended with ${status ?? 'nothing'}` };
  const message = body.subarray(PREFIX_BYTES);
  const isServing = message.length === 2 && message[0] === 0x08 && message[1] === SERVING;
  return {
    isWell: isServing,
    note: isServing ? `${CHECK} answered SERVING` : `${CHECK} answered that it does not serve`,
  };
}
