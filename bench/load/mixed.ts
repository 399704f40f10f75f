import { Pool } from 'undici';
import { quantile, type Figures, type Load, type Turn } from './load.ts';

interface Kind {
  readonly path: string;
  readonly tookMs: number[];
}

interface MixedTraits {
  readonly fast: string;
  readonly slow: string;
  /** Every so-manieth call is a slow one; Infinity: none. */
  readonly slowEvery: number;
}

/**
 * Callers who each ask again as soon as they are answered, some calls slow on purpose. The figures are those of the fast
 * ones: what the slow ones do to others is the question. wrk cannot tell the two apart.
 */
export function mixed({ fast, slow, slowEvery }: MixedTraits): Load {
  return async turn => {
    const kinds = { fast: { path: fast, tookMs: [] }, slow: { path: slow, tookMs: [] } };
    let calls = 0;
    const next = () => ((calls += 1) % slowEvery === 0 ? kinds.slow : kinds.fast);
    const ends = await callOnAndOn(turn, next);
    return { ...ends, ...timesOf(kinds) };
  };
}

type Ends = Pick<Figures, 'requests' | 'durationMs' | 'refused' | 'broken'>;

async function callOnAndOn(turn: Turn, next: () => Kind): Promise<Ends> {
  const { front, connections, seconds, tokenOf } = turn;
  const headers = { authorization: `Bearer ${tokenOf('bench')}` };
  // Without pipelining undici closes each connection after its call.
  const pool = new Pool(`http://${front.addresses[0] ?? ''}`, {
    ...{ connections, pipelining: turn.isClosedByCallers ? 0 : 1 },
  });
  const ends = { requests: 0, refused: 0, broken: 0 };
  const beganMs = performance.now();
  const caller = async () => {
    while (performance.now() - beganMs < seconds * 1000) {
      const kind = next();
      const sentMs = performance.now();
      try {
        const { statusCode, body } = await pool.request({
          method: 'GET',
          path: `${front.prefix}${kind.path}`,
          headers,
        });
        await body.dump();
        ends.requests += 1;
        if (statusCode >= 400) ends.refused += 1;
        else kind.tookMs.push(performance.now() - sentMs);
      } catch {
        ends.broken += 1; // Counted, whatever it was: no contestant should break any.
      }
    }
  };
  await Promise.all(Array.from({ length: connections }, caller));
  const durationMs = performance.now() - beganMs;
  await pool.close();
  return { ...ends, durationMs };
}

function timesOf({ fast, slow }: Record<'fast' | 'slow', Kind>): Pick<Figures, 'p50Ms' | 'p99Ms' | 'slowP50Ms'> {
  const [ofFast, ofSlow] = [fast, slow].map(({ tookMs }) => tookMs.toSorted((a, b) => a - b));
  return {
    p50Ms: quantile(ofFast ?? [], 0.5),
    p99Ms: quantile(ofFast ?? [], 0.99),
    slowP50Ms: quantile(ofSlow ?? [], 0.5),
  };
}
