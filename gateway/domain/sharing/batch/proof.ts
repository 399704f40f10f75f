import { bodyTextOf, fieldsText, findForm, otherField, splitAnswer, type AnswerForm } from './answer-form.ts';
import { concatRows, readRows, valuesOf, withValues, type RowFormat, type Rows } from './rows.ts';
import type { ProofVerdict } from './subject.ts';
import { sizesUpTo } from './batch-limits.ts';
import { SHARED_SECRET_FIELD } from '../../http/upstream-request.ts';
import type { Answer, UpstreamMessage } from '../../upstream.ts';
import { readPrototype, type Column } from '../../validation/prototype.ts';

/** Where vetiver's models predict. */
export const PREDICT_TARGET = '/predict';

/** What a model of vetiver's is sent there, but for the rows. */
export function predictMessage(sharedSecret: string | undefined): Omit<UpstreamMessage, 'body'> {
  const secret = sharedSecret === undefined ? [] : [SHARED_SECRET_FIELD, sharedSecret];
  const fields = ['Content-Type', 'application/json', ...secret];
  return { method: 'POST', target: PREDICT_TARGET, host: undefined, fields };
}

/** So many ordinary rows are made of a prototype. */
const EXAMPLES = 6;
/** Calls with missing values at most; of more columns several have theirs in one call. */
const WITH_MISSING_MAX = 16;
/** Pairs of calls that are equal but for one column, or in one alone, at most. */
const WITH_PAIRS_MAX = 16;

/**
 * Calls like those that a model may get, from what it publishes at `/prototype`: its columns, each with type, example
 * and, of a factor, its levels. Undefined: it says nothing to make rows of.
 *
 * First ordinary rows, no two alike, so that an answer that depends on the rows around it shows. Then what tells models
 * apart that look at other rows for some values only: zeros and extremes, texts of other lengths, in each column a
 * missing value beside a present one, and rows that are equal in all columns but one, and in one alone. All are of one
 * shape, as calls are that travel together.
 */
export function examplesOf(prototype: string, format: RowFormat): readonly Rows[] | undefined {
  const columns = readPrototype(prototype);
  if (columns === undefined) return undefined;
  const ordinary = Array.from({ length: EXAMPLES }, (_, i) => [columns.map(column => exampleOf(column, i))]);
  const [base = [], other = []] = [0, 1].map(i => columns.map(column => pairedOf(column, i)));
  const pairs = pairsOf(base, other).map(values => [values]);
  const calls = [...ordinary, ...extremesOf(columns), ...missingOf(columns), ...pairs]
    .map(rows => readRows(Buffer.from(bodyOf(columns, rows, format)), format, 2))
    .filter(call => call !== undefined);
  const [first] = calls;
  const alike = calls.filter(({ shape }) => shape === first?.shape);
  const texts = new Set(alike.slice(0, EXAMPLES).map(({ pieces }) => pieces.join(',')));
  return texts.size > 1 ? alike : undefined;
}

/** Each row a list of values as JSON, in the order of the columns. */
function bodyOf(columns: readonly Column[], rows: readonly (readonly string[])[], format: RowFormat): string {
  const nameOf = (i: number) => JSON.stringify(columns[i]?.name ?? '');
  if (format === 'array') {
    const records = rows.map(values => `{${values.map((value, i) => `${nameOf(i)}:${value}`).join(',')}}`);
    return `[${records.join(',')}]`;
  }
  return `{${columns.map((_, i) => `${nameOf(i)}:[${rows.map(values => values[i] ?? 'null').join(',')}]`).join(',')}}`;
}

/** Of R's own whole numbers, or bit64's. */
function isWhole(type: string): boolean {
  return type === 'integer' || type === 'integer64';
}

/** Levels are taken forth, and back in the second half. */
function exampleOf({ type, example, levels }: Column, i: number): string {
  if (isWhole(type)) return String(Math.round(numberOf(example, 1)) + i);
  switch (type) {
    case 'numeric':
    case 'double':
      return doubleText(numberOf(example, 1) * (1 + i / 16) + (i % 2) / 32);
    case 'logical':
      return String(i % 2 === 0);
    case 'factor':
    case 'ordered': {
      const at = i < EXAMPLES / 2 ? i : EXAMPLES - 1 - i + levels.length;
      return JSON.stringify(levels.length === 0 ? String(example) : levels[at % levels.length]);
    }
    default:
      return JSON.stringify(typeof example === 'string' ? example : '');
  }
}

