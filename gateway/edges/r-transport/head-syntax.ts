import { GatewayError } from '../../domain/errors.ts';
import type { RawFields } from '../../domain/http/fields.ts';
import type { UpstreamMessage } from '../../domain/upstream.ts';

/** 1 for each code that may stand in a field's value (RFC 9110 §5.5): no control character but the tab. */
export const IS_VALUE = new Uint8Array(256).fill(1, 0x20).fill(0, 0x7f, 0x80).fill(1, 0x09, 0x0a);

/** 1 for each code that may stand in a field's name (RFC 9110 §5.6.2). */
const IS_NAME = codes("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

const COLON = 0x3a;

/** Fields of an answer that say how it is framed, or what it is. */
export type FieldKind = 'other' | 'connection' | 'content-length' | 'content-type' | 'keep-alive' | 'transfer-encoding';

interface FieldName {
  readonly text: string;
  readonly kind: FieldKind;
}

const KINDS: ReadonlySet<string> = new Set<FieldKind>([
  'connection',
  'content-length',
  'content-type',
  'keep-alive',
  'transfer-encoding',
]);

/** Names as they were spelled; of two that share a place, the later stays. */
const NAMES_MAX = 256;
const NAME_CHARS_MAX = 64;
const readNames = new Array<FieldName | undefined>(NAMES_MAX).fill(undefined);

/**
 * The field name at `start`, up to its colon; undefined where there is none. One string for all answers that spell it so,
 * and what it means.
 */
export function readName(text: string, start: number): FieldName | undefined {
  let end = start;
  let hash = 0;
  let code = text.charCodeAt(end);
  while (IS_NAME[code] === 1) {
    hash = (Math.imul(hash, 31) + code) | 0;
    end += 1;
    code = text.charCodeAt(end);
  }
  if (end === start || code !== COLON) return undefined;
  const place = placeOf(hash);
  const known = readNames[place];
  if (known?.text.length === end - start && text.startsWith(known.text, start)) return known;
  // A copy: a piece of a head would keep the whole head alive.
  const name = Buffer.from(text.slice(start, end), 'latin1').toString('latin1');
  const lower = name.toLowerCase();
  const read: FieldName = { text: name, kind: KINDS.has(lower) ? (lower as FieldKind) : 'other' };
  if (name.length <= NAME_CHARS_MAX) readNames[place] = read;
  return read;
}

/** What says how a request is framed, and where it goes, is said here alone. */
const OURS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** Methods that say nothing of content when there is none (RFC 9110 §8.6). */
const WITHOUT_CONTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']);

const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const TARGET = /^[!-~\x80-\xff]+$/;
const VALUE = /^[\t -~\x80-\xff]*$/;

/** What a request is told of its way. */
interface HeadTraits {
  /** What the address itself is called. */
  readonly authority: string;
  /** The connection may carry another request after it. */
  readonly isKept: boolean;
}

/**
 * A request's head, in latin1.
 *
 * What would end a line, or become the end of one in latin1, never passes (INTERNAL): it was judged long before, and what
 * slips through there would be a second request here.
 */
export function requestHead({ method, target, host, fields, body }: UpstreamMessage, traits: HeadTraits): string {
  const authority = host ?? traits.authority;
  if (!METHOD.test(method) || !TARGET.test(target) || !VALUE.test(authority)) throw unsendable('its first lines');
  const connection = traits.isKept ? 'keep-alive' : 'close';
  const first = `${method} ${target} HTTP/1.1\r\nhost: ${authority}\r\nconnection: ${connection}`;
  const isLengthDue = body.length > 0 || !WITHOUT_CONTENT.has(method);
  const length = isLengthDue ? `\r\ncontent-length: ${body.length}` : '';
  return `${first}${fieldLines(fields)}${length}\r\n\r\n`;
}

function fieldLines(fields: RawFields): string {
  let lines = '';
  for (let i = 0; i < fields.length; i += 2) {
    const start = lineStart(fields[i] ?? '');
    const value = fields[i + 1] ?? '';
    if (start === undefined || !VALUE.test(value)) throw unsendable(`field ${i / 2}`);
    lines += start;
    lines += value;
  }
  return lines;
}

/** Names sent lately, and how a line with each begins: most are sent again and again. */
const sentNames = new Array<string | undefined>(NAMES_MAX).fill(undefined);
const lineStarts = new Array<string>(NAMES_MAX).fill('');

/** The end of the line before, and the name. Undefined: it cannot be sent. */
function lineStart(name: string): string | undefined {
  let hash = 0;
  for (let i = 0; i < name.length; i += 1) {
    const code = name.charCodeAt(i);
    if (IS_NAME[code] !== 1) return undefined;
    hash = (Math.imul(hash, 31) + code) | 0;
  }
  const place = placeOf(hash);
  if (sentNames[place] === name) return lineStarts[place];
  if (name === '' || OURS.has(name.toLowerCase())) return undefined;
  const start = `\r\n${name}: `;
  if (name.length > NAME_CHARS_MAX) return start;
  sentNames[place] = name;
  lineStarts[place] = start;
  return start;
}

function placeOf(hash: number): number {
  return (hash ^ (hash >>> 8)) & (NAMES_MAX - 1);
}

function unsendable(what: string): GatewayError {
  return new GatewayError('INTERNAL', `unsendable request: ${what}`);
}

function codes(text: string): Uint8Array {
  const table = new Uint8Array(256);
  for (let i = 0; i < text.length; i += 1) table[text.charCodeAt(i)] = 1;
  return table;
}
