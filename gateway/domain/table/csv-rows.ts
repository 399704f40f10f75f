import { GatewayError } from '../errors.ts';
import { found, invalidInput, named, type Findings } from '../validation/findings.ts';
import type { Column } from '../validation/prototype.ts';
import type { RowsForm } from '../validation/records.ts';
import { RowsJson } from './rows-json.ts';
import { CsvReader, NotCsv, type CsvRow } from './csv-reader.ts';

/** As many columns as a model publishes at most. */
const COLUMNS_MAX = 1_024;

/** A row that is none of its table, in words for its author. */
export class UnfitRow extends Error {}

/** Makes JSON of the text of a field. */
type WriteValue = (text: string, isQuoted: boolean) => string;

interface Place {
  /** Where in a row its field stands. */
  readonly at: number;
  readonly name: string;
  readonly write: WriteValue;
}

/**
 * The columns of a CSV text, and its rows as JSON.
 *
 * A value is written as the model's column takes it, where that is known, else as it reads: a number, `TRUE` or `FALSE`,
 * or text. A field that is empty, or `NA`, is a missing value (`null`); in a column of text only where it is not in
 * quotes. What fits no type stays text, so that one rule (`validate`, else R) judges CSV and JSON alike. A first column
 * without a name holds R's row names, and is left out.
 */
export class CsvTable {
  readonly places: readonly Place[];
  readonly #count: number;

  /** Throws UnfitRow. */
  constructor({ fields }: CsvRow, columns: readonly Column[] | undefined) {
    const types = new Map(columns?.map(({ name, type }) => [name, type]));
    const seen = new Set<string>();
    this.#count = fields.length;
    this.places = fields.flatMap((name, at) => {
      if (name === '' && at === 0 && fields.length > 1) return [];
      if (name === '') throw new UnfitRow(`column ${at + 1} has no name`);
      if (seen.has(name)) throw new UnfitRow(`${named(name)} comes twice`);
      seen.add(name);
      return [{ at, name, write: writerFor(types.get(name) ?? '') }];
    });
  }

  /** A row's values as JSON, in the order of `places`. Throws UnfitRow. */
  values({ fields, isQuoted }: CsvRow): string[] {
    if (fields.length !== this.#count) {
      const s = fields.length === 1 ? '' : 's';
      throw new UnfitRow(`it has ${fields.length} field${s}, and the header line has ${this.#count}`);
    }
    return this.places.map(({ at, write }) => write(fields[at] ?? '', isQuoted[at] === true));
  }
}

const IS_JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** What R's readers take as a number beyond that. Only a point parts digits from digits. */
const IS_NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

/** jsonlite reads them so beside numbers. */
const SPECIAL: ReadonlyMap<string, string> = new Map([
  ['NaN', '"NaN"'],
  ['Inf', '"Inf"'],
  ['-Inf', '"-Inf"'],
]);

const LOGICAL: ReadonlyMap<string, string> = new Map([
  ...['T', 'TRUE', 'True', 'true'].map((text): [string, string] => [text, 'true']),
  ...['F', 'FALSE', 'False', 'false'].map((text): [string, string] => [text, 'false']),
]);

function isMissing(text: string): boolean {
  return text === '' || text === 'NA';
}

function numberIn(text: string): string | undefined {
  const trimmed = text.trim();
  if (IS_JSON_NUMBER.test(trimmed)) return trimmed; // as it stands, to the last digit
  if (IS_NUMBER.test(trimmed) && Number.isFinite(Number(trimmed))) return String(Number(trimmed));
  return SPECIAL.get(trimmed);
}

const writeNumber: WriteValue = text => (isMissing(text) ? 'null' : (numberIn(text) ?? JSON.stringify(text)));

const writeLogical: WriteValue = text => {
  if (isMissing(text)) return 'null';
  return text === '0' || text === '1' ? text : (LOGICAL.get(text) ?? JSON.stringify(text));
};

