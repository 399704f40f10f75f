import { createBalance } from '../balance/create-balance.ts';
import type { Instance } from '../instance.ts';
import { LivingInstance } from './living-instance.ts';
import { createRetryBudget } from './retry-budget.ts';
import { createCore, type ServiceCore, type ServiceOptions } from './service-core.ts';
import { createDispatch, type Dispatch } from './service-dispatch.ts';
import { createEjections } from './service-ejection.ts';
import { createServiceHealth } from './service-health.ts';
import { createServicePeers } from './service-peers.ts';
import type { ServicePolicy } from './service-policy.ts';
import { createServiceRoster } from './service-roster.ts';
import type { LivingService } from '../service.ts';
import { createStandings } from './service-standing.ts';
import { viewOf } from './service-view.ts';

/** A service that lives as long as its name is in the configuration. It has no instances until it is reconciled. */
export function createService(options: ServiceOptions): LivingService {
  const core = createCore(options);
  const dispatch = createDispatch(core, instance => roster.left(instance));
  const standings = createStandings(core, instance => health.review(instance));
  const ejections = createEjections(core, { dispatch, standings });
  const health = createServiceHealth(core, ejections);
  const onChange = {
    // Whether one that a check failed is in rotation depends on what it has in hand.
    note(instance: LivingInstance) {
      if (!instance.isDoubted) core.rotation.update(instance);
      else if (standings.assess(instance)) instance.hasTurned = true;
    },
    followUp(instance: LivingInstance) {
      if (!instance.hasTurned) return;
      instance.hasTurned = false;
      ejections.reassess(instance, true);
    },
  };
  const roster = createServiceRoster(core, { dispatch, health, ejections, onChange });
  const peers = createServicePeers(core);

  return {
    name: core.name,
    get policy() {
      return core.policy;
    },
    get versions() {
      return core.versions;
    },
    acquire: dispatch.acquire,
    waitingOf: callerId => core.queue.waitingOf(callerId),
    board: dispatch.board,
    report: (instance: Instance, finding) => {
      if (instance instanceof LivingInstance && instance.isOf(core.moment)) health.report(instance, finding);
    },
    budget: createRetryBudget(core.clock),
    view: () => viewOf(core),
    adopt(policy) {
      adopt(core, policy);
      for (const instance of core.instances.values()) ejections.reassess(instance, true);
    },
    reconcile(entries) {
      roster.reconcile(entries);
      peers.settle();
    },
    meet: peers.meet,
    checked: health.checked,
    command: health.command,
    close: () => close(core, dispatch),
  };
}

function adopt(core: ServiceCore, policy: ServicePolicy): void {
  const isOtherBalance = JSON.stringify(policy.balance) !== JSON.stringify(core.policy.balance);
  core.policy = policy;
  if (isOtherBalance) {
    core.balance = createBalance(policy.balance, core.random);
    core.balance.adopt?.([...core.instances.values()]);
  }
}

/** Work in hand goes on to its end; its permits stay out until then. */
function close(core: ServiceCore, dispatch: Dispatch): void {
  core.isClosed = true;
  dispatch.refuseAll();
  for (const instance of [...core.instances.values(), ...core.leavers]) {
    instance.cancelReview?.();
    core.rotation.remove(instance);
    if (instance.claim !== undefined) instance.address.disclaim(instance.claim);
  }
}
