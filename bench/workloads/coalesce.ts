import { haproxyTuned } from '../contestants/haproxy.ts';
import { nginx } from '../contestants/nginx.ts';
import { penstockCoalescing, penstockSharing } from '../contestants/penstock.ts';
import { crowd as crowdLoad } from '../load/crowd.ts';
import { applicationHere, startPlumber } from '../upstreams/upstreams.ts';
import { fuelLoad, PREDICTION } from './fuel.ts';
import type { Workload } from './workload.ts';

const CALLERS = 1_000;

/** Equal calls at the same time are one call of R. */
export const coalesce: Workload = {
  id: 'coalesce',
  title: 'A thousand callers ask the same at once: `fuel`, two R processes',
  short: 'a thousand ask the same at once',
  about:
    'How many of their calls reach R, and how long it takes until all are answered. The next turn asks something else.',
  contestants: [nginx, haproxyTuned, penstockCoalescing, penstockSharing],
  connections: [CALLERS],
  prefix: '/api/fuel',
  path: '/predict',
  load: crowdLoad(seed => ({ body: `[{"wt":2.${100_000 + (seed % 900_000)},"hp":110}]` })),
  rehearsal: fuelLoad,
  sample: PREDICTION,
  concurrency: 1,
  isOnOneCore: false,
  columns: ['reached', 'p50', 'p99', 'per-second', 'failed'],
  expectations: [
    {
      title: `${CALLERS.toLocaleString('en')} callers ask the same: calls that reach R`,
      ...{ of: 'penstock-coalesce-cache', measure: 'reached', connections: CALLERS, atMost: 1 },
    },
  ],
  startInstances: place => startPlumber(place, applicationHere('counted'), 2),
};
