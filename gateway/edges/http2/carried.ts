import { request as requestPlain, type Agent, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as requestSecure } from 'node:https';
import type { Clock } from '../../domain/clock.ts';
import { bodyTooLarge } from '../../domain/errors.ts';
import { fieldOf } from '../../domain/http/fields.ts';
import type { StreamOptions } from '../../domain/stream.ts';
import { ProxiedStream, toHeaders } from '../proxied-stream.ts';
import type { Http2Wire } from './wire.ts';

interface CarryParts {
  readonly clock: Clock;
  /** Opens the connection to an instance with TLS. */
  readonly secureAgent: Agent;
}

/** A long body in either direction, or an event stream, on one stream of an HTTP/2 connection. */
export function carryHttp2(wire: Http2Wire, options: StreamOptions, parts: CarryParts): ProxiedStream {
  const { req } = wire;
  // Other streams share the connection: silence is told by this one's own bytes.
  const passed = { bytesRead: 0, bytesWritten: 0, isDestroyed: () => req.destroyed };
  const socket = {
    get destroyed() {
      return passed.isDestroyed();
    },
    get bytesRead() {
      return passed.bytesRead;
    },
    get bytesWritten() {
      return passed.bytesWritten;
    },
  };
  const kind = {
    socket,
    begin: ignore,
    respond: (proxyRes: IncomingMessage) => passOn(proxyRes, { stream, wire, options, passed }),
    cutOff: () => wire.cut(),
    over: ignore,
  };
  const stream = new ProxiedStream(kind, options, parts.clock);
  const proxyReq = requestOf(wire, options, parts.secureAgent);
  proxyReq.on('response', (proxyRes: IncomingMessage) => stream.respond(proxyRes));
  proxyReq.on('error', (error: Error) => stream.fail(error));
  stream.begin(proxyReq);
  wire.sendContinue();
  req.on('data', (chunk: Buffer) => {
    passed.bytesRead += chunk.length;
    if (!stream.countIn(chunk.length)) stream.fail(bodyTooLarge(options.bodyBytesMax));
  });
  req.pipe(proxyReq);
  return stream;
}

function requestOf(wire: Http2Wire, { message, origin }: StreamOptions, secureAgent: Agent) {
  const { protocol, hostname, port, host } = new URL(origin);
  const isSecure = protocol === 'https:';
  const requestOptions: RequestOptions = {
    host: hostname.replace(/^\[|\]$/g, ''),
    port,
    method: message.method,
    path: message.target,
    headers: toHeaders([...message.fields, 'host', message.host ?? host, ...framingOf(wire)]),
    agent: isSecure ? secureAgent : false,
  };
  return isSecure ? requestSecure(requestOptions) : requestPlain(requestOptions);
}

/** A body whose length was not said comes in chunks. */
function framingOf({ length, head }: Http2Wire): string[] {
  if (length === undefined) return ['transfer-encoding', 'chunked'];
  const said = fieldOf(head.rawHeaders, 'content-length');
  return said === undefined ? [] : ['content-length', said];
}

interface Passage {
  readonly stream: ProxiedStream;
  readonly wire: Http2Wire;
  readonly options: StreamOptions;
  readonly passed: { bytesWritten: number };
}

function passOn(proxyRes: IncomingMessage, { stream, wire, options, passed }: Passage): void {
  const { req } = wire;
  proxyRes.on('error', (error: Error) => stream.fail(error));
  const head = stream.headOf(proxyRes, proxyRes);
  if (head === undefined) return;
  if (req.destroyed) {
    stream.end();
    return;
  }
  const { status, fields } = head;
  const isHeadAlone = options.isHeadOnly || status === 204 || status === 304;
  if (isHeadAlone) wire.respondAlone(status, fields);
  else wire.respondPoured(status, fields);
  proxyRes.once('close', () => {
    if (proxyRes.complete) stream.end();
    else stream.fail(new Error('broken off'));
  });
  req.once('close', () => stream.end());
  if (isHeadAlone) return;
  proxyRes.on('data', (chunk: Buffer) => {
    stream.bytesOut += chunk.length;
    const isTaken = req.write(chunk, () => (passed.bytesWritten += chunk.length));
    if (!isTaken) proxyRes.pause();
  });
  req.on('drain', () => proxyRes.resume());
  proxyRes.once('end', () => req.end());
}

function ignore(): void {
  // Nothing is left to do.
}
