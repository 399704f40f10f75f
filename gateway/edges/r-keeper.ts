import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { halfJitterDelayMs } from '../domain/back-off.ts';
import { pause, type Random, type Clock } from '../domain/clock.ts';
import type { ConcurrencyLimit } from '../domain/concurrency-limit.ts';
import type { RosterEntry } from '../domain/roster.ts';
import { type RProcess, startRProcess } from './r-process.ts';
import type { Observe } from '../domain/events.ts';
import { printable } from '../domain/printable.ts';
import { readRLine } from '../domain/discovery/r-line.ts';
import { recordOf, textOf } from '../domain/unknown-value.ts';
import { fetchBriefly } from './http-probe.ts';
import { sha256 } from './digest.ts';
import { meet as greet } from './rserve/connection.ts';

/** Keeps one R process running. */
export interface RKeeper {
  /** The running instance; null while there is none that answers. */
  entry(): RosterEntry | null;
  /** Its first start has succeeded, or failed. */
  hasBeenTried(): boolean;
  /** Ends the process and starts no other. */
  close(): Promise<void>;
}

interface RKeeperOptions extends RStartOptions {
  readonly random: Random;
  /** So many start at once. */
  readonly starts: ConcurrencyLimit;
  readonly onChange: () => void;
}

const BACK_OFF = { baseMs: 500, maxMs: 30_000 };
/** An R that ran for so long was well: what ends it afterwards is not why it ended before. */
const WELL_AFTER_MS = 60_000;

/** Starts an R process, watches it, and starts another whenever it ends, ever later while it fails again and again. */
export function createRKeeper(options: RKeeperOptions): RKeeper {
  const { service, clock, random, observe, starts, onChange } = options;
  const closing = new AbortController();
  const isClosing = () => closing.signal.aborted;
  let entry: RosterEntry | null = null;
  let hasBeenTried = false;
  let running: RProcess | undefined;
  let failures = 0;

  const kept = keep();

  async function keep(): Promise<void> {
    while (!isClosing()) {
      const how = await liveOnce();
      change(null);
      if (isClosing()) return;
      failures += 1;
      const againInMs = halfJitterDelayMs(failures, BACK_OFF, random);
      observe({ kind: 'notice', level: 'warn', text: `R ended: ${how}`, about: { service, againInMs } });
      await pause(clock, againInMs, closing.signal);
    }
  }

  /** From a start to the end of what was started; how it ended, in words. */
  async function liveOnce(): Promise<string> {
    if (!(await starts.acquire(closing.signal))) return 'not started';
    if (isClosing()) {
      starts.release();
      return 'not started';
    }
    let process: RProcess | undefined;
    try {
      const started = startR(options, closing.signal);
      ({ process } = started);
      running = process;
      change(await started.ready);
    } catch (error) {
      await process?.stop(STOP_MS_MAX);
      return error instanceof Error ? error.message : String(error);
    } finally {
      starts.release();
    }

    const readyMs = clock.nowMs();
    const { id: instance = '', version = null } = entry ?? {};
    observe({ kind: 'notice', level: 'info', text: 'R answers', about: { service, instance, version } });
    const how = await process.ended;
    if (clock.nowMs() - readyMs >= WELL_AFTER_MS) failures = 0;
    return how;
  }

  function change(next: RosterEntry | null): void {
    hasBeenTried = true;
    entry = next;
    onChange();
  }

  return {
    entry: () => entry,
    hasBeenTried: () => hasBeenTried,
    async close() {
      closing.abort(new Error('the gateway ends'));
      await running?.stop(STOP_MS_MAX);
      await kept;
    },
  };
}

/** What to start, and how. */
interface RStartOptions {
  readonly service: string;
  /** The service's file, or the folder of it; absolute. */
  readonly entry: string;
  /** It is an Rserve with so many connections at most; undefined: an API. */
  readonly forks?: number | undefined;
  readonly serveCommand: string;
  readonly env: Readonly<Record<string, string>>;
  /** What R is to ask of its callers, as its service's policy says at its start. */
  readonly sharedSecretOf: (service: string) => string | undefined;
  readonly clock: Clock;
  readonly observe: Observe;
}

/** How long R may take to finish when it is to end. The gateway has drained by then, so it should have little to do. */
const STOP_MS_MAX = 10_000;

const HOST = '127.0.0.1';
const START_MS_MAX = 60_000;
const METADATA_MS_MAX = 5_000;
/** A file that Rserve has still to read may load a model. */
const PROBE_EVERY_MS = 100;