type Extreme = Readonly<Record<'double' | 'integer', string>>;

const EXTREMES: readonly Extreme[] = [
  { double: '0.0', integer: '0' },
  { double: '-1.5', integer: '-1' },
  { double: '123456.789', integer: '123456' },
  { double: '0.00001234', integer: '1' },
  { double: '1e300', integer: '2147483647' },
];

/** Ordinary rows in which all numbers are extreme at once, all texts are of another length, or all levels the last ones. */
function extremesOf(columns: readonly Column[]): string[][][] {
  const numbers = EXTREMES.map(extreme => [columns.map(column => extremeOf(column, extreme) ?? exampleOf(column, 1))]);
  const hasText = columns.some(({ type }) => type === 'character');
  const texts = hasText ? [textsOf(columns, () => ''), textsOf(columns, text => `${text} ${text} and more`)] : [];
  const levelsMax = Math.max(...columns.map(({ levels }) => levels.length));
  const levels = Array.from({ length: Math.min(12, levelsMax) }, (_, i) => [
    columns.map(column => levelFromEnd(column, i) ?? exampleOf(column, i % EXAMPLES)),
  ]);
  return [...numbers, ...texts, ...levels];
}

function extremeOf({ type }: Column, extreme: Extreme): string | undefined {
  if (type === 'numeric' || type === 'double') return extreme.double;
  return isWhole(type) ? extreme.integer : undefined;
}

function textsOf(columns: readonly Column[], change: (text: string) => string): string[][] {
  return [
    columns.map(column =>
      column.type === 'character' && typeof column.example === 'string'
        ? JSON.stringify(change(column.example))
        : exampleOf(column, 2),
    ),
  ];
}

function levelFromEnd({ type, levels }: Column, i: number): string | undefined {
  return (type !== 'factor' && type !== 'ordered') || levels.length === 0
    ? undefined
    : JSON.stringify(levels[(2 * levels.length - 1 - i) % levels.length]);
}

/** Two rows, of which one lacks a value that the other has: alone the column would be another to R. */
function missingOf(columns: readonly Column[]): string[][][] {
  const count = Math.min(columns.length, WITH_MISSING_MAX);
  return Array.from({ length: count }, (_, call) => {
    const row = (i: number) => columns.map(column => exampleOf(column, (call + i) % EXAMPLES));
    const lacking = row(0).map((value, i) => (i % count === call ? 'null' : value));
    return call % 2 === 0 ? [lacking, row(1)] : [row(1), lacking];
  });
}

/** Of two rows that differ wherever they can, texts too. */
function pairedOf(column: Column, i: number): string {
  const { type, example } = column;
  return type === 'character' && i > 0 ? JSON.stringify(`${String(example)} too`) : exampleOf(column, i);
}

/**
 * Rows that are equal to the first in all columns but one, and in one alone: a model that puts rows into groups, or ranks
 * them, influences some rows by others only there. Of many columns several are changed at once.
 */
function pairsOf(base: readonly string[], other: readonly string[]): readonly string[][] {
  if (base.length < 2) return [];
  const count = Math.min(base.length, WITH_PAIRS_MAX);
  const made = Array.from({ length: count }, (_, offset) => {
    const isSwapped = (i: number) => i % count === offset;
    return [
      base.map((value, i) => (isSwapped(i) ? (other[i] ?? value) : value)),
      other.map((value, i) => (isSwapped(i) ? (base[i] ?? value) : value)),
    ];
  });
  const distinct = new Map(made.flat().map(values => [values.join(), values]));
  for (const known of [base, other]) distinct.delete(known.join());
  return [...distinct.values()];
}

