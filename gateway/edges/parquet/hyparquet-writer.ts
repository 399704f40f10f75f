import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { fileWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer';
import { fromOutputLine } from '../../domain/jobs/answers.ts';
import { errorName } from '../../domain/jobs/results.ts';
import { SPECIAL_NUMBERS } from '../../domain/table/answer-table.ts';
import { isRecord } from '../../domain/unknown-value.ts';
import type { ParquetTask } from './task.ts';

/** Values in memory at once. */
const VALUES_MAX = 1024 * 1024;
const CHARS_MAX = 32 * 1024 * 1024;
const ROWS_MAX = 100_000;
const BLOCK_BYTES = 256 * 1024;
const WORD_EVERY_ROWS = 50_000;

/** What the values of a column are. `json`: not the same in each row, or no plain values; they are written as texts of JSON. */
type Kind = 'number' | 'boolean' | 'string' | 'json';

/** What is known of them so far. `special`: texts as R writes numbers that JSON has none for; beside texts they are texts. */
type KindSoFar = Kind | 'special' | undefined;

/**
 * Writes a job's output as a Parquet file: its first line is the columns of the answers, each other one a row. A column is
 * of one type, for which all rows are looked at first; it is missing where a row has an error, and `error` else.
 */
export async function fromLines({ source, target }: ParquetTask, onStretch: () => void): Promise<number> {
  const names = JSON.parse(linesOf(source).next().value ?? '[]') as string[];
  const kinds = kindsIn(source, names, onStretch);
  const writer = new ParquetWriter({
    writer: fileWriter(target),
    schema: schemaOf(names, kinds),
    createdBy: 'penstock',
  });
  const group = new Group(names, kinds);
  for (const cells of rowsOf(source, names)) {
    group.add(cells);
    if (!group.isFull) continue;
    await group.write(writer);
    onStretch();
  }
  await group.write(writer);
  await writer.finish();
  return statSync(target).size;
}

interface Cells {
  readonly values: readonly unknown[];
  readonly error: string | null;
  readonly chars: number;
}

function* rowsOf(source: string, names: readonly string[]): Generator<Cells> {
  const lines = linesOf(source);
  lines.next();
  for (const line of lines) {
    const result = fromOutputLine(line);
    if ('error' in result) {
      const { code, detail } = result.error;
      yield { values: names.map(() => null), error: `${code}: ${detail}`, chars: line.length };
      continue;
    }
    const answer: unknown = JSON.parse(result.answer);
    const of = (name: string) => (isRecord(answer) ? answer[name] : answer) ?? null;
    yield { values: names.map(of), error: null, chars: line.length };
  }
}

function kindsIn(source: string, names: readonly string[], onStretch: () => void): readonly Kind[] {
  const kinds = names.map((): KindSoFar => undefined);
  let rows = 0;
  for (const { values } of rowsOf(source, names)) {
    for (const [i, value] of values.entries()) {
      if (value !== null && kinds[i] !== 'json') kinds[i] = kindWith(kinds[i], value);
    }
    rows += 1;
    if (rows % WORD_EVERY_ROWS === 0) onStretch();
  }
  return kinds.map(kind => (kind === undefined || kind === 'special' ? 'number' : kind));
}

function kindWith(known: KindSoFar, value: unknown): KindSoFar {
  const kind = kindOf(value);
  if (known === undefined || known === kind) return kind;
  if (kind === 'special' && (known === 'number' || known === 'string')) return known;
  return known === 'special' && (kind === 'number' || kind === 'string') ? kind : 'json';
}

function kindOf(value: unknown): KindSoFar {
  if (SPECIAL_NUMBERS.has(value)) return 'special';
  const kind = typeof value;
  return kind === 'number' || kind === 'boolean' || kind === 'string' ? kind : 'json';
}

const ELEMENTS: Readonly<Record<Kind, Omit<SchemaElement, 'name'>>> = {
  number: { type: 'DOUBLE' },
  boolean: { type: 'BOOLEAN' },
  string: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
  json: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
};

function schemaOf(names: readonly string[], kinds: readonly Kind[]): SchemaElement[] {
  const element = (name: string, kind: Kind): SchemaElement => {
    return { name, repetition_type: 'OPTIONAL', ...ELEMENTS[kind] };
  };
  const columns = names.map((name, i) => element(name, kinds[i] ?? 'number'));
  return [{ name: 'schema', num_children: names.length + 1 }, ...columns, element(errorName(names), 'string')];
}

/** Rows that are written together. */
class Group {
  readonly #names: readonly string[];
  readonly #kinds: readonly Kind[];
  readonly #rowsMax: number;
  #columns: unknown[][] = [];
  #rows = 0;
  #chars = 0;

  constructor(names: readonly string[], kinds: readonly Kind[]) {
    this.#names = [...names, errorName(names)];
    this.#kinds = [...kinds, 'string'];
    this.#rowsMax = Math.max(1, Math.min(ROWS_MAX, Math.floor(VALUES_MAX / this.#names.length)));
    this.#clear();
  }

  get isFull(): boolean {
    return this.#rows >= this.#rowsMax || this.#chars >= CHARS_MAX;
  }

  add({ values, error, chars }: Cells): void {
    for (const [i, value] of values.entries()) {
      this.#columns[i]?.push(asKind(value, this.#kinds[i]));
    }
    this.#columns.at(-1)?.push(error);
    this.#rows += 1;
    this.#chars += chars;
  }

  async write(writer: ParquetWriter): Promise<void> {
    if (this.#rows === 0) return;
    const columnData = this.#names.map((name, i) => ({ name, data: this.#columns[i] ?? [] }));
    await writer.write({ columnData, rowGroupSize: this.#rows });
    this.#clear();
  }

  #clear(): void {
    this.#columns = this.#names.map(() => []);
    this.#rows = 0;
    this.#chars = 0;
  }
}

function asKind(value: unknown, kind: Kind | undefined): unknown {
  if (kind === 'number' && typeof value === 'string') return SPECIAL_NUMBERS.get(value);
  return kind === 'json' && value !== null ? JSON.stringify(value) : value;
}

function* linesOf(path: string): Generator<string, undefined> {
  const descriptor = openSync(path, 'r');
  try {
    const block = Buffer.alloc(BLOCK_BYTES);
    const decoder = new TextDecoder();
    let rest: string[] = [];
    for (let read = readSync(descriptor, block); read > 0; read = readSync(descriptor, block)) {
      const [first = '', ...others] = decoder.decode(block.subarray(0, read), { stream: true }).split('\n');
      rest.push(first);
      if (others.length === 0) continue;
      yield rest.join('');
      yield* others.slice(0, -1);
      rest = [others.at(-1) ?? ''];
    }
  } finally {
    closeSync(descriptor);
  }
}
