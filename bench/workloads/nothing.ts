import { directKept } from '../contestants/direct.ts';
import { haproxy } from '../contestants/haproxy.ts';
import { httpProxyMiddleware, httpProxyMiddlewareFresh } from '../contestants/http-proxy-middleware.ts';
import { nginx, nginxKept } from '../contestants/nginx.ts';
import { penstock, penstockKept } from '../contestants/penstock.ts';
import { wrk } from '../load/wrk.ts';
import { startNothing } from '../upstreams/nothing.ts';
import { USUAL_COLUMNS, type Workload } from './workload.ts';

/** An upstream that costs nothing, so that only the contestants' own cost is left. */
export const nothing: Workload = {
  id: 'nothing',
  title: 'An upstream that does nothing, each contestant on one processor',
  about: 'What a proxy costs by itself, with fresh and with kept connections behind it.',
  contestants: [
    ...[directKept, nginx, nginxKept, haproxy],
    ...[httpProxyMiddlewareFresh, httpProxyMiddleware, penstock, penstockKept],
  ],
  connections: [64],
  prefix: '/api/nothing',
  path: '/',
  load: wrk('nothing.lua'),
  sample: {},
  concurrency: 64,
  isOnOneCore: true,
  columns: USUAL_COLUMNS,
  expectations: [
    {
      title: 'An upstream that does nothing: requests a second, to nginx',
      ...{ of: 'penstock-kept', against: 'nginx-kept', measure: 'perSecond', connections: 64, atLeast: 0.5 },
    },
    {
      title: 'The same, to http-proxy-middleware alone',
      ...{ of: 'penstock-kept', against: 'http-proxy-middleware', measure: 'perSecond', connections: 64, atLeast: 1.6 },
    },
  ],
  startInstances: (place, core) => startNothing(place, 'nothing', core),
};
