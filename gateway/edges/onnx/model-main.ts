import { Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { readFrames, writeFrame } from './frames.ts';

// The process of one model. The model runs in a thread, so that this thread notices at any time that the gateway is gone,
// and ends the process in the middle of a run: a thread alone cannot be stopped then.

/** What the thread says. */
export interface ThreadMessage {
  readonly kind: number;
  readonly payload: Uint8Array;
}

const pipe = new Socket({ fd: 3, readable: true, writable: true });
const thread = new Worker(new URL('./model-thread.ts', import.meta.url));

pipe.on('error', () => undefined); // 'close' follows
pipe.once('close', end);
readFrames(pipe, (kind, payload) => thread.postMessage({ kind, payload }));
thread.on('message', ({ kind, payload }: ThreadMessage) => writeFrame(pipe, kind, payload));
thread.once('exit', end); // an error of its own is written to standard error by Node, and ends the process

function end(): void {
  process.kill(process.pid, 'SIGKILL');
}
