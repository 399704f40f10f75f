/**
 * What a JSON scalar is to R once jsonlite has read it, in the order in which R turns one into the other when they share
 * a column: a column is of the greatest kind in it, and every value is turned by itself.
 */
export const LOGICAL = 0;
export const INTEGER = 1;
export const DOUBLE = 2;
export const TEXT = 3;

/** The text is not JSON, or no scalar stands here, or nobody can be sure what R makes of it. */
export const UNCLEAR = -1;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const PLUS = 0x2b;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;

/** R's largest integer; what is larger becomes a double. */
const INTEGER_MAX = 2_147_483_647;
const INTEGER_DIGITS = 10;

/** Four characters, each written as an escape of six. */
const SPECIAL_LENGTH_MAX = 4 * 6;

/**
 * Walks over a JSON text in which every character stands for one byte. It goes forward only, so that no text costs more
 * than its length.
 */
export class JsonCursor {
  readonly text: string;
  at = 0;
  /** A string held bytes that are not ASCII: whoever walks must see that they are UTF-8. */
  hasHighBytes = false;
  /** The last scalar was one of the strings that jsonlite reads as numbers where no other text is beside them. */
  wasSpecial = false;
  /** Where the last scalar begins; it ends at `at`. */
  scalarFrom = 0;

  constructor(text: string) {
    this.text = text;
  }

  /** Past blanks; what stands there then, NaN at the end. */
  next(): number {
    let code = this.text.charCodeAt(this.at);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) code = this.text.charCodeAt(++this.at);
    return code;
  }

  /** Past blanks and this character, if it stands there. */
  take(code: number): boolean {
    if (this.next() !== code) return false;
    this.at += 1;
    return true;
  }

  /** Past a string, whose quote stands here. False: it is none that R and everyone else read alike. */
  string(): boolean {
    const { text } = this;
    let at = this.at + 1;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) break;
      if (code >= 0x80) this.hasHighBytes = true;
      if (code === BACKSLASH) at = endOfEscape(text, at);
      else at += 1;
      if (!(code >= 0x20) || at < 0) return false; // a control character, the text's end, or a bad escape
    }
    this.at = at + 1;
    return true;
  }

  /** Past a scalar: what it is to R. */
  scalar(): number {
    const code = this.next();
    this.wasSpecial = false;
    this.scalarFrom = this.at;
    if (code === QUOTE) return this.#text();
    if (code === MINUS || (code >= ZERO && code <= NINE)) return this.#number(code);
    if (code === 0x74) return this.#word('true');
    if (code === 0x66) return this.#word('false');
    return code === 0x6e ? this.#word('null') : UNCLEAR;
  }

  #text(): number {
    const from = this.at;
    if (!this.string()) return UNCLEAR;
    if (this.at - from > SPECIAL_LENGTH_MAX + 2) return TEXT;
    const kind = specialKindOf(this.text.slice(from, this.at));
    this.wasSpecial = kind !== TEXT;
    return kind;
  }

  #word(word: string): number {
    if (!this.text.startsWith(word, this.at)) return UNCLEAR;
    this.at += word.length;
    return LOGICAL;
  }

  #number(first: number): number {
    const from = this.at;
    if (first === MINUS) this.at += 1;
    const isZero = this.text.charCodeAt(this.at) === ZERO;
    const digits = this.#digits();
    if (digits === 0 || (isZero && digits > 1)) return UNCLEAR;
    const end = this.at;
    if (!this.#fraction() || !this.#power()) return UNCLEAR;
    if (this.at > end) return DOUBLE;
    return digits < INTEGER_DIGITS || isInteger(this.text.slice(from, end)) ? INTEGER : DOUBLE;
  }

  /** Past a fraction, if there is one. False: it is broken. */
  #fraction(): boolean {
    if (this.text.charCodeAt(this.at) !== DOT) return true;
    this.at += 1;
    return this.#digits() > 0;
  }

  /** Past a power of ten, if there is one. False: it is broken. */
  #power(): boolean {
    const e = this.text.charCodeAt(this.at);
    if (e !== 0x65 && e !== 0x45) return true;
    const sign = this.text.charCodeAt(this.at + 1);
    this.at += sign === MINUS || sign === PLUS ? 2 : 1;
    return this.#digits() > 0;
  }

  /** Past digits: how many. */
  #digits(): number {
    const from = this.at;
    let code = this.text.charCodeAt(this.at);
    while (code >= ZERO && code <= NINE) code = this.text.charCodeAt(++this.at);
    return this.at - from;
  }
}

/** Whether whole digits are an integer to R. */
function isInteger(digits: string): boolean {
  return digits.length <= INTEGER_DIGITS + 1 && Math.abs(Number(digits)) <= INTEGER_MAX;
}

const PLAIN_ESCAPES: ReadonlySet<string> = new Set(['"', '\\', '/', 'b', 'f', 'n', 'r', 't']);
const HEX = /^[0-9a-fA-F]{4}$/;

/** Where an escape ends; -1 where it is none, or one of those that R reads in its own way: NUL, and halves of pairs. */
function endOfEscape(text: string, at: number): number {
  if (PLAIN_ESCAPES.has(text.charAt(at + 1))) return at + 2;
  const hex = text.slice(at + 2, at + 6);
  if (text.charAt(at + 1) !== 'u' || !HEX.test(hex)) return -1;
  const code = Number.parseInt(hex, 16);
  return code === 0 || (code >= 0xd800 && code <= 0xdfff) ? -1 : at + 6;
}

/** jsonlite reads these as missing or as numbers, unless the column holds other text too. */
function specialKindOf(quoted: string): number {
  const plain = quoted.includes('\\') ? JSON.stringify(JSON.parse(quoted)) : quoted;
  if (plain === '"NA"') return LOGICAL;
  return plain === '"NaN"' || plain === '"Inf"' || plain === '"-Inf"' ? DOUBLE : TEXT;
}
