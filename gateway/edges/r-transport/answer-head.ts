import { GatewayError } from '../../domain/errors.ts';
import type { RawFields } from '../../domain/http/fields.ts';
import type { UpstreamMessage } from '../../domain/upstream.ts';

const FIELDS_MAX = 1_000;

const LENGTH = /^\d{1,15}$/;
const TIMEOUT = /(?:^|[\s,])timeout=(\d{1,6})(?:$|[\s,])/i;

const [TAB, LF, CR, SPACE] = [0x09, 0x0a, 0x0d, 0x20];
const START = 'HTTP/1.';

/** They have no body, whatever they say (RFC 9112 §6.3); of a switch of protocols nothing is HTTP any more. */
const BODYLESS: ReadonlySet<number> = new Set([101, 204, 304]);

/** How the end of a body is known (RFC 9112 §6.3). */
export type Framing = 'none' | 'length' | 'chunked' | 'to-end';

/** The head of an answer as it is read, line by line, and what it says of the connection and of the body's end. */
export class AnswerHead {
  status = 0;
  /** Name, value, name, value, … */
  fields: string[] = [];
  /** The body's size, where it is known beforehand. */
  length: number | undefined = undefined;
  isEventStream = false;
  /** The connection may carry another exchange after this one (RFC 9112 §9.3). */
  isKeepable = false;
  /** What `Keep-Alive` says of the time for which the other side keeps it. */
  keepAliveS = Infinity;
  /** What is wrong with it, once something is. */
  fault = '';
  #minor = 1;
  #codings = 0;
  #saysChunked = false;
  #saysClose = false;
  #saysKeepAlive = false;
  #fieldCount = 0;

  /** Takes the status line at the start of `text`, and returns where the next line begins; -1 where it is none. */
  takeStatus(text: string): number {
    const code = text.slice(9, 12);
    const minor = text.charCodeAt(7) - 0x30;
    if (!text.startsWith(START) || (minor !== 0 && minor !== 1)) return this.refuse('no status line');
    if (text.charCodeAt(8) !== SPACE || !isStatus(code)) return this.refuse('no status line');
    // The space before the phrase is left out where there is no phrase: by many, and harmless.
    const end = text.charCodeAt(12) === SPACE ? endOfValue(text, 13) : 12;
    if (!isLineEnd(text, end)) return this.refuse('a bad status line');
    this.#minor = minor;
    this.status = Number(code);
    return end + 2;
  }

  /**
   * Takes the field at `start`, and returns where the next line begins; -1 where it is none: folded, of a bad name, with
   * a control character in it. Of a `trailer` nothing is kept: it is of no use to a caller who was not promised it (RFC
   * 9110 §6.5.1).
   */
  takeField(text: string, start: number, isTrailer = false): number {
    const name = readName(text, start);
    if (name === undefined) return this.refuse('a bad field name');
    const valueStart = endOfBlanks(text, start + name.text.length + 1);
    const end = endOfValue(text, valueStart);
    if (!isLineEnd(text, end)) return this.refuse('a bad field value');
    this.#fieldCount += 1;
    if (this.#fieldCount > FIELDS_MAX) return this.refuse('too many fields');
    if (isTrailer) return end + 2;
    const value = text.slice(valueStart, endOfText(text, valueStart, end));
    this.fields.push(name.text, value);
    if (name.kind !== 'other') this.#readField(name.kind, value);
    return this.fault === '' ? end + 2 : -1;
  }

  /** The head is complete. `isHead`: it answers a request that gets no body. Undefined: it is ambiguous. */
  framing(isHead: boolean): Framing | undefined {
    if (this.#codings > 0 && !this.#isChunked) {
      this.refuse('an ambiguous Transfer-Encoding');
      return undefined;
    }
    const framing = this.#framing(isHead);
    this.isKeepable = this.#isPersistent(framing);
    if (framing === 'none') this.length = 0;
    return framing;
  }

  refuse(fault: string): -1 {
    this.fault = fault;
    return -1;
  }

  /** It is coded in chunks, and nothing speaks against that: neither another coding, nor a length, nor an old version. */
  get #isChunked(): boolean {
    return this.#codings === 1 && this.#saysChunked && this.length === undefined && this.#minor === 1;
  }

