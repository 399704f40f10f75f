import { writeSync } from 'node:fs';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

// Loaded before each test file. Node's own --test-timeout ends a test that waits for ever; it does not end a file that
// computes for ever, nor one that leaves something open behind its last test. A thread of its own notices both.

const fileMsMax = Number(process.env.PENSTOCK_TEST_FILE_MS_MAX ?? 0);

// What a test file starts as a thread loads this as well, and has none.
const watched = isMainThread ? undefined : workerData?.watched;
if (watched !== undefined) {
  setTimeout(() => end(watched), fileMsMax);
} else if (isMainThread && fileMsMax > 0 && process.env.NODE_TEST_CONTEXT === 'child-v8') {
  const file = process.argv[1];
  new Worker(new URL(import.meta.url), { workerData: { watched: file }, execArgv: [], stdin: false }).unref();
}

function end(file) {
  writeSync(2, `${file} still runs after ${fileMsMax / 1000} s: it hangs, or left something open. It is ended.\n`);
  process.kill(process.pid, 'SIGKILL');
}
