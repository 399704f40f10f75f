import { nginx, nginxKept } from '../contestants/nginx.ts';
import { penstockRemembering } from '../contestants/penstock.ts';
import { nothing } from './nothing.ts';
import type { Workload } from './workload.ts';

/** Answers that the gateway has already, against a proxy that fetches them. */
export const remembered: Workload = {
  ...nothing,
  id: 'remembered',
  title: 'Answers from the cache, each contestant on one processor',
  about: 'The same small question again and again: Penstock answers from its cache, the others forward it.',
  contestants: [nginx, nginxKept, penstockRemembering],
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
};