  #isPersistent(framing: Framing): boolean {
    if (this.#saysClose || (this.#minor === 0 && !this.#saysKeepAlive)) return false;
    // A 204 in chunks is none (§6.1): what follows it may be them.
    if (this.status === 204 && this.#isChunked) return false;
    return framing !== 'to-end' && this.status !== 101;
  }

  #framing(isHead: boolean): Framing {
    if (isHead || this.length === 0 || BODYLESS.has(this.status)) return 'none';
    if (this.#isChunked) return 'chunked';
    return this.length === undefined ? 'to-end' : 'length';
  }

  #readField(kind: Exclude<FieldKind, 'other'>, value: string): void {
    switch (kind) {
      case 'content-length':
        this.#readLength(value);
        break;
      case 'transfer-encoding':
        this.#codings += 1;
        this.#saysChunked = value.toLowerCase() === 'chunked';
        break;
      case 'connection':
        this.#readConnection(value);
        break;
      case 'keep-alive':
        this.keepAliveS = Number(TIMEOUT.exec(value)?.[1] ?? Infinity);
        break;
      case 'content-type':
        this.isEventStream = value.slice(0, 17).toLowerCase() === 'text/event-stream';
        break;
    }
  }

  /** Once, and a plain number: of two equal ones each hop would have to believe the same (RFC 9110 §8.6). */
  #readLength(value: string): void {
    if (this.length !== undefined || !LENGTH.test(value)) this.refuse('a bad Content-Length');
    this.length = Number(value);
  }

  #readConnection(value: string): void {
    this.#saysClose ||= hasMember(value, 'close');
    this.#saysKeepAlive ||= hasMember(value, 'keep-alive');
  }
}

/** What has come of an answer may still begin one. */
export function mayBeStatusLine(line: Buffer, bytes: number): boolean {
  const length = Math.min(bytes, START.length);
  return START.startsWith(line.toString('latin1', 0, length));
}

function isStatus(code: string): boolean {
  return code.length === 3 && code >= '100' && code <= '999' && /^\d+$/.test(code);
}

function endOfBlanks(text: string, start: number): number {
  let at = start;
  while (isBlank(text.charCodeAt(at))) at += 1;
  return at;
}

/** Without the blanks before `end`. */
function endOfText(text: string, start: number, end: number): number {
  let at = end;
  while (at > start && isBlank(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

function endOfValue(text: string, start: number): number {
  let at = start;
  while (IS_VALUE[text.charCodeAt(at)] === 1) at += 1;
  return at;
}

/** CR and LF: neither is enough alone. */
function isLineEnd(text: string, at: number): boolean {
  return text.charCodeAt(at) === CR && text.charCodeAt(at + 1) === LF;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

function hasMember(list: string, member: string): boolean {
  if (!list.includes(',')) return list.length === member.length && list.toLowerCase() === member;
  return list.split(',').some(one => one.trim().toLowerCase() === member);
}

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

/** What a request is sent of its way. */
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
  return joined(first, fields, `${length}\r\n\r\n`);
}

/** Joined in one go: added up piece by piece it would be made twice, once as pieces and once as the text that is sent. */
function joined(first: string, fields: RawFields, last: string): string {
  const pieces = new Array<string>(fields.length + 2);
  pieces[0] = first;
  for (let i = 0; i < fields.length; i += 2) {
    const start = lineStart(fields[i] ?? '');
    const value = fields[i + 1] ?? '';
    if (start === undefined || !VALUE.test(value)) throw unsendable(`field ${i / 2}`);
    pieces[i + 1] = start;
    pieces[i + 2] = value;
  }
  pieces[fields.length + 1] = last;
  return pieces.join('');
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
