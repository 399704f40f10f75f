import { standingOf } from './instance-standing.ts';
import type { LivingInstance } from './living-instance.ts';
import type { ServiceCore } from './service-core.ts';
import type { InstanceView, ServiceView } from '../service.ts';

/** A service as operators see it. Who leaves the roster is shown until its work is done. */
export function viewOf(core: ServiceCore): ServiceView {
  core.look();
  const shown = [...core.instances.values(), ...core.leavers];
  return {
    service: core.name,
    queue: { depth: core.queue.depth, depthMax: core.policy.queueDepthMax },
    permits: {
      inUse: shown.reduce((sum, { inHand }) => sum + inHand, 0),
      abandoned: shown.reduce((sum, { abandoned }) => sum + abandoned, 0),
    },
    instances: shown.map(instance => instanceView(core, instance)),
  };
}

function instanceView({ clock, moment, policy }: ServiceCore, instance: LivingInstance): InstanceView {
  const { nowMs } = moment;
  const { state, why, untilMs } = standingOf(instance, { nowMs, hangMsMax: policy.hangMsMax });
  const hasEnd = untilMs !== undefined && untilMs !== Infinity;
  return {
    id: instance.id,
    address: instance.origin,
    source: instance.entry.source,
    version: instance.version,
    weight: instance.entry.weight,
    state,
    why,
    until: hasEnd ? new Date(clock.wallMs() + untilMs - nowMs).toISOString() : null,
    inFlight: instance.inFlight,
    streams: instance.streams,
    abandoned: instance.abandoned,
    latencyMs: instance.latencyMs === undefined ? null : Math.round(instance.latencyMs * 1_000) / 1_000,
    requests: instance.requests,
    failures: instance.failures,
    preferredBy: instance.preferredBy,
  };
}
