import type { Measure } from './workloads/workload.ts';

/** Milliseconds as people read them. */
export function inMs(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 2 : ms < 1_000 ? 1 : 0)} ms`;
}

/** Counts as people read them. */
export function inCounts(count: number): string {
  return Math.round(count).toLocaleString('en');
}

/** A ratio as people read it: two places where they matter. */
export function inTimes(ratio: number): string {
  return ratio < 10 ? ratio.toFixed(2) : ratio.toFixed(1);
}

/** A figure with its unit. */
export function inWords(measure: Measure, figure: number): string {
  switch (measure) {
    case 'p50Ms':
    case 'p99Ms':
      return inMs(figure);
    case 'perSecond':
      return `${inCounts(figure)}/s`;
    case 'reached':
      return inCounts(figure);
    case 'cpuUsPerRequest':
    case 'firstCpuUsPerRequest':
      return inUs(figure);
    case 'allocatedBytesPerRequest':
      return inKb(figure);
  }
}

/** Nanoseconds as people read them. */
export function inNs(ns: number): string {
  return ns < 10_000 ? `${Math.round(ns)} ns` : `${(ns / 1_000).toFixed(1)} µs`;
}

/** Microseconds as people read them. */
export function inUs(us: number): string {
  return `${us < 10 ? us.toFixed(1) : Math.round(us)} µs`;
}

/** Bytes as people read them, in thousands. */
export function inKb(bytes: number): string {
  return `${(bytes / 1_000).toFixed(1)} KB`;
}
