import type { Random } from '../clock.ts';
import { hash32 } from '../hash32.ts';
import { cookiesOf, fieldOf } from '../http/fields.ts';
import type { Asked, Weight, WeightKey } from '../route.ts';

interface Member {
  readonly id: string;
  readonly weight: Weight;
}

/**
 * One of a group's routes, as often as its weight says; undefined where all weights are 0.
 *
 * With `by` the choice is made by rendezvous hashing: a caller keeps its side while the weights stand, and where they
 * change only as many callers change sides as must. A request without the cookie or header is drawn for by itself.
 */
export function drawMember<M extends Member>(members: readonly M[], asked: Asked, random: Random): M | undefined {
  const [first] = members;
  const key = first?.weight.by === undefined ? undefined : keyOf(first.weight.by, asked);
  return key === undefined ? drawn(members, random) : ranked(members, key);
}

function keyOf(by: WeightKey, { fields, callerAddress }: Asked): string | undefined {
  if (by.kind === 'ip') return callerAddress;
  const value = by.kind === 'header' ? fieldOf(fields, by.name) : cookiesOf(fields, by.name)[0];
  return value === '' ? undefined : value;
}

function drawn<M extends Member>(members: readonly M[], random: Random): M | undefined {
  let left = random.below(members.reduce((sum, { weight }) => sum + weight.weight, 0));
  return members.find(({ weight }) => (left -= weight.weight) < 0);
}

function ranked<M extends Member>(members: readonly M[], key: string): M | undefined {
  let best: { readonly member: M; readonly score: number } | undefined;
  for (const member of members) {
    const share = (hash32(`${member.id} ${key}`) + 0.5) / 2 ** 32;
    const score = -member.weight.weight / Math.log(share);
    if (score > (best?.score ?? 0)) best = { member, score };
  }
  return best?.member;
}
