import { JsonCursor, NO_NUMBER } from './json-cursor.ts';

/** Deeper texts are compared as they stand: no model asks for one, and reading them costs stack. */
export const JSON_DEPTH_MAX = 64;

const [QUOTE, SLASH, BACKSLASH, LETTER_U] = [0x22, 0x2f, 0x5c, 0x75];
const [COMMA, COLON] = [0x2c, 0x3a];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Writes the same bytes for JSON texts of the same value, and says where they end; undefined for what is no JSON
 * (RFC 8259), is nested too deep, or names a member twice. They are never longer than the text.
 *
 * The order of members and the space between tokens do not count, nor how a string is escaped. A number is what is
 * written: 1.0 is not 1, and no digit is lost. What is no UTF-8 is kept as it stands. The time taken grows with the
 * length alone.
 */
export function writeJsonValue(text: Buffer, into: Buffer, at: number): number | undefined {
  const writer = new JsonWriter(text.toString('latin1'), into, at);
  return writer.whole() ? writer.end : undefined;
}

/** Each of its methods reads one thing and writes it; false: it is no such thing. */
class JsonWriter {
  end: number;
  readonly #cursor: JsonCursor;
  readonly #out: Buffer;
  readonly #members: JsonMembers;

  constructor(text: string, out: Buffer, end: number) {
    this.#cursor = new JsonCursor(text);
    this.#out = out;
    this.end = end;
    this.#members = new JsonMembers(out);
  }

  whole(): boolean {
    return this.#value(0) && Number.isNaN(this.#cursor.next());
  }

  #value(depth: number): boolean {
    switch (this.#cursor.next()) {
      case QUOTE:
        return this.#string();
      case OPEN_OBJECT:
        return depth < JSON_DEPTH_MAX && this.#object(depth + 1);
      case OPEN_ARRAY:
        return depth < JSON_DEPTH_MAX && this.#array(depth + 1);
      default:
        return (this.#cursor.word() || this.#cursor.number() !== NO_NUMBER) && this.#copy();
    }
  }

  /** What was just looked at. */
  #put(byte: number): true {
    this.#cursor.at += 1;
    this.#out[this.end] = byte;
    this.end += 1;
    return true;
  }

  #array(depth: number): boolean {
    this.#put(OPEN_ARRAY);
    if (this.#cursor.next() === CLOSE_ARRAY) return this.#put(CLOSE_ARRAY);
    while (this.#value(depth)) {
      const byte = this.#cursor.next();
      if (byte === CLOSE_ARRAY) return this.#put(CLOSE_ARRAY);
      if (byte !== COMMA) return false;
      this.#put(COMMA);
    }
    return false;
  }

  #object(depth: number): boolean {
    this.#put(OPEN_OBJECT);
    if (this.#cursor.next() === CLOSE_OBJECT) return this.#put(CLOSE_OBJECT);
    const first = this.#members.begin();
    while (this.#member(depth)) {
      const byte = this.#cursor.next();
      if (byte === CLOSE_OBJECT) return this.#members.putInOrder(first) && this.#put(CLOSE_OBJECT);
      if (byte !== COMMA) return false;
      this.#put(COMMA);
    }
    return false;
  }

  #member(depth: number): boolean {
    const start = this.end;
    if (this.#cursor.next() !== QUOTE || !this.#string()) return false;
    const nameEnd = this.end;
    if (this.#cursor.next() !== COLON) return false;
    this.#put(COLON);
    if (!this.#value(depth)) return false;
    this.#members.add(start, nameEnd, this.end);
    return true;
  }

  #string(): boolean {
    const start = this.end;
    if (!this.#cursor.string()) return false;
    this.#copy();
    return !this.#cursor.hasEscape || this.#unescape(start);
  }

  #unescape(start: number): boolean {
    const end = writeUnescaped(this.#out, start, this.end);
    this.end = end ?? this.end;
    return end !== undefined;
  }

  /** The token just read, byte by byte, which for a few dozen is quicker than copying them at once. */
  #copy(): true {
    const { text, from, at } = this.#cursor;
    const out = this.#out;
    let end = this.end;
    for (let i = from; i < at; i += 1) {
      out[end] = text.charCodeAt(i);
      end += 1;
    }
    this.end = end;
    return true;
  }
}

/** How many numbers are noted of a member: where it begins, where its name ends, where it ends. */
const STRIDE = 3;

/**
 * The members of every object that is being written, as places in the text; an object within another comes after it.
 *
 * One for a whole text, because a text may have thousands of objects.
 */
class JsonMembers {
  readonly #text: Buffer;
  readonly #places: number[] = [];
  #hasTwice = false;
  #before: Buffer | undefined;

  constructor(text: Buffer) {
    this.#text = text;
  }

  /** An object begins: what `putInOrder` wants to know of it. */
  begin(): number {
    return this.#places.length;
  }

  add(start: number, nameEnd: number, end: number): void {
    this.#places.push(start, nameEnd, end);
  }

