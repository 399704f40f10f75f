import type { BatchMember } from './batch-member.ts';
import type { BatchRide } from './batch-ride.ts';

/** Who would ride, and with whom. */
interface Passenger {
  readonly member: BatchMember;
  /** Their caller has other calls waiting for the service: what they begin would have its turn after those. */
  readonly isInLine: boolean;
  /** Equal for those who may travel together. */
  readonly group: string;
  readonly rowsMax: number;
}

/**
 * The batches of a route that may still be joined: one for each group, and one for each caller who has filled others.
 *
 * Every batch waits in the service's queue, where callers take turns; it takes the turn of whoever came first in it. So
 * a caller with thousands of waiting calls, whatever they are, fills batches of their own, and nobody waits behind all of
 * them for having joined the last.
 */
export class OpenRides {
  readonly #rides = new Map<string, BatchRide>();
  /** How many full batches of a group wait in a caller's turns. */
  readonly #filled = new Map<string, number>();

  /** Takes the passenger along with others, or in a batch that `create` makes, which others may join. */
  board(passenger: Passenger, create: (onClosed: (ride: BatchRide) => void) => BatchRide): void {
    const { member, group, rowsMax } = passenger;
    const openKey = this.#keyFor(passenger);
    const open = this.#rides.get(openKey);
    const joined = open?.tryJoin(member, rowsMax);
    if (joined === 'in') return;
    if (joined === 'alone') {
      create(() => undefined).start();
      return;
    }
    if (open !== undefined) this.#supersede(open, openKey, group);
    const key = this.#keyFor(passenger);
    const ride = create(closed => this.#closed(closed, key, group));
    this.#rides.set(key, ride);
    ride.begin();
  }

  #keyFor({ member, group, isInLine }: Passenger): string {
    const { callerId } = member.question;
    if (!isInLine && this.#filled.size === 0) return group;
    const own = `${group}\n${callerId}`;
    if (this.#filled.has(own) || this.#rides.has(own)) return own;
    return isInLine && this.#rides.get(group)?.callerId !== callerId ? own : group;
  }

  /** It takes nobody else: it need wait for nobody, either. */
  #supersede(ride: BatchRide, key: string, group: string): void {
    this.#rides.delete(key);
    const own = `${group}\n${ride.callerId}`;
    this.#filled.set(own, (this.#filled.get(own) ?? 0) + 1);
    ride.start();
  }

  #closed(ride: BatchRide, key: string, group: string): void {
    if (this.#rides.get(key) === ride) {
      this.#rides.delete(key);
      return;
    }
    const own = `${group}\n${ride.callerId}`;
    const left = (this.#filled.get(own) ?? 0) - 1;
    if (left > 0) this.#filled.set(own, left);
    else this.#filled.delete(own);
  }
}
