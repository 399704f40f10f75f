import type { Observe } from '../domain/events.ts';
import type { Answer, Ask } from '../domain/exchange.ts';
import type { Clock } from '../domain/ports.ts';
import { sharedQuestion } from '../domain/question.ts';
import { wishOf } from '../domain/sharing/cache/cache-control.ts';
import { Flight, type Joining } from '../domain/sharing/flight.ts';
import type { Join, Keep, Shared } from '../domain/sharing/shared.ts';

interface JoinPorts {
  readonly clock: Clock;
  readonly observe: Observe;
}

/** A request on its way into a flight. */
interface Boarding {
  readonly shared: Shared;
  readonly ask: Ask;
  readonly joining: Omit<Joining, 'askAgain'>;
}

/**
 * Puts a request's question to R, or lets it share the one in flight that asks the same, where the route coalesces.
 *
 * There is never a flight without a request that waits for it, so that flights are bounded by connections.
 */
export function createJoin({ clock, observe }: JoinPorts): Join {
  const flights = new Map<string, Flight>();

  return async function join(shared, keep, ask) {
    const { complete, sharing } = shared;
    complete.deadline.signal.throwIfAborted();
    const askAlone = () => alone(shared, keep, ask);
    if (!sharing.coalesce) return askAlone();
    const boarding = { shared, ask, joining: { complete, keep, askAlone } };
    const known = mayJoin(shared) ? flights.get(shared.key) : undefined;
    if (known === undefined) return begin(boarding, () => again(boarding));
    observe({ kind: 'coalesced', route: complete.route.id });
    return known.join({ ...boarding.joining, askAgain: () => again(boarding) });
  };

  function begin({ shared, ask, joining }: Boarding, askAgain: Joining['askAgain']): Promise<Answer> {
    const { key } = shared;
    const flight = new Flight({ clock, onOver: over => forget(key, over) });
    flights.set(key, flight);
    const joined = flight.join({ ...joining, askAgain });
    void fly(flight, shared, ask);
    return joined;
  }

  /** Once: of several who are refused one after the other each would lead all the others in turn. */
  async function again(boarding: Boarding): Promise<Answer> {
    const { shared, joining } = boarding;
    shared.complete.deadline.signal.throwIfAborted();
    const known = flights.get(shared.key);
    return known === undefined ? begin(boarding, undefined) : known.join({ ...joining, askAgain: undefined });
  }

  /** Another may fly under its key by now: that of one who would not join. */
  function forget(key: string, flight: Flight): void {
    if (flights.get(key) === flight) flights.delete(key);
  }
}

/** Who says `no-cache` wants an answer that R gives from now on (RFC 9111 §5.2.1.4), which others may share. */
function mayJoin({ complete }: Shared): boolean {
  return !wishOf(complete.rawHeaders).isNoCache;
}

async function fly(flight: Flight, shared: Shared, ask: Ask): Promise<void> {
  try {
    flight.land(await ask(sharedQuestion(shared, flight)));
  } catch (error) {
    flight.fail(error);
  }
}

async function alone(shared: Shared, keep: Keep | undefined, ask: Ask): Promise<Answer> {
  const { deadline, notes } = shared.complete;
  const answer = await ask(sharedQuestion(shared, { deadline, notes, keep }));
  if (Buffer.isBuffer(answer.body)) keep?.(answer);
  return answer;
}