/** An R process, and the entry it becomes once it answers; rejected where it ends before, or does not in time. */
function startR(options: RStartOptions, signal: AbortSignal): { process: RProcess; ready: Promise<RosterEntry> } {
  const { service, entry, forks, serveCommand, clock, observe } = options;
  const bounds = { PENSTOCK_DRAIN_TIMEOUT_S: String(STOP_MS_MAX / 1000 - 1), PENSTOCK_SETTLE_S: '0' };
  const secret = options.sharedSecretOf(service);
  const guard = secret === undefined ? {} : { PLUMBER_SHARED_SECRET: secret };
  const env = { ...options.env, ...guard, ...bounds, PENSTOCK_SERVICE_NAME: service };
  let onListening: (port: number) => void = () => undefined;
  const listening = new Promise<number>(resolve => {
    onListening = resolve;
  });

  let endOfR: string | undefined;
  const script = startRProcess({
    ...{
      command: serveCommand,
      args: [entry, '--host', HOST, '--port', '0', ...(forks === undefined ? [] : ['--rserve'])],
      clock,
    },
    env,
    onLine(line, stream) {
      const { level, text, about, ...news } = readRLine(line, stream === 'stderr' ? 'warn' : 'info');
      if (news.listening !== undefined) onListening(news.listening.port);
      if (news.ended !== undefined) endOfR = toWords(news.ended.status);
      else observe({ kind: 'notice', level, text, about: { ...about, service } });
    },
  });
  // The script's own status says only that R has ended by itself.
  const process = { ...script, ended: script.ended.then(how => endOfR ?? how) };

  const settled = new AbortController();
  const either = AbortSignal.any([signal, settled.signal]);
  const answering = listening.then(port =>
    (forks === undefined ? meet : meetRserve)({ ...options, env }, port, either),
  );
  const ready = Promise.race([answering, endedEarly(process), tooLate(clock, process)]);
  const settle = () => settled.abort(new Error('it is known how the start went'));
  ready.then(settle, settle);
  return { process, ready };
}

function toWords(status: number): string {
  const [signal] = Object.entries(constants.signals).find(([, number]) => number === status - 128) ?? [];
  return signal ?? `exit status ${status}`;
}

async function endedEarly({ ended }: RProcess): Promise<never> {
  throw new Error(`${await ended}, before it answered`);
}

async function tooLate(clock: Clock, { ended }: RProcess): Promise<never> {
  await new Promise<void>(resolve => {
    const cancel = clock.after(START_MS_MAX, resolve);
    void ended.then(cancel);
  });
  throw new Error(`it did not answer within ${START_MS_MAX / 1000} s`);
}

/** Waits until R answers, and asks it which model it is. */
async function meet({ service, env }: RStartOptions, port: number, signal: AbortSignal): Promise<RosterEntry> {
  const origin = `http://${HOST}:${port}`;
  const probe = { origin, sharedSecret: env['PLUMBER_SHARED_SECRET'], signal };
  await fetchBriefly({ ...probe, path: '/ping', timeoutMs: START_MS_MAX });
  const metadata = await fetchBriefly({ ...probe, path: '/metadata', timeoutMs: METADATA_MS_MAX }).catch(
    () => undefined,
  );
  const { version, name } = metadata?.status === 200 ? parseObject(metadata.body) : {};
  return {
    ...{ id: `${service}-${port}`, origin, source: 'local', weight: 1, health: 'passing', healthNote: null },
    ...{ version: labelOf(version), model: labelOf(name), concurrency: undefined },
  };
}

/** Rserve greets once it has read its file. */
async function meetRserve(options: RStartOptions, port: number, signal: AbortSignal): Promise<RosterEntry> {
  const { service, entry, forks, clock } = options;
  const origin = `rserve://${HOST}:${port}`;
  while (!(await greets(origin, AbortSignal.any([signal, AbortSignal.timeout(METADATA_MS_MAX)])))) {
    signal.throwIfAborted();
    await pause(clock, PROBE_EVERY_MS, signal);
  }
  return {
    ...{ id: `${service}-${port}`, origin, source: 'local', weight: 1, health: 'passing', healthNote: null },
    ...{ version: sha256(readFileSync(entry)).slice(0, 12), model: null, concurrency: forks },
  };
}

async function greets(origin: string, signal: AbortSignal): Promise<boolean> {
  try {
    await greet({ origin }, signal);
    return true;
  } catch {
    return false; // not yet
  }
}

function parseObject(text: string): Record<string, unknown> {
  try {
    return recordOf(JSON.parse(text));
  } catch {
    return {}; // An application of its own kind, with another idea of /metadata.
  }
}

function labelOf(value: unknown): string | null {
  return textOf(value) === '' ? null : printable(textOf(value), 128);
}
