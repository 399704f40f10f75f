import { directFresh } from '../contestants/direct.ts';
import { haproxyTuned } from '../contestants/haproxy.ts';
import { nginx } from '../contestants/nginx.ts';
import { penstock } from '../contestants/penstock.ts';
import { startFuel } from '../upstreams/fuel.ts';
import type { Workload } from './workload.ts';

/** Real R, one row a call. */
export const fuel: Workload = {
  id: 'fuel',
  title: 'Real predictions: `fuel`, two R processes, one row a call, no two calls alike',
  about: 'What callers of a model get. R takes most of the time and of both processors.',
  contestants: [directFresh, nginx, haproxyTuned, penstock],
  connections: [1, 16, 64],
  prefix: '/api/fuel',
  path: '/predict',
  script: 'fuel.lua',
  sample: {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: '[{"wt":2.62,"hp":110}]',
  },
  concurrency: 1,
  isOnOneCore: false,
  expectations: [
    { of: 'penstock', against: 'direct', measure: 'p50Ms', connections: 1, atMost: 1.25 },
    { of: 'penstock', against: 'best-peer', measure: 'perSecond', connections: 16, atLeast: 0.95 },
    { of: 'penstock', against: 'best-peer', measure: 'perSecond', connections: 64, atLeast: 0.95 },
  ],
  startInstances: place => startFuel(place, 2),
};
