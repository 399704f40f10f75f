import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Place, Started } from './place.ts';

/** Processor time since a process began, in microseconds. */
export interface CpuTime {
  /** Of the process and its living descendants. */
  readonly totalUs: number;
  /** Of it, that of V8's own threads: they collect garbage and compile. */
  readonly v8Us: number;
}

/** As V8 names the threads of its own, by the system's record. */
const V8_THREAD = 'V8Worker';

/** Undefined where there is no /proc, or the process has ended. */
export function cpuTimeOf(pid: number): CpuTime | undefined {
  try {
    const tasks = `/proc/${pid}/task`;
    const sum = { totalUs: 0, v8Us: 0 };
    for (const task of readdirSync(tasks)) {
      const us = Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]) / 1_000;
      sum.totalUs += us;
      if (readFileSync(`${tasks}/${task}/comm`, 'utf8').includes(V8_THREAD)) sum.v8Us += us;
    }
    const children = readFileSync(`${tasks}/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    for (const child of children) sum.totalUs += cpuTimeOf(Number(child))?.totalUs ?? 0;
    return sum;
  } catch {
    return undefined;
  }
}

/** What a process of Node's says of itself. */
export interface Memory {
  /** By V8, since it began. */
  readonly allocatedBytes: number;
  readonly heapBytes: number;
  readonly residentBytes: number;
}

/** A Node process that can be looked into. */
export interface StartedNode extends Started {
  memory(): Promise<Memory>;
}

interface NodeCommand {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly core?: number | undefined;
}

/** Starts a process of the Node that runs this. */
export function startNode(place: Place, name: string, { args, env = {}, core }: NodeCommand): StartedNode {
  const socket = place.path(`${name}.probe`);
  const probe = fileURLToPath(new URL('probe.mjs', import.meta.url));
  const started = place.start(name, {
    program: process.execPath,
    args: ['--import', probe, ...args],
    env: { ...env, BENCH_PROBE: socket },
    core,
  });
  return { ...started, memory: async () => JSON.parse(await text(connect(socket))) as Memory };
}
