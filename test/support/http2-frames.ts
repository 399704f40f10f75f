import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** Frames of HTTP/2 as bytes, right or wrong (RFC 9113 §4, §6). */
export const TYPE = {
  ...{
    data: 0,
    headers: 1,
    priority: 2,
    reset: 3,
    settings: 4,
    push: 5,
    ping: 6,
    goaway: 7,
    window: 8,
    continuation: 9,
  },
} as const;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
export const WITH_PRIORITY = 32;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

const CODES = [
  ...['NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR', 'SETTINGS_TIMEOUT', 'STREAM_CLOSED'],
  ...['FRAME_SIZE_ERROR', 'REFUSED_STREAM', 'CANCEL', 'COMPRESSION_ERROR', 'CONNECT_ERROR', 'ENHANCE_YOUR_CALM'],
];

/** Type, flags and stream of a frame. */
export type FrameHead = readonly [type: number, flags: number, stream: number];

export function frame([type, flags, stream]: FrameHead, payload: Buffer | readonly number[] = []): Buffer {
  const body = Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, body]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const entries = pairs.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 255]), uint32(value)]));
  return frame([TYPE.settings, 0, 0], Buffer.concat(entries));
}

/** An integer with a prefix of so many bits (RFC 7541 §5.1). */
export function integer(
  value: number,
  { bits, first = 0 }: { readonly bits: number; readonly first?: number },
): Buffer {
  const max = 2 ** bits - 1;
  if (value < max) return Buffer.from([first | value]);
  const bytes = [first | max];
  let rest = value - max;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(bytes.length, { bits: 7 }), bytes]);
}

/** A field spelled out, and put into no table (RFC 7541 §6.2.2). */
export function field(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

export function fields(...pairs: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(pairs.map(([name, value]) => field(name, value)));
}

/** What a request must say, and more. */
export function head(more: readonly (readonly [string, string])[] = [], method = 'GET'): Buffer {
  const pseudo = [
    [':method', method],
    [':scheme', 'http'],
    [':authority', 'a.example.org'],
    [':path', '/'],
  ] as const;
  return fields(...pseudo, ...more);
}

export function headers(stream: number, block: Buffer, flags = END_HEADERS | END_STREAM): Buffer {
  return frame([TYPE.headers, flags, stream], block);
}

export function data(stream: number, content: string | Buffer, flags = END_STREAM): Buffer {
  return frame([TYPE.data, flags, stream], Buffer.from(content));
}

/** What a caller of HTTP/2 hears, in words: `settings`, `answers 200 on 1`, `reset CANCEL on 1`, `goaway NO_ERROR`, `pong`, `closed`. */
export interface FrameCaller {
  readonly socket: Socket;
  readonly received: readonly string[];
  say(...frames: readonly Buffer[]): void;
  /** Waits until one of what is heard fits, or all is over; gives whether one did. */
  receive(expected: string | RegExp): Promise<boolean>;
}

/** Connects to a port of the loopback; the connection ends with the test. */
export async function frameCaller(t: TestContext, port: number): Promise<FrameCaller> {
  const socket = connect({ host: '127.0.0.1', port });
  const news = new EventEmitter<{ more: [] }>();
  const received: string[] = [];
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (let length = frameLength(rest); length <= rest.length; length = frameLength(rest)) {
      received.push(toWords(rest.subarray(0, length)));
      rest = rest.subarray(length);
    }
    news.emit('more');
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    received.push('closed');
    news.emit('more');
  });
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  const fits = (expected: string | RegExp) => (words: string) =>
    typeof expected === 'string' ? words === expected : expected.test(words);

  return {
    socket,
    received,
    say(...frames) {
      if (socket.writable) socket.write(Buffer.concat(frames));
    },
    async receive(expected) {
      while (!received.some(fits(expected))) {
        if (received.includes('closed')) return false;
        await once(news, 'more');
      }
      return true;
    },
  };
}

function frameLength(bytes: Buffer): number {
  return bytes.length < 9 ? Infinity : 9 + bytes.readUIntBE(0, 3);
}

function toWords(bytes: Buffer): string {
  const [type, flags, stream] = [bytes.readUInt8(3), bytes.readUInt8(4), bytes.readUInt32BE(5)];
  const payload = bytes.subarray(9);
  const code = (at: number) => CODES[payload.readUInt32BE(at)] ?? 'another code';
  if (type === TYPE.headers) return `answers ${statusOf(payload)} on ${stream}`;
  if (type === TYPE.reset) return `reset ${code(0)} on ${stream}`;
  if (type === TYPE.goaway) return `goaway ${code(4)}`;
  if (type === TYPE.settings) return (flags & ACK) === 0 ? 'settings' : 'settings taken';
  if (type === TYPE.ping) return (flags & ACK) === 0 ? 'ping' : 'pong';
  if (type === TYPE.data)
    return `data ${payload.toString()} on ${stream}${(flags & END_STREAM) === 0 ? '' : ', the end'}`;
  return `frame ${type} on ${stream}`;
}

const KNOWN_STATUS = ['200', '204', '206', '304', '400', '404', '500'];

/** The status, which comes first: from the static table, or spelled out, mostly in Huffman's code. */
function statusOf(block: Buffer): string {
  const at = block.findIndex(byte => (byte & 0xe0) !== 0x20); // behind changes of the table's size
  const first = block.readUInt8(at);
  if (first >= 0x88 && first <= 0x8e) return KNOWN_STATUS[first - 0x88] ?? '';
  const length = block.readUInt8(at + 1);
  const value = block.subarray(at + 2, at + 2 + (length & 0x7f));
  return (length & 0x80) === 0 ? value.toString() : digitsOf(value);
}

/** Digits in Huffman's code (RFC 7541, appendix B): 0 to 2 take five bits, 3 to 9 six. */
function digitsOf(bytes: Buffer): string {
  let bits = [...bytes].map(byte => byte.toString(2).padStart(8, '0')).join('');
  let digits = '';
  while (digits.length < 3 && bits.length >= 5) {
    const isShort = Number.parseInt(bits.slice(0, 5), 2) <= 2;
    digits += String(isShort ? Number.parseInt(bits.slice(0, 5), 2) : Number.parseInt(bits.slice(0, 6), 2) - 0x19 + 3);
    bits = bits.slice(isShort ? 5 : 6);
  }
  return digits;
}
