import { haproxyTuned } from '../contestants/haproxy.ts';
import { nginx } from '../contestants/nginx.ts';
import { penstockJoining, penstockSharing } from '../contestants/penstock.ts';
import { crowd as crowdLoad } from '../load/crowd.ts';
import { applicationHere, startPlumber } from '../upstreams/plumber.ts';
import { PREDICTION } from './fuel.ts';
import type { Workload } from './workload.ts';

const CALLERS = 1_000;

/** Everybody asks the same at once. */
export const crowd: Workload = {
  id: 'crowd',
  title: 'A thousand callers ask the same at once: `fuel`, two R processes',
  about:
    'How many of their calls reach R, and how long it takes until all are answered. The next turn asks something else.',
  contestants: [nginx, haproxyTuned, penstockJoining, penstockSharing],
  connections: [CALLERS],
  prefix: '/api/fuel',
  path: '/predict',
  load: crowdLoad(seed => ({ body: `[{"wt":2.${100_000 + (seed % 900_000)},"hp":110}]` })),
  sample: PREDICTION,
  concurrency: 1,
  isOnOneCore: false,
  columns: ['reached', 'p50', 'p99', 'per-second', 'failed'],
  expectations: [
    {
      title: `${CALLERS.toLocaleString('en')} callers ask the same: calls that reach R`,
      ...{ of: 'penstock-sharing', measure: 'reached', connections: CALLERS, atMost: 1 },
    },
  ],
  startInstances: place => startPlumber(place, applicationHere('counted'), 2),
};
