import { BoundedMap } from '../../bounded-map.ts';
import type { BodyReading } from '../body-reading.ts';
import type { AnswerForm } from './answer-form.ts';
import {
  createFailingCallers,
  createBatchSize,
  createBatchTime,
  type FailingCallers,
  type BatchSize,
  type BatchTime,
  Trust,
} from './batch-limits.ts';
import type { UpstreamMessage } from '../../upstream.ts';
import { firstRowOf, type RowFormat, type Rows } from './rows.ts';

/** What a model has shown: rows together are answered as each alone; they are not; or the rows were no good to ask with. */
export type ProofVerdict =
  | { readonly kind: 'proven'; readonly form: AnswerForm; readonly fields: string; readonly rowsMax: number }
  | { readonly kind: 'refuted'; readonly reason: string }
  | { readonly kind: 'unfit'; readonly reason: string };

/** `proven`: rows may travel together; `refuted`: they must not; `open`: some version has not been judged. */
export type Standing = 'proven' | 'refuted' | 'open';

/** How far the finding out has come. */
export interface ProofState {
  isRunning: boolean;
  /** The versions of which `/prototype` is known to help no further, and until when that holds. */
  withoutPrototype: string | undefined;
  withoutPrototypeUntilMs: number;
  /** The versions of which it was said what to write instead. */
  saidOf: string | undefined;
  /** Not tried again before. */
  notBeforeMs: number;
  failures: number;
}

/** Rows that callers have sent, all of one group: none of them meets what R is sent for another. */
export interface RowsSeen {
  readonly group: string;
  /** As the calls of that group are sent, but for the rows. */
  readonly message: Omit<UpstreamMessage, 'body'>;
  /** Of one shape, no two alike. */
  readonly rows: Rows[];
}

/** Rows to make a proof of, where no `/prototype` has any. */
const ROWS_SEEN_MIN = 2;
const ROWS_SEEN_MAX = 4;
/** A longer row is not kept: there may be a thousand subjects, each with rows of its own. */
const ROW_LENGTH_MAX = 8 * 1_024;
/** Calls of another group or shape until that one is tried instead. */
const STRANGERS_MAX = 16;
/** Judged versions kept; a service has one, and two while it changes. */
const VERSIONS_MAX = 8;
/** For so long holds what is not for ever. */
const FOR_NOW_MS = 10 * 60_000;

interface Judged {
  readonly verdict: ProofVerdict;
  readonly untilMs: number;
  /** Of a proven version. */
  readonly trust: Trust | undefined;
}

interface Known {
  readonly versions: string;
  readonly standing: Standing;
  readonly untilMs: number;
  /** One for each version; empty where not all are proven. */
  readonly trusts: readonly Trust[];
}

const NOTHING_FOUND_OUT: ProofState = {
  isRunning: false,
  withoutPrototype: undefined,
  withoutPrototypeUntilMs: 0,
  saidOf: undefined,
  notBeforeMs: 0,
  failures: 0,
};

const NEVER_PROVEN: Known = { versions: '', standing: 'open', untilMs: -Infinity, trusts: [] };

/** What rows are asked of: one path of a service, in one kind of body. What is shown, and trusted, holds for all of it. */
export class Subject {
  readonly time: BatchTime = createBatchTime();
  readonly size: BatchSize = createBatchSize();
  readonly failingCallers: FailingCallers = createFailingCallers();
  readonly proof: ProofState = { ...NOTHING_FOUND_OUT };
  readonly #known = new BoundedMap<string, Judged>(VERSIONS_MAX);
  #last = NEVER_PROVEN; // every call asks the same
  #seen: RowsSeen | undefined;
  #strangers = 0;

  /** What is known of these versions (as `Service.versions`). */
  standing(versions: string, nowMs: number): Standing {
    return this.#of(versions, nowMs).standing;
  }

  /** Whether all these versions are trusted with rows like these. */
  isTrusted(versions: string, rows: Rows, nowMs: number): boolean {
    const { trusts } = this.#of(versions, nowMs);
    for (const trust of trusts) if (!trust.has(rows)) return false;
    return trusts.length > 0;
  }

  /** Rows that may travel together to any of these versions. */
  rowsMax(versions: string, nowMs: number): number {
    const { trusts } = this.#of(versions, nowMs);
    let rowsMax = Infinity;
    for (const trust of trusts) rowsMax = Math.min(rowsMax, trust.rowsMax);
    return trusts.length === 0 ? 1 : rowsMax;
  }

  /** Of a proven version. */
  trustOf(version: string): Trust | undefined {
    return this.#known.get(version)?.trust;
  }

  /** How a version writes its answers. */
  formOf(version: string): AnswerForm | undefined {
    return this.#provenOf(version)?.form;
  }

  /** The fields that all its answers have, as `fieldsText`. */
  fieldsOf(version: string): string | undefined {
    return this.#provenOf(version)?.fields;
  }

  /** Why rows do not travel together to one of these versions. */
  reasonOf(versions: string): string | undefined {
    for (const version of versions.split(',')) {
      const verdict = this.#known.get(version)?.verdict;
      if (verdict?.kind === 'refuted') return verdict.reason;
    }
    return undefined;
  }

