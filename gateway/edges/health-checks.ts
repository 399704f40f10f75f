import type { Clock, Random } from '../domain/clock.ts';
import type { InstanceView, ManagedService } from '../domain/service.ts';
import type { Probe, ProbeResult } from './http-probe.ts';

/** The gateway's own checks of instances. */
export interface HealthChecks {
  /** Asks no instance any more; resolves when none is being asked. */
  close(): Promise<void>;
}

interface HealthChecksOptions {
  readonly services: () => readonly ManagedService[];
  readonly clock: Clock;
  readonly random: Random;
  readonly probe: Probe;
}

/** Findings of one kind in a row. */
interface Streak {
  readonly isWell: boolean;
  readonly length: number;
}

/** When an instance is asked, and what it answered. */
interface Checked {
  startedMs: number;
  /** A share of the interval, redrawn each time, so that instances are not asked all at once. */
  share: number;
  streak: Streak | undefined;
  isChecking: boolean;
  /** Calls sent there as last seen, and since when there have been so many. */
  sent: number;
  sentMs: number;
}

interface Due {
  readonly service: ManagedService;
  readonly instance: InstanceView;
  readonly checked: Checked;
  /** Work of ours is in hand there. */
  readonly isBusy: boolean;
}

const LOOK_EVERY_MS = 250;
const CHECKS_MAX = 8;

/**
 * Asks every instance in turn whether it is well, as its service's policy says now. One with work of ours in hand is
 * left in peace: R cannot answer while it computes, and busy is not dead. Only where the same work has been in hand for
 * a whole interval it is asked all the same, so that operators see of an R that stands still that it does.
 */
export function createHealthChecks({ services, clock, random, probe }: HealthChecksOptions): HealthChecks {
  const known = new Map<string, Checked>();
  const checking = new Set<Promise<void>>();
  const closing = new AbortController();
  let cancelLook = clock.after(LOOK_EVERY_MS, look);

  function look(): void {
    cancelLook = clock.after(LOOK_EVERY_MS, look);
    const views = services().map(service => ({ service, instances: service.view().instances }));
    const work = workByAddress(views.flatMap(({ instances }) => instances));
    const present = new Set<string>();
    const due: Due[] = [];
    for (const { service, instances } of views) {
      for (const instance of instances) {
        const key = `${service.name}\n${instance.id}\n${instance.address}`;
        present.add(key);
        const checked = known.get(key) ?? newcomer(service, clock.nowMs(), random);
        known.set(key, checked);
        noteWork(checked, work.sent(instance), clock.nowMs());
        const one = { service, instance, checked, isBusy: work.isBusy(instance) };
        if (isDue(one, clock.nowMs())) due.push(one);
      }
    }
    for (const key of known.keys()) {
      if (!present.has(key)) known.delete(key);
    }
    // The one that has waited longest comes first, should there be more than may be asked at once.
    due.sort((a, b) => a.checked.startedMs - b.checked.startedMs);
    for (const one of due.slice(0, CHECKS_MAX - checking.size)) begin(one);
  }

  function begin(due: Due): void {
    due.checked.isChecking = true;
    due.checked.startedMs = clock.nowMs();
    due.checked.share = 0.9 + random.below(201) / 1000;
    const running = check(due).finally(() => {
      due.checked.isChecking = false;
      checking.delete(running);
    });
    checking.add(running);
  }

  async function check(due: Due): Promise<void> {
    const { service, instance, checked, isBusy } = due;
    const { sharedSecret, health, tls } = service.policy;
    const { sent } = checked;
    const found = await probe({
      ...{ origin: instance.address, path: health.path, timeoutMs: health.timeoutMs, sharedSecret, tls },
      signal: closing.signal,
    });
    if (closing.signal.aborted || (!found.isWell && isOvertaken({ instance, sent, isBusy }, services()))) return;
    conclude(due, found);
  }

  return {
    async close() {
      cancelLook();
      closing.abort(new Error('the gateway ends'));
      await Promise.all(checking);
    },
  };
}

/** The check waited behind a call that came at the same time, or has just ended: that says nothing. */
function isOvertaken(
  { instance, sent, isBusy }: Pick<Due, 'instance' | 'isBusy'> & { readonly sent: number },
  services: readonly ManagedService[],
): boolean {
  const work = workByAddress(services.flatMap(one => one.view().instances));
  return work.sent(instance) !== sent || work.isBusy(instance) !== isBusy;
}

/** What was found counts where enough of its kind were found in a row; of a certificate that does not verify nothing follows. */
function conclude({ service, instance, checked, isBusy }: Due, { isWell, isUntrusted, note }: ProbeResult): void {
  if (isUntrusted === true) {
    checked.streak = undefined;
    service.untrusted(instance.id, note);
    return;
  }
  checked.streak = lengthen(checked.streak, isWell);
  const isReported = isNews(instance, isWell, isBusy) || isVerdict(checked.streak, service.policy.health);
  if (isReported) service.checked(instance.id, isWell, note);
}

/** A newcomer is asked at some time within its first interval. */
function newcomer({ policy }: ManagedService, nowMs: number, random: Random): Checked {
  const { intervalMs } = policy.health;
  const startedMs = nowMs - intervalMs + random.below(Math.ceil(intervalMs));
  return { startedMs, share: 1, streak: undefined, isChecking: false, sent: 0, sentMs: nowMs };
}

/** A failure under work takes no instance out, but is shown at once; a pass ends at once what a failure began. */
function isNews({ state }: InstanceView, isWell: boolean, isBusy: boolean): boolean {
  return isWell ? state === 'ejected' || state === 'busy-unchecked' : isBusy;
}

function noteWork(checked: Checked, sent: number, nowMs: number): void {
  if (checked.sent === sent) return;
  checked.sent = sent;
  checked.sentMs = nowMs;
}

function isDue({ service, instance, checked, isBusy }: Due, nowMs: number): boolean {
  if (checked.isChecking || instance.state === 'draining') return false;
  const intervalMs = service.policy.health.intervalMs * checked.share;
  return nowMs >= checked.startedMs + intervalMs && (!isBusy || nowMs >= checked.sentMs + intervalMs);
}

/** Work of ours by address: one R may stand behind several services. */
function workByAddress(instances: readonly InstanceView[]) {
  const inHand = new Map<string, number>();
  const sent = new Map<string, number>();
  for (const { address, inFlight, requests } of instances) {
    inHand.set(address, (inHand.get(address) ?? 0) + inFlight);
    sent.set(address, (sent.get(address) ?? 0) + requests);
  }
  return {
    isBusy: ({ address }: InstanceView) => (inHand.get(address) ?? 0) > 0,
    sent: ({ address }: InstanceView) => sent.get(address) ?? 0,
  };
}

/** The streak after one finding more. */
function lengthen(streak: Streak | undefined, isWell: boolean): Streak {
  return { isWell, length: streak?.isWell === isWell ? streak.length + 1 : 1 };
}

/** Whether a streak says something: enough of its kind were found in a row. */
function isVerdict({ isWell, length }: Streak, thresholds: { passes: number; fails: number }): boolean {
  return length >= (isWell ? thresholds.passes : thresholds.fails);
}
