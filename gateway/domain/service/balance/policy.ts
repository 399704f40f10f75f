import type { Instance, AffinityKey, BalanceSpec } from '../../service.ts';
import type { NonEmpty } from '../../non-empty.ts';
import type { Admitted } from '../../call.ts';
import { cookiesOf, fieldOf } from '../../http/fields.ts';

/**
 * Those a policy may choose from, kept as they come and go, so that a pick among thousands costs about what one among
 * ten does.
 *
 * What is in it is eligible: healthy, not draining, with a free permit. A policy states a preference among them and
 * nothing else, so no policy can forget a health check.
 */
export interface Choice<I extends Instance> {
  readonly size: number;
  /** Of equals, those that are in it have waited longer. It must not be in it yet. */
  add(instance: I): void;
  /** Nothing happens where it is not in it. */
  remove(instance: I): void;
  /** Its load, weight or latency may be another. */
  changed(instance: I): void;
  /** It was given work, by whichever pick: of equals all others have waited longer. */
  served(instance: I): void;
  /**
   * What receives the next attempt; undefined only where it is empty. `affinity` is equal for requests that should
   * meet the same instance.
   */
  pick(affinity: string): I | undefined;
}

/** Chooses the instance that receives the next attempt. */
export interface BalancePolicy {
  readonly name: string;
  /** An empty choice. What the policy keeps of an instance holds in all its choices. */
  choice<I extends Instance>(): Choice<I>;
  /** One of those listed for this request alone, in a time that grows with their number; equals take turns. */
  pick<I extends Instance>(candidates: NonEmpty<I>, affinity: string): I;
  /**
   * The one among the usable that the affinity belongs to, whatever it has in hand; undefined: there is none. Only where
   * each has an instance of its own.
   */
  ownerOf?(affinity: string, isUsable: (instance: Instance) => boolean): Instance | undefined;
  /** The service lists these now, in whatever state; or their weights have changed. */
  adopt?(instances: readonly Instance[]): void;
}

/** A policy by the way it chooses. */
export function createPolicy(parts: Omit<BalancePolicy, 'pick'>): BalancePolicy {
  const turns = new WeakMap<Instance, number>();
  let turn = 0;

  return {
    ...parts,
    pick(candidates, affinity) {
      type Candidate = (typeof candidates)[number];
      const turnOf = (candidate: Candidate) => turns.get(candidate) ?? 0;
      const choice = parts.choice<Candidate>();
      for (const candidate of [...candidates].sort((a, b) => turnOf(a) - turnOf(b))) choice.add(candidate);
      const chosen = choice.pick(affinity) ?? candidates[0];
      turns.set(chosen, (turn += 1));
      for (const candidate of candidates) choice.remove(candidate); // what is kept of it goes with it
      return chosen;
    },
  };
}

/** What keeps this request with an instance; empty where nothing does. */
export function affinityOf(balance: BalanceSpec, request: Admitted): string {
  return balance.policy === 'hash' ? valueOf(balance.by, request) : '';
}

function valueOf(key: AffinityKey, request: Admitted): string {
  switch (key.kind) {
    case 'caller':
      return request.caller.id;
    case 'ip':
      return request.callerAddress;
    case 'header':
      return fieldOf(request.fields, key.name.toLowerCase()) ?? '';
    case 'cookie':
      return cookiesOf(request.fields, key.name)[0] ?? '';
  }
}

/** How busy an instance would be with one attempt more, relative to its weight. */
export function loadOf(instance: Instance): number {
  return (instance.inFlight + 1) / instance.weight;
}
