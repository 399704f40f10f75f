import { halfJitterDelayMs, type DelayBounds } from '../domain/back-off.ts';
import { pause, type Clock, type Random } from '../domain/clock.ts';
import type { Observe } from '../domain/events.ts';
import {
  bodyOf,
  jsonRecords,
  parquetRecords,
  remedyOf,
  toOutputLine,
  type ReadRecords,
  type Remedy,
  type RowRecord,
  type RowResult,
} from '../domain/jobs/answers.ts';
import { bodyTooLarge } from '../domain/errors.ts';
import { CsvCutter, csvRecords } from '../domain/jobs/csv-rows.ts';
import { PREDICTION } from '../domain/table/answer-table.ts';
import type { ColumnsFor } from '../domain/table/csv-transcoder.ts';
import type { Column } from '../domain/validation/prototype.ts';
import {
  createJsonCutter,
  RowsFault,
  type Cut,
  type CutterOptions,
  type JobForm,
  type RowCutter,
} from '../domain/jobs/forms.ts';
import type { Job, JobChange, JobError, JobFiles, JobOutput, JobPart, JobStore } from '../domain/jobs/job.ts';
import { CallSize, routeOfJobs, rowsOfCall, type RowsOfCall } from '../domain/jobs/job-route.ts';
import type { ConcurrencyLimit } from '../domain/concurrency-limit.ts';
import type { Route } from '../domain/route.ts';
import { isRecord } from '../domain/unknown-value.ts';
import { callForRows, pathAtService, type JobCallPorts } from './job-call.ts';

/** What working one job off asks. */
export interface JobRunPorts extends JobCallPorts {
  readonly store: JobStore;
  readonly files: JobFiles;
  readonly columnsFor: ColumnsFor;
  /** Undefined: the route is not there, or takes no jobs any more. */
  readonly routeOf: (routeId: string) => Route | undefined;
  readonly concurrency: (route: Route) => ConcurrencyLimit;
  readonly count: (routeId: string, results: readonly RowResult[]) => void;
  /** Of what is written down of one job. */
  readonly answersBytesMax: number;
  readonly random: Random;
  readonly clock: Clock;
  readonly observe: Observe;
  /** A job is over. */
  readonly ended: () => void;
}

/** What ends a run before its job is over. */
export interface RunSignals {
  /** At once: what is in hand is let go of. */
  readonly abort: AbortSignal;
  /** Nothing more is begun; what is in hand goes on. */
  readonly stop: AbortSignal;
}

/** How often rows are asked again where the instance may be at fault. */
const TRIES_MAX = 3;
/** So often rows of one job are parted to find the one that is at fault: beyond, all rows of a call share its error. */
const APART_MAX = 1_000;
/** The wait for what passes. */
const WAIT: DelayBounds = { baseMs: 200, maxMs: 10_000 };
/** No file has larger rows, whatever the route takes. */
const ROW_BYTES_MAX = 1024 * 1024;
/** The number of the line before the first row. */
const HEADER = -1;
/** Parts that are ahead of what is done are as many as calls were in hand. */
const PARTS_AHEAD_MAX = 10_000;

/** Rows that are asked together. */
interface Chunk {
  /** The number of its first row. */
  readonly row: number;
  readonly from: number;
  to: number;
  readonly texts: string[];
  bytes: number;
}

/** A stretch of a file whose rows have no answers yet. */
interface Gap {
  readonly row: number;
  readonly from: number;
  readonly until: number;
}

/** Stopped, or aborted: there is no result. */
const STOPPED = Symbol('stopped');

/** One job being worked off: what was answered before is not asked again. */
export class JobRun {
  readonly #ports: JobRunPorts;
  readonly #signals: RunSignals;
  readonly #inHand = new Set<Promise<void>>();
  /** Answered, and not joined to what is done: by where they begin. */
  readonly #ahead = new Map<number, Pick<JobPart, 'to' | 'rows'>>();
  readonly #size = new CallSize();
  readonly #output: JobOutput;
  #job: Job;
  #outputEnd: number;
  #apart = 0;
  /** Of CSV. */
  #header: Promise<string> | undefined = undefined;
  #columns: readonly Column[] | undefined = undefined;
  #records: ReadRecords | undefined = undefined;
  #fault: unknown = undefined;

