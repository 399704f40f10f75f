import { isVerdict, lengthen, type CheckStreak } from '../domain/service/check-streak.ts';
import type { Clock, Random } from '../domain/ports.ts';
import type { InstanceView, LivingService } from '../domain/service.ts';
import type { Probe } from './http-probe.ts';

/** The gateway's own questions to instances. */
export interface HealthChecks {
  /** Asks nobody any more; resolves when none is being asked. */
  close(): Promise<void>;
}

interface HealthChecksOptions {
  readonly services: () => readonly LivingService[];
  readonly clock: Clock;
  readonly random: Random;
  readonly probe: Probe;
}

/** When an instance is asked, and what it answered. */
interface Checked {
  askedMs: number;
  /** A share of the interval, redrawn each time, so that instances are not asked all at once. */
  share: number;
  streak: CheckStreak | undefined;
  isAsking: boolean;
}

interface Due {
  readonly service: LivingService;
  readonly instance: InstanceView;
  readonly checked: Checked;
}

const LOOK_EVERY_MS = 250;
const ASKING_MAX = 8;

/**
 * Asks every instance in turn whether it is well, as its service's policy says now. One with work of ours in hand is
 * left in peace: R cannot answer while it computes, and busy is not dead.
 */
export function createHealthChecks({ services, clock, random, probe }: HealthChecksOptions): HealthChecks {
  const known = new Map<string, Checked>();
  const asking = new Set<Promise<void>>();
  const closing = new AbortController();
  let cancelLook = clock.after(LOOK_EVERY_MS, look);

  function look(): void {
    cancelLook = clock.after(LOOK_EVERY_MS, look);
    const living = services().map(service => ({ service, instances: service.view().instances }));
    const work = workByAddress(living.flatMap(({ instances }) => instances));
    const present = new Set<string>();
    const due: Due[] = [];
    for (const { service, instances } of living) {
      for (const instance of instances) {
        const key = `${service.name}\n${instance.id}\n${instance.address}`;
        present.add(key);
        const checked = known.get(key) ?? newcomer(service, clock.nowMs(), random);
        known.set(key, checked);
        const one = { service, instance, checked };
        if (!work.isBusy(instance) && isDue(one, clock.nowMs())) due.push(one);
      }
    }
    for (const key of known.keys()) {
      if (!present.has(key)) known.delete(key);
    }
    // Whoever has waited longest comes first, should there be more than may be asked at once.
    due.sort((a, b) => a.checked.askedMs - b.checked.askedMs);
    for (const one of due.slice(0, ASKING_MAX - asking.size)) ask(one, work.done(one.instance));
  }

  function ask(due: Due, workDone: number): void {
    due.checked.isAsking = true;
    due.checked.askedMs = clock.nowMs();
    due.checked.share = 0.9 + random.below(201) / 1000;
    const asked = askOne(due, workDone).finally(() => {
      due.checked.isAsking = false;
      asking.delete(asked);
    });
    asking.add(asked);
  }

  async function askOne({ service, instance, checked }: Due, workDone: number): Promise<void> {
    const { health, sharedSecret } = service.policy;
    const { path, timeoutMs } = health;
    const { isWell, note } = await probe({
      ...{ origin: instance.address, path, timeoutMs, sharedSecret },
      signal: closing.signal,
    });
    if (closing.signal.aborted) return;

    const work = workByAddress(services().flatMap(one => one.view().instances));
    // The question waited behind a call that came at the same time: that says nothing.
    if (!isWell && (work.isBusy(instance) || work.done(instance) !== workDone)) return;
    checked.streak = lengthen(checked.streak, isWell);
    const mayReturn = isWell && instance.state === 'ejected';
    if (mayReturn || isVerdict(checked.streak, service.policy.health)) service.checked(instance.id, isWell, note);
  }

  return {
    async close() {
      cancelLook();
      closing.abort(new Error('the gateway ends'));
      await Promise.all(asking);
    },
  };
}

/** A newcomer is asked at some time within its first interval. */
function newcomer({ policy }: LivingService, nowMs: number, random: Random): Checked {
  const { intervalMs } = policy.health;
  const askedMs = nowMs - intervalMs + random.below(Math.ceil(intervalMs));
  return { askedMs, share: 1, streak: undefined, isAsking: false };
}

function isDue({ service, instance, checked }: Due, nowMs: number): boolean {
  if (checked.isAsking || instance.state === 'draining') return false;
  return nowMs >= checked.askedMs + service.policy.health.intervalMs * checked.share;
}

/** Work of ours by address: one R may stand behind several services. */
function workByAddress(instances: readonly InstanceView[]) {
  const inHand = new Map<string, number>();
  const done = new Map<string, number>();
  for (const { address, inFlight, requests } of instances) {
    inHand.set(address, (inHand.get(address) ?? 0) + inFlight);
    done.set(address, (done.get(address) ?? 0) + requests);
  }
  return {
    isBusy: ({ address }: InstanceView) => (inHand.get(address) ?? 0) > 0,
    done: ({ address }: InstanceView) => done.get(address) ?? 0,
  };
}
