import type { QueueEntry } from './queue.ts';

/** What a service has at an address that it lists. */
export interface Listing {
  /** How much this service would have the address work on at once. */
  readonly concurrency: number;
  /** Which call is next here, of those that may have a permit of the address now. */
  next(): QueueEntry | undefined;
  /** Hands the permit to that request; takes it with `Address.take`. */
  serve(entry: QueueEntry): void;
  /** The address has more or less in hand than before. Must only take note: other services are not told yet. */
  changed(): void;
  /** All are told: what follows from the change may be done. */
  afterChange(): void;
}

interface PermitRegistryOptions {
  /** No service lists the address any more and nothing is in hand there: what is kept for it can go. */
  readonly onVacant?: (origin: string) => void;
}

/** The process's one registry of permits by address. It holds an address while a service lists it or work is in hand. */
export class PermitRegistry {
  readonly #addresses = new Map<string, Address>();
  readonly #onVacant: ((origin: string) => void) | undefined;
  #numbersGiven = 0;

  constructor({ onVacant }: PermitRegistryOptions = {}) {
    this.#onVacant = onVacant;
  }

  at(origin: string): Address {
    const known = this.#addresses.get(origin);
    if (known !== undefined) return known;
    const address = new Address(origin, this);
    this.#addresses.set(origin, address);
    return address;
  }

  /** The next sequence number: of two services that share an address, the smaller goes first. */
  readonly nextNumber = (): number => (this.#numbersGiven += 1);

  get addresses(): number {
    return this.#addresses.size;
  }

  vacate(address: Address): void {
    if (this.#addresses.get(address.origin) !== address) return;
    this.#addresses.delete(address.origin);
    this.#onVacant?.(address.origin);
  }
}

/**
 * Everything the gateway has at one address, whichever services list it. One R behind two names is still one R.
 *
 * A permit that comes back is offered before any other call can ask: it is handed over, never put back, so that no
 * newcomer overtakes the queue, and nothing in it is turned away later.
 */
export class Address {
  readonly origin: string;
  /** Permits out. */
  inUse = 0;
  /** Permits there are: where services disagree, the smaller number holds, since R is safe with it. */
  permits = 0;
  /** Streams it carries beside the permits. */
  streams = 0;
  readonly #listings: Listing[] = [];
  readonly #registry: PermitRegistry;

  constructor(origin: string, registry: PermitRegistry) {
    this.origin = origin;
    this.#registry = registry;
  }

  /** Several services list it: which call is next is not for one of them to say. */
  get isShared(): boolean {
    return this.#listings.length > 1;
  }

  take(): void {
    this.inUse += 1;
    this.#changed();
    this.#afterChange();
  }

  /** Gives a permit back, straight to the next call of any of the services. */
  release(): void {
    this.inUse -= 1;
    this.offer();
    this.#leave();
  }

  takeStream(): void {
    this.streams += 1;
  }

  releaseStream(): void {
    this.streams -= 1;
    this.#leave();
  }

  list(listing: Listing): void {
    this.#listings.push(listing);
    this.offer();
  }

  /** The service lists the address no longer. Its permits that are out stay out until they are released. */
  unlist(listing: Listing): void {
    const index = this.#listings.indexOf(listing);
    if (index >= 0) this.#listings.splice(index, 1);
    this.offer();
    this.#leave();
  }

  /** Hands out what is free: after `concurrency` changed, or an instance came back. */
  offer(): void {
    let permits = Infinity;
    for (const { concurrency } of this.#listings) permits = Math.min(permits, concurrency);
    this.permits = permits;
    this.#changed();
    while (this.inUse < this.permits) {
      const listing = this.#nextListing();
      const entry = listing?.next();
      if (listing === undefined || entry === undefined) break;
      listing.serve(entry);
    }
    this.#afterChange();
  }

  #changed(): void {
    for (const listing of this.#listings) listing.changed();
  }

  #afterChange(): void {
    for (const listing of this.#listings) listing.afterChange();
  }

  #nextListing(): Listing | undefined {
    if (this.#listings.length === 1) return this.#listings[0];
    let first: Listing | undefined;
    let firstEntry: QueueEntry | undefined;
    for (const listing of this.#listings) {
      const entry = listing.next();
      if (entry === undefined || (firstEntry !== undefined && goesBefore(firstEntry, entry))) continue;
      first = listing;
      firstEntry = entry;
    }
    return first;
  }

  #leave(): void {
    if (this.#listings.length === 0 && this.inUse === 0 && this.streams === 0) this.#registry.vacate(this);
  }
}

/** What was served, and was failed by an instance, comes first; then what has the smaller sequence number. */
function goesBefore(one: QueueEntry, other: QueueEntry): boolean {
  return one.isReturning === other.isReturning ? one.sequenceNumber < other.sequenceNumber : one.isReturning;
}
