import type { Place } from '../place.ts';

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

/** Where a contestant is called. */
export interface Front {
  /** As HOST:PORT; several where callers are spread over several. */
  readonly addresses: readonly string[];
  /** What stands before the instances' own paths. */
  readonly prefix: string;
  /** What stands before the paths of the upstream that does nothing; undefined: there is no rehearsal. */
  readonly rehearsalPrefix?: string;
  /** The process whose processor time is the contestant's; undefined: there is none. */
  readonly pid: number | undefined;
}

/** What a report says of a contestant. */
export interface ContestantFacts {
  readonly id: string;
  readonly title: string;
  /** `direct` is nothing in between, `peer` another proxy, `own` Penstock itself. */
  readonly kind: 'direct' | 'peer' | 'own';
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

/** Whether anything at all answers there. */
export async function answers(address: string): Promise<boolean> {
  try {
    const response = await fetch(`http://${address}/`, { headers: { connection: 'close' } });
    await response.arrayBuffer();
    return true;
  } catch {
    return false; // Not up yet.
  }
}