  /** What a version has shown. A model without a version may be exchanged unseen: of it nothing holds for ever. */
  judge(version: string, verdict: ProofVerdict, nowMs: number): void {
    const trust = verdict.kind === 'proven' ? new Trust(verdict.rowsMax) : undefined;
    this.#known.set(version, { verdict, trust, untilMs: version === '' ? nowMs + FOR_NOW_MS : Infinity });
    this.#last = NEVER_PROVEN;
  }

  /** What was judged holds only for now: callers chose the rows, and others may show otherwise. */
  doubt(version: string, nowMs: number): void {
    const judged = this.#known.get(version);
    if (judged !== undefined) this.#known.set(version, { ...judged, untilMs: nowMs + FOR_NOW_MS });
    this.#last = NEVER_PROVEN;
    this.#seen = undefined;
  }

  /** Nothing of what was shown, or sent, counts any more: it is to be found out anew. */
  forget(): void {
    this.#known.clear();
    this.#last = NEVER_PROVEN;
    this.#seen = undefined;
    const { isRunning } = this.proof;
    Object.assign(this.proof, NOTHING_FOUND_OUT, { isRunning });
  }

  /** `/prototype` is not asked for again of these versions for a while. */
  hasNoPrototype(versions: string, nowMs: number): void {
    this.proof.withoutPrototype = versions;
    this.proof.withoutPrototypeUntilMs = nowMs + FOR_NOW_MS;
  }

  /** A call passed by from which a proof can be made. */
  notice(rows: Rows, message: UpstreamMessage, group: string): void {
    const row = firstRowOf(rows);
    if (lengthOf(row) > ROW_LENGTH_MAX) return;
    const seen = this.#seen;
    if (seen !== undefined && (seen.group !== group || seen.rows[0]?.shape !== row.shape)) {
      this.#strangers += 1;
      if (this.#strangers <= STRANGERS_MAX) return;
      this.#seen = undefined;
    }
    if (this.#seen === undefined) {
      const { method, target, host, fields } = message;
      this.#seen = { group, message: { method, target, host, fields }, rows: [] };
      this.#strangers = 0;
    }
    const { rows: known } = this.#seen;
    const isNew = !known.some(({ pieces }) => pieces.every((piece, i) => piece === row.pieces[i]));
    if (isNew && known.length < ROWS_SEEN_MAX) known.push(ownCopyOf(row));
  }

  /** What callers have sent; undefined until that is enough. */
  rowsSeen(): RowsSeen | undefined {
    return this.#seen !== undefined && this.#seen.rows.length >= ROWS_SEEN_MIN ? this.#seen : undefined;
  }

  forgetRowsSeen(): void {
    this.#seen = undefined;
  }

  #of(versions: string, nowMs: number): Known {
    if (this.#last.versions !== versions || nowMs >= this.#last.untilMs) this.#last = this.#now(versions, nowMs);
    return this.#last;
  }

  #now(versions: string, nowMs: number): Known {
    const judged = versions.split(',').map(version => this.#known.get(version));
    const untilMs = judged.reduce((least, one) => Math.min(least, one?.untilMs ?? -Infinity), Infinity);
    if (nowMs >= untilMs) return { ...NEVER_PROVEN, versions };
    const trusts = judged.flatMap(one => one?.trust ?? []);
    const isProven = trusts.length === judged.length;
    return { versions, standing: isProven ? 'proven' : 'refuted', untilMs, trusts: isProven ? trusts : [] };
  }

  #provenOf(version: string) {
    const verdict = this.#known.get(version)?.verdict;
    return verdict?.kind === 'proven' ? verdict : undefined;
  }
}

function lengthOf({ pieces, shape }: Rows): number {
  return pieces.reduce((sum, piece) => sum + piece.length, shape.length);
}

/** What was cut out of a body keeps the whole body in memory. */
export function ownCopyOf({ count, shape, pieces, names, marks }: Rows): Rows {
  return { count, shape: ownText(shape), pieces: pieces.map(ownText), names: names.map(ownText), marks };
}

function ownText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** The subjects of a gateway, by name. */
export interface Subjects {
  of(name: string): Subject;
  /** Forgets what all subjects of a service have shown, and says how many these are. */
  forget(service: string): number;
}

const SUBJECTS_MAX = 1_024;

/** The subjects that were asked for last: a path may be anything that callers write. */
export function createSubjects(): Subjects {
  const known = new BoundedMap<string, Subject>(SUBJECTS_MAX);
  let [lastName, last] = ['', new Subject()]; // of most gateways the same again and again

  return {
    of(name) {
      if (name === lastName) return last;
      const subject = known.get(name) ?? new Subject();
      known.set(name, subject); // the one goes that was not asked for the longest
      [lastName, last] = [name, subject];
      return subject;
    },
    forget(service) {
      const subjects = [...known].flatMap(([name, subject]) => (name.startsWith(`${service}\n`) ? [subject] : []));
      for (const subject of subjects) subject.forget();
      return subjects.length;
    },
  };
}

/** What a subject is called. */
export function subjectName(
  service: string,
  { target, host = '' }: Pick<UpstreamMessage, 'target'> & Partial<Pick<UpstreamMessage, 'host'>>,
  [reading, format]: readonly [reading: BodyReading, format: RowFormat],
): string {
  return `${service}\n${reading} ${format}\n${host}\n${target}`;
}
