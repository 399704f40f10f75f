import { directFresh } from '../contestants/contestant.ts';
import { httpProxyMiddlewareFresh } from '../contestants/express.ts';
import { haproxy, haproxyTuned } from '../contestants/haproxy.ts';
import { nginx, nginxKept } from '../contestants/nginx.ts';
import { penstock, penstockBatching } from '../contestants/penstock.ts';
import { wrk } from '../load/load.ts';
import { startPlumber } from '../upstreams/upstreams.ts';
import { USUAL_COLUMNS, type Workload } from './workload.ts';

const ALL_BUT_PENSTOCK = [directFresh, nginx, nginxKept, haproxy, haproxyTuned, httpProxyMiddlewareFresh];

/** Predictions of one row each, no two alike. */
export const fuelLoad = wrk('fuel.lua');

/** One of them, as any contestant is asked for it. */
export const PREDICTION = {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: '[{"wt":2.62,"hp":110}]',
} as const;

/** Real R, one row a call. */
export const fuel: Workload = {
  id: 'fuel',
  title: 'Real predictions: `fuel`, two R processes, one row a call, no two calls alike',
  short: 'predictions by real R, call by call',
  about: 'What callers of a model get, call by call. R takes most of the time and of both processors.',
  contestants: [...ALL_BUT_PENSTOCK, penstock],
  connections: [1, 16, 64],
  prefix: '/api/fuel',
  path: '/predict',
  load: fuelLoad,
  rehearsal: fuelLoad,
  sample: PREDICTION,
  concurrency: 1,
  isOnOneCore: false,
  columns: USUAL_COLUMNS,
  expectations: [
    {
      title: 'One caller alone: p50, to direct',
      ...{ of: 'penstock', against: 'direct', measure: 'p50Ms', connections: 1, atMost: 1.2 },
    },
    ...[16, 64].map(connections => ({
      title: `${connections} callers, not batched: requests a second, to the best peer`,
      ...({ of: 'penstock', against: 'best-peer', measure: 'perSecond', connections, atLeast: 0.95 } as const),
    })),
  ],
  startInstances: place => startPlumber(place, 'fuel', 2),
};

/** Different calls that wait for R travel as one. */
export const batch: Workload = {
  ...fuel,
  id: 'batch',
  title: 'Real predictions, batched: `fuel`, two R processes, one row a call, no two calls alike',
  short: 'predictions by real R, batched',
  about:
    'The same calls by many callers. Penstock sends those that wait as one; each gets, byte for byte, what R would have answered to it alone.',
  contestants: [...ALL_BUT_PENSTOCK, penstockBatching],
  connections: [256],
  expectations: [
    {
      title: '256 callers, batched: requests a second, to the best peer',
      ...{ of: 'penstock-batch', against: 'best-peer', measure: 'perSecond', connections: 256, atLeast: 25 },
    },
    {
      title: '256 callers, batched: own CPU a call, to the floor’s with nothing behind',
      ...{ of: 'penstock-batch', measure: 'cpuUsPerRequest', connections: 256, atMost: 1 },
      ...{ against: 'floor', againstIn: { workload: 'nothing', connections: 64 } },
    },
    {
      title: '256 callers, batched: p99, to the best peer’s p50',
      ...{ of: 'penstock-batch', against: 'best-peer', measure: 'p99Ms', againstMeasure: 'p50Ms' },
      ...{ connections: 256, atMost: 1 },
    },
  ],
};
