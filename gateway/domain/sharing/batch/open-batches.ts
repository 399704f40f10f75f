/** An open batch, as far as it matters here. */
export interface OpenBatch<Entry> {
  /** Whose turn it takes. */
  readonly callerId: string;
  /** Takes one more in, if it may. */
  tryAdd(entry: Entry, rowsMax: number): Added;
  /** Put to R at once, or when it has waited for others as long as the route says. */
  begin(): void;
  /** Put to R now. */
  start(): void;
}

/** Of one who would be taken in: `full`, no other need ask any more; `alone`, it is for its own sake that there is no room or time. */
export type Added = 'in' | 'full' | 'alone';

/** A call, and with which others it may travel. */
interface Candidate<Entry> {
  readonly entry: Entry;
  readonly callerId: string;
  /** Its caller has other calls waiting for the service: what it begins would have its turn after those. */
  readonly isInLine: boolean;
  /** Equal for those who may travel together. */
  readonly group: string;
  readonly rowsMax: number;
}

/**
 * The batches of a route that still take calls in: one for each group, and one for each caller who has filled others.
 *
 * Every batch waits in the service's queue, where callers take turns; it takes the turn of the first call in it. So a
 * caller with thousands of waiting calls, whatever they are, fills batches of its own, and no other waits behind all of
 * them for having been taken into the last.
 */
export class OpenBatches<Entry, B extends OpenBatch<Entry>> {
  readonly #open = new Map<string, B>();
  /** How many full batches of a group wait in a caller's turns. */
  readonly #filled = new Map<string, number>();

  /** Takes the call in with others, or into a batch that `create` makes, which takes others in. */
  add(candidate: Candidate<Entry>, create: (onClosed: (batch: B) => void) => B): void {
    const { entry, group, rowsMax } = candidate;
    const openKey = this.#keyFor(candidate);
    const open = this.#open.get(openKey);
    const added = open?.tryAdd(entry, rowsMax);
    if (added === 'in') return;
    if (added === 'alone') {
      create(() => undefined).start();
      return;
    }
    if (open !== undefined) this.#supersede(open, openKey, group);
    const key = this.#keyFor(candidate);
    const batch = create(closed => this.#closed(closed, key, group));
    this.#open.set(key, batch);
    batch.begin();
  }

  #keyFor({ callerId, group, isInLine }: Candidate<Entry>): string {
    if (!isInLine && this.#filled.size === 0) return group;
    const own = `${group}\n${callerId}`;
    if (this.#filled.has(own) || this.#open.has(own)) return own;
    return isInLine && this.#open.get(group)?.callerId !== callerId ? own : group;
  }

  /** It takes no other: it need wait for none, either. */
  #supersede(batch: B, key: string, group: string): void {
    this.#open.delete(key);
    const own = `${group}\n${batch.callerId}`;
    this.#filled.set(own, (this.#filled.get(own) ?? 0) + 1);
    batch.start();
  }

  #closed(batch: B, key: string, group: string): void {
    if (this.#open.get(key) === batch) {
      this.#open.delete(key);
      return;
    }
    const own = `${group}\n${batch.callerId}`;
    const left = (this.#filled.get(own) ?? 0) - 1;
    if (left > 0) this.#filled.set(own, left);
    else this.#filled.delete(own);
  }
}
