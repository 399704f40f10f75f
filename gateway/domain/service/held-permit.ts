import type { Permit, Place } from '../exchange.ts';
import type { LivingInstance } from './living-instance.ts';
import type { WorkInHand, WorkSeat } from './work-in-hand.ts';

/** What becomes of an instance's work in hand. */
type OnLeft = (instance: LivingInstance) => void;

/** What a permit's service keeps of all its permits. */
interface Ledger {
  readonly work: WorkInHand;
  look(): number;
}

/** A permit of an instance's address, from the moment it is made until it is released. */
export class HeldPermit implements Permit {
  readonly instance: LivingInstance;
  readonly #ledger: Ledger;
  readonly #onLeft: OnLeft;
  readonly #work: WorkSeat;
  #isHeld = true;
  #isAbandoned = false;
  hasBegun = false;

  constructor(instance: LivingInstance, ledger: Ledger, onLeft: OnLeft) {
    this.instance = instance;
    this.#ledger = ledger;
    this.#onLeft = onLeft;
    this.#work = ledger.work.begin(instance, ledger.look());
    instance.inHand += 1;
    instance.requests += 1;
    instance.address.take();
  }

  begin(): void {
    this.hasBegun = true;
  }

  abandon(): void {
    if (!this.#isHeld || this.#isAbandoned) return;
    this.#isAbandoned = true;
    this.instance.abandoned += 1;
  }

  prove(): void {
    this.instance.lastGoodMs = this.#ledger.look();
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    const { instance } = this;
    this.#ledger.work.end(this.#work, this.#ledger.look(), this.hasBegun);
    instance.inHand -= 1;
    if (this.#isAbandoned) instance.abandoned -= 1;
    instance.address.release();
    this.#onLeft(instance);
  }
}

/** A place for a stream, beside the permits. */
export function boardInstance(instance: LivingInstance, onLeft: OnLeft): Place {
  let isHeld = true;
  instance.streams += 1;
  instance.requests += 1;
  instance.address.board();
  return {
    instance,
    release() {
      if (!isHeld) return;
      isHeld = false;
      instance.streams -= 1;
      instance.address.alight();
      onLeft(instance);
    },
  };
}