const writeText: WriteValue = (text, isQuoted) => (!isQuoted && isMissing(text) ? 'null' : JSON.stringify(text));

/** Digits behind a zero are a code, not a number; one letter is one. */
const writeAsItReads: WriteValue = (text, isQuoted) => {
  if (IS_JSON_NUMBER.test(text)) return text;
  if (text.length > 1 && LOGICAL.has(text)) return LOGICAL.get(text) ?? 'null';
  return SPECIAL.get(text) ?? writeText(text, isQuoted);
};

const WRITERS: ReadonlyMap<string, WriteValue> = new Map([
  ['numeric', writeNumber],
  ['double', writeNumber],
  ['integer', writeNumber],
  ['logical', writeLogical],
  ...['character', 'factor', 'ordered', 'Date'].map((type): [string, WriteValue] => [type, writeText]),
]);

/** By R's classes. */
function writerFor(type: string): WriteValue {
  return WRITERS.get(type) ?? writeAsItReads;
}

interface CsvOptions {
  /** What the model takes; undefined: it has not said. */
  readonly columns: readonly Column[] | undefined;
  readonly form: RowsForm;
  readonly rowsMax: number;
  /** Of the JSON. */
  readonly bytesMax: number;
}

/**
 * A body in CSV as the JSON that a model takes: records, or columns. Throws BAD_REQUEST for what is no CSV, INVALID_INPUT
 * for rows that are none of their table, and BODY_TOO_LARGE where the names alone, said again in each row, make it so.
 */
export function jsonOfCsv(content: Buffer, options: CsvOptions): Buffer {
  const body = new CsvBody(options);
  const errors = found(findings => body.read(content, findings));
  if (errors.length > 0) throw invalidInput(errors);
  return body.content();
}

class CsvBody {
  readonly #options: CsvOptions;
  #table: CsvTable | undefined = undefined;
  #json: RowsJson;
  #rows = 0;

  constructor(options: CsvOptions) {
    this.#options = options;
    this.#json = new RowsJson([], options);
  }

  read(content: Buffer, findings: Findings): void {
    const bounds = { fieldsMax: COLUMNS_MAX + 1, rowLengthMax: Infinity };
    const reader = new CsvReader(row => this.#take(row, findings), bounds);
    try {
      reader.write(content);
      reader.end();
    } catch (error) {
      throw error instanceof NotCsv ? notCsv(error) : error;
    }
    if (this.#rows === 0) findings.end('', 'the body has no rows behind a header line');
  }

  content(): Buffer {
    return this.#json.content();
  }

  #take(row: CsvRow, findings: Findings): void {
    if (this.#table === undefined) {
      this.#begin(row, findings);
      return;
    }
    const { rowsMax } = this.#options;
    if (this.#rows === rowsMax)
      findings.end('', `the body has more than ${rowsMax} records, which is the most at once`);
    this.#rows += 1;
    try {
      this.#json.add(this.#table.values(row));
    } catch (error) {
      if (!(error instanceof UnfitRow)) throw error;
      findings.add(`/${this.#rows - 1}`, `row ${this.#rows}: ${error.message}`);
    }
  }

  #begin(row: CsvRow, findings: Findings): void {
    try {
      this.#table = new CsvTable(row, this.#options.columns);
    } catch (error) {
      if (!(error instanceof UnfitRow)) throw error;
      findings.end('', `the header line: ${error.message}`);
    }
    this.#json = new RowsJson(
      this.#table.places.map(({ name }) => name),
      this.#options,
    );
  }
}

function notCsv({ row, message }: NotCsv): GatewayError {
  let where = '';
  if (row !== undefined) where = row === 1 ? 'the header line: ' : `row ${row - 1}: `;
  const detail = `The body is not CSV: ${where}${message}.`;
  return new GatewayError('BAD_REQUEST', 'the body is not CSV', { detail });
}
