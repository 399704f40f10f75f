import type { Waiter } from './queue.ts';

/** What a service has at an address it lists. */
export interface Claim {
  /** How much this service would have the address work on at once. */
  readonly concurrency: number;
  /** Whose turn it is here among those who may have a permit of the address now. */
  nextInTurn(): Waiter | undefined;
  /** Hands the permit to that waiter; takes it with `Address.take`. */
  serve(waiter: Waiter): void;
  /** The address has more or less in hand than before. Must only take note: other claims have not heard yet. */
  changed(): void;
  /** Every claim has heard: what follows from the change may be done. */
  followUp(): void;
}

/** Everything the gateway has at one address, whichever services list it. One R behind two names is still one R. */
export interface Address {
  readonly origin: string;
  /** Permits out. */
  readonly inUse: number;
  /** Permits there are: where services disagree, the smaller number holds, since R is safe with it. */
  readonly permits: number;
  /** Streams it carries beside the permits. */
  readonly streams: number;
  take(): void;
  /** Gives a permit back, straight to whose turn it is in any of the services. */
  release(): void;
  board(): void;
  alight(): void;
  claim(claim: Claim): void;
  /** The service lists the address no longer. Its permits that are out stay out until they are released. */
  disclaim(claim: Claim): void;
  /** Hands out what is free: after `concurrency` changed, or an instance came back. */
  offer(): void;
}

/** All addresses of the process. */
export interface Places {
  at(origin: string): Address;
  /** The next number of a turn: of two services that share an address, the smaller goes first. */
  readonly ticket: () => number;
  readonly addresses: number;
}

interface PlacesOptions {
  /** No service lists the address any more and nothing is in hand there: what is kept for it can go. */
  readonly onVacant?: (origin: string) => void;
}

/** The process's one registry of permits by address. It holds an address while a service lists it or work is in hand. */
export function createPlaces({ onVacant }: PlacesOptions = {}): Places {
  const addresses = new Map<string, LivingAddress>();
  let tickets = 0;

  const vacate = (address: LivingAddress) => {
    if (addresses.get(address.origin) !== address) return;
    addresses.delete(address.origin);
    onVacant?.(address.origin);
  };

  return {
    at(origin) {
      const known = addresses.get(origin);
      if (known !== undefined) return known;
      const address = new LivingAddress(origin, vacate);
      addresses.set(origin, address);
      return address;
    },
    ticket: () => (tickets += 1),
    get addresses() {
      return addresses.size;
    },
  };
}

/**
 * A permit that comes back is offered before anyone else can ask: it is handed over, never put back, so that no
 * newcomer overtakes the queue and nobody in it is turned away later.
 */
class LivingAddress implements Address {
  readonly origin: string;
  inUse = 0;
  streams = 0;
  permits = 0;
  readonly #claims: Claim[] = [];
  readonly #onVacant: (address: LivingAddress) => void;

  constructor(origin: string, onVacant: (address: LivingAddress) => void) {
    this.origin = origin;
    this.#onVacant = onVacant;
  }

  take(): void {
    this.inUse += 1;
    this.#tell();
    this.#followUp();
  }

  release(): void {
    this.inUse -= 1;
    this.offer();
    this.#leave();
  }

  board(): void {
    this.streams += 1;
  }

  alight(): void {
    this.streams -= 1;
    this.#leave();
  }

  claim(claim: Claim): void {
    this.#claims.push(claim);
    this.offer();
  }

  disclaim(claim: Claim): void {
    const index = this.#claims.indexOf(claim);
    if (index >= 0) this.#claims.splice(index, 1);
    this.offer();
    this.#leave();
  }

  offer(): void {
    this.permits = this.#claims.reduce((least, { concurrency }) => Math.min(least, concurrency), Infinity);
    this.#tell();
    while (this.inUse < this.permits) {
      const next = this.#nextInTurn();
      if (next === undefined) break;
      next.claim.serve(next.waiter);
    }
    this.#followUp();
  }

  #tell(): void {
    for (const claim of this.#claims) claim.changed();
  }

  #followUp(): void {
    for (const claim of this.#claims) claim.followUp();
  }

  #nextInTurn(): { claim: Claim; waiter: Waiter } | undefined {
    let next: { claim: Claim; waiter: Waiter } | undefined;
    for (const claim of this.#claims) {
      const waiter = claim.nextInTurn();
      if (waiter === undefined || (next !== undefined && goesBefore(next.waiter, waiter))) continue;
      next = { claim, waiter };
    }
    return next;
  }

  #leave(): void {
    if (this.#claims.length === 0 && this.inUse === 0 && this.streams === 0) this.#onVacant(this);
  }
}

/** Who has had its turn, and was failed by an instance, comes first; then whose turn was given out first. */
function goesBefore(one: Waiter, other: Waiter): boolean {
  return one.isReturning === other.isReturning ? one.turn < other.turn : one.isReturning;
}
