import { csvField, csvWriter, isCell, type Cell } from '../table/answer-table.ts';
import { isRecord } from '../unknown-value.ts';
import { toOutputLine, type RowResult } from './answers.ts';
import type { JobForm } from './forms.ts';

/** How the answers to a file are written, in the form that the file had; for Parquet, lines of which that is made. */
export interface ResultForm {
  readonly head: string;
  readonly tail: string;
  /** What stands for the rows of a call; `isAtHead`: they are the first of all. */
  rows(results: readonly RowResult[], isAtHead: boolean): string;
}

/** `columns`: those of the answers; null: no row has one. */
export function resultForm(form: JobForm, columns: readonly string[] | null): ResultForm {
  if (form === 'jsonl')
    return { head: '', tail: '', rows: results => results.map(result => `${jsonOf(result)}\n`).join('') };
  if (form === 'json') {
    const before = (isFirst: boolean) => (isFirst ? '\n' : ',\n');
    const rows: ResultForm['rows'] = (results, isAtHead) =>
      results.map((result, i) => `${before(isAtHead && i === 0)}${jsonOf(result)}`).join('');
    return { head: '[', tail: ']\n', rows };
  }
  const names = columns ?? [];
  if (form === 'parquet')
    return { head: `${JSON.stringify(names)}\n`, tail: '', rows: results => results.map(toOutputLine).join('') };
  return {
    head: `${[...names, errorName(names)].map(csvField).join(',')}\r\n`,
    tail: '',
    rows: results => csvRows(results, names),
  };
}

/** The column of errors: `error`, and dots before it as long as the answers have one of that name. */
export function errorName(names: readonly string[]): string {
  let name = 'error';
  while (names.includes(name)) name = `.${name}`;
  return name;
}

function jsonOf(result: RowResult): string {
  return 'answer' in result ? result.answer : JSON.stringify(result);
}

function csvRows(results: readonly RowResult[], names: readonly string[]): string {
  const table = results.map(result => ('error' in result ? names.map(() => null) : cellsOf(result.answer, names)));
  const writers = names.map((_, i) => csvWriter(table.map(cells => cells[i] ?? null)));
  const errorOf = (result: RowResult) => ('error' in result ? `${result.error.code}: ${result.error.detail}` : null);
  return results
    .map((result, row) => {
      const fields = writers.map((write, i) => write(table[row]?.[i] ?? null));
      return `${[...fields, csvField(errorOf(result))].join(',')}\r\n`;
    })
    .join('');
}

function cellsOf(answer: string, names: readonly string[]): Cell[] {
  const value: unknown = JSON.parse(answer);
  const of = (name: string) => (isRecord(value) ? value[name] : value) ?? null;
  const toCell = (of: unknown) => (isCell(of) ? of : JSON.stringify(of));
  return names.map(name => toCell(of(name)));
}
