import type { IncomingMessage } from 'node:http';
import type { Clock } from '../domain/clock.ts';
import { bodyTooLarge } from '../domain/errors.ts';
import { fieldOf, hasField } from '../domain/http/fields.ts';
import type { StreamOptions } from '../domain/stream.ts';
import type { HttpWire } from './express/http-wire.ts';
import { ProxiedStream, toHeaders } from './proxied-stream.ts';

/** A long body in either direction, or an event stream. */
export function createHttpStream(wire: HttpWire, options: StreamOptions, clock: Clock): ProxiedStream {
  const { req } = wire;
  const kind = {
    socket: req.socket,
    begin: ignore,
    respond: (proxyRes: IncomingMessage) => passOn(proxyRes, { stream, wire, options }),
    cutOff: () => wire.cut(),
    over: () => wire.onFault(undefined),
  };
  const stream = new ProxiedStream(kind, options, clock);
  prepare(wire, options);
  req.on('data', (chunk: Buffer) => {
    if (!stream.countIn(chunk.length)) stream.fail(bodyTooLarge(options.bodyBytesMax));
  });
  req.pause(); // until the proxy takes it: a listener alone would let it flow
  wire.sendContinue();
  wire.onFault(fault => stream.fail(fault));
  return stream;
}

/** Makes the caller's request into the one that is to be sent. */
function prepare({ req }: HttpWire, { message, origin }: StreamOptions): void {
  const framing = framingOf(req.rawHeaders);
  req.url = message.target;
  req.method = message.method;
  req.headers = toHeaders([...message.fields, 'host', message.host ?? new URL(origin).host, ...framing]);
}

interface Passage {
  readonly stream: ProxiedStream;
  readonly wire: HttpWire;
  readonly options: StreamOptions;
}

function passOn(proxyRes: IncomingMessage, { stream, wire, options }: Passage): void {
  const { res } = wire;
  proxyRes.on('error', (error: Error) => stream.fail(error));
  const head = stream.headOf(proxyRes, proxyRes);
  if (head === undefined) return;
  const { status, fields } = head;
  if (wire.closeAfter(status)) fields.push('Connection', 'close');
  res.writeHead(status, fields);
  res.flushHeaders(); // an event stream may have nothing to say for a long time

  proxyRes.once('close', () => {
    if (proxyRes.complete) stream.end();
    else stream.fail(new Error('broken off'));
  });
  res.once('close', () => stream.end());
  if (options.isHeadOnly) {
    res.end();
    return;
  }
  proxyRes.on('data', (chunk: Buffer) => {
    stream.bytesOut += chunk.length;
  });
  proxyRes.pipe(res);
}

/** How the caller frames the body is how it is passed on. */
function framingOf(fields: readonly string[]): string[] {
  if (hasField(fields, 'transfer-encoding')) return ['transfer-encoding', 'chunked'];
  const length = fieldOf(fields, 'content-length');
  return length === undefined ? [] : ['content-length', length];
}

function ignore(): void {
  // Nothing is left to do before it is sent.
}
