import { Worker } from 'node:worker_threads';
import type { PluginWatch } from '../domain/plugin/guard.ts';

/** What the watching thread is started with. */
export interface WatchdogData {
  /** [code that runs now, counts its changes, counts turns of the loop] */
  readonly state: SharedArrayBuffer;
  readonly afterMs: number;
  /** Where its line goes: the loop that would write the log is what is blocked. */
  readonly fd: number;
}

/** A plug-in blocked the event loop for so long; told once it no longer does. */
export interface Blocked {
  readonly plugin: string;
  readonly forMs: number;
}

/** Names the plug-in that blocks the event loop, from a thread of its own. */
export interface Watchdog extends PluginWatch {
  close(): void;
}

interface WatchdogOptions {
  /** A plug-in may keep the loop for so long before it is named. */
  readonly afterMs?: number;
  readonly fd: number;
  /** It was named at the time, and is done now. */
  readonly onOver: (blocked: Blocked) => void;
}

/** Places in the shared state. */
export const AT = { running: 0, changes: 1, turns: 2 };

const WORKER = new URL('./watchdog-worker.ts', import.meta.url);

/** Begins to watch. Entering and leaving costs two writes into shared memory. */
export function createWatchdog({ afterMs = 1_000, fd, onOver }: WatchdogOptions): Watchdog {
  const shared = new SharedArrayBuffer(Object.keys(AT).length * Int32Array.BYTES_PER_ELEMENT);
  const state = new Int32Array(shared);
  const workerData: WatchdogData = { state: shared, afterMs, fd };
  const worker = new Worker(WORKER, { workerData });
  worker.unref();
  worker.on('message', onOver);
  worker.on('error', () => undefined); // without it plug-ins run unwatched, and all else goes on
  const turning = setInterval(() => Atomics.add(state, AT.turns, 1), afterMs / 4);
  turning.unref();
  const numbers = new Map<string, number>([['', 0]]);

  const numberOf = (plugin: string): number => {
    const known = numbers.get(plugin);
    if (known !== undefined) return known;
    const number = numbers.size;
    numbers.set(plugin, number);
    worker.postMessage({ number, plugin });
    return number;
  };
  const change = (number: number): number => {
    Atomics.add(state, AT.changes, 1);
    return Atomics.exchange(state, AT.running, number);
  };

  return {
    enter: plugin => change(numberOf(plugin)),
    leave: before => void change(before),
    close() {
      clearInterval(turning);
      void worker.terminate();
    },
  };
}
