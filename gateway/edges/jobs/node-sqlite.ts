import { chmodSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { GatewayError } from '../../domain/errors.ts';
import {
  JOB_STATES,
  type Job,
  type JobChange,
  type JobOrigin,
  type JobPart,
  type JobProgress,
  type JobState,
  type JobStore,
} from '../../domain/jobs/job.ts';
import type { Caller } from '../../domain/caller.ts';
import type { JobForm } from '../../domain/jobs/forms.ts';

/** A store that can be let go of. */
export interface SqliteJobStore extends JobStore {
  close(): void;
}

/** It says who asked what. */
const MODE = 0o600;

/**
 * `exclusive`: one process alone has it, and loses it with its life. A write goes to the log, and is handed to the disk
 * when that is merged: a process that is killed loses nothing, a machine without power the last seconds, whose rows are
 * asked again.
 */
const SETUP = `
  PRAGMA locking_mode = exclusive;
  PRAGMA journal_mode = wal;
  PRAGMA synchronous = normal;
  PRAGMA auto_vacuum = full;
  CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, route TEXT NOT NULL, caller_id TEXT NOT NULL, caller TEXT NOT NULL, origin TEXT NOT NULL,
    form TEXT NOT NULL, state TEXT NOT NULL, input_bytes INTEGER NOT NULL, done_bytes INTEGER NOT NULL,
    done_rows INTEGER NOT NULL, answered_rows INTEGER NOT NULL, failed_rows INTEGER NOT NULL, columns TEXT, note TEXT,
    error TEXT, created_ms INTEGER NOT NULL, started_ms INTEGER, ended_ms INTEGER, is_fetched INTEGER NOT NULL, callback TEXT
  ) STRICT;
  CREATE INDEX IF NOT EXISTS jobs_of_caller ON jobs (caller_id, created_ms);
  CREATE TABLE IF NOT EXISTS parts (
    job TEXT NOT NULL, first_row INTEGER NOT NULL, rows INTEGER NOT NULL, from_byte INTEGER NOT NULL,
    to_byte INTEGER NOT NULL, at INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (job, first_row)
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = 1;`;

type Row = Readonly<Record<string, unknown>>;

/**
 * Jobs in one file of SQLite. Throws where it cannot be opened, another process has it, or a later version wrote it;
 * `onFault` is told why it cannot be read or written later.
 */
export function openJobStore(file: string, onFault: (cause: unknown) => void): SqliteJobStore {
  const database = new DatabaseSync(file);
  try {
    chmodSync(file, MODE);
    const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number };
    if (version > 1) throw new Error(`${file} was written by a later version of the gateway`);
    database.exec(SETUP);
    database.exec('BEGIN IMMEDIATE; COMMIT'); // takes the lock
    return new SqliteStore(database, onFault);
  } catch (error) {
    database.close();
    throw error;
  }
}

class SqliteStore implements SqliteJobStore {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  readonly #onFault: (cause: unknown) => void;

  constructor(database: DatabaseSync, onFault: (cause: unknown) => void) {
    this.#database = database;
    this.#onFault = onFault;
  }

  add(job: Job): void {
    const { caller, origin, columns, error, isFetched } = job;
    const insert = `INSERT INTO jobs VALUES (:id, :route, :callerId, :caller, :origin, :form, :state, :inputBytes, :doneBytes,
      :doneRows, :answeredRows, :failedRows, :columns, :note, :error, :createdMs, :startedMs, :endedMs, :isFetched, :callback)`;
    const values = {
      ...{ id: job.id, route: job.routeId, callerId: caller.id, caller: JSON.stringify(caller) },
      ...{ origin: JSON.stringify(origin), form: job.form, state: job.state, inputBytes: job.inputBytes },
      ...{ doneBytes: job.doneBytes, doneRows: job.doneRows, answeredRows: job.answeredRows },
      ...{ failedRows: job.failedRows, columns: toJson(columns), note: job.note, error: toJson(error) },
      ...{ createdMs: job.createdMs, startedMs: job.startedMs, endedMs: job.endedMs },
      ...{ isFetched: Number(isFetched), callback: job.callback },
    };
    this.#translated(() => this.#of(insert).run(values));
  }

  find(id: string): Job | undefined {
    return this.#all('SELECT * FROM jobs WHERE id = ?', id).map(toJob)[0];
  }

  ofCaller(callerId: string): readonly Job[] {
    return this.#all('SELECT * FROM jobs WHERE caller_id = ? ORDER BY created_ms', callerId).map(toJob);
  }

  unfinished(): readonly Job[] {
    return this.#all("SELECT * FROM jobs WHERE state IN ('queued', 'running') ORDER BY created_ms").map(toJob);
  }

  untold(max: number): readonly Job[] {
    const select = "SELECT * FROM jobs WHERE callback IS NOT NULL AND state IN ('done', 'failed', 'cancelled') LIMIT ?";
    return this.#all(select, max).map(toJob);
  }

  olderThan(wallMs: number): readonly Job[] {
    return this.#all('SELECT * FROM jobs WHERE coalesce(ended_ms, created_ms) < ?', Math.floor(wallMs)).map(toJob);
  }

