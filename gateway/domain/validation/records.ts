import type { Column } from './prototype.ts';
import { UNCLEAR } from '../sharing/json/r-scalar.ts';
import { judgeOf, shown, type JudgeValue } from './column-check.ts';
import { named, pointerStep, type Findings } from './findings.ts';
import {
  bytesOf,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  JsonWalk,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  textOf,
  type InputBounds,
} from './json-walk.ts';

/** Columns that rows are held against, made ready once. */
export interface RowCheck {
  readonly columns: readonly CheckedColumn[];
  /** By their names as bytes. */
  readonly byName: ReadonlyMap<string, number>;
}

interface CheckedColumn {
  readonly name: string;
  /** With quotes, as it mostly stands in a body. */
  readonly written: string;
  /** Of a pointer. */
  readonly step: string;
  readonly isRequired: boolean;
  readonly judge: JudgeValue | undefined;
}

/** Columns, each of which every row must have, unless `required` says which. */
export function createRowCheck(columns: readonly Omit<Column, 'example'>[], required?: ReadonlySet<string>): RowCheck {
  const checked = columns.map(({ name, type, levels }) => ({
    name,
    written: `"${bytesOf(name)}"`,
    step: pointerStep(name),
    isRequired: required?.has(name) ?? true,
    judge: judgeOf(type, levels),
  }));
  return { columns: checked, byName: new Map(checked.map(({ name }, i) => [bytesOf(name), i])) };
}

/** How a body holds its rows. */
export type RowsForm = 'array' | 'columns';

interface RowsOptions {
  readonly check: RowCheck;
  readonly bounds: InputBounds;
  readonly form: RowsForm;
  readonly findings: Findings;
}

/** Holds the rows in a body against columns, in one pass. Throws NotJson, and ENOUGH. */
export function checkRows(content: Buffer, { form, ...options }: RowsOptions): void {
  const reader = new RowReader(content, options);
  if (form === 'array') reader.array();
  else reader.columns();
}

/** vetiver's client and jsonlite write the names of rows under this name; jsonlite reads them so. */
const ROW_NAMES = '_row';

class RowReader {
  readonly #walk: JsonWalk;
  readonly #check: RowCheck;
  readonly #bounds: InputBounds;
  readonly #findings: Findings;
  /** Which column stood where in the row before: callers write all rows alike. */
  readonly #order: number[] = [];
  /** The row in which a column was last seen, counted from 1. */
  readonly #seen: Uint32Array;
  readonly #others = new Set<string>();
  #row = 0;

  constructor(content: Buffer, { check, bounds, findings }: Omit<RowsOptions, 'form'>) {
    this.#walk = new JsonWalk(content, { findings, depthMax: bounds.depthMax });
    this.#check = check;
    this.#bounds = bounds;
    this.#findings = findings;
    this.#seen = new Uint32Array(check.columns.length);
  }

  array(): void {
    const { cursor } = this.#walk;
    if (cursor.next() !== OPEN_ARRAY) this.#otherForm('the body must be a JSON array of records, such as [{"x": 1}]');
    cursor.at += 1;
    if (cursor.next() === CLOSE_ARRAY) this.#findings.add('', 'the body has no records');
    else this.#records();
    this.#walk.expect(CLOSE_ARRAY);
    this.#walk.end();
  }

  #records(): void {
    const { errors } = this.#findings;
    try {
      do this.#record();
      while (this.#walk.cursor.take(COMMA));
    } finally {
      // Of the only row it need not be said which one it is.
      const ofFirst = this.#row > 1 ? errors.filter(({ pointer }) => pointer.startsWith('/0/')) : [];
      for (const error of ofFirst) errors[errors.indexOf(error)] = { ...error, detail: `row 1: ${error.detail}` };
    }
  }

  /** An object with a list of values for each column, all of the same length. */
  columns(): void {
    const { cursor } = this.#walk;
    if (cursor.next() !== OPEN_OBJECT) this.#otherForm('the body must be a JSON object of columns, such as {"x": [1]}');
    cursor.at += 1;
    this.#row = 1;
    let count: number | undefined;
    while (cursor.next() !== CLOSE_OBJECT) {
      const column = this.#column(0, '');
      const own = column === undefined ? undefined : this.#list(column);
      if (own !== undefined && own !== (count ??= own)) this.#findings.end('', 'the columns differ in their length');
      if (!cursor.take(COMMA)) break;
      if (cursor.next() !== QUOTE) this.#walk.fail();
    }
    this.#walk.expect(CLOSE_OBJECT);
    this.#walk.end();
    this.#missing('');
  }

