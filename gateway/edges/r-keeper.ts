import { halfJitterDelayMs } from '../domain/back-off.ts';
import { pause, type Random } from '../domain/clock.ts';
import type { RosterEntry } from '../domain/roster.ts';
import type { RProcess } from './r-process.ts';
import { startR, STOP_MS_MAX, type RStartOptions } from './r-start.ts';

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
  /** Waits for leave to start; what it resolves to gives it back. */
  readonly enterStart: () => Promise<() => void>;
  readonly onChange: () => void;
}

const BACK_OFF = { baseMs: 500, maxMs: 30_000 };
/** An R that ran for so long was well: what ends it afterwards is not why it ended before. */
const WELL_AFTER_MS = 60_000;

/** Starts an R process, watches it, and starts another whenever it ends, ever later while it fails again and again. */
export function createRKeeper(options: RKeeperOptions): RKeeper {
  const { service, clock, random, observe, enterStart, onChange } = options;
  const closing = new AbortController();
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
    const leave = await enterStart();
    if (isClosing()) {
      leave();
      return 'not started';
    }
    const { process, ready } = startR(options, closing.signal);
    running = process;
    try {
      change(await ready);
    } catch (error) {
      await process.stop(STOP_MS_MAX);
      return error instanceof Error ? error.message : String(error);
    } finally {
      leave();
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

  function isClosing(): boolean {
    return closing.signal.aborted;
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
