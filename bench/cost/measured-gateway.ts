import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ROOT } from '../../gateway/setup/state.mjs';
import type { Place } from '../place.ts';

/** A gateway whose memory can be looked at. */
export interface Measured {
  readonly port: number;
  /** After its garbage was collected. */
  memory(): Promise<Memory>;
  /** Calls that wait for the instance. */
  waiting(): Promise<number>;
}

export interface Memory {
  readonly residentBytes: number;
  readonly heapBytes: number;
}

const POLL_MS = 50;
const PATIENCE_MS = 60_000;

/** What the process does for whoever measures it: on a signal it collects its garbage, and tells what is left. */
const COLLECTING = `
process.on('SIGUSR2', () => {
  globalThis.gc();
  const { heapUsed, external, rss } = process.memoryUsage();
  process.stdout.write(JSON.stringify({ collected: { heapBytes: heapUsed + external, residentBytes: rss } }) + '\\n');
});
`;

/** Starts a gateway before one instance. */
export async function startMeasured(place: Place, instancePort: number): Promise<Measured> {
  const [port, adminPort] = [await place.port(), await place.port()];
  place.write('memory.routes.yaml', ROUTES);
  const config = place.write('memory.yaml', gatewayOf({ port, adminPort, instancePort }));
  const started = place.start('memory', {
    program: process.execPath,
    args: [
      ...['--expose-gc', '--import', place.write('collecting.mjs', COLLECTING)],
      ...[join(ROOT, 'gateway', 'main.ts'), 'serve', '--config', config],
    ],
  });
  const admin = `http://127.0.0.1:${adminPort}`;
  await place.until(started, () => isReady(`${admin}/readyz`));

  const collections = () =>
    started
      .log()
      .split('\n')
      .filter(line => line.startsWith('{"collected"'));
  return {
    port,
    async memory() {
      const before = collections().length;
      process.kill(started.pid, 'SIGUSR2');
      await until(() => collections().length > before, 'the garbage is collected');
      return (JSON.parse(collections().at(-1) ?? '') as { collected: Memory }).collected;
    },
    async waiting() {
      const services = (await (await fetch(`${admin}/api/services`)).json()) as { queue: { depth: number } }[];
      return services[0]?.queue.depth ?? 0;
    },
  };
}

interface Ports {
  readonly port: number;
  readonly adminPort: number;
  readonly instancePort: number;
}

function gatewayOf({ port, adminPort, instancePort }: Ports): string {
  return `
listen: { host: 127.0.0.1, port: ${port}, keepAliveTimeout: 10m }
admin: { host: 127.0.0.1, port: ${adminPort} }
routes: memory.routes.yaml
discovery: { static: [{ service: held, instances: ['http://127.0.0.1:${instancePort}'] }] }
log: { access: false }
drain: { grace: 0s, timeout: 1s }
`;
}

const ROUTES = `
services: { held: { queue: { depthMax: 100000, waitMax: 10m }, hangMax: 10m } }
routes:
  - { id: held, uri: 'lb://held', predicates: ['Path=/held/**'], filters: ['StripPrefix=1'], timeout: 10m }
`;

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false; // Not up yet.
  }
}

/** Resolves when it holds; fails when it does not in a minute. */
export async function until(holds: () => Promise<boolean> | boolean, what: string): Promise<void> {
  for (let waitedMs = 0; !(await holds()); waitedMs += POLL_MS) {
    if (waitedMs > PATIENCE_MS) throw new Error(`not in time: ${what}`);
    await wait(POLL_MS);
  }
}