  /** Another value, or no JSON. */
  #otherForm(detail: string): never {
    this.#walk.whole();
    this.#findings.end('', detail);
  }

  #record(): void {
    const { cursor } = this.#walk;
    const at = `/${this.#row}`;
    if (this.#row === this.#bounds.rowsMax) {
      this.#findings.end('', `the body has more than ${this.#bounds.rowsMax} records, which is the most at once`);
    }
    this.#row += 1;
    if (cursor.next() !== OPEN_OBJECT) {
      this.#walk.value(at, 1);
      this.#findings.add(at, `row ${this.#row} is not a JSON object`);
      return;
    }
    cursor.at += 1;
    this.#others.clear();
    if (!cursor.take(CLOSE_OBJECT)) {
      let place = 0;
      do this.#field(place++, at);
      while (cursor.take(COMMA));
      this.#walk.expect(CLOSE_OBJECT);
    }
    this.#missing(at);
  }

  #field(place: number, at: string): void {
    const column = this.#column(place, at);
    if (column === undefined) return;
    this.#value(column, at);
  }

  /** Past the name of a column, and which one; undefined: it was none, and its value is passed as well. */
  #column(place: number, at: string): number | undefined {
    const { cursor } = this.#walk;
    const guess = this.#order[place] ?? place;
    const known = this.#check.columns[guess];
    cursor.next();
    if (known !== undefined && cursor.text.startsWith(known.written, cursor.at)) {
      cursor.at += known.written.length;
      this.#walk.expect(COLON);
      this.#note(guess, at);
      return guess;
    }
    const name = this.#walk.name(at);
    const column = this.#check.byName.get(name);
    if (column === undefined) {
      this.#other(textOf(name), at);
      return undefined;
    }
    this.#order[place] = column;
    this.#note(column, at);
    return column;
  }

  #note(column: number, at: string): void {
    if (this.#seen[column] === this.#row) {
      const { name, step } = this.#columnAt(column);
      this.#findings.add(at + step, `${this.#where()}${named(name)} comes twice`);
    }
    this.#seen[column] = this.#row;
  }

  /** A field that is no column: R drops it. */
  #other(name: string, at: string): void {
    const pointer = `${at}${pointerStep(name)}`;
    if (this.#others.has(name)) this.#findings.add(pointer, `${this.#where()}${named(name)} comes twice`);
    this.#others.add(name);
    if (this.#bounds.unknown === 'refuse' && name !== ROW_NAMES) {
      this.#findings.add(pointer, `${this.#where()}${named(name)} is not a column of the model`);
    }
    this.#walk.value(pointer, at === '' ? 1 : 2);
  }

  #value(column: number, at: string): void {
    const { cursor } = this.#walk;
    const { judge, name, step } = this.#columnAt(column);
    const pointer = at + step;
    const code = cursor.next();
    if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
      this.#walk.value(pointer, 2);
      if (judge !== undefined) this.#findings.add(pointer, `${this.#where()}${named(name)} must hold one value`);
      return;
    }
    const kind = this.#walk.scalar(pointer);
    if (judge === undefined || kind === UNCLEAR) return;
    const value = { kind, raw: cursor.text.slice(cursor.from, cursor.at) };
    const wrong = judge(value);
    if (wrong !== undefined) this.#findings.add(pointer, `${this.#where()}${named(name)}: ${shown(value)} ${wrong}`);
  }

  /** The values of one column, and how many; a value alone is a column of one. */
  #list(column: number): number {
    const { cursor } = this.#walk;
    const { name, step } = this.#columnAt(column);
    if (cursor.next() !== OPEN_ARRAY) {
      this.#value(column, '');
      return 1;
    }
    cursor.at += 1;
    if (cursor.take(CLOSE_ARRAY)) this.#findings.end(step, `${named(name)} has no values`);
    let count = 0;
    do {
      if (count === this.#bounds.rowsMax) {
        this.#findings.end(step, `there are more than ${this.#bounds.rowsMax} rows, which is the most at once`);
      }
      this.#element(column, count);
      count += 1;
    } while (cursor.take(COMMA));
    this.#walk.expect(CLOSE_ARRAY);
    return count;
  }

  #element(column: number, index: number): void {
    const { cursor } = this.#walk;
    const { judge, name, step } = this.#columnAt(column);
    const code = cursor.next();
    const pointer = () => `${step}/${index}`;
    if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
      this.#walk.value(pointer(), 2);
      if (judge !== undefined) this.#findings.add(pointer(), `row ${index + 1}: ${named(name)} must hold one value`);
      return;
    }
    const kind = this.#walk.scalar(step);
    const value = { kind, raw: cursor.text.slice(cursor.from, cursor.at) };
    const wrong = kind === UNCLEAR ? undefined : judge?.(value);
    if (wrong !== undefined)
      this.#findings.add(pointer(), `row ${index + 1}: ${named(name)}: ${shown(value)} ${wrong}`);
  }

  #missing(at: string): void {
    const { columns } = this.#check;
    for (let column = 0; column < columns.length; column++) {
      if (this.#seen[column] === this.#row || columns[column]?.isRequired !== true) continue;
      const { name, step } = this.#columnAt(column);
      this.#findings.add(at + step, `${this.#where()}${named(name)} is missing`);
    }
  }

  #columnAt(column: number): CheckedColumn {
    const known = this.#check.columns[column];
    if (known === undefined) throw new Error('a column that was never checked');
    return known;
  }

  /** Which row; of the first it is said once there is another. */
  #where(): string {
    return this.#row <= 1 ? '' : `row ${this.#row}: `;
  }
}
