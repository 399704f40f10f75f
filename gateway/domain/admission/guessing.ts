import { addressGroup } from '../caller.ts';
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { CredentialFault } from './challenge.ts';
import type { Finding } from './scheme.ts';

/** How many failures are taken, of one address and of one address with one subject. */
export interface GuessingPolicy {
  readonly failures: number;
  readonly perMs: number;
}

/** A guess, and nothing else, looks like this: what has expired or is meant for others was once a caller's own. */
const GUESSES: ReadonlySet<CredentialFault> = new Set<CredentialFault>([
  'wrong-signature',
  'unknown-key-text',
  'unknown-token',
  'wrong-password',
]);

/** Checks of one address that may be under way at once: none of them is counted yet. */
const UNDER_WAY_MAX = 64;
/** Addresses and pairs kept; beyond, those that failed first are forgotten. */
const KEYS_MAX = 20_000;

interface Count {
  failures: number;
  readonly endsMs: number;
}

/**
 * Slows guessing down: what an address gets wrong is counted, by itself and together with the name it tried, and at so
 * many failures in a window it is refused before anything expensive is done. No name is locked for others, and a
 * credential that is cached as good is not asked about here.
 */
export class Guessing {
  readonly #policy: GuessingPolicy;
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #counts = new Map<string, Count>();
  readonly #underWay = new Map<string, number>();

  constructor(policy: GuessingPolicy, clock: Pick<Clock, 'nowMs'>) {
    this.#policy = policy;
    this.#clock = clock;
  }

  /** What the check finds, unless there was too much guessing: RATE_LIMITED. */
  judge(
    { address, subject = '' }: { readonly address: string; readonly subject?: string },
    check: () => Finding | Promise<Finding>,
  ): Finding | Promise<Finding> {
    const group = addressGroup(address);
    const keys = subject === '' ? [group] : [group, `${group} ${subject}`];
    this.#refuse(keys);
    const found = check();
    if (!(found instanceof Promise)) return this.#noted(keys, found);
    return this.#waited(group, keys, found);
  }

  /** A finding that cost nothing: counted, and told as too much where it is. */
  note(address: string, finding: Finding): Finding {
    const keys = [addressGroup(address)];
    if (isGuess(finding)) this.#refuse(keys);
    return this.#noted(keys, finding);
  }

  async #waited(group: string, keys: readonly string[], found: Promise<Finding>): Promise<Finding> {
    const underWay = this.#underWay.get(group) ?? 0;
    this.#underWay.set(group, underWay + 1);
    try {
      return this.#noted(keys, await found);
    } finally {
      const left = (this.#underWay.get(group) ?? 1) - 1;
      if (left === 0) this.#underWay.delete(group);
      else this.#underWay.set(group, left);
    }
  }

  #refuse(keys: readonly string[]): void {
    const nowMs = this.#clock.nowMs();
    if ((this.#underWay.get(keys[0] ?? '') ?? 0) >= UNDER_WAY_MAX) throw tooMany(1000);
    for (const key of keys) {
      const count = this.#counts.get(key);
      if (count === undefined) continue;
      if (nowMs >= count.endsMs) this.#counts.delete(key);
      else if (count.failures >= this.#policy.failures) throw tooMany(count.endsMs - nowMs);
    }
  }

  #noted(keys: readonly string[], finding: Finding): Finding {
    if (!isGuess(finding)) return finding;
    const endsMs = this.#clock.nowMs() + this.#policy.perMs;
    for (const key of keys) {
      const count = this.#counts.get(key);
      if (count !== undefined) count.failures += 1;
      else this.#counts.set(key, { failures: 1, endsMs });
    }
    for (const key of this.#counts.keys()) {
      if (this.#counts.size <= KEYS_MAX) break;
      this.#counts.delete(key);
    }
    return finding;
  }
}

function isGuess(finding: Finding): boolean {
  return finding.kind === 'refused' && GUESSES.has(finding.fault);
}

function tooMany(retryAfterMs: number): GatewayError {
  return new GatewayError('RATE_LIMITED', 'too many credentials that are not taken', {
    retryAfterMs,
    detail: 'Too many credentials from this address were not taken.',
  });
}
