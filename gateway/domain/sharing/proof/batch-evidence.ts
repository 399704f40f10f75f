import { fieldsText, otherField } from '../batch/answer-fields.ts';
import { bodyTextOf, findForm } from '../batch/answer-form.ts';
import type { ProofVerdict } from '../batch/batch-subject.ts';
import type { Answer } from '../../exchange.ts';
import { joinParcels, type Parcel, type RowFormat } from '../batch/row-parcel.ts';

/** The questions of a proof, and what each version of the model answered to them. */
export interface Evidence {
  /** The bodies to ask with: each row alone, and then all together, forth and back. */
  readonly bodies: readonly Buffer[];
  /** Takes what a version answered to one of them. */
  take(version: string, body: number, answer: Answer): void;
  /** Undefined: that version has not answered them all. */
  verdictOf(version: string): ProofVerdict | undefined;
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

function judge(alone: readonly Answer[], together: Answer): ProofVerdict {
  const odd = alone.find(({ status }) => status !== 200);
  if (odd !== undefined) return { kind: 'unfit', reason: `a row alone is answered with ${odd.status}` };
  if (together.status !== 200) return refuted(`${alone.length} rows together are answered with ${together.status}`);
  const texts = alone.map(bodyTextOf);
  const text = bodyTextOf(together);
  if (text === undefined || !texts.every(single => single !== undefined))
    return refuted('the answer is a stream, or too large');
  const field = alone.map(answer => otherField(answer, together)).find(name => name !== undefined);
  if (field !== undefined) return refuted(`the field ${field} differs from call to call`);
  const found = findForm(texts, text);
  if ('flaw' in found) return refuted(found.flaw);
  return { kind: 'proven', form: found.form, fields: fieldsText(together) };
}

function refuted(reason: string): ProofVerdict {
  return { kind: 'refuted', reason };
}
