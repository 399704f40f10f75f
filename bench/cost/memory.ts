import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createPlace } from '../place.ts';
import { holdCalls } from './holding-instance.ts';
import { startMeasured, until, type Measured, type Memory } from './measured-gateway.ts';

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
    await until(async () => (await gateway.waiting()) === 0, 'nobody waits');
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

/** So many connect and are answered once, and then all call an instance that answers nobody. */
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
