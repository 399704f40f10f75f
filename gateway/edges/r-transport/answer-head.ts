import { IS_VALUE, readName, type FieldKind } from './head-syntax.ts';

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
  if (list.length === member.length) return list.toLowerCase() === member;
  return list.split(',').some(one => one.trim().toLowerCase() === member);
}
