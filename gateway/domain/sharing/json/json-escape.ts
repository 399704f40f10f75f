const QUOTE = 0x22;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const LETTER_U = 0x75;
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
export function writeUnescaped(text: Buffer, start: number, end: number): number | undefined {
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
