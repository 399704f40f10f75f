import { writeUnescaped } from './json-escape.ts';
import { JsonMembers } from './json-members.ts';

/** Deeper texts are compared as they stand: no model asks for one, and reading them costs stack. */
export const JSON_DEPTH_MAX = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const PLUS = 0x2b;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * Writes the same bytes for JSON texts of the same value, and says where they end; undefined for what is no JSON
 * (RFC 8259), is nested too deep, or names a member twice. They are never longer than the text.
 *
 * The order of members and the space between tokens do not count, nor how a string is escaped. A number is what is
 * written: 1.0 is not 1, and no digit is lost. What is no UTF-8 is kept as it stands. The time taken grows with the
 * length alone.
 */
export function writeJsonValue(text: Uint8Array, into: Buffer, at: number): number | undefined {
  const writer = new JsonWriter(text, into, at);
  return writer.whole() ? writer.end : undefined;
}

/** Each of its methods reads one thing and writes it; false: it is no such thing. */
class JsonWriter {
  end: number;
  readonly #text: Uint8Array;
  readonly #out: Buffer;
  #at = 0;
  readonly #members: JsonMembers;

  constructor(text: Uint8Array, out: Buffer, end: number) {
    this.#text = text;
    this.#out = out;
    this.end = end;
    this.#members = new JsonMembers(out);
  }

  whole(): boolean {
    return this.#value(0) && this.#next() === undefined;
  }

  #value(depth: number): boolean {
    switch (this.#next()) {
      case QUOTE:
        return this.#string();
      case OPEN_BRACE:
        return depth < JSON_DEPTH_MAX && this.#object(depth + 1);
      case OPEN_BRACKET:
        return depth < JSON_DEPTH_MAX && this.#array(depth + 1);
      case 0x66:
        return this.#literal(FALSE);
      case 0x6e:
        return this.#literal(NULL);
      case 0x74:
        return this.#literal(TRUE);
      case undefined:
      default:
        return this.#number();
    }
  }

  /** What comes after insignificant space; undefined at the end. */
  #next(): number | undefined {
    const text = this.#text;
    let at = this.#at;
    let byte = text[at];
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) {
      at += 1;
      byte = text[at];
    }
    this.#at = at;
    return byte;
  }

  /** What was just looked at. */
  #put(byte: number): true {
    this.#at += 1;
    this.#out[this.end] = byte;
    this.end += 1;
    return true;
  }

  #array(depth: number): boolean {
    this.#put(OPEN_BRACKET);
    if (this.#next() === CLOSE_BRACKET) return this.#put(CLOSE_BRACKET);
    while (this.#value(depth)) {
      const byte = this.#next();
      if (byte === CLOSE_BRACKET) return this.#put(CLOSE_BRACKET);
      if (byte !== COMMA) return false;
      this.#put(COMMA);
    }
    return false;
  }

  #object(depth: number): boolean {
    this.#put(OPEN_BRACE);
    if (this.#next() === CLOSE_BRACE) return this.#put(CLOSE_BRACE);
    const first = this.#members.begin();
    while (this.#member(depth)) {
      const byte = this.#next();
      if (byte === CLOSE_BRACE) return this.#members.putInOrder(first) && this.#put(CLOSE_BRACE);
      if (byte !== COMMA) return false;
      this.#put(COMMA);
    }
    return false;
  }

  #member(depth: number): boolean {
    const start = this.end;
    if (this.#next() !== QUOTE || !this.#string()) return false;
    const nameEnd = this.end;
    if (this.#next() !== COLON) return false;
    this.#put(COLON);
    if (!this.#value(depth)) return false;
    this.#members.add(start, nameEnd, this.end);
    return true;
  }

  #string(): boolean {
    const start = this.end;
    const text = this.#text;
    let isPlain = true;
    let at = this.#at + 1;
    for (let byte = text[at]; byte !== QUOTE; byte = text[at]) {
      if (byte === undefined || byte < 0x20) return false;
      isPlain &&= byte !== BACKSLASH;
      at += byte === BACKSLASH ? 2 : 1; // whatever is escaped, it does not end the string
    }
    this.#copyTo(at + 1);
    return isPlain || this.#unescape(start);
  }

  #unescape(start: number): boolean {
    const end = writeUnescaped(this.#out, start, this.end);
    this.end = end ?? this.end;
    return end !== undefined;
  }

  #literal(word: Uint8Array): boolean {
    const isThere = word.every((byte, i) => this.#text[this.#at + i] === byte);
    if (isThere) this.#copyTo(this.#at + word.length);
    return isThere;
  }

  #number(): boolean {
    const end = numberEnd(this.#text, this.#at);
    if (end !== undefined) this.#copyTo(end);
    return end !== undefined;
  }

  /** Byte by byte, which for a few dozen is quicker than copying them at once. */
  #copyTo(textEnd: number): void {
    const [text, out] = [this.#text, this.#out];
    let end = this.end;
    for (let at = this.#at; at < textEnd; at += 1) {
      out[end] = text[at] ?? 0;
      end += 1;
    }
    this.#at = textEnd;
    this.end = end;
  }
}

/** Where a number ends that begins here (RFC 8259 §6); undefined: there is none. */
function numberEnd(text: Uint8Array, at: number): number | undefined {
  const start = text[at] === MINUS ? at + 1 : at;
  const whole = text[start] === ZERO ? start + 1 : digitsEnd(text, start);
  const fraction = text[whole] === DOT ? digitsEnd(text, whole + 1) : whole;
  if (whole === start || fraction === whole + 1) return undefined;
  return exponentEnd(text, fraction);
}

function exponentEnd(text: Uint8Array, at: number): number | undefined {
  if (text[at] !== 0x65 && text[at] !== 0x45) return at;
  const sign = text[at + 1];
  const digits = sign === MINUS || sign === PLUS ? at + 2 : at + 1;
  const end = digitsEnd(text, digits);
  return end === digits ? undefined : end;
}

function digitsEnd(text: Uint8Array, start: number): number {
  let at = start;
  let byte = text[at] ?? 0;
  while (byte >= ZERO && byte <= NINE) {
    at += 1;
    byte = text[at] ?? 0;
  }
  return at;
}

const FALSE = Buffer.from('false');
const NULL = Buffer.from('null');
const TRUE = Buffer.from('true');
