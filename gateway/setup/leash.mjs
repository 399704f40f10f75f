import { Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';

// Loaded before the program by spawnLeashed(). When the starter's end of the pipe closes, the starter is gone, and
// this process asks itself to end as an operator would: gently, with whatever it started.

const fd = process.env.PENSTOCK_LEASH_FD;
// Processes started from here have no such pipe, and workers share this one's.
delete process.env.PENSTOCK_LEASH_FD;

const leash = fd === undefined || !isMainThread ? undefined : openLeash(Number(fd));
leash?.once('close', () => process.kill(process.pid, 'SIGTERM'));
leash?.on('error', () => leash.destroy());
leash?.resume();
leash?.unref(); // It waits for the end of another; it must not keep this one alive.

function openLeash(descriptor) {
  try {
    return new Socket({ fd: descriptor, readable: true, writable: false });
  } catch {
    return undefined; // Node's test runner hands the variable on to its children, without loading this itself.
  }
}
