import { directFresh } from '../contestants/direct.ts';
import { haproxy, haproxyTuned } from '../contestants/haproxy.ts';
import { httpProxyMiddlewareFresh } from '../contestants/http-proxy-middleware.ts';
import { nginx, nginxKept } from '../contestants/nginx.ts';
import { penstock } from '../contestants/penstock.ts';
import { wrk } from '../load/wrk.ts';
import { startPlumber } from '../upstreams/plumber.ts';
import { USUAL_COLUMNS, type Workload } from './workload.ts';

/** One prediction, as any contestant is asked for it. */
export const PREDICTION = {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: '[{"wt":2.62,"hp":110}]',
} as const;

/** Real R, one row a call. */
export const fuel: Workload = {
  id: 'fuel',
  title: 'Real predictions: `fuel`, two R processes, one row a call, no two calls alike',
  about: 'What callers of a model get, call by call. R takes most of the time and of both processors.',
  contestants: [directFresh, nginx, nginxKept, haproxy, haproxyTuned, httpProxyMiddlewareFresh, penstock],
  connections: [1, 16, 64],
  prefix: '/api/fuel',
  path: '/predict',
  load: wrk('fuel.lua'),
  sample: PREDICTION,
  concurrency: 1,
  isOnOneCore: false,
  columns: USUAL_COLUMNS,
  expectations: [
    {
      title: 'One caller alone: p50',
      ...{ of: 'penstock', against: 'direct', measure: 'p50Ms', connections: 1, atMost: 1.25 },
    },
    {
      title: '16 callers, not batched: requests a second',
      ...{ of: 'penstock', against: 'best-peer', measure: 'perSecond', connections: 16, atLeast: 0.95 },
    },
    {
      title: '64 callers, not batched: requests a second',
      ...{ of: 'penstock', against: 'best-peer', measure: 'perSecond', connections: 64, atLeast: 0.95 },
    },
  ],
  startInstances: place => startPlumber(place, 'fuel', 2),
};
