import type { Caller } from '../caller.ts';
import type { FailureCode } from '../errors.ts';
import type { RawFields } from '../http/fields.ts';
import type { JobForm } from './forms.ts';

/**
 * How far a job is.
 *
 *   queued   → running             rows of it are asked
 *   running  → done                every row has its answer, or its error
 *   running  → failed              the file cannot be read on
 *   queued, running → cancelled    its owner does not want it any more
 *
 * A gateway that starts finds its running jobs queued.
 */
export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

/** All of them, for the label of `penstock_jobs`. */
export const JOB_STATES: readonly JobState[] = ['queued', 'running', 'done', 'failed', 'cancelled'];

/** True where nothing more will come of it. */
export function isOver(state: JobState): boolean {
  return state !== 'queued' && state !== 'running';
}

/** What the calls of a job have of the request that made it. */
export interface JobOrigin {
  readonly path: string;
  readonly query: string;
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly callerAddress: string;
  /** What the route's patterns captured. */
  readonly variables: Readonly<Record<string, string>>;
  /** Those that the route's `varyBy` names, and no credential. */
  readonly fields: RawFields;
  /** The file in the inbox that it was made of; undefined: a caller brought it. */
  readonly inbox?: string;
}

/** A file of rows that is put to a model, call by call, and what came of it so far. */
export interface Job {
  readonly id: string;
  readonly routeId: string;
  /** Whose it is: the calls are this caller's. */
  readonly caller: Caller;
  readonly origin: JobOrigin;
  readonly form: JobForm;
  readonly state: JobState;
  readonly inputBytes: number;
  /** Up to there, in the file, every row has its answer or error. */
  readonly doneBytes: number;
  readonly doneRows: number;
  /** Rows with an answer or an error, those ahead of `doneRows` included. */
  readonly answeredRows: number;
  readonly failedRows: number;
  /** The columns of the answers, once one is known. */
  readonly columns: readonly string[] | null;
  /** Why it waits; null: it does not. */
  readonly note: string | null;
  readonly error: JobError | null;
  /** In milliseconds since 1970, as all times of a job. */
  readonly createdMs: number;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
  /** Its owner has read the result. */
  readonly isFetched: boolean;
  /** Whom to tell when it is over. */
  readonly callback: string | null;
}

/** Why a job failed, or a row of it. */
export interface JobError {
  readonly code: FailureCode;
  readonly detail: string;
}

/** What changes of a job. */
export type JobChange = Partial<
  Pick<Job, 'state' | 'columns' | 'note' | 'error' | 'startedMs' | 'endedMs' | 'isFetched' | 'callback'>
>;

/** Rows that were answered together. */
export interface JobPart {
  /** The number of its first row, counted from 0. */
  readonly row: number;
  readonly rows: number;
  /** Where the rows stand in the file. */
  readonly from: number;
  readonly to: number;
  /** Where their answers stand in the output. */
  readonly at: number;
  readonly bytes: number;
}

/** How far a job is once a part of it was answered. */
export type JobProgress = Pick<Job, 'doneBytes' | 'doneRows' | 'answeredRows' | 'failedRows'> &
  Pick<JobChange, 'columns'>;

/** Where jobs are written down. What is written outlives the process, however it ends. Each may throw where that fails. */
export interface JobStore {
  add(job: Job): void;
  find(id: string): Job | undefined;
  /** Those of one caller, the oldest first. */
  ofCaller(callerId: string): readonly Job[];
  /** Those that are not over, the oldest first. */
  unfinished(): readonly Job[];
  /** Those that are over and whose callback was not made, at most so many. */
  untold(max: number): readonly Job[];
  /** Those that ended, or began and did not end, before this time. */
  olderThan(wallMs: number): readonly Job[];
  ids(): ReadonlySet<string>;
  change(id: string, change: JobChange): void;
  /** Writes a part down together with the progress that it means. */
  answered(id: string, part: JobPart, progress: JobProgress): void;
  /** From this row on, in order, at most so many. */
  parts(id: string, fromRow: number, max: number): readonly JobPart[];
  /** Where the output ends. */
  outputEnd(id: string): number;
  remove(id: string): void;
  counts(): Readonly<Record<JobState, number>>;
}

/** The files of jobs. */
export interface JobFiles {
  /** The input, from this byte on, in blocks. */
  read(id: string, from: number): AsyncIterable<Buffer>;
  /** Where the answers of a job are written. It is made, and opened, with the first of them. */
  output(id: string): JobOutput;
  /** A piece of the output. */
  answers(id: string, at: number, bytes: number): Promise<Buffer>;
  /** Makes the rows of a Parquet file lines of JSON, in its place, and says how many bytes these are. Rejects with a GatewayError. */
  toLines(id: string, options: { readonly bytesMax: number; readonly signal: AbortSignal }): Promise<number>;
  /** The answers as a Parquet file, which is made once, of the columns in a line and the output's lines. Rejects with a GatewayError. */
  toParquet(id: string, lines: AsyncIterable<string>): Promise<AsyncIterable<Buffer>>;
  /** The input is of no use any more. */
  dropInput(id: string): Promise<void>;
  remove(id: string): Promise<void>;
}

/** The output of a job. */
export interface JobOutput {
  /** Writes answers at this place. May be tried again where that fails. */
  write(at: number, content: Buffer): Promise<void>;
  close(): Promise<void>;
}

/** True where a job belongs to this caller; an address and an identity are never the same one. */
export function isOwner({ caller }: Job, other: Caller): boolean {
  return caller.id === other.id && (caller.kind === 'anonymous') === (other.kind === 'anonymous');
}

/** What the owner of a job sees of it. */
export function jobView(job: Job, { path, keepMs }: { readonly path: string; readonly keepMs: number }) {
  const { id, routeId: route, state, inputBytes, doneBytes, answeredRows, failedRows, note, error } = job;
  const at = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    ...{ id, route, state, progress: progressOf(state, doneBytes, inputBytes) },
    rows: { answered: answeredRows, failed: failedRows },
    ...{ note, error },
    createdAt: at(job.createdMs),
    startedAt: at(job.startedMs),
    endedAt: at(job.endedMs),
    expiresAt: at((job.endedMs ?? job.createdMs) + keepMs),
    result: `${path}/${id}/result`,
  };
}

/** From 0 to 1, by the bytes of the file: how many rows it has is known only at its end. */
function progressOf(state: JobState, doneBytes: number, inputBytes: number): number {
  if (state === 'done') return 1;
  return inputBytes === 0 ? 0 : Math.floor((doneBytes / inputBytes) * 1_000) / 1_000;
}
