/** How rows stand in a file. */
export type JobForm = 'jsonl' | 'json' | 'csv' | 'parquet';

/** What each is called in `Content-Type`; the first is what results are sent as. */
const TYPES: Readonly<Record<JobForm, readonly [string, ...string[]]>> = {
  jsonl: ['application/jsonl', 'application/x-ndjson', 'application/ndjson', 'application/json-lines', 'text/jsonl'],
  json: ['application/json'],
  csv: ['text/csv'],
  parquet: ['application/vnd.apache.parquet', 'application/x-parquet', 'application/parquet'],
};

/** The forms that are taken, as callers are told. */
export const TAKEN_TYPES = Object.values(TYPES).map(([type]) => type);

/** The form that a `Content-Type` says; JSON where none is said. Undefined: no form of ours. */
export function formOf(contentType: string | undefined): JobForm | undefined {
  const type = (contentType ?? 'application/json').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  for (const [form, types] of Object.entries(TYPES)) if (types.includes(type)) return form as JobForm;
  return undefined;
}

/** What a result in this form is called. */
export function typeOf(form: JobForm): string {
  return TYPES[form][0];
}

/** A row, as it stands in a file. */
export interface Cut {
  readonly text: string;
  /** Where it ends, in bytes from the file's beginning: the next row begins there, or behind what separates them. */
  readonly to: number;
}

/** Cuts a file into rows, block by block. Linear in the bytes it is given. */
export interface RowCutter {
  push(block: Buffer): void;
  /** The next row; undefined: it takes more of the file. `isEnd`: there is no more. Throws RowsFault. */
  next(isEnd: boolean): Cut | undefined;
}

/** The file cannot be cut any further; `message` is for its owner. */
export class RowsFault extends Error {
  override readonly name = 'RowsFault';
}

/** Where a cutter begins, and what it takes. */
export interface CutterOptions {
  /** Where it begins to cut: at the beginning, or where a row ended. */
  readonly from: number;
  readonly rowBytesMax: number;
}

/** Rows of JSON, one a line, or as the elements of one array. */
export function createJsonCutter(form: 'jsonl' | 'json', options: CutterOptions): RowCutter {
  return form === 'jsonl' ? new LineCutter(options) : new ArrayCutter(options);
}

const NOTHING = Buffer.alloc(0);
/** U+FEFF in UTF-8. */
const BOM = Buffer.of(0xef, 0xbb, 0xbf);
const [LF, QUOTE, BACKSLASH, COMMA] = [0x0a, 0x22, 0x5c, 0x2c];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** What of a file is not cut yet. */
export abstract class Cutter implements RowCutter {
  protected pending: Buffer = NOTHING;
  /** In `pending`. */
  protected cursor = 0;
  /** Up to there, in `pending`, the row was looked at. */
  protected seen = 0;
  /** Where `pending` begins in the file. */
  #at: number;
  readonly #rowBytesMax: number;

  constructor({ from, rowBytesMax }: CutterOptions) {
    this.#at = from;
    this.#rowBytesMax = rowBytesMax;
  }

  push(block: Buffer): void {
    const rest = this.pending.subarray(this.cursor);
    this.#at += this.cursor;
    this.seen -= this.cursor;
    this.cursor = 0;
    this.pending = rest.length === 0 ? block : Buffer.concat([rest, block]);
  }

  abstract next(isEnd: boolean): Cut | undefined;

  /** Past what holds nothing. */
  protected pass(to: number): void {
    this.cursor = to;
    this.seen = to;
  }

  protected cut(end: number, to = end): Cut {
    this.refuseLong(end);
    const text = decoded(this.pending.subarray(this.cursor, end));
    this.pass(to);
    return { text, to: this.#at + to };
  }

  protected refuseLong(end = this.pending.length): void {
    if (end - this.cursor > this.#rowBytesMax)
      throw new RowsFault(`it is longer than ${this.#rowBytesMax} bytes, which is the most for one row`);
  }
}

/** Fatal: what is no UTF-8 would be other text from here on. It passes over a byte order mark. */
const UTF8 = new TextDecoder('utf-8', { fatal: true });

function decoded(bytes: Buffer): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new RowsFault('it is not UTF-8');
  }
}

class LineCutter extends Cutter {
  next(isEnd: boolean): Cut | undefined {
    for (;;) {
      while (this.seen === this.cursor && this.pending[this.cursor] === LF) this.pass(this.cursor + 1);
      const end = this.pending.indexOf(LF, this.seen);
      if (end < 0 && !isEnd) {
        this.seen = this.pending.length;
        this.refuseLong();
        return undefined;
      }
      if (end < 0 && this.cursor === this.pending.length) return undefined;
      const cut = end < 0 ? this.cut(this.pending.length) : this.cut(end, end + 1);
      if (cut.text.trim() !== '') return cut;
    }
  }
}