  ids(): ReadonlySet<string> {
    return new Set(
      this.#of('SELECT id FROM jobs')
        .all()
        .map(({ id }) => String(id)),
    );
  }

  change(id: string, change: JobChange): void {
    for (const [key, value] of Object.entries(change)) {
      const column = CHANGED[key as keyof JobChange];
      this.#run(`UPDATE jobs SET ${column} = ? WHERE id = ?`, toColumn(value), id);
    }
  }

  answered(id: string, part: JobPart, { doneBytes, doneRows, answeredRows, failedRows, columns }: JobProgress): void {
    const { row, rows, from, to, at, bytes } = part;
    this.#translated(() => this.#database.exec('BEGIN'));
    try {
      this.#run('INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?)', id, row, rows, from, to, at, bytes);
      const values = [doneBytes, doneRows, answeredRows, failedRows, toJson(columns ?? null)];
      this.#run(PROGRESS, ...values, id);
      this.#translated(() => this.#database.exec('COMMIT'));
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  parts(id: string, fromRow: number, max: number): readonly JobPart[] {
    const select = 'SELECT * FROM parts WHERE job = ? AND first_row >= ? ORDER BY first_row LIMIT ?';
    return this.#all(select, id, fromRow, max).map(
      ({ first_row: row, rows, from_byte: from, to_byte: to, at, bytes }) => {
        return { row, rows, from, to, at, bytes } as unknown as JobPart;
      },
    );
  }

  outputEnd(id: string): number {
    const [row] = this.#all('SELECT coalesce(max(at + bytes), 0) AS end FROM parts WHERE job = ?', id);
    return Number(row?.['end'] ?? 0);
  }

  remove(id: string): void {
    this.#run('DELETE FROM parts WHERE job = ?', id);
    this.#run('DELETE FROM jobs WHERE id = ?', id);
  }

  counts(): Readonly<Record<JobState, number>> {
    const rows = this.#all('SELECT state, count(*) AS jobs FROM jobs GROUP BY state');
    const counts = Object.fromEntries(JOB_STATES.map(state => [state, 0])) as Record<JobState, number>;
    for (const { state, jobs } of rows) counts[state as JobState] = Number(jobs);
    return counts;
  }

  close(): void {
    this.#database.close();
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#translated(() => this.#of(sql).run(...values));
  }

  #all(sql: string, ...values: SQLInputValue[]): readonly Row[] {
    return this.#translated(() => this.#of(sql).all(...values));
  }

  /** The disk is full, say. */
  #translated<T>(run: () => T): T {
    try {
      return run();
    } catch (cause) {
      this.#onFault(cause);
      throw new GatewayError('JOBS_UNAVAILABLE', 'the database of jobs', { cause, retryAfterMs: RETRY_AFTER_MS });
    }
  }

  #of(sql: string): StatementSync {
    const known = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }
}

const PROGRESS =
  'UPDATE jobs SET done_bytes = ?, done_rows = ?, answered_rows = ?, failed_rows = ?, columns = ? WHERE id = ?';

const RETRY_AFTER_MS = 10_000;

/** The columns that change by themselves. */
const CHANGED: Readonly<Record<keyof JobChange, string>> = {
  state: 'state',
  columns: 'columns',
  note: 'note',
  error: 'error',
  startedMs: 'started_ms',
  endedMs: 'ended_ms',
  isFetched: 'is_fetched',
  callback: 'callback',
};

function toColumn(value: JobChange[keyof JobChange]): string | number | null {
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'number' || typeof value === 'string') return value;
  return toJson(value ?? null);
}

function toJson(value: object | null): string | null {
  return value === null ? null : JSON.stringify(value);
}

function fromJson(text: string | null): unknown {
  return text === null ? null : JSON.parse(text);
}

/** A job as it stands in its table. */
interface JobRow {
  readonly id: string;
  readonly route: string;
  readonly caller: string;
  readonly origin: string;
  readonly form: JobForm;
  readonly state: JobState;
  readonly input_bytes: number;
  readonly done_bytes: number;
  readonly done_rows: number;
  readonly answered_rows: number;
  readonly failed_rows: number;
  readonly columns: string | null;
  readonly note: string | null;
  readonly error: string | null;
  readonly created_ms: number;
  readonly started_ms: number | null;
  readonly ended_ms: number | null;
  readonly is_fetched: number;
  readonly callback: string | null;
}

function toJob(row: Row): Job {
  const of = row as unknown as JobRow;
  return {
    ...{ id: of.id, routeId: of.route, form: of.form, state: of.state, note: of.note, callback: of.callback },
    caller: JSON.parse(of.caller) as Caller,
    origin: JSON.parse(of.origin) as JobOrigin,
    ...{ inputBytes: of.input_bytes, doneBytes: of.done_bytes, doneRows: of.done_rows },
    ...{ answeredRows: of.answered_rows, failedRows: of.failed_rows, isFetched: of.is_fetched === 1 },
    columns: fromJson(of.columns) as Job['columns'],
    error: fromJson(of.error) as Job['error'],
    ...{ createdMs: of.created_ms, startedMs: of.started_ms, endedMs: of.ended_ms },
  };
}