  constructor(ports: JobRunPorts, job: Job, signals: RunSignals) {
    this.#ports = ports;
    this.#signals = signals;
    this.#job = job;
    this.#output = ports.files.output(job.id);
    this.#outputEnd = ports.store.outputEnd(job.id);
  }

  /** Resolves when the job is over, or was stopped. Rejects with errors of the gateway's own. */
  async work(): Promise<void> {
    const { clock } = this.#ports;
    if (this.#job.state === 'queued') await this.#write({ state: 'running', startedMs: clock.wallMs() });
    try {
      await this.#readAll();
    } catch (error) {
      await Promise.all(this.#inHand);
      if (!(error instanceof RowsFault)) throw error;
      await this.#end('failed', { code: 'BAD_REQUEST', detail: error.message });
    } finally {
      await this.#output.close();
    }
  }

  async #readAll(): Promise<void> {
    for (const gap of this.#gaps()) {
      for await (const chunk of this.#chunks(gap)) {
        if (!(await this.#hasRoom())) break;
        this.#take(chunk);
      }
    }
    await Promise.all(this.#inHand);
    if (this.#fault !== undefined) throw this.#fault as Error;
    if (!this.#signals.stop.aborted) await this.#end('done', null);
  }

  #take(chunk: Chunk): void {
    const taken = this.#answer(chunk)
      .catch((error: unknown) => {
        this.#fault ??= error;
      })
      .finally(() => this.#inHand.delete(taken));
    this.#inHand.add(taken);
  }

  /** One more than can be asked is read, so that it is ready. False: the run is to end. */
  async #hasRoom(): Promise<boolean> {
    const route = await this.#route();
    if (route === undefined) return false;
    while (this.#inHand.size > this.#ports.concurrency(route).max) await Promise.race(this.#inHand);
    return this.#fault === undefined && !this.#signals.stop.aborted;
  }

  /** While it is not there the job waits. Undefined: stopped. */
  async #route(): Promise<Route | undefined> {
    for (let waits = 1; !this.#signals.stop.aborted; waits += 1) {
      const route = this.#ports.routeOf(this.#job.routeId);
      if (route !== undefined) return route;
      await this.#wait('The route is not there now, or takes no jobs.', waits);
    }
    return undefined;
  }

  async #wait(note: string, waits: number, atLeastMs = 0): Promise<void> {
    this.#note(note);
    const { clock, random } = this.#ports;
    await pause(clock, Math.max(atLeastMs, halfJitterDelayMs(waits, WAIT, random)), this.#signals.stop);
  }

  // —— reading

  #gaps(): Gap[] {
    const { id, doneRows, doneBytes } = this.#job;
    const gaps: Gap[] = [];
    let [row, from] = [doneRows, doneBytes];
    for (const part of this.#ports.store.parts(id, doneRows, PARTS_AHEAD_MAX)) {
      if (part.from > from) gaps.push({ row, from, until: part.from });
      this.#ahead.set(part.from, part);
      [row, from] = [part.row + part.rows, part.to];
    }
    return [...gaps, { row, from, until: Infinity }];
  }

  async *#chunks({ row, from, until }: Gap): AsyncGenerator<Chunk> {
    const route = await this.#route();
    if (route === undefined) return;
    const options = rowsOfCall(route);
    const rowBytesMax = Math.min(ROW_BYTES_MAX, options.bytesMax);
    const cutter = createCutter(this.#job.form, { from, rowBytesMax });
    let chunk: Chunk = { row, from, to: from, texts: [], bytes: 0 };
    try {
      for await (const { cut, number } of this.#cuts(cutter, { row, from })) {
        if (isFull(chunk, cut, { ...options, rowsMax: this.#rowsMax(options) })) {
          yield chunk;
          chunk = { row: number, from: chunk.to, to: chunk.to, texts: [], bytes: 0 };
        }
        chunk.texts.push(cut.text);
        chunk.bytes += cut.text.length;
        chunk.to = cut.to;
        if (cut.to >= until) break;
      }
    } catch (error) {
      if (chunk.texts.length > 0 && error instanceof RowsFault) yield chunk; // what stands before it is sound
      throw error;
    }
    if (chunk.texts.length > 0) yield chunk;
  }

  #rowsMax({ rowsMax, isFixed }: RowsOfCall): number {
    return isFixed ? rowsMax : Math.min(rowsMax, this.#size.rows);
  }

  async *#cuts(cutter: RowCutter, { row, from }: Pick<Gap, 'row' | 'from'>): AsyncGenerator<Numbered> {
    let number = this.#job.form === 'csv' && from === 0 ? HEADER : row;
    const take = function* (isEnd: boolean) {
      for (let cut = cutter.next(isEnd); cut !== undefined; cut = cutter.next(isEnd)) {
        if (number !== HEADER) yield { cut, number };
        number += 1;
      }
    };
    try {
      for await (const block of this.#ports.files.read(this.#job.id, from)) {
        cutter.push(block);
        yield* take(false);
      }
      yield* take(true);
    } catch (error) {
      if (!(error instanceof RowsFault)) throw error;
      throw new RowsFault(`${number === HEADER ? 'The header line' : `Row ${number + 1}`}: ${error.message}.`);
    }
  }

  // —— asking

  async #answer(chunk: Chunk): Promise<void> {
    const results = await this.#resultsOf(chunk);
    if (results !== STOPPED) await this.#writeDown(chunk, results);
  }

  /** Of CSV by its header line, and by what the model publishes of its columns. */
  async #reader(): Promise<ReadRecords> {
    const { files, columnsFor } = this.#ports;
    const job = this.#job;
    if (job.form === 'parquet') return parquetRecords;
    const route = await this.#route();
    if (job.form !== 'csv' || route === undefined) return jsonRecords;
    this.#header ??= headerOf(files.read(job.id, 0)); // once, so that calls go out in the order of their rows
    const header = await this.#header;
    const columns = await columnsFor(route, pathAtService(job, route));
    if (columns !== this.#columns || this.#records === undefined) {
      this.#columns = columns;
      this.#records = csvRecords(header, columns);
    }
    return this.#records;
  }

  async #resultsOf(chunk: Chunk): Promise<RowResult[] | typeof STOPPED> {
    const results: RowResult[] = [];
    const records = (await this.#reader())(chunk.texts);
    const groups = [soundRows(records, results)];
    for (let rows = groups.shift(); rows !== undefined; rows = groups.shift()) {
      if (rows.length === 0) continue;
      const remedy = await this.#remedyOf({ row: chunk.row, records }, rows);
      if (remedy === STOPPED) return STOPPED;
      groups.unshift(...this.#settle(rows, remedy, results));
    }
    return results;
  }

  /** Notes what is known of some rows, and says which of them are to be asked again together. */
  #settle(rows: readonly number[], remedy: Remedy, results: RowResult[]): number[][] {
    const settle = (i: number, result: RowResult) => (results[rows[i] ?? 0] = result);
    if (remedy.kind === 'answered') {
      remedy.answers.forEach((answer, i) => settle(i, { answer }));
      return [];
    }
    if (remedy.kind === 'rows') {
      for (const [i, error] of remedy.errors) settle(i, { error });
      return [rows.filter((_, i) => !remedy.errors.has(i))];
    }
    this.#size.refused();
    if (rows.length > 1 && this.#apart < APART_MAX) return this.#halves(rows);
    rows.forEach((_, i) => settle(i, { error: remedy.error }));
    return [];
  }

  #halves(rows: readonly number[]): number[][] {
    this.#apart += 1;
    const middle = Math.ceil(rows.length / 2);
    return [rows.slice(0, middle), rows.slice(middle)];
  }

  /** Asks for some rows of a chunk, until there is something to be done with them. */
  async #remedyOf(chunk: ReadRows, rows: readonly number[]): Promise<Remedy | typeof STOPPED> {
    let tries = 0;
    for (let waits = 1; ; waits += 1) {
      const remedy = await this.#sendOnce(chunk, rows);
      if (remedy === STOPPED) return STOPPED;
      if (remedy.kind === 'again') tries += 1;
      const isToWait = remedy.kind === 'wait' || (remedy.kind === 'again' && tries < TRIES_MAX);
      if (!isToWait) {
        this.#note(null);
        return remedy;
      }
      await this.#wait(remedy.error.detail, waits, remedy.retryAfterMs);
    }
  }

  async #sendOnce(chunk: ReadRows, rows: readonly number[]): Promise<Remedy | typeof STOPPED> {
    const { abort, stop } = this.#signals;
    const { clock } = this.#ports;
    const route = await this.#route();
    if (route === undefined) return STOPPED;
    const { form, bytesMax } = rowsOfCall(route);
    const content = bodyOf(rows.map(i => textOf(chunk.records[i])), form); // prettier-ignore
    if (content.length > bytesMax) return { kind: 'apart', error: tooLarge(bytesMax) };
    const concurrency = this.#ports.concurrency(route);
    if (!(await concurrency.acquire(stop))) return STOPPED;
    const row = chunk.row + (rows[0] ?? 0);
    const call = { job: this.#job, route: routeOfJobs(route), row, content, signal: abort };
    const beganMs = clock.nowMs();
    const outcome = await callForRows(this.#ports, call).finally(() => concurrency.release()); // the next one is sent before this answer is read
    if (abort.aborted) return STOPPED;
    const remedy = remedyOf(outcome, rows.length);
    if (remedy.kind === 'answered') this.#size.took(clock.nowMs() - beganMs, rows.length);
    return remedy;
  }

  // —— writing down

  /** Until that is done, however long the disk is full; then these rows are not asked again. */
  async #writeDown({ row, from, to, texts }: Chunk, results: readonly RowResult[]): Promise<void> {
    const { store, count, answersBytesMax } = this.#ports;
    const { id, routeId } = this.#job;
    const content = Buffer.from(results.map(toOutputLine).join(''));
    const at = this.#outputEnd;
    if (at + content.length > answersBytesMax)
      throw new RowsFault(`The answers are larger than ${answersBytesMax} bytes, the most for one job.`);
    this.#outputEnd += content.length;
    const part = { row, rows: texts.length, from, to, at, bytes: content.length };
    for (let waits = 1; !this.#signals.abort.aborted; waits += 1) {
      try {
        await this.#output.write(at, content);
        if (this.#isAborted()) return;
        const progress = this.#progressWith(part, results);
        store.answered(id, part, progress);
        this.#job = { ...this.#job, ...progress };
        this.#join(part);
        count(routeId, results);
        return;
      } catch (error) {
        this.#cannotWrite(error, waits);
        if (this.#signals.stop.aborted) return; // the rows are asked again by the next gateway
        await this.#wait('What was answered cannot be written down now.', waits);
      }
    }
  }

  #isAborted(): boolean {
    return this.#signals.abort.aborted;
  }

  #cannotWrite(error: unknown, waits: number): void {
    if (waits > 1) return;
    const about = { job: this.#job.id, problem: error instanceof Error ? error.message : String(error) };
    this.#ports.observe({ kind: 'notice', level: 'error', text: 'a job cannot be written down, and waits', about });
  }

  #progressWith(part: JobPart, results: readonly RowResult[]) {
    const { answeredRows, failedRows, columns, doneBytes, doneRows } = this.#job;
    const done = { doneBytes, doneRows };
    const at = (from: number) => (from === part.from ? part : this.#ahead.get(from));
    for (let next = at(doneBytes); next !== undefined; next = at(done.doneBytes)) {
      done.doneBytes = next.to;
      done.doneRows += next.rows;
    }
    return {
      ...done,
      answeredRows: answeredRows + part.rows,
      failedRows: failedRows + results.filter(result => 'error' in result).length,
      columns: columns ?? columnsOf(results),
    };
  }

  /** It is written down: what is done stands ahead of nothing. */
  #join(part: JobPart): void {
    this.#ahead.set(part.from, part);
    for (const from of this.#ahead.keys()) if (from < this.#job.doneBytes) this.#ahead.delete(from);
  }

  #note(note: string | null): void {
    if (this.#job.note === note) return;
    try {
      this.#change({ note });
    } catch {
      // It is told by what could not be written down.
    }
  }

  /** Writes a change down, however long that takes. False: stopped. */
  async #write(change: JobChange): Promise<boolean> {
    for (let waits = 1; !this.#signals.stop.aborted; waits += 1) {
      try {
        this.#change(change);
        return true;
      } catch (error) {
        this.#cannotWrite(error, waits);
        await pause(this.#ports.clock, halfJitterDelayMs(waits, WAIT, this.#ports.random), this.#signals.stop);
      }
    }
    return false;
  }

  #change(change: JobChange): void {
    if (this.#signals.abort.aborted) return;
    this.#ports.store.change(this.#job.id, change);
    this.#job = { ...this.#job, ...change };
  }

  async #end(state: 'done' | 'failed', error: JobError | null): Promise<void> {
    const { clock, observe, files, ended } = this.#ports;
    if (this.#signals.abort.aborted) return;
    if (!(await this.#write({ state, error, note: null, endedMs: clock.wallMs() }))) return;
    const { id, routeId: route, answeredRows: rows, failedRows: failed } = this.#job;
    observe({ kind: 'job', job: id, route, state, rows, failed });
    ended();
    await files.dropInput(id);
  }
}

/** The rows that can be asked; of the others what is wrong is noted. */
function soundRows(records: readonly RowRecord[], results: RowResult[]): number[] {
  return records.flatMap((record, i) => {
    if ('text' in record) return [i];
    results[i] = { error: { code: 'BAD_REQUEST', detail: `The row is no record: ${record.problem}.` } };
    return [];
  });
}

/** Rows that were read, of which some may be sent. */
interface ReadRows {
  readonly row: number;
  readonly records: readonly RowRecord[];
}

function textOf(record: RowRecord | undefined): string {
  return record !== undefined && 'text' in record ? record.text : '';
}

function tooLarge(bytesMax: number): JobError {
  return { code: 'BODY_TOO_LARGE', detail: bodyTooLarge(bytesMax).detail };
}

function createCutter(form: JobForm, options: CutterOptions): RowCutter {
  if (form === 'csv') return new CsvCutter(options);
  return createJsonCutter(form === 'json' ? 'json' : 'jsonl', options);
}

interface Numbered {
  readonly cut: Cut;
  /** Of the row, counted from 0. */
  readonly number: number;
}

function isFull({ texts, bytes }: Chunk, { text }: Cut, { rowsMax, bytesMax }: RowsOfCall): boolean {
  if (texts.length === 0) return false;
  return texts.length >= rowsMax || bytes + text.length + texts.length + 2 > bytesMax;
}

/** The columns of the first answer; one where answers are plain values. */
function columnsOf(results: readonly RowResult[]): readonly string[] | null {
  for (const result of results) {
    if (!('answer' in result)) continue;
    const value: unknown = JSON.parse(result.answer);
    return isRecord(value) ? Object.keys(value) : [PREDICTION];
  }
  return null;
}

/** The first line of a CSV file. */
async function headerOf(file: AsyncIterable<Buffer>): Promise<string> {
  const cutter = new CsvCutter({ from: 0, rowBytesMax: ROW_BYTES_MAX });
  for await (const block of file) {
    cutter.push(block);
    const cut = cutter.next(false);
    if (cut !== undefined) return cut.text;
  }
  return cutter.next(true)?.text ?? '';
}
