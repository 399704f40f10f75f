import { CsvReader, NotCsv, type CsvRow } from '../table/csv-reader.ts';
import { CsvTable, UnfitRow } from '../table/csv-rows.ts';
import type { Column } from '../validation/prototype.ts';
import type { ReadRecords, RowRecord } from './answers.ts';
import { Cutter, RowsFault, type Cut } from './forms.ts';

const [LF, CR, QUOTE, COMMA] = [0x0a, 0x0d, 0x22, 0x2c];
const FIELDS_MAX = 1_025;

/** Rows of CSV (RFC 4180), the header line among them: cut where a line ends that is within no quotes. */
export class CsvCutter extends Cutter {
  #isQuoted = false;
  #isAtField = true;

  next(isEnd: boolean): Cut | undefined {
    for (;;) {
      const end = this.#endOfRow(isEnd);
      if (end === undefined && !isEnd) {
        this.refuseLong();
        return undefined;
      }
      if (end === undefined && this.cursor === this.pending.length) return undefined;
      this.#isAtField = true;
      this.#isQuoted = false;
      if (end?.at === this.cursor) {
        this.pass(end.next);
        continue;
      }
      const cut = end === undefined ? this.cut(this.pending.length) : this.cut(end.at, end.next);
      if (cut.text !== '') return cut;
    }
  }

  /** Where the row ends, and where the next one begins; undefined: not in what is here. */
  #endOfRow(isEnd: boolean): { readonly at: number; readonly next: number } | undefined {
    for (let at = this.seen; at < this.pending.length; at += 1) {
      const code = this.pending[at];
      if (this.#isQuoted || (code !== LF && code !== CR)) {
        this.#pass(code);
        continue;
      }
      if (code === LF) return { at, next: at + 1 };
      this.seen = at; // a line feed behind it belongs to it
      if (at + 1 === this.pending.length && !isEnd) return undefined;
      return { at, next: this.pending[at + 1] === LF ? at + 2 : at + 1 };
    }
    this.seen = this.pending.length;
    return undefined;
  }

  /** A quote opens a field where it stands first in it; the second of two goes on with it. */
  #pass(code: number | undefined): void {
    if (this.#isQuoted) {
      if (code !== QUOTE) return;
      this.#isQuoted = false;
      this.#isAtField = true;
    } else {
      this.#isQuoted = code === QUOTE && this.#isAtField;
      this.#isAtField = code === COMMA;
    }
  }
}

/** Reads rows of a CSV file by its header line and the columns of the model. Throws RowsFault for a header that is none. */
export function csvRecords(header: string, columns: readonly Column[] | undefined): ReadRecords {
  const table = tableOf(header, columns);
  const names = table.places.map(({ name }) => `${JSON.stringify(name)}:`);
  const written = (row: CsvRow): RowRecord => {
    const values = table.values(row);
    return { text: `{${values.map((value, i) => `${names[i] ?? ''}${value}`).join(',')}}` };
  };
  return texts => {
    const together = rowsIn(texts.join('\n'));
    const rows = together?.length === texts.length ? together : [];
    return texts.map((text, i) => recordOf(() => written(rows[i] ?? alone(text))));
  };
}

function tableOf(header: string, columns: readonly Column[] | undefined): CsvTable {
  try {
    return new CsvTable(alone(header), columns);
  } catch (error) {
    if (error instanceof NotCsv || error instanceof UnfitRow) throw new RowsFault(`the header line: ${error.message}`);
    throw error;
  }
}

/** Undefined: one of them is no CSV. */
function rowsIn(text: string): CsvRow[] | undefined {
  const rows: CsvRow[] = [];
  const reader = new CsvReader(row => rows.push(row), { fieldsMax: FIELDS_MAX, rowLengthMax: Infinity });
  try {
    reader.write(Buffer.from(text));
    reader.end();
    return rows;
  } catch (error) {
    if (error instanceof NotCsv) return undefined;
    throw error;
  }
}

/** Throws NotCsv. */
function alone(text: string): CsvRow {
  let found: CsvRow | undefined;
  const reader = new CsvReader(row => (found ??= row), { fieldsMax: FIELDS_MAX, rowLengthMax: Infinity });
  reader.write(Buffer.from(text));
  reader.end();
  if (found === undefined) throw new UnfitRow('it has no fields');
  return found;
}

function recordOf(read: () => RowRecord): RowRecord {
  try {
    return read();
  } catch (error) {
    if (error instanceof NotCsv || error instanceof UnfitRow) return { problem: error.message };
    throw error;
  }
}
