/** One line of a CSV text. */
export interface CsvRow {
  /** Lines that hold nothing are not counted; the first is 1, mostly the header line. */
  readonly number: number;
  readonly fields: readonly string[];
  /** Whether a field stood in quotes: `""` is an empty text, and nothing at all is a missing value. */
  readonly isQuoted: readonly boolean[];
}

/** The text is no CSV: where it breaks the grammar, in words for its author. */
export class NotCsv extends Error {
  /** Of the row that cannot be read, as `CsvRow.number`; undefined: it is not known. */
  readonly row: number | undefined;

  constructor(row: number | undefined, what: string) {
    super(what);
    this.row = row;
  }
}

interface CsvBounds {
  /** Fields in one row. */
  readonly fieldsMax: number;
  /** Characters in one row. */
  readonly rowLengthMax: number;
}

type State =
  /** A field begins here. */
  | 'start'
  | 'plain'
  | 'quoted'
  /** Behind a quote within quotes: it ends the field, or is the first of two that stand for one. */
  | 'quote'
  /** Behind a carriage return: a line feed belongs to it. */
  | 'return';

const QUOTE = 0x22;
const COMMA = 0x2c;
const RETURN = 0x0d;
const FEED = 0x0a;

/**
 * Reads CSV (RFC 4180) as it comes, in pieces of any size: fields in quotes with commas, quotes and line ends in them; rows
 * that end with CRLF, LF or CR; a byte order mark before the first. Each character is looked at once. Lines that hold
 * nothing are passed over, as R's readers do.
 *
 *   start  → quoted plain        by what the field begins with
 *   quoted → quote               at a quote
 *   quote  → quoted start        at a second quote; at the end of the field
 *   any    → return              at CR, but within quotes
 *
 * It is some hundred lines of our own: the packages for it are built around a stream and callbacks of their own, give no
 * number of a row in a piece, and read on where the text is broken, which here is the caller's to know.
 */
export class CsvReader {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  readonly #onRow: (row: CsvRow) => void;
  readonly #bounds: CsvBounds;
  #state: State = 'start';
  #number = 1;
  #fields: string[] = [];
  #isQuoted: boolean[] = [];
  /** Of the field at hand what came in earlier pieces, and before a quote in it. */
  #held = '';
  #length = 0;

  constructor(onRow: (row: CsvRow) => void, bounds: CsvBounds) {
    this.#onRow = onRow;
    this.#bounds = bounds;
  }

  /** Takes the next piece. Throws NotCsv, and what `onRow` throws. */
  write(piece: Uint8Array): void {
    this.#take(this.#decoded(piece, true));
  }

  /** The text is over: its last row needs no line end. Throws as `write`. */
  end(): void {
    this.#take(this.#decoded(undefined, false));
    if (this.#state === 'quoted') this.#fail('a quote is not closed');
    const isOver = this.#state === 'start' || this.#state === 'return';
    if (!isOver || this.#fields.length > 0) this.#endRow();
  }

  #decoded(piece: Uint8Array | undefined, isMoreToCome: boolean): string {
    try {
      return this.#decoder.decode(piece, { stream: isMoreToCome });
    } catch {
      throw new NotCsv(undefined, 'the text is not UTF-8');
    }
  }

  #take(text: string): void {
    let from = 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (this.#state === 'return') {
        this.#state = 'start';
        if (code === FEED) {
          from = at + 1;
          continue;
        }
      }
      from = this.#state === 'quoted' ? this.#within(code, text, from, at) : this.#outside(code, text, from, at);
    }
    this.#hold(text, from, text.length);
  }

  /** What of the text belongs to the field from here on. */
  // eslint-disable-next-line max-params -- an object a character would cost more than the reading
  #within(code: number, text: string, from: number, at: number): number {
    if (code === 0) this.#fail('the text holds a NUL, and is none');
    if (code !== QUOTE) return from;
    this.#hold(text, from, at);
    this.#state = 'quote';
    return at + 1;
  }

  // eslint-disable-next-line max-params -- as above
  #outside(code: number, text: string, from: number, at: number): number {
    if (code === COMMA || code === RETURN || code === FEED) {
      this.#hold(text, from, at);
      if (code === COMMA) this.#endField();
      else this.#endLine(code);
      return at + 1;
    }
    if (code === QUOTE) return this.#quote(at);
    if (code === 0) this.#fail('the text holds a NUL, and is none');
    if (this.#state === 'quote') this.#fail('a field goes on behind its closing quote');
    this.#state = 'plain';
    return from;
  }

  #quote(at: number): number {
    if (this.#state === 'plain') this.#fail('a quote stands within a field that does not begin with one');
    if (this.#state === 'start') {
      this.#isQuoted[this.#fields.length] = true;
      this.#state = 'quoted';
      return at + 1;
    }
    this.#state = 'quoted'; // the second of two: it is the one that is meant
    return at;
  }

  #hold(text: string, from: number, to: number): void {
    if (from === to) return;
    this.#length += to - from;
    if (this.#length > this.#bounds.rowLengthMax)
      this.#fail(`it is longer than ${this.#bounds.rowLengthMax} characters`);
    const piece = text.slice(from, to);
    this.#held = this.#held === '' ? piece : this.#held + piece;
  }

  #endField(): void {
    if (this.#fields.length === this.#bounds.fieldsMax)
      this.#fail(`it has more than ${this.#bounds.fieldsMax} fields, which is the most`);
    this.#isQuoted[this.#fields.length] ??= false;
    this.#fields.push(this.#held);
    this.#held = '';
    this.#state = 'start';
  }

  #endLine(code: number): void {
    if (this.#state !== 'start' || this.#fields.length > 0) this.#endRow();
    this.#state = code === RETURN ? 'return' : 'start';
  }

  #endRow(): void {
    this.#endField();
    const row = { number: this.#number, fields: this.#fields, isQuoted: this.#isQuoted };
    this.#number += 1;
    this.#fields = [];
    this.#isQuoted = [];
    this.#length = 0;
    this.#onRow(row);
  }

  #fail(what: string): never {
    throw new NotCsv(this.#number, what);
  }
}
