import { loadOf, type Instance } from '../instance.ts';
import { at } from '../non-empty.ts';
import type { BalancePolicy } from './policy.ts';

/** How many are compared in one pick; among more, the next so many in turn. Few enough to cost little, enough to be even. */
export const COMPARED_MAX = 64;

/** Latencies within this factor of the best, and this many milliseconds, are alike: less is noise. */
const ALIKE_FACTOR = 2;
const ALIKE_MS = 1;

/**
 * Prefers whoever has the least work in hand for its weight, and among those the quicker; equals take turns.
 *
 * Latency only breaks ties, and only in a coarse step: else the one that happens to have answered quickest would get
 * every call while load is low, and the others would never be measured again.
 */
export function leastLoaded(): BalancePolicy {
  let last: Instance | undefined;

  return {
    name: 'least-loaded',
    pick(candidates) {
      const count = candidates.length;
      const start = turnAfter(candidates, last);
      const compared = Math.min(count, COMPARED_MAX);
      const best = bestOf(candidates, start, compared);
      let turn = 0;
      while (turn < compared - 1 && !isAlike(at(candidates, (start + turn) % count), best)) turn += 1;
      const chosen = at(candidates, (start + turn) % count);
      last = chosen;
      return chosen;
    },
  };
}

interface Best {
  readonly load: number;
  readonly latencyMsMax: number;
}

function isAlike(candidate: Instance, best: Best): boolean {
  return loadOf(candidate) <= best.load && (candidate.latencyMs ?? 0) <= best.latencyMsMax;
}

/** What the best have: the least load, and a latency that is alike to the quickest of those with that load. */
function bestOf(candidates: readonly Instance[], start: number, compared: number): Best {
  let load = Infinity;
  let latencyMs = Infinity;
  for (let i = 0; i < compared; i++) {
    const candidate = at(candidates, (start + i) % candidates.length);
    const itsLoad = loadOf(candidate);
    if (itsLoad > load) continue;
    const itsLatencyMs = candidate.latencyMs ?? 0; // unknown: worth a try
    latencyMs = itsLoad < load ? itsLatencyMs : Math.min(latencyMs, itsLatencyMs);
    load = itsLoad;
  }
  return { load, latencyMsMax: Math.max(latencyMs * ALIKE_FACTOR, latencyMs + ALIKE_MS) };
}

/** Where the next turn begins: behind whoever was chosen last. */
function turnAfter(candidates: readonly Instance[], last: Instance | undefined): number {
  if (last === undefined || candidates[candidates.length - 1] === last) return 0;
  return candidates.indexOf(last) + 1;
}
