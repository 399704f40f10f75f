import { createServer } from 'node:net';
import { getHeapStatistics } from 'node:v8';
import { isMainThread } from 'node:worker_threads';

// Preloaded into a process that is measured: on the socket at BENCH_PROBE it tells what V8 has allocated so far, and the
// memory it has; where Node runs with --expose-gc, after its garbage was collected.

if (isMainThread) {
  createServer(socket => {
    socket.on('error', () => undefined); // it was asked by a process that is gone
    globalThis.gc?.();
    const { heapUsed, external, rss } = process.memoryUsage();
    const allocatedBytes = getHeapStatistics().total_allocated_bytes;
    socket.end(JSON.stringify({ allocatedBytes, heapBytes: heapUsed + external, residentBytes: rss }));
  })
    .listen(process.env.BENCH_PROBE)
    .unref();
}