  /**
   * Puts the members of an object, which stand side by side with a comma between, in the order of their names, and
   * forgets them; false where a name comes twice, since which of the two counts is the reader's choice.
   */
  putInOrder(first: number): boolean {
    if (!this.#isInOrder(first)) this.#reorder(first);
    this.#places.length = first;
    return !this.#hasTwice;
  }

  /** Callers write the fields of a model in one order, but seldom in this. */
  #isInOrder(first: number): boolean {
    for (let i = first + STRIDE; i < this.#places.length; i += STRIDE) {
      if (this.#compare(i - STRIDE, i) >= 0) return false;
    }
    return true;
  }

  #reorder(first: number): void {
    const order: number[] = [];
    for (let i = first; i < this.#places.length; i += STRIDE) order.push(i);
    order.sort(this.#compare);
    if (!this.#hasTwice) this.#rewrite(order, this.#places[first] ?? 0);
  }

  #rewrite(order: readonly number[], start: number): void {
    const [text, places] = [this.#text, this.#places];
    const before = (this.#before ??= Buffer.allocUnsafe(text.length));
    text.copy(before, start, start, places.at(-1));
    let at = start;
    for (const member of order) {
      if (at > start) text[at++] = COMMA;
      at += before.copy(text, at, places[member], places[member + 2]);
    }
  }

  /** A name stands with its quotes, so that none is the beginning of another. */
  readonly #compare = (one: number, other: number): number => {
    const places = this.#places;
    const end = places[one + 1] ?? 0;
    let at = places[one] ?? 0;
    let against = places[other] ?? 0;
    while (at < end && this.#text[at] === this.#text[against]) {
      at += 1;
      against += 1;
    }
    if (at === end) this.#hasTwice = true;
    return (this.#text[at] ?? 0) - (this.#text[against] ?? 0);
  };
}

const UNICODE_LENGTH = '\\u0000'.length;

/** What escapes of one letter stand for, by that letter: the shortest writing there is of each is itself. */
const ONE_LETTER: ReadonlyMap<number, number> = new Map(
  Object.entries({ b: 0x08, t: 0x09, n: 0x0a, f: 0x0c, r: 0x0d, '"': QUOTE, '\\': BACKSLASH }).map(
    ([letter, code]): [number, number] => [letter.charCodeAt(0), code],
  ),
);
const LETTERS: ReadonlyMap<number, number> = new Map([...ONE_LETTER].map(([letter, code]) => [code, letter]));

/**
 * Writes a string of JSON, which stands from `start` to `end`, with each character in one way, and never longer; says
 * where it ends, or undefined for an escape that JSON does not know, and for half a pair, of which readers make what
 * they like: to R `\ud83d\u0041` is one character, and `\ud83dA` two.
 */
function writeUnescaped(text: Buffer, start: number, end: number): number | undefined {
  const writer = new Unescaping(text, start);
  while (writer.at < end) if (!writer.step()) return undefined;
  return writer.end;
}

/** Reads ahead of where it writes, in the same bytes: a text may be nothing but escapes, and long. */
class Unescaping {
  at: number;
  end: number;
  readonly #text: Buffer;

  constructor(text: Buffer, start: number) {
    this.#text = text;
    this.at = start;
    this.end = start;
  }

  /** One byte, or one escape; false: it is no such thing. */
  step(): boolean {
    const byte = this.#text[this.at] ?? 0;
    if (byte === BACKSLASH) return this.#escape(this.#text[this.at + 1] ?? 0);
    this.at += 1;
    this.#put(byte);
    return true;
  }

  #escape(letter: number): boolean {
    if (letter === LETTER_U) return this.#unicode();
    this.at += 2;
    if (letter === SLASH) this.#put(SLASH);
    else if (ONE_LETTER.has(letter)) this.#putPair(letter);
    else return false;
    return true;
  }

  #unicode(): boolean {
    const first = this.#unit(this.at);
    if (first === undefined) return false;
    if (first < 0xd800 || first > 0xdfff) {
      this.at += UNICODE_LENGTH;
      this.#character(first);
      return true;
    }
    const second = this.#unit(this.at + UNICODE_LENGTH) ?? 0;
    if (first > 0xdbff || second < 0xdc00 || second > 0xdfff) return false;
    this.at += 2 * UNICODE_LENGTH;
    this.#character(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
    return true;
  }

  /** The code unit whose escape stands here; undefined: none does. */
  #unit(at: number): number | undefined {
    if (this.#text[at] !== BACKSLASH || this.#text[at + 1] !== LETTER_U) return undefined;
    let unit = 0;
    for (let i = at + 2; i < at + UNICODE_LENGTH; i += 1) {
      const digit = hexDigit(this.#text[i] ?? 0);
      if (digit === undefined) return undefined;
      unit = unit * 16 + digit;
    }
    return unit;
  }

  /** As JSON's shortest writing has it, in UTF-8. */
  #character(code: number): void {
    if (code < 0x80) this.#ascii(code);
    else if (code < 0x800) this.#putAll(0xc0 | (code >> 6), tail(code));
    else if (code < 0x10000) this.#putAll(0xe0 | (code >> 12), tail(code >> 6), tail(code));
    else this.#putAll(0xf0 | (code >> 18), tail(code >> 12), tail(code >> 6), tail(code));
  }

  #ascii(code: number): void {
    const letter = LETTERS.get(code);
    if (letter !== undefined) this.#putPair(letter);
    else if (code >= 0x20) this.#put(code);
    else this.end += this.#text.write(`\\u${code.toString(16).padStart(4, '0')}`, this.end, 'latin1');
  }

  #putPair(letter: number): void {
    this.#put(BACKSLASH);
    this.#put(letter);
  }

  #putAll(...bytes: number[]): void {
    for (const byte of bytes) this.#put(byte);
  }

  #put(byte: number): void {
    this.#text[this.end] = byte;
    this.end += 1;
  }
}

function hexDigit(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : undefined;
}

function tail(code: number): number {
  return 0x80 | (code & 0x3f);
}
