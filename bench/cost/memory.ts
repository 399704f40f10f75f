import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ROOT } from '../../gateway/setup/state.mjs';
import { answers, createPlace, type Place } from '../place.ts';
import { startNode, type Memory } from '../process-figures.ts';

/** What one of so many costs a gateway process. */
export interface MemoryRow {
  readonly what: string;
  readonly count: number;
  /** Of the process's memory in all, as the system counts it. */
  readonly bytesEach: number;
  /** Of V8's heap; the rest is Node's. */
  readonly heapBytesEach: number;
}

const COUNT = 2_000;

/** As many go first, so that what is only ever made once is there before anything counts. */
const REHEARSED = 100;

const POLL_MS = 50;
const PATIENCE_MS = 60_000;

const BODY = JSON.stringify([{ wt: 2.62, hp: 110 }]);
const FIELDS = `Host: localhost\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\nX-Key: measured\r\n`;
const UNKNOWN = 'GET /unknown HTTP/1.1\r\nHost: localhost\r\n\r\n';
const CALL = `POST /held/predict HTTP/1.1\r\n${FIELDS}\r\n${BODY}`;

/** What a kept connection without a call costs, and a call that waits for an instance, beside its connection. */
export async function measureMemory(count = COUNT): Promise<MemoryRow[]> {
  const place = createPlace();
  const instance = await holdCalls();
  try {
    const gateway = await startMeasured(place, instance.port);
    await round(gateway, REHEARSED);
    instance.answerAll();
    await until(async () => (await gateway.waiting()) === 0, 'no call waits');
    const { none, idle, waiting } = await round(gateway, count);
    return [
      rowOf('an idle connection', count, { before: none, after: idle }),
      rowOf('a call that waits, beside its connection', count, { before: idle, after: waiting }),
    ];
  } finally {
    instance.close();
    await place.close();
  }
}

function rowOf(what: string, count: number, { before, after }: { before: Memory; after: Memory }): MemoryRow {
  return {
    ...{ what, count },
    bytesEach: (after.residentBytes - before.residentBytes) / count,
    heapBytesEach: (after.heapBytes - before.heapBytes) / count,
  };
}

/** So many connect and are answered once, and then all call an instance that answers none. */
async function round(gateway: Measured, count: number) {
  const none = await gateway.memory();
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i++) sockets.push(await open(gateway.port));
  const idle = await gateway.memory();
  for (const socket of sockets) socket.write(CALL);
  await until(async () => (await gateway.waiting()) >= count - 1, 'all but the one at the instance wait');
  const waiting = await gateway.memory();
  for (const socket of sockets) socket.destroy();
  return { none, idle, waiting };
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined); // the gateway may end first
  await once(socket, 'connect');
  socket.write(UNKNOWN);
  await once(socket, 'data');
  socket.resume();
  return socket;
}

/** An instance that is well and answers no call until it is told to. */
interface HoldingInstance {
  readonly port: number;
  answerAll(): void;
  close(): void;
}

/** Starts one. */
async function holdCalls(): Promise<HoldingInstance> {
  const held = new Set<ServerResponse>();
  let isHolding = true;
  const server = createServer((request, response) => {
    request.resume();
    if (request.url === '/ping' || !isHolding) response.end('{}');
    else held.add(response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    answerAll() {
      for (const response of held) response.end('{}');
      held.clear();
    },
    close() {
      isHolding = false;
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A gateway whose memory can be looked at. */
interface Measured {
  readonly port: number;
  /** After its garbage was collected. */
  memory(): Promise<Memory>;
  /** Calls that wait for the instance. */
  waiting(): Promise<number>;
}

/** Starts a gateway before one instance. */
async function startMeasured(place: Place, instancePort: number): Promise<Measured> {
  const [port, adminPort] = [await place.port(), await place.port()];
  place.write('memory.routes.yaml', ROUTES);
  const config = place.write('memory.yaml', gatewayOf({ port, adminPort, instancePort }));
  const started = startNode(place, 'memory', {
    args: ['--expose-gc', join(ROOT, 'gateway', 'main.ts'), 'serve', '--config', config],
  });
  const admin = `http://127.0.0.1:${adminPort}`;
  await place.until(started, () => answers(`${admin}/readyz`, true));
  return {
    port,
    memory: () => started.memory(),
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

/** Resolves when it holds; fails when it does not in a minute. */
async function until(holds: () => Promise<boolean> | boolean, what: string): Promise<void> {
  for (let waitedMs = 0; !(await holds()); waitedMs += POLL_MS) {
    if (waitedMs > PATIENCE_MS) throw new Error(`not in time: ${what}`);
    await wait(POLL_MS);
  }
}
