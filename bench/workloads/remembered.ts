import { nginx, nginxKept } from '../contestants/nginx.ts';
import { penstockRemembering } from '../contestants/penstock.ts';
import { wrk } from '../load/wrk.ts';
import { startNothing } from '../upstreams/nothing.ts';
import { USUAL_COLUMNS, type Workload } from './workload.ts';

/** Answers that the gateway has already, against a proxy that fetches them. */
export const remembered: Workload = {
  id: 'remembered',
  title: 'Answers from the cache, each contestant on one processor',
  about: 'The same small question again and again: Penstock answers from its cache, the others forward it.',
  contestants: [nginx, nginxKept, penstockRemembering],
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
      title: 'Answers from the cache: requests a second, to nginx that forwards',
      ...{ of: 'penstock-remembering', against: 'nginx', measure: 'perSecond', connections: 64, atLeast: 1 },
    },
    {
      title: 'The same, to nginx that forwards on kept connections',
      ...{ of: 'penstock-remembering', against: 'nginx-kept', measure: 'perSecond', connections: 64, atLeast: 1 },
    },
  ],
  startInstances: (place, core) => startNothing(place, 'nothing', core),
};
