const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const PLUS = 0x2b;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;

/** What `number` found: none, a whole number, or one with a fraction or a power of ten. */
export const [NO_NUMBER, WHOLE, FRACTIONAL] = [0, 1, 2];

/**
 * The tokens of a JSON text (RFC 8259) in which every character stands for one byte. It goes forward only, so that no
 * text costs more than its length. What a token means, and what of it is refused, is for the reader to say.
 */
export class JsonCursor {
  readonly text: string;
  at = 0;
  /** Where the last string, number or word begins; it ends at `at`. */
  from = 0;
  /** The last string holds an escape. Whether it is one that JSON knows is for the reader to see. */
  hasEscape = false;
  /** A string held bytes that are not ASCII: the reader must see that they are UTF-8. */
  hasHighBytes = false;

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

  /** Past a string, whose quote stands here. False: it holds a control character, or does not end. */
  string(): boolean {
    const { text } = this;
    let at = this.at + 1;
    this.from = this.at;
    this.hasEscape = false;
    for (let code = text.charCodeAt(at); code !== QUOTE; code = text.charCodeAt(at)) {
      if (!(code >= 0x20)) return false;
      if (code >= 0x80) this.hasHighBytes = true;
      if (code === BACKSLASH) this.hasEscape = true;
      at += code === BACKSLASH ? 2 : 1; // whatever is escaped, it does not end the string
    }
    this.at = at + 1;
    return true;
  }

  /** Past `true`, `false` or `null`, if one stands here. */
  word(): boolean {
    const code = this.text.charCodeAt(this.at);
    const word = code === 0x74 ? 'true' : code === 0x66 ? 'false' : 'null';
    if (!this.text.startsWith(word, this.at)) return false;
    this.from = this.at;
    this.at += word.length;
    return true;
  }

  /** Past a number (RFC 8259 §6), if one stands here: which of the three it is. */
  number(): number {
    this.from = this.at;
    if (this.text.charCodeAt(this.at) === MINUS) this.at += 1;
    const isZero = this.text.charCodeAt(this.at) === ZERO;
    const digits = this.#digits();
    if (digits === 0 || (isZero && digits > 1)) return NO_NUMBER;
    const end = this.at;
    if (!this.#fraction() || !this.#power()) return NO_NUMBER;
    return this.at > end ? FRACTIONAL : WHOLE;
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
