import { directKept } from '../contestants/contestant.ts';
import { expressAlone, floor, httpProxyMiddleware, httpProxyMiddlewareFresh } from '../contestants/express.ts';
import { haproxy } from '../contestants/haproxy.ts';
import { nginx, nginxKept } from '../contestants/nginx.ts';
import { penstockCaching, penstockFresh, penstockKept } from '../contestants/penstock.ts';
import { wrk } from '../load/load.ts';
import { startNothing } from '../upstreams/upstreams.ts';
import { USUAL_COLUMNS, type Workload } from './workload.ts';

const sameGet = wrk('shared.lua');

/** An upstream that costs nothing, so that only the contestants' own cost is left. */
export const nothing: Workload = {
  id: 'nothing',
  title: 'An upstream that does nothing, each contestant on one processor',
  short: 'an upstream that does nothing, one processor',
  about:
    'What a proxy costs by itself, with fresh and with kept connections behind it. The *floor* is what one costs that is made of the same parts as Penstock and has no policy; the *first* calls are the thousand after a start, of which V8 has compiled nothing.',
  contestants: [
    ...[directKept, nginx, nginxKept, haproxy],
    ...[httpProxyMiddlewareFresh, httpProxyMiddleware, floor, penstockFresh, penstockKept],
  ],
  connections: [64],
  prefix: '/api/nothing',
  path: '/',
  load: sameGet,
  rehearsal: sameGet,
  areFirstCallsMeasured: true,
  sample: {},
  concurrency: 64,
  isOnOneCore: true,
  columns: [
    ...(['p50', 'p99', 'per-second', 'per-second-to-peer', 'cpu', 'cpu-to-floor'] as const),
    ...(['v8-cpu', 'first-cpu', 'allocated', 'failed'] as const),
  ],
  expectations: [
    {
      title: 'Nothing behind, kept: own CPU a call, to the floor’s',
      ...{ of: 'penstock-kept', against: 'floor', measure: 'cpuUsPerRequest', connections: 64, atMost: 1.35 },
    },
    {
      title: 'Nothing behind, kept: requests a second, to http-proxy-middleware alone',
      ...{ of: 'penstock-kept', against: 'http-proxy-middleware', measure: 'perSecond', connections: 64, atLeast: 1.7 },
    },
    {
      title: 'Nothing behind, kept: requests a second, to nginx',
      ...{ of: 'penstock-kept', against: 'nginx-kept', measure: 'perSecond', connections: 64, atLeast: 0.22 },
    },
    {
      title: 'Nothing behind, kept: bytes allocated a call',
      ...{ of: 'penstock-kept', measure: 'allocatedBytesPerRequest', connections: 64, atMost: 20_000 },
    },
    {
      title: 'Nothing behind, kept: own CPU of the first 1,000 calls after a start, to later ones',
      ...{ of: 'penstock-kept', against: 'penstock-kept', measure: 'firstCpuUsPerRequest' },
      ...{ againstMeasure: 'cpuUsPerRequest', connections: 64, atMost: 2.5 },
    },
    {
      title: 'Nothing behind, fresh: own CPU a call, to nginx',
      ...{ of: 'penstock-fresh', against: 'nginx', measure: 'cpuUsPerRequest', connections: 64, atMost: 3.2 },
    },
  ],
  startInstances: (place, core) => startNothing(place, 'nothing', { core }),
};

/** Answers that the gateway has already, against a server that makes them and proxies that fetch them. */
export const cache: Workload = {
  ...nothing,
  id: 'cache',
  title: 'Answers from the cache, each contestant on one processor',
  short: 'answers from the cache, one processor',
  about:
    'The same small question again and again: Penstock answers from its cache, Express alone by itself, and the others forward it.',
  contestants: [nginx, nginxKept, expressAlone, penstockCaching],
  areFirstCallsMeasured: false,
  columns: USUAL_COLUMNS.filter(column => column !== 'p50-to-direct'),
  expectations: [
    {
      title: 'Answers from the cache: requests a second, to Express alone',
      ...{ of: 'penstock-cache', against: 'express-alone', measure: 'perSecond', connections: 64, atLeast: 0.7 },
    },
  ],
};