/** The rows that callers have sent, and pairs made of the values of two of them. */
export function withPairs(rows: readonly Rows[], format: RowFormat): readonly Rows[] {
  const [base, other] = rows;
  if (base === undefined || other === undefined) return rows;
  const pairs = pairsOf(valuesOf(base), valuesOf(other)).flatMap(values => withValues(base, values, format) ?? []);
  return [...rows, ...pairs.filter(({ shape }) => shape === base.shape)];
}

function doubleText(value: number): string {
  const text = String(Number(value.toPrecision(8)));
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function numberOf(example: unknown, otherwise: number): number {
  const number = Number(Array.isArray(example) ? example[0] : example);
  return Number.isFinite(number) && Math.abs(number) < 1e9 ? number : otherwise;
}

/** What is asked for a proof, and how far rows may then travel together. */
export interface ProofPlan {
  /** Calls of one shape. */
  readonly calls: readonly Rows[];
  readonly format: RowFormat;
  /** Rows asked together at most. */
  readonly rowsMax: number;
  readonly bodyBytesMax: number;
}

/**
 * What the versions of a model answered to the calls of a plan: first to each alone, then to those together that all of
 * them answered.
 *
 * Together they are asked forth and back first: a model that sorts its rows, as R's `merge` does, or drops those it has
 * seen would answer rows that happen to be in order as if it did neither. Then in every size on both sides of powers of
 * two, begun elsewhere each time, so that each call stands first, last and in the middle; and each with the first of them, however
 * few may travel together.
 */
export class Evidence {
  readonly #plan: ProofPlan;
  readonly #versions: readonly string[];
  readonly #answers = new Map<string, (Answer | undefined)[]>();
  readonly #alone: readonly Buffer[];
  #together: readonly (readonly number[])[] = [];
  #isPlanned = false;

  constructor(plan: ProofPlan, versions: readonly string[]) {
    this.#plan = plan;
    this.#versions = versions;
    this.#alone = plan.calls.map(call => concatRows([call], plan.format));
    for (const version of versions) this.#answers.set(version, []);
  }

  /** The bodies that some version has not answered yet. */
  *missing(): Generator<readonly [index: number, body: Buffer]> {
    for (const [i, body] of this.#alone.entries()) if (this.#isMissing(i)) yield [i, body];
    if (!this.#isPlanned && !this.#plan.calls.some((_, i) => this.#isMissing(i))) this.#planTogether();
    for (const [i, calls] of this.#together.entries()) {
      const index = this.#alone.length + i;
      if (this.#isMissing(index)) yield [index, this.#bodyOf(calls)];
    }
  }

  /** Takes what a version answered to one of them. */
  take(version: string, index: number, answer: Answer): void {
    const known = this.#answers.get(version);
    if (known !== undefined) known[index] = answer;
  }

  /** Undefined: that version has not answered them all, and nothing that it did answer speaks against it. */
  verdictOf(version: string): ProofVerdict | undefined {
    if (!this.#isPlanned) return undefined;
    const answers = this.#answers.get(version) ?? [];
    if (this.#together.length === 0) return this.#unfit(answers);
    let found: { form: AnswerForm; fields: string } | undefined;
    let rowsMax = 1;
    for (const [i, calls] of this.#together.entries()) {
      const together = answers[this.#alone.length + i];
      if (together === undefined) return undefined;
      const judged = this.#judge({ answers, together, calls, form: found?.form });
      if ('reason' in judged) return judged;
      found ??= { form: judged.form, fields: fieldsText(together) };
      rowsMax = Math.max(rowsMax, this.#countOf(calls));
    }
    return found && { kind: 'proven', ...found, rowsMax };
  }

  #isMissing(index: number): boolean {
    return this.#versions.some(version => this.#answers.get(version)?.[index] === undefined);
  }

  #bodyOf(calls: readonly number[]): Buffer {
    return concatRows(this.#rowsOf(calls), this.#plan.format);
  }

  #rowsOf(calls: readonly number[]): Rows[] {
    return calls.flatMap(i => this.#plan.calls[i] ?? []);
  }

  #countOf(calls: readonly number[]): number {
    return this.#rowsOf(calls).reduce((sum, { count }) => sum + count, 0);
  }

  /** Of the calls that all versions answer alone; none where fewer than two single rows are among them. */
  #planTogether(): void {
    this.#isPlanned = true;
    const { calls, rowsMax, bodyBytesMax } = this.#plan;
    const usable = calls.flatMap((_, i) => (this.#isAnswered(i) ? [i] : []));
    const single = usable.filter(i => calls[i]?.count === 1);
    if (single.length < 2) return;
    const forth = single.slice(0, EXAMPLES);
    const rotated = sizesUpTo(rowsMax).map((size, round) => this.#mixOf({ usable, single, size, round }));
    const beside = this.#besideFirst(usable);
    this.#together = [[...forth, ...forth.toReversed()], ...rotated, ...beside].filter(
      (mix, i) => i === 0 || this.#bodyOf(mix).length <= bodyBytesMax,
    );
  }

  /** Every call together with the first, where no mix holds them all. */
  #besideFirst([first, ...others]: readonly number[]): number[][] {
    const { rowsMax } = this.#plan;
    if (first === undefined || this.#countOf([first, ...others]) <= rowsMax) return [];
    const mixes: number[][] = [];
    for (const call of others) {
      const last = mixes.at(-1);
      if (last !== undefined && this.#countOf([...last, call]) <= rowsMax) last.push(call);
      else if (this.#countOf([first, call]) <= rowsMax) mixes.push([first, call]);
    }
    return mixes;
  }

  /** So many rows exactly: calls from another one on in each round, and single ones for what is left. */
  #mixOf({ usable, single, size, round }: Mix): number[] {
    const mix: number[] = [];
    let left = size;
    for (let i = 0; left > 0; i++) {
      const call = usable[(2 * round + i) % usable.length] ?? 0;
      const count = this.#plan.calls[call]?.count ?? 1;
      const fitting = count <= left ? call : (single[(round + i) % single.length] ?? 0);
      mix.push(fitting);
      left -= count <= left ? count : 1;
    }
    return round % 2 === 0 ? mix : mix.reverse();
  }

  #isAnswered(index: number): boolean {
    return this.#versions.every(version => this.#answers.get(version)?.[index]?.status === 200);
  }

  #unfit(answers: readonly (Answer | undefined)[]): ProofVerdict {
    const odd = answers.find(answer => answer !== undefined && answer.status !== 200);
    return { kind: 'unfit', reason: `a row alone is answered with ${odd?.status ?? 'nothing'}` };
  }

  #judge({ answers, together, calls, form }: Judging): { readonly form: AnswerForm } | Refuted {
    const alone = calls.flatMap(i => answers[i] ?? []);
    const rows = this.#countOf(calls);
    if (together.status !== 200) return refuted(`${rows} rows together are answered with ${together.status}`);
    const texts = alone.map(bodyTextOf).filter(text => text !== undefined);
    const text = bodyTextOf(together);
    if (text === undefined || texts.length < calls.length) return refuted('the answer is a stream, or too large');
    const field = alone.map(answer => otherField(answer, together)).find(name => name !== undefined);
    if (field !== undefined) return refuted(`the field ${field} differs from call to call`);
    if (form === undefined) {
      const found = findForm(texts, text);
      return 'flaw' in found ? refuted(found.flaw) : found;
    }
    const counts = this.#rowsOf(calls).map(({ count }) => count);
    const split = splitAnswer(text, form, counts);
    if (split === undefined) return refuted(`${rows} rows together are answered in another form`);
    return split.every((own, i) => own === texts[i]) ? { form } : refuted(OTHERWISE);
  }
}

interface Mix {
  readonly usable: readonly number[];
  readonly single: readonly number[];
  readonly size: number;
  readonly round: number;
}

interface Judging {
  readonly answers: readonly (Answer | undefined)[];
  readonly together: Answer;
  readonly calls: readonly number[];
  /** As the first answers showed it; undefined: these are the first. */
  readonly form: AnswerForm | undefined;
}

type Refuted = Extract<ProofVerdict, { readonly kind: 'refuted' }>;

/** What is said of a model whose rows influence one another. */
export const OTHERWISE = 'a row is answered otherwise among others than alone';

function refuted(reason: string): Refuted {
  return { kind: 'refuted', reason };
}
