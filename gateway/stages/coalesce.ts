import type { Clock } from '../domain/clock.ts';
import { toGatewayError } from '../domain/errors.ts';
import { Flight, FlightMember, type SendShared, type FlightOwner } from '../domain/sharing/flight.ts';
import type { SharedCall } from '../domain/sharing/shared-call.ts';
import { NOT_SENT } from '../domain/upstream.ts';

/** Sends a call to R by `send`, or lets it share the flight of an equal one. */
export type Coalesce = (shared: SharedCall, send: SendShared) => void;

/**
 * Puts a call to R, or lets it share the flight of an equal one, where the route coalesces. The call is told in the end,
 * perhaps before this returns; what is thrown concerns it alone.
 *
 * There is never a flight without a call that waits for it, so that flights are bounded by connections.
 */
export function createCoalesce({ clock }: { readonly clock: Clock }): Coalesce {
  const flights = new Flights(clock);
  return (shared, send) => {
    if (shared.sharing.coalesce) flights.coalesce(shared, send);
    else sendForOne(shared, send);
  };
}

function sendForOne(shared: SharedCall, send: SendShared): void {
  const { call } = shared;
  call.sends(send(shared, shared.requestOptions(call, { endsMs: call.endsMs, keepLate: call.lookup?.keepLate })));
}

/** The flights under way, by key. */
class Flights implements FlightOwner {
  readonly clock: Clock;
  readonly #open = new Map<string, Flight>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** A caller that says `no-cache` wants an answer that R gives from now on (RFC 9111 §5.2.1.4), which others may share. */
  coalesce(shared: SharedCall, send: SendShared): void {
    const known = shared.directives.isNoCache ? undefined : this.#open.get(shared.key);
    shared.call.record.isCoalesced = known !== undefined;
    const member = new FlightMember(shared);
    if (known === undefined) this.#begin([member], send);
    else known.add(member);
  }

  sendAlone(members: readonly FlightMember[], send: SendShared): void {
    for (const member of members) this.#request(new Flight(member.shared, this, send), [member]);
  }

  /** In one flight: one by one, each that is refused would lead all the others in turn. */
  sendAgain(members: readonly FlightMember[], send: SendShared): void {
    const [first] = members;
    const known = first && this.#open.get(first.shared.key);
    if (known === undefined) this.#begin(members, send);
    else for (const member of members) known.add(member);
  }

  #begin(members: readonly FlightMember[], send: SendShared): void {
    const [first] = members;
    if (first === undefined) return;
    const flight = new Flight(first.shared, this, send);
    this.#open.set(first.shared.key, flight);
    this.#request(flight, members);
  }

  #request(flight: Flight, members: readonly FlightMember[]): void {
    for (const member of members) flight.add(member);
    try {
      flight.send();
    } catch (error) {
      flight.failed(toGatewayError(error), NOT_SENT);
    }
  }

  /** Another may fly under its key by now: that of a call with `no-cache`. */
  onOver(flight: Flight): void {
    const { key } = flight.leader;
    if (this.#open.get(key) === flight) this.#open.delete(key);
  }
}
