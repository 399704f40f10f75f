import type { FailureCode, InputError } from '../errors.ts';
import { isRecord } from '../unknown-value.ts';
import type { JobError } from './job.ts';

/** A row as the JSON text of a record, or what is wrong with it. */
export type RowRecord = { readonly text: string } | { readonly problem: string };

/** Reads rows as they stand in a file. */
export type ReadRecords = (texts: readonly string[]) => readonly RowRecord[];

/** What a line begins with that stands for a row of Parquet that is no record: the reason follows. */
export const UNFIT_LINE = '!';

/** Rows of a Parquet file, which are lines of JSON by now. */
export const parquetRecords: ReadRecords = texts =>
  texts.map(text => (text.startsWith(UNFIT_LINE) ? { problem: text.slice(UNFIT_LINE.length) } : { text }));

/** Rows of JSON as they are. */
export const jsonRecords: ReadRecords = texts =>
  texts.map(text => {
    const problem = recordProblem(text);
    return problem === undefined ? { text } : { problem };
  });

function recordProblem(text: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'it is not JSON';
  }
  return isRecord(value) ? undefined : 'it is not a JSON object';
}

/** The body that asks for these records, as the route's rows are written. */
export function bodyOf(records: readonly string[], form: 'array' | 'columns'): Buffer {
  if (form === 'array') return Buffer.from(`[${records.join(',')}]`);
  const rows = records.map(text => JSON.parse(text) as Record<string, unknown>);
  const names = new Set(rows.flatMap(row => Object.keys(row)));
  const columns = new Map([...names].map(name => [name, rows.map(row => row[name] ?? null)]));
  return Buffer.from(
    `{${[...columns].map(([name, values]) => `${JSON.stringify(name)}:${JSON.stringify(values)}`).join(',')}}`,
  );
}

/**
 * The answers in a body, one a row, as JSON: the elements of a list, or one value of each column of an object. Undefined:
 * it does not hold so many.
 */
export function answersIn(body: Buffer, rows: number): readonly string[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    return undefined;
  }
  if (Array.isArray(value)) return value.length === rows ? value.map(each => JSON.stringify(each)) : undefined;
  if (!isRecord(value)) return rows === 1 ? [JSON.stringify(value)] : undefined;
  const columns = Object.entries(value).map(([name, of]) => [name, Array.isArray(of) ? of : [of]] as const);
  if (columns.length === 0 || columns.some(([, of]) => of.length !== rows)) return undefined;
  return Array.from({ length: rows }, (_, i) =>
    JSON.stringify(Object.fromEntries(columns.map(([name, of]) => [name, of[i] as unknown]))),
  );
}

/** What came of one row: its answer, as JSON, or its error. */
export type RowResult = { readonly answer: string } | { readonly error: JobError };

/** As it stands in the output: one line a row. */
export function toOutputLine(result: RowResult): string {
  return 'answer' in result ? `+${result.answer}\n` : `-${JSON.stringify(result.error)}\n`;
}

/** The row result in a line of the output. */
export function fromOutputLine(line: string): RowResult {
  const text = line.slice(1);
  return line.startsWith('+') ? { answer: text } : { error: JSON.parse(text) as JobError };
}

/** What came of one call for rows. */
export interface CallOutcome {
  readonly status: number;
  /** Null: it is R's own answer. */
  readonly code: FailureCode | null;
  readonly body: Buffer;
  /** What the caller would have read. */
  readonly detail: string;
  readonly errors: readonly InputError[];
  readonly retryAfterMs: number | undefined;
}

/**
 * What to do once the call for some rows has come back.
 *
 *   answered  each row has its answer
 *   wait      the same rows are asked again, after a while, for as long as it takes: it is not the rows' fault
 *   again     the same rows are asked again, a few times
 *   rows      these are refused, by their number among those asked, and the others are asked without them
 *   apart     which row is the reason is not known: halves are asked, until it stands alone
 */
export type Remedy =
  | { readonly kind: 'answered'; readonly answers: readonly string[] }
  | { readonly kind: 'wait' | 'again' | 'apart'; readonly error: JobError; readonly retryAfterMs?: number | undefined }
  | { readonly kind: 'rows'; readonly errors: ReadonlyMap<number, JobError> };

/** The gateway cannot ask now, and will be able to. */
const PASSING: ReadonlySet<string> = new Set([
  'SERVICE_UNAVAILABLE',
  'QUEUE_FULL',
  'QUEUE_TIMEOUT',
  'RATE_LIMITED',
  'LIMITS_UNAVAILABLE',
  'AUDIT_UNAVAILABLE',
  'IDENTITY_UNAVAILABLE',
  'DRAINING',
  'CONNECT_FAILED',
  'UPSTREAM_UNTRUSTED',
] satisfies FailureCode[]);

/** It may be the instance, and it may be what it was asked. */
const DOUBTFUL: ReadonlySet<string> = new Set([
  'CONNECTION_LOST',
  'UPSTREAM_FAULT',
  'ATTEMPT_TIMEOUT',
  'DEADLINE_EXCEEDED',
] satisfies FailureCode[]);

/** What becomes of `rows` rows. */
export function remedyOf(outcome: CallOutcome, rows: number): Remedy {
  const { status, code, detail } = outcome;
  if (code === null && status >= 200 && status <= 299) return remedyOfAnswer(outcome.body, rows);
  const error: JobError = { code: code ?? 'MODEL_FAILED', detail };
  if (PASSING.has(error.code)) return { kind: 'wait', error, retryAfterMs: outcome.retryAfterMs };
  if (DOUBTFUL.has(error.code) || (code === null && status >= 502)) return { kind: 'again', error };
  const errors = errorsByRow(outcome.errors, rows);
  return errors.size > 0 ? { kind: 'rows', errors } : { kind: 'apart', error };
}

function remedyOfAnswer(body: Buffer, rows: number): Remedy {
  const answers = answersIn(body, rows);
  if (answers !== undefined) return { kind: 'answered', answers };
  return {
    kind: 'apart',
    error: { code: 'UPSTREAM_FAULT', detail: 'The model did not give one answer for each row.' },
  };
}

/** By the row that their pointer begins with; of several of one row the first is told. */
function errorsByRow(errors: readonly InputError[], rows: number): Map<number, JobError> {
  const byRow = new Map<number, JobError>();
  for (const { pointer, detail } of errors) {
    const row = Number(/^\/(\d+)(?:\/|$)/.exec(pointer)?.[1] ?? NaN);
    if (!(row < rows) || byRow.has(row)) continue;
    byRow.set(row, { code: 'INVALID_INPUT', detail: detail.replace(/^row \d+: /, '') });
  }
  return byRow;
}
