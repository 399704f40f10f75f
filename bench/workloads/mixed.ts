import { haproxy, haproxyTuned } from '../contestants/haproxy.ts';
import { httpProxyMiddlewareFresh } from '../contestants/express.ts';
import { nginx } from '../contestants/nginx.ts';
import { penstock } from '../contestants/penstock.ts';
import { mixed as mixedLoad } from '../load/mixed.ts';
import { applicationHere, startPlumber } from '../upstreams/upstreams.ts';
import { fuelLoad } from './fuel.ts';
import type { Workload } from './workload.ts';

const FAST = '/work?ms=3';
const SLOW = '/work?ms=300';

/** Some calls take a hundred times as long as the others. */
export const mixed: Workload = {
  id: 'mixed',
  title: 'One call of 300 ms to nine of 3 ms, four R processes',
  short: 'fast calls among slow ones',
  about:
    'Who waits behind a slow call. p50 and p99 are those of the fast calls; R sleeps for its time, so that no processor is short.',
  contestants: [nginx, haproxy, haproxyTuned, httpProxyMiddlewareFresh, penstock],
  connections: [32],
  prefix: '/api/mixed',
  path: FAST,
  load: mixedLoad({ fast: FAST, slow: SLOW, slowEvery: 10 }),
  rehearsal: fuelLoad,
  warmUp: mixedLoad({ fast: FAST, slow: SLOW, slowEvery: Infinity }),
  turnsTake: 2,
  sample: {},
  concurrency: 1,
  isOnOneCore: false,
  columns: ['p50', 'p99', 'slow-p50', 'per-second', 'per-second-to-peer', 'cpu', 'failed'],
  expectations: [
    {
      title: 'Fast calls among slow ones: p99 of the fast',
      ...{ of: 'penstock', against: 'haproxy-tuned', measure: 'p99Ms', connections: 32, atMost: 1 },
    },
  ],
  startInstances: place => startPlumber(place, applicationHere('mixed'), 4),
};
