import type { CostRow } from './cost/compare.ts';
import { measureLookups } from './cost/lookups.ts';
import { measurePicks } from './cost/picks.ts';

/** What one thing costs where there are few of something, and where there are many. */
export async function measureCosts(tell: (text: string) => void): Promise<CostRow[]> {
  tell('cost: picks and lookups');
  return [...(await measurePicks()), ...(await measureLookups())];
}
