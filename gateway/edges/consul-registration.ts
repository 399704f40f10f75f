import type { Observe } from '../domain/events.ts';
import { halfJitterDelayMs } from '../domain/back-off.ts';
import type { Clock, Random } from '../domain/clock.ts';
import type { StatusReport } from '../domain/discovery/status-text.ts';
import { ConsulError, createConsulClient, type ConsulAddress } from './consul-client.ts';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** The gateway's own entry in Consul, as service `penstock`. */
export interface ConsulRegistration {
  /** `penstock-HOST-PORT`. */
  readonly id: string;
  /** Registers, and keeps registered from now on. */
  start(): void;
  /** What there is to report has changed: Consul is told at once. */
  refresh(): Promise<void>;
  /** Deregisters, within two seconds. */
  close(): Promise<void>;
}

interface ConsulRegistrationOptions {
  readonly config: Pick<ConsulAddress, 'address' | 'token'>;
  readonly advertise: HostPort;
  /** What the gateway sees now. */
  readonly report: () => StatusReport;
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: Observe;
  readonly ttlMs?: number;
}

const TTL_MS = 15_000;
const CALL_MS_MAX = 2_000;
const CLOSE_MS_MAX = 2_000;
/** Consul drops what is gone; it takes no less. */
const FORGET_AFTER_MS = 60_000;
const BACK_OFF_BASE_MS = 500;

/** Keeps the gateway known to Consul: it renews its check thrice within its time, and registers whenever it is unknown. */
export function createConsulRegistration(options: ConsulRegistrationOptions): ConsulRegistration {
  const { config, advertise, report, clock, random, observe, ttlMs = TTL_MS } = options;
  const id = `penstock-${advertise.host}-${advertise.port}`;
  const client = createConsulClient({ ...config, datacenter: undefined });
  const givingUp = new AbortController();
  const bounded = boundCalls(clock, givingUp.signal);
  let cancelNext: (() => void) | undefined;
  let beating = Promise.resolve();
  let failures = 0;
  let closing: Promise<void> | undefined;

  function beat(): Promise<void> {
    cancelNext?.();
    beating = beating.then(beatOnce);
    return beating;
  }

  async function renew(now: StatusReport): Promise<void> {
    try {
      await bounded(signal => client.report(id, now, signal));
    } catch (error) {
      // Consul says "no" to a token it does not know, in different words in different versions.
      if (!(error instanceof ConsulError && error.isAnswer)) throw error;
      const service = { id, ...advertise, status: now.status, ttlMs, forgetAfterMs: FORGET_AFTER_MS };
      await bounded(signal => client.register(service, signal));
      await bounded(signal => client.report(id, now, signal));
    }
  }

  async function beatOnce(): Promise<void> {
    if (closing !== undefined) return;
    try {
      await renew(report());
      if (failures > 0) notice('info', 'registered in Consul', {});
      failures = 0;
    } catch (error) {
      failures += 1;
      const problem = messageOf(error);
      if (failures === 1) notice('warn', 'this gateway is not registered in Consul', { problem });
    }
    cancelNext?.();
    cancelNext = clock.after(nextBeatMs({ failures, ttlMs }, random), () => void beat());
  }

  function notice(level: 'info' | 'warn', text: string, about: Record<string, string>): void {
    observe({ kind: 'notice', level, text, about: { id, ...about } });
  }

  async function close(): Promise<void> {
    cancelNext?.();
    const cancel = clock.after(CLOSE_MS_MAX, () => givingUp.abort(new Error('the gateway ends')));
    await beating; // A registration under way would otherwise come after the deregistration.
    cancelNext?.();
    try {
      await bounded(signal => client.deregister(id, signal));
    } catch (error) {
      const problem = messageOf(error);
      notice('warn', 'not deregistered from Consul, which will notice by itself', { problem });
    } finally {
      cancel();
      client.close();
    }
  }

  return { id, start: () => void beat(), refresh: beat, close: () => (closing ??= close()) };
}

/** Thrice within the time the check holds, sooner after a failure. */
function nextBeatMs({ failures, ttlMs }: { failures: number; ttlMs: number }, random: Random): number {
  const thirdMs = ttlMs / 3;
  if (failures === 0) return thirdMs;
  return halfJitterDelayMs(failures, { baseMs: Math.min(BACK_OFF_BASE_MS, thirdMs), maxMs: thirdMs }, random);
}

/** Gives each call a time of its own to be answered in, within that of all. */
function boundCalls(clock: Clock, ofAll: AbortSignal) {
  return async (call: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    const late = new AbortController();
    const cancel = clock.after(CALL_MS_MAX, () => late.abort(new Error(`no answer within ${CALL_MS_MAX} ms`)));
    try {
      await call(AbortSignal.any([late.signal, ofAll]));
    } finally {
      cancel();
    }
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A host and a port, as others reach them. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

const EVERYWHERE = new Set(['', '0.0.0.0', '::', '::0']);

/** What to tell others of a listener: its own host, or this machine's address where it listens on all. */
export function advertisedAddress(listen: HostPort, advertise: string | undefined): HostPort {
  if (advertise !== undefined) return parseHostPort(advertise, listen.port);
  return { host: EVERYWHERE.has(listen.host) ? machineAddress() : listen.host, port: listen.port };
}

function parseHostPort(text: string, portDefault: number): HostPort {
  if (isIPv6(text)) return { host: text, port: portDefault };
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? text;
  return { host, port: match?.[3] === undefined ? portDefault : Number(match[3]) };
}

/** The first address that is not this machine's talk with itself, IPv4 before IPv6. */
function machineAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? []);
  const outer = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80:'));
  return (outer.find(({ family }) => family === 'IPv4') ?? outer[0])?.address ?? '127.0.0.1';
}
