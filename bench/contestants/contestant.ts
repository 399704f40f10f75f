import type { Place } from '../place.ts';
import type { StartedNode } from '../process-figures.ts';

/** What a contestant stands before. */
export interface Behind {
  /** The instances, as HOST:PORT. */
  readonly instances: readonly string[];
  /** The path that callers write before the instances' own, such as `/api/fuel`; it goes no further. */
  readonly prefix: string;
  /** What each instance works on at once. */
  readonly concurrency: number;
  /** The one processor the contestant may use; undefined: any. */
  readonly core: number | undefined;
  readonly secret: string;
  /** HOST:PORT of an upstream that does nothing, for those who must rehearse. */
  readonly rehearsal: string;
}

/** Before this prefix lies, for those who rehearse, the upstream that does nothing. */
export const REHEARSAL_PREFIX = '/rehearsal';

/** How most rehearse. */
export const REHEARSAL: Rehearsal = { prefix: REHEARSAL_PREFIX, connections: 64 };

/** How one that V8 compiles is called before anything counts. */
export interface Rehearsal {
  /** What stands before the path. */
  readonly prefix: string;
  readonly connections: number;
}

/** Where a contestant is called. */
export interface Front {
  /** As HOST:PORT; several where callers are spread over several. */
  readonly addresses: readonly string[];
  /** What stands before the instances' own paths. */
  readonly prefix: string;
  /** Whose processor time is the contestant's; one of Node's also says what it has allocated. Undefined: there is none. */
  readonly process: { readonly pid: number; readonly memory?: StartedNode['memory'] } | undefined;
  /** Undefined: V8 has nothing to compile. */
  readonly rehearsal?: Rehearsal;
}

/** What a report says of a contestant. */
export interface ContestantFacts {
  readonly id: string;
  readonly title: string;
  /** `direct` is nothing in between, `floor` the least of Penstock's own parts, `peer` another proxy, `own` Penstock. */
  readonly kind: 'direct' | 'floor' | 'peer' | 'own';
  /** How it is set up, in a line. */
  readonly setUp: string;
}

/** Something that carries requests to instances, and how it is set up for that. */
export interface Contestant extends ContestantFacts {
  /** Callers close their connection after each request. */
  readonly isClosedByCallers?: boolean;
  start(place: Place, behind: Behind): Promise<Front>;
}

/** What a report says of it, and nothing else. */
export function factsOf({ id, title, kind, setUp }: ContestantFacts): ContestantFacts {
  return { id, title, kind, setUp };
}

const startDirect: Contestant['start'] = (_place, { instances }) =>
  Promise.resolve({ addresses: instances, prefix: '', process: undefined });

/** Nothing in between, and a connection for each call: what is best for httpuv. */
export const directFresh: Contestant = {
  id: 'direct',
  title: 'direct, fresh connections',
  kind: 'direct',
  setUp: 'wrk calls the instances themselves, with `Connection: close`, half of the connections each',
  isClosedByCallers: true,
  start: startDirect,
};

/** Nothing in between, and connections that stay. */
export const directKept: Contestant = {
  id: 'direct-kept',
  title: 'direct, kept connections',
  kind: 'direct',
  setUp: 'wrk calls the upstream itself',
  start: startDirect,
};
