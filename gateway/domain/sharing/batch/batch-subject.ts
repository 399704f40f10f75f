import type { BodyReading } from '../body-reading.ts';
import type { AnswerForm } from './answer-form.ts';
import { createBatchBlame, type BatchBlame } from './batch-blame.ts';
import { createBatchSize, type BatchSize } from './batch-size.ts';
import { createBatchTime, type BatchTime } from './batch-time.ts';
import type { UpstreamMessage } from '../../ports.ts';
import { firstRowOf, type Parcel, type RowFormat } from './row-parcel.ts';

/** What a model has shown: rows together are answered as each alone; they are not; or the rows were no good to ask with. */
export type ProofVerdict =
  | { readonly kind: 'proven'; readonly form: AnswerForm; readonly fields: string }
  | { readonly kind: 'refuted'; readonly reason: string }
  | { readonly kind: 'unfit'; readonly reason: string };

/** `proven`: rows may travel together; `refuted`: they must not; `open`: some version has not been judged. */
export type Standing = 'proven' | 'refuted' | 'open';

/** What rows are asked of: one path of a service, in one kind of body. What a proof shows holds for all of it. */
export interface Subject {
  readonly time: BatchTime;
  readonly size: BatchSize;
  readonly blame: BatchBlame;
  readonly proof: ProofState;
  /** What is known of these versions (as `Service.versions`). */
  standing(versions: string, nowMs: number): Standing;
  /** How a version writes its answers. */
  formOf(version: string): AnswerForm | undefined;
  /** The fields that all its answers have, as `fieldsText`. */
  fieldsOf(version: string): string | undefined;
  /** What a proof has shown of a version. A model without a version may be exchanged unseen: of it nothing holds for ever. */
  judge(version: string, verdict: ProofVerdict, nowMs: number): void;
  /** What was judged holds only for now: callers chose the rows, and others may show otherwise. */
  doubt(version: string, nowMs: number): void;
  /** A call passed by from which a proof can be made. */
  notice(parcel: Parcel): void;
  /** Rows of one shape, no two alike, that callers have sent; empty until there are enough. */
  rowsSeen(): readonly Parcel[];
  forgetRowsSeen(): void;
}

/** How far the finding out has come. */
export interface ProofState {
  isRunning: boolean;
  /** The versions of which `/prototype` is known to help no further. */
  withoutPrototype: string | undefined;
  /** Not tried again before. */
  notBeforeMs: number;
  failures: number;
}

/** Rows to make a proof of, where no `/prototype` has any. */
const ROWS_SEEN_MIN = 2;
const ROWS_SEEN_MAX = 4;
/** A longer row is none to remember: there may be a thousand subjects, each with rows of its own. */
const ROW_LENGTH_MAX = 8 * 1_024;
/** Calls of another shape until that one is tried instead. */
const STRANGERS_MAX = 16;
/** Judged versions remembered; a service has one, and two while it changes. */
const VERSIONS_MAX = 8;
/** For so long holds what is not for ever. */
const FOR_NOW_MS = 10 * 60_000;

interface Judged {
  readonly verdict: ProofVerdict;
  readonly untilMs: number;
}

const NEVER_ASKED = { versions: '', standing: 'open' as Standing, untilMs: -Infinity };

/** A subject of which nothing is known. */
export function createSubject(): Subject {
  const known = new Map<string, Judged>();
  let last = NEVER_ASKED; // every call asks the same
  let seen: Parcel[] = [];
  let strangers = 0;

  const standingNow = (versions: string, nowMs: number): typeof last => {
    const judged = versions.split(',').map(version => known.get(version));
    const untilMs = judged.reduce((least, one) => Math.min(least, one?.untilMs ?? -Infinity), Infinity);
    if (nowMs >= untilMs) return { versions, standing: 'open', untilMs: -Infinity };
    const isProven = judged.every(one => one?.verdict.kind === 'proven');
    return { versions, standing: isProven ? 'proven' : 'refuted', untilMs };
  };

  const provenOf = (version: string) => {
    const verdict = known.get(version)?.verdict;
    return verdict?.kind === 'proven' ? verdict : undefined;
  };

  return {
    time: createBatchTime(),
    size: createBatchSize(),
    blame: createBatchBlame(),
    proof: { isRunning: false, withoutPrototype: undefined, notBeforeMs: 0, failures: 0 },
    standing(versions, nowMs) {
      if (last.versions !== versions || nowMs >= last.untilMs) last = standingNow(versions, nowMs);
      return last.standing;
    },
    formOf: version => provenOf(version)?.form,
    fieldsOf: version => provenOf(version)?.fields,
    judge(version, verdict, nowMs) {
      known.delete(version);
      known.set(version, { verdict, untilMs: version === '' ? nowMs + FOR_NOW_MS : Infinity });
      last = NEVER_ASKED;
      const [oldest] = known.keys();
      if (known.size > VERSIONS_MAX && oldest !== undefined) known.delete(oldest);
    },
    doubt(version, nowMs) {
      const judged = known.get(version);
      if (judged !== undefined) known.set(version, { ...judged, untilMs: nowMs + FOR_NOW_MS });
      last = NEVER_ASKED;
      seen = [];
    },
    notice(parcel) {
      const row = firstRowOf(parcel);
      if (lengthOf(row) > ROW_LENGTH_MAX) return;
      if (seen[0] !== undefined && seen[0].shape !== row.shape) {
        strangers += 1;
        if (strangers > STRANGERS_MAX) [seen, strangers] = [[ownCopyOf(row)], 0];
        return;
      }
      const isNew = !seen.some(({ pieces }) => pieces.every((piece, i) => piece === row.pieces[i]));
      if (isNew && seen.length < ROWS_SEEN_MAX) seen.push(ownCopyOf(row));
    },
    rowsSeen: () => (seen.length < ROWS_SEEN_MIN ? [] : seen),
    forgetRowsSeen() {
      seen = [];
    },
  };
}

function lengthOf({ pieces, shape }: Parcel): number {
  return pieces.reduce((sum, piece) => sum + piece.length, shape.length);
}

/** What was cut out of a body keeps the whole body in memory. */
function ownCopyOf({ rows, shape, pieces, names }: Parcel): Parcel {
  return { rows, shape: ownText(shape), pieces: pieces.map(ownText), names: names.map(ownText) };
}

function ownText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** The subjects of a gateway, by name. */
export interface Subjects {
  of(name: string): Subject;
}

const SUBJECTS_MAX = 1_024;

/** The subjects that were asked for last: a path may be anything that callers write. */
export function createSubjects(): Subjects {
  const known = new Map<string, Subject>();
  let [lastName, last] = ['', createSubject()]; // of most gateways the same again and again

  return {
    of(name) {
      if (name === lastName) return last;
      const subject = known.get(name) ?? createSubject();
      known.delete(name); // and to the end: the first is the one that was not asked for the longest
      known.set(name, subject);
      const [oldest] = known.keys();
      if (known.size > SUBJECTS_MAX && oldest !== undefined) known.delete(oldest);
      [lastName, last] = [name, subject];
      return subject;
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
