import { findForm, type AnswerForm } from '../batch/answer-form.ts';
import type { Answer } from '../../exchange.ts';
import { joinParcels, type Parcel, type RowFormat } from '../batch/row-parcel.ts';

/** What a model has shown: rows together are answered as each alone; they are not; or the rows were no good to ask with. */
export type Verdict =
  | { readonly kind: 'proven'; readonly form: AnswerForm; readonly fields: string }
  | { readonly kind: 'refuted'; readonly reason: string }
  | { readonly kind: 'unfit'; readonly reason: string };

/** The questions of a proof, and what each version of the model answered to them. */
export interface Evidence {
  /** The bodies to ask with: each row alone, and then all together, forth and back. */
  readonly bodies: readonly Buffer[];
  /** Takes what a version answered to one of them. */
  take(version: string, body: number, answer: Answer): void;
  /** Undefined: that version has not answered them all. */
  verdictOf(version: string): Verdict | undefined;
  /** True when the version has not answered that one. */
  isMissing(version: string, body: number): boolean;
}

/**
 * A proof with these rows, at least two, of one shape.
 *
 * Together they are asked forth and back: a model that sorts its rows, as R's `merge` does, or drops those it has seen
 * would answer rows that happen to be in order as if it did neither, and later give callers each other's answers.
 */
export function createEvidence(rows: readonly Parcel[], format: RowFormat): Evidence {
  const bodies = [...rows.map(row => joinParcels([row], format)), joinParcels(forthAndBack(rows), format)];
  const answers = new Map<string, (Answer | undefined)[]>();
  const ofVersion = (version: string) => answers.get(version) ?? [];

  return {
    bodies,
    take(version, body, answer) {
      const known = answers.get(version) ?? bodies.map(() => undefined);
      known[body] = answer;
      answers.set(version, known);
    },
    isMissing: (version, body) => ofVersion(version)[body] === undefined,
    verdictOf(version) {
      const all = ofVersion(version).filter(answer => answer !== undefined);
      const together = all.at(-1);
      if (together === undefined || all.length < bodies.length) return undefined;
      return judge(forthAndBack(all.slice(0, -1)), together);
    },
  };
}

function forthAndBack<T>(items: readonly T[]): readonly T[] {
  return [...items, ...items.toReversed()];
}

function judge(alone: readonly Answer[], together: Answer): Verdict {
  const odd = alone.find(({ status }) => status !== 200);
  if (odd !== undefined) return { kind: 'unfit', reason: `a row alone is answered with ${odd.status}` };
  if (together.status !== 200) return refuted(`${alone.length} rows together are answered with ${together.status}`);
  const texts = alone.map(textOf);
  const text = textOf(together);
  if (text === undefined || !texts.every(single => single !== undefined))
    return refuted('the answer is a stream, or too large');
  const field = alone.map(answer => otherField(answer, together)).find(name => name !== undefined);
  if (field !== undefined) return refuted(`the field ${field} differs from call to call`);
  const found = findForm(texts, text);
  if ('flaw' in found) return refuted(found.flaw);
  return { kind: 'proven', form: found.form, fields: fieldsText(together) };
}

function refuted(reason: string): Verdict {
  return { kind: 'refuted', reason };
}

/** An answer's body, one character a byte; undefined: it is a stream. */
export function textOf({ body }: Answer): string | undefined {
  return Buffer.isBuffer(body) ? body.toString('latin1') : undefined;
}

/** Equal for answers with the same fields, but for those that tell the time. */
export function fieldsText({ rawHeaders }: Answer): string {
  const lines = [...comparable(rawHeaders)].map(([name, values]) => `${name}:${values}`);
  return lines.sort().join('\n\n');
}

/** Others tell by them how old the answer is. */
const OF_TIME: ReadonlySet<string> = new Set(['age', 'date', 'expires']);

/** The name of a field that is not the same in both, or that is never shared. */
function otherField({ rawHeaders }: Answer, { rawHeaders: others }: Answer): string | undefined {
  const [ours, theirs] = [comparable(rawHeaders), comparable(others)];
  for (const [name, values] of ours) if (theirs.get(name) !== values) return name;
  for (const name of theirs.keys()) if (!ours.has(name)) return name;
  return ours.has('set-cookie') ? 'Set-Cookie' : undefined;
}

function comparable(rawHeaders: readonly string[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase();
    if (!OF_TIME.has(name)) fields.set(name, `${fields.get(name) ?? ''}\n${rawHeaders[i + 1] ?? ''}`);
  }
  return fields;
}
