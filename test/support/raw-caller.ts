import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** A connection on which a test says what it likes, byte by byte. */
export interface RawCaller {
  readonly socket: Socket;
  /** All that came so far. */
  readonly received: string;
  say(text: string | Buffer): void;
  /** Waits until what was heard matches, and gives all of it. */
  receive(pattern: RegExp): Promise<string>;
  /** Waits until the other side has closed, and gives all that was heard. */
  receiveAll(): Promise<string>;
}

/** Connects to a port of the loopback; the connection ends with the test. */
export async function rawCaller(t: TestContext, port: number): Promise<RawCaller> {
  const socket = connect({ host: '127.0.0.1', port });
  const news = new EventEmitter<{ more: [] }>();
  let received = '';
  let isOver = false;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
    news.emit('more');
  });
  socket.on('error', () => {
    // 'close' follows.
  });
  socket.on('close', () => {
    isOver = true;
    news.emit('more');
  });
  t.after(() => {
    socket.destroy();
  });
  await once(socket, 'connect');

  return {
    socket,
    get received() {
      return received;
    },
    say(text) {
      socket.write(text);
    },
    async receive(pattern) {
      while (!pattern.test(received)) {
        if (isOver) throw new Error(`closed before ${String(pattern)} was heard, after: ${received}`);
        await once(news, 'more');
      }
      return received;
    },
    async receiveAll() {
      while (!isOver) await once(news, 'more');
      return received;
    },
  };
}

/** Says one thing on a connection of its own and gives all that is heard until the other side closes. */
export async function sendAndReceive(t: TestContext, port: number, text: string | Buffer): Promise<string> {
  const caller = await rawCaller(t, port);
  caller.say(text);
  return caller.receiveAll();
}

/** The code of the problem in an answer as it came over the wire; undefined when there is none. */
export function codeIn(received: string): string | undefined {
  return /"code":"([A-Z_]+)"/.exec(received)?.[1];
}
