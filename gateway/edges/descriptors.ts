import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Observe } from '../domain/events.ts';

/** How many file descriptors this process may have open, as Linux says; undefined elsewhere, or without a limit. */
export function descriptorLimit(): number | undefined {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined; // No Linux.
  }
}

/** For the admin listener, log, files, Consul and R's pipes; under a low limit a quarter of it. */
const OTHERS_MAX = 384;
/** A call in hand has a connection of its caller and one to R. */
const DESCRIPTORS_A_CONNECTION = 2;

/** As many connections as asked for, or as many as the limit allows, which is told then. */
export function fitConnections(
  configured: number,
  { limit, observe }: { limit: number | undefined; observe: Observe },
): number {
  if (limit === undefined) return configured;
  const others = Math.min(OTHERS_MAX, Math.ceil(limit / 4));
  const connectionsMax = Math.min(configured, Math.max(1, Math.floor((limit - others) / DESCRIPTORS_A_CONNECTION)));
  if (connectionsMax < configured) {
    const text = 'connectionsMax is lowered to what the limit on open files allows (ulimit -n, LimitNOFILE)';
    observe({ kind: 'notice', level: 'warn', text, about: { connectionsMax, asked: configured, limit } });
  }
  return connectionsMax;
}

/** Descriptors that are set aside, and given up when there are no others. */
export interface DescriptorReserve {
  close(): void;
}

const RESERVE = 16;
const LOOK_MS = 250;

/**
 * Keeps some descriptors back, so that operators can look at a process that has run out of them. The system does not
 * say when it has none left for a new connection (it closes that), so that it is tried, a few times a second.
 */
export function keepDescriptors(observe: Observe): DescriptorReserve {
  let held = take(RESERVE);
  const looking = setInterval(look, LOOK_MS);
  looking.unref();

  function look(): void {
    if (held.length === 0) refill();
    else if (take(1).map(free).length === 0) giveUp();
  }

  function giveUp(): void {
    held.forEach(free);
    held = [];
    const text = 'out of file descriptors (EMFILE): new connections are closed, and no file can be read';
    observe({ kind: 'notice', level: 'error', text, about: { limit: descriptorLimit() ?? null } });
  }

  /** Not as soon as one is free again: it may be the one that was given up. */
  function refill(): void {
    const taken = take(RESERVE * 2);
    held = taken.length < RESERVE * 2 ? [] : taken.splice(0, RESERVE);
    taken.forEach(free);
    if (held.length === 0) return;
    observe({ kind: 'notice', level: 'info', text: 'file descriptors are free again', about: {} });
  }

  return {
    close() {
      clearInterval(looking);
      held.forEach(free);
      held = [];
    },
  };
}

/** As many as there are, up to `count`. */
function take(count: number): number[] {
  const taken: number[] = [];
  try {
    while (taken.length < count) taken.push(openSync('/dev/null', 'r'));
  } catch {
    // There are no more.
  }
  return taken;
}

function free(descriptor: number): void {
  closeSync(descriptor);
}
