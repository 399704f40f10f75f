import type { IncomingMessage } from 'node:http';
import { fieldOf, hasField } from '../domain/http/fields.ts';
import type { Clock, StreamWanted } from '../domain/ports.ts';
import type { HttpWire } from './express/wire.ts';
import { ProxiedStream } from './proxied-stream.ts';
import { toHeaders } from './upstream-fields.ts';

/** A long body in either direction, or an event stream. */
export function createHttpStream(wire: HttpWire, wanted: StreamWanted, clock: Clock): ProxiedStream {
  const { req, res } = wire;
  const kind = {
    socket: req.socket,
    begin: () => {
      // Nothing is left to do before it is sent.
    },
    respond: (proxyRes: IncomingMessage) => passOn(proxyRes, { stream, wire, wanted }),
    cutOff: () => void res.destroy(),
  };
  const stream = new ProxiedStream(kind, wanted, clock);
  res.once('close', () => stream.leave());
  prepare(wire, wanted);
  req.on('data', (chunk: Buffer) => {
    stream.bytes.in += chunk.length;
  });
  req.pause(); // until the proxy takes it: a listener alone would let it flow
  wire.sendContinue();
  wire.onFault(fault => stream.fail(fault));
  return stream;
}

/** Makes the caller's request into the one that is to be sent. */
function prepare({ req }: HttpWire, { request }: StreamWanted): void {
  const framing = framingOf(req.rawHeaders);
  req.url = request.target;
  req.method = request.method;
  req.headers = toHeaders([...request.rawHeaders, 'host', request.host ?? new URL(request.origin).host, ...framing]);
}

interface Passage {
  readonly stream: ProxiedStream;
  readonly wire: HttpWire;
  readonly wanted: StreamWanted;
}

function passOn(proxyRes: IncomingMessage, { stream, wire, wanted }: Passage): void {
  const { res } = wire;
  const head = stream.headOf(proxyRes);
  if (head === undefined) return;
  const { status, fields } = head;
  const isUntold = hasField(fields, 'content-length') || status === 204; // which has none (RFC 9110 §8.6)
  const length = isUntold ? undefined : fieldOf(proxyRes.rawHeaders, 'content-length');
  res.writeHead(status, length === undefined ? fields : [...fields, 'Content-Length', length]);
  res.flushHeaders(); // an event stream may have nothing to say for a long time
  stream.told(status);

  proxyRes.on('error', (error: Error) => stream.fail(error));
  proxyRes.once('close', () => {
    if (proxyRes.complete) stream.end('answered');
    else stream.fail(new Error('broken off'));
  });
  res.once('close', () => stream.end('answered'));
  if (wanted.isHeadOnly) {
    res.end();
    return;
  }
  proxyRes.on('data', (chunk: Buffer) => {
    stream.bytes.out += chunk.length;
  });
  proxyRes.pipe(res);
}

/** How the caller frames the body is how it is passed on. */
function framingOf(rawHeaders: readonly string[]): string[] {
  if (hasField(rawHeaders, 'transfer-encoding')) return ['transfer-encoding', 'chunked'];
  const length = fieldOf(rawHeaders, 'content-length');
  return length === undefined ? [] : ['content-length', length];
}
