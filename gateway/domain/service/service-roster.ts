import { keyOf, LivingInstance } from './living-instance.ts';
import type { RosterEntry } from '../roster.ts';
import type { ServiceCore } from './service-core.ts';
import type { Dispatch, OnChange } from './service-dispatch.ts';
import type { Ejections } from './service-ejection.ts';
import type { ServiceHealth } from './service-health.ts';

/** Keeps a service's instances in step with the roster. */
interface ServiceRoster {
  readonly reconcile: (entries: readonly RosterEntry[]) => void;
  /** Work in hand ended: a leaver without any is gone. */
  left(instance: LivingInstance): void;
}

interface Parts {
  readonly dispatch: Dispatch;
  readonly health: ServiceHealth;
  readonly ejections: Ejections;
  readonly onChange: OnChange;
}

/** The roster of one service. */
export function createServiceRoster(
  core: ServiceCore,
  { dispatch, health, ejections, onChange }: Parts,
): ServiceRoster {
  const { name, observe, instances, leavers, rotation } = core;
  let isFirst = true; // at the gateway's start nobody is new, and nobody need start slowly

  const left = (instance: LivingInstance) => {
    if (!instance.isLeaving || !instance.isIdle || !leavers.delete(instance)) return;
    rotation.remove(instance);
    instance.cancelReview?.();
    if (instance.claim !== undefined) instance.address.disclaim(instance.claim);
    if (!instances.has(keyOf(instance.entry))) observe({ kind: 'instance-left', service: name, instance: instance.id });
  };

  const retire = (key: string, instance: LivingInstance) => {
    instances.delete(key);
    leavers.add(instance);
    instance.isLeaving = true;
    ejections.reassess(instance);
  };

  const join = (entry: RosterEntry, predecessor: LivingInstance | undefined) => {
    const { moment } = core;
    const instance = new LivingInstance(entry, { address: core.places.at(entry.origin), moment, predecessor });
    if (instance.outlier.state.kind === 'ejected') instance.outlier.tryOut(); // at another address it may do better
    instance.claim = dispatch.claimOf(instance, onChange);
    instance.address.claim(instance.claim);
    const { id, origin: address, version } = entry;
    observe({ kind: 'instance-joined', service: name, instance: id, address, version });
    return instance;
  };

  const list = (entry: RosterEntry) => {
    const key = keyOf(entry);
    const known = instances.get(key);
    const stays = known?.origin === entry.origin ? known : undefined;
    if (known !== undefined && stays === undefined) retire(key, known);
    const instance = stays ?? takeBack(leavers, entry) ?? join(entry, known);
    instance.entry = entry;
    instances.set(key, instance);
    health.heed(instance);
    ejections.reassess(instance, isFirst);
  };

  return {
    left,
    reconcile(entries) {
      if (core.isClosed) return;
      const byKey = new Map(entries.map(entry => [keyOf(entry), entry]));
      // Who comes is there before who goes is gone: nobody who waits sees a service without instances in between.
      for (const entry of byKey.values()) list(entry);
      for (const [key, instance] of [...instances]) if (!byKey.has(key)) retire(key, instance);
      for (const leaver of [...leavers]) left(leaver);
      core.balance.adopt?.([...instances.values()]);
      core.versions = versionsOf(entries);
      if (entries.length > 0) isFirst = false;
    },
  };
}

function versionsOf(entries: readonly RosterEntry[]): string {
  return [...new Set(entries.map(({ version }) => version ?? ''))].sort().join(',');
}

/** One that left and still drains, listed again at the same address: it is the same R. */
function takeBack(leavers: Set<LivingInstance>, entry: RosterEntry): LivingInstance | undefined {
  for (const leaver of leavers) {
    if (keyOf(leaver.entry) !== keyOf(entry) || leaver.origin !== entry.origin) continue;
    leavers.delete(leaver);
    leaver.isLeaving = false;
    return leaver;
  }
  return undefined;
}
