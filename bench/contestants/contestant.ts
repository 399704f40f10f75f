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
}

/** Where a contestant is called. */
export interface Front {
  /** As HOST:PORT; several where callers are spread over several. */
  readonly addresses: readonly string[];
  /** What stands before the instances' own paths. */
  readonly prefix: string;
  /** The process whose processor time is the contestant's; undefined: there is none. */
  readonly pid: number | undefined;
}

/** Something that carries requests to instances, and how it is set up for that. */
export interface Contestant {
  readonly id: string;
  readonly title: string;
  /** `direct` is nothing in between, `peer` another proxy, `own` Penstock itself. */
  readonly kind: 'direct' | 'peer' | 'own';
  /** How it is set up, in a line. */
  readonly setUp: string;
  /** Callers close their connection after each request. */
  readonly isClosedByCallers?: boolean;
  start(place: Place, behind: Behind): Promise<Front>;
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
