import type { Permit, Place } from '../exchange.ts';
import { boardInstance, HeldPermit } from './held-permit.ts';
import type { LivingInstance } from './living-instance.ts';
import { isNonEmpty } from '../non-empty.ts';
import type { Claim } from './permits.ts';
import { turnTakerOf, type Waiter } from './queue.ts';
import type { ServiceCore } from './service-core.ts';
import { queueFull, unavailable, waitedInVain, wouldWaitInVain } from './service-refusals.ts';
import type { PlaceWanted } from '../service.ts';

/** The address of an instance has more or less in hand: first that is noted, then what follows is done. */
export interface OnChange {
  note(instance: LivingInstance): void;
  followUp(instance: LivingInstance): void;
}

/** Gives out the places of a service. */
export interface Dispatch {
  readonly acquire: (wanted: PlaceWanted) => Promise<Permit>;
  readonly board: (wanted: PlaceWanted) => Place;
  /** Looks through the queue for those who would now take an instance they would not take before. */
  serveWaiting(): void;
  /** What the service has at an instance's address. */
  claimOf(instance: LivingInstance, onChange: OnChange): Claim;
  refuseAll(): void;
}

const NOBODY: readonly LivingInstance[] = [];

/** `onLeft` is told when a place was given back. */
export function createDispatch(core: ServiceCore, onLeft: (instance: LivingInstance) => void): Dispatch {
  const { queue, rotation, callers } = core;

  const grant = (instance: LivingInstance): Permit => {
    const permit = new HeldPermit(instance, core, onLeft);
    rotation.chosen(instance);
    return permit;
  };

  /** The last chance: an instance that failed this request is better than none. */
  const onExpiry = (waiter: Waiter) => {
    core.look();
    const instance = rotation.pick({ ...waiter.wanted, tried: NOBODY }, core.balance);
    if (instance !== undefined) waiter.proceed(() => grant(instance));
    else waiter.refuse(waitedInVain(core, waiter));
  };

  return {
    acquire(wanted) {
      if (wanted.signal.aborted) return Promise.reject(wanted.signal.reason as Error);
      callers.note(wanted.callerId, core.look());
      if (core.isClosed || rotation.eligible === 0) return Promise.reject(unavailable(core));
      // Whoever waits would have been given what is free now: taking it overtakes nobody who wants it.
      const instance = rotation.pick(wanted, core.balance);
      if (instance !== undefined) return Promise.resolve(grant(instance));
      return join(core, wanted, onExpiry);
    },

    board(wanted) {
      callers.note(wanted.callerId, core.look());
      const candidates = berths(core, wanted);
      if (core.isClosed || !isNonEmpty(candidates)) throw unavailable(core);
      return boardInstance(core.balance.pick(candidates, wanted.affinity), onLeft);
    },

    serveWaiting() {
      while (queue.depth > 0 && rotation.hasFree) {
        const match = nextToPick(core);
        if (match === undefined) return;
        match.waiter.proceed(() => grant(match.instance));
      }
    },

    claimOf: (instance, onChange) => ({
      get concurrency() {
        return instance.entry.concurrency ?? core.policy.concurrency;
      },
      nextInTurn: () =>
        queue.depth > 0 && instance.isFree
          ? queue.next(waiter => rotation.wouldTake(waiter.wanted, instance))
          : undefined,
      serve: waiter => waiter.proceed(() => grant(instance)),
      changed: () => onChange.note(instance),
      followUp: () => onChange.followUp(instance),
    }),

    refuseAll() {
      for (const waiter of queue.waiters()) waiter.refuse(unavailable(core));
    },
  };
}

/** Into the queue, unless its turn would come too late, or there is no room that it has more right to than others. */
function join(core: ServiceCore, wanted: PlaceWanted, onExpiry: (waiter: Waiter) => void): Promise<Permit> {
  const { queue, policy } = core;
  const { isFair, queueDepthMax, queueWaitMsMax } = policy;
  const newcomer = turnTakerOf(wanted, isFair);
  const refusal = wouldWaitInVain(core, newcomer, wanted.remainingMs);
  if (refusal !== undefined) return Promise.reject(refusal);
  if (queue.depth >= queueDepthMax) {
    const other = queue.leastEntitled(newcomer);
    if (other === undefined) return Promise.reject(queueFull(core, newcomer));
    other.refuse(queueFull(core, other));
  }
  return queue.wait(wanted, { isFair, waitMsMax: queueWaitMsMax, onExpiry });
}

/** The first in the order of turns for whom an instance is free, and that instance. */
function nextToPick({ queue, rotation, balance }: ServiceCore) {
  let picked: LivingInstance | undefined;
  const waiter = queue.next(({ wanted }) => (picked = rotation.pick(wanted, balance)) !== undefined);
  return waiter === undefined || picked === undefined ? undefined : { waiter, instance: picked };
}

/** Who can take one more stream: the emptiest for their weight. One on trial, or that failed, only where there is no other. */
function berths({ instances, policy }: ServiceCore, { tried, affinity }: PlaceWanted): readonly LivingInstance[] {
  const roomy = [...instances.values()].filter(
    ({ isEligible, address }) => isEligible && address.streams < policy.streamsMax,
  );
  const sound = roomy.filter(instance => !instance.isOnTrial && !tried.includes(instance));
  const usable = sound.length > 0 ? sound : roomy;
  if (affinity !== '') return usable;
  const load = ({ address, weight }: LivingInstance) => (address.streams + 1) / weight;
  const least = Math.min(...usable.map(load));
  return usable.filter(instance => load(instance) <= least);
}