/** What comes next in an array, spaces apart. */
type Expected = 'bracket' | 'element or end' | 'element' | 'comma or end' | 'nothing';

const AFTER: Readonly<Record<Expected, ReadonlyMap<number, Expected>>> = {
  bracket: new Map([[OPEN_ARRAY, 'element or end']]),
  'element or end': new Map([[CLOSE_ARRAY, 'nothing']]),
  element: new Map(),
  'comma or end': new Map([
    [COMMA, 'element'],
    [CLOSE_ARRAY, 'nothing'],
  ]),
  nothing: new Map(),
};

const FAULTS: Readonly<Record<Exclude<Expected, 'element or end'>, string>> = {
  bracket: 'the file must be a JSON array of records, such as [{"x": 1}]',
  element: 'a comma with no record behind it',
  'comma or end': 'no comma stands before it',
  nothing: 'something stands behind the end of the array',
};

class ArrayCutter extends Cutter {
  #expected: Expected;
  #isInValue = false;
  #depth = 0;
  #isInText = false;
  #isEscaped = false;

  constructor(options: CutterOptions) {
    super(options);
    this.#expected = options.from === 0 ? 'bracket' : 'comma or end';
  }

  next(isEnd: boolean): Cut | undefined {
    if (!this.#isInValue && !this.#reach(isEnd)) return undefined;
    const end = this.#endOfValue();
    if (end === undefined) {
      if (isEnd) throw new RowsFault('the file ends within it');
      this.refuseLong();
      return undefined;
    }
    this.#isInValue = false;
    this.#expected = 'comma or end';
    return this.cut(end);
  }

  /** To the beginning of the next element; false: there is none, or none yet. */
  #reach(isEnd: boolean): boolean {
    if (this.#expected === 'bracket' && !this.#passMark(isEnd)) return false;
    for (;;) {
      while (isSpace(this.pending[this.cursor])) this.cursor += 1;
      const code = this.pending[this.cursor];
      if (code === undefined) {
        if (isEnd && this.#expected !== 'nothing') throw new RowsFault('the array has no end');
        return false;
      }
      const next = this.#after(code);
      if (next === undefined) break;
      this.#expected = next;
      this.cursor += 1;
    }
    this.#isInValue = true;
    this.seen = this.cursor;
    return true;
  }

  /** Past a byte order mark; false: it may be one, and not all of it is here. */
  #passMark(isEnd: boolean): boolean {
    const start = this.pending.subarray(this.cursor, this.cursor + BOM.length);
    if (start.equals(BOM)) this.cursor += BOM.length;
    return isEnd || start.length === BOM.length || !start.equals(BOM.subarray(0, start.length)) || start.length === 0;
  }

  /** What is expected behind a byte that is no element's; undefined: it is an element's first. */
  #after(code: number): Expected | undefined {
    const next = AFTER[this.#expected].get(code);
    if (next !== undefined) return next;
    if (this.#expected === 'element or end' || (this.#expected === 'element' && code !== CLOSE_ARRAY)) return undefined;
    throw new RowsFault(FAULTS[this.#expected]);
  }

  /** Where the value that begins at the cursor ends; undefined: not in what is here. */
  #endOfValue(): number | undefined {
    for (let at = this.seen; at < this.pending.length; at += 1) {
      if (this.#isEndBefore(at)) return at;
      if (this.#isEndAfter(this.pending[at] ?? 0)) return at + 1;
    }
    this.seen = this.pending.length;
    return undefined;
  }

  /** A number, say, ends before what is no part of it. */
  #isEndBefore(at: number): boolean {
    if (this.#depth > 0 || this.#isInText || at === this.cursor) return false;
    const code = this.pending[at];
    return code === COMMA || code === CLOSE_ARRAY || isSpace(code);
  }

  #isEndAfter(code: number): boolean {
    if (this.#isInText) return this.#isEndOfText(code) && this.#depth === 0;
    if (code === QUOTE) this.#isInText = true;
    else if (code === OPEN_OBJECT || code === OPEN_ARRAY) this.#depth += 1;
    else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      this.#depth = Math.max(0, this.#depth - 1);
      return this.#depth === 0;
    }
    return false;
  }

  #isEndOfText(code: number): boolean {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (code === BACKSLASH) this.#isEscaped = true;
    else if (code === QUOTE) this.#isInText = false;
    return !this.#isInText;
  }
}

function isSpace(code: number | undefined): boolean {
  return code === 0x20 || code === LF || code === 0x0d || code === 0x09;
}
