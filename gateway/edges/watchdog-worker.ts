import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { AT, type Blocked, type WatchdogData } from './watchdog.ts';

// The thread that looks whether a plug-in keeps the loop of the other one from turning.

const { state: shared, afterMs, fd } = workerData as WatchdogData;
const state = new Int32Array(shared);
const names = new Map<number, string>();

let seen = { turns: -1, changes: -1, sinceMs: 0 };
let named: { readonly plugin: string; readonly changes: number; readonly sinceMs: number } | undefined;

parentPort?.on('message', ({ number, plugin }: { number: number; plugin: string }) => names.set(number, plugin));
setInterval(() => look(performance.now()), afterMs / 4);

function look(nowMs: number): void {
  const { running, changes, turns } = {
    running: Atomics.load(state, AT.running),
    changes: Atomics.load(state, AT.changes),
    turns: Atomics.load(state, AT.turns),
  };
  if (named !== undefined && changes !== named.changes) reportOver(named, nowMs);
  if (turns !== seen.turns || changes !== seen.changes) seen = { turns, changes, sinceMs: nowMs };
  const plugin = names.get(running);
  if (plugin === undefined || named !== undefined || nowMs - seen.sinceMs < afterMs) return;
  named = { plugin, changes, sinceMs: seen.sinceMs };
  report(plugin, Math.round(nowMs - seen.sinceMs));
}

function reportOver({ plugin, sinceMs }: NonNullable<typeof named>, nowMs: number): void {
  const over: Blocked = { plugin, forMs: Math.round(nowMs - sinceMs) };
  parentPort?.postMessage(over);
  named = undefined;
}

/** A line of the log, past the log: its loop stands still. */
function report(plugin: string, forMs: number): void {
  const text = 'a plug-in keeps the event loop from turning: no call goes on';
  const line = { time: new Date().toISOString(), level: 'error', event: 'plugin-blocks', plugin, forMs, text };
  try {
    writeSync(fd, `${JSON.stringify(line)}\n`);
  } catch {
    // A full pipe takes nothing: it is reported once the loop turns again.
  }
}
