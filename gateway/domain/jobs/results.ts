import { isCell, csvField } from '../table/answer-table.ts';
import { toOutputLine, type RowResult } from './answers.ts';
import type { JobForm } from './forms.ts';

/** How the answers to a file are written, in the form that the file had; for Parquet, lines of which that is made. */
export interface ResultForm {
  readonly head: string;
  readonly tail: string;
  /** What stands for one row; `isFirst`: of all. */
  row(result: RowResult, isFirst: boolean): string;
}

/** `columns`: those of the answers; null: no row has one. */
export function resultForm(form: JobForm, columns: readonly string[] | null): ResultForm {
  if (form === 'jsonl') return { head: '', tail: '', row: result => `${jsonOf(result)}\n` };
  if (form === 'json') {
    return { head: '[', tail: ']\n', row: (result, isFirst) => `${isFirst ? '\n' : ',\n'}${jsonOf(result)}` };
  }
  const names = columns ?? [];
  if (form === 'parquet') return { head: `${JSON.stringify(names)}\n`, tail: '', row: toOutputLine };
  return {
    head: `${[...names, errorName(names)].map(csvField).join(',')}\r\n`,
    tail: '',
    row: result => `${csvFields(result, names).join(',')}\r\n`,
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

function csvFields(result: RowResult, names: readonly string[]): string[] {
  if ('error' in result) return [...names.map(() => ''), csvField(`${result.error.code}: ${result.error.detail}`)];
  const value: unknown = JSON.parse(result.answer);
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const of = (name: string) => (isObject ? (value as Record<string, unknown>)[name] : value) ?? null;
  const written = (cell: unknown) => csvField(isCell(cell) ? cell : JSON.stringify(cell));
  return [...names.map(name => written(of(name))), ''];
}
