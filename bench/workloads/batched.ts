import { penstockBatching } from '../contestants/penstock.ts';
import { wrk } from '../load/wrk.ts';
import { startPlumber } from '../upstreams/plumber.ts';
import { fuel } from './fuel.ts';
import { USUAL_COLUMNS, type Workload } from './workload.ts';

/** Different calls that wait for R travel as one. */
export const batched: Workload = {
  id: 'batched',
  title: 'Real predictions, batched: `fuel`, two R processes, one row a call, no two calls alike',
  about:
    'The same calls by many callers. Penstock sends those that wait as one; each gets, byte for byte, what R would have answered to it alone.',
  contestants: [...fuel.contestants.filter(({ kind }) => kind !== 'own'), penstockBatching],
  connections: [256],
  prefix: fuel.prefix,
  path: fuel.path,
  load: wrk('fuel.lua'),
  sample: fuel.sample,
  concurrency: 1,
  isOnOneCore: false,
  columns: USUAL_COLUMNS,
  expectations: [
    {
      title: '256 callers, batched: requests a second',
      ...{ of: 'penstock-batching', against: 'best-peer', measure: 'perSecond', connections: 256, atLeast: 20 },
    },
    {
      title: 'The same: p99, to the best peer’s p50',
      ...{ of: 'penstock-batching', against: 'best-peer', measure: 'p99Ms', againstMeasure: 'p50Ms' },
      ...{ connections: 256, atMost: 1 },
    },
  ],
  startInstances: place => startPlumber(place, 'fuel', 2),
};
