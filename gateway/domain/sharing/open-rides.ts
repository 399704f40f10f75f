import type { BatchMember } from './batch-member.ts';
import type { BatchRide } from './batch-ride.ts';

/** Who would ride, and with whom. */
interface Passenger {
  readonly member: BatchMember;
  /** Equal for those who may travel together. */
  readonly group: string;
  readonly rowsMax: number;
}

/**
 * The batches of a route that may still be joined: one for each group, and one for each caller who has filled others.
 *
 * Every batch waits in the service's queue, where callers take turns; it takes the turn of whoever came first in it. So
 * a caller with thousands of waiting calls fills batches of their own, and nobody waits behind all of them for having
 * joined the last.
 */
export class OpenRides {
  readonly #rides = new Map<string, BatchRide>();
  /** How many full batches of a group wait in a caller's turns. */
  readonly #filled = new Map<string, number>();

  /** Takes the passenger along with others, or in a batch that `create` makes, which others may join. */
  board({ member, group, rowsMax }: Passenger, create: (onClosed: (ride: BatchRide) => void) => BatchRide): void {
    const { callerId } = member.question;
    const own = `${group}\n${callerId}`;
    const keyNow = () => (this.#filled.size > 0 && this.#filled.has(own) ? own : group);
    const open = this.#rides.get(keyNow());
    if (open?.tryJoin(member, rowsMax) === true) return;
    if (open !== undefined) this.#supersede(open, keyNow(), group);
    const key = keyNow();
    const ride = create(closed => this.#closed(closed, key, group));
    this.#rides.set(key, ride);
    ride.begin();
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
