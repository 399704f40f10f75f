import type { Contestant } from './contestant.ts';

const start: Contestant['start'] = (_place, { instances }) =>
  Promise.resolve({ addresses: instances, prefix: '', pid: undefined });

/** Nothing in between, and a connection for each call: what is best for httpuv. */
export const directFresh: Contestant = {
  id: 'direct',
  title: 'direct, fresh connections',
  kind: 'direct',
  setUp: 'wrk calls the instances themselves, with `Connection: close`, half of the connections each',
  isClosedByCallers: true,
  start,
};

/** Nothing in between, and connections that stay. */
export const directKept: Contestant = {
  id: 'direct-kept',
  title: 'direct, kept connections',
  kind: 'direct',
  setUp: 'wrk calls the upstream itself',
  start,
};
