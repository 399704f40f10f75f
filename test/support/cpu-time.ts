import { setTimeout } from 'node:timers/promises';

/** Processor time that work takes in this thread, whatever else the machine does meanwhile. */
export function cpuMs(work: () => unknown): number {
  const before = process.threadCpuUsage();
  work();
  return sinceMs(before);
}

/** What work comes to, and the longest it kept this thread from other work, by its processor time. */
export async function withStalls<T>(work: Promise<T>): Promise<{ result: T; turns: number; longestMs: number }> {
  const over = work.then(
    () => true,
    () => true,
  );
  let [turns, longestMs] = [0, 0];
  for (;;) {
    const before = process.threadCpuUsage();
    const isOver = await Promise.race([over, setTimeout(1, false)]);
    turns += 1;
    longestMs = Math.max(longestMs, sinceMs(before));
    if (isOver) return { result: await work, turns, longestMs };
  }
}

function sinceMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000;
}
