import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** A connection on which a test says what it likes, byte by byte. */
export interface RawCaller {
  readonly socket: Socket;
  /** All that came so far. */
  readonly heard: string;
  say(text: string | Buffer): void;
  /** Waits until what was heard matches, and gives all of it. */
  hear(pattern: RegExp): Promise<string>;
  /** Waits until the other side has closed, and gives all that was heard. */
  hearOut(): Promise<string>;
}

/** Connects to a port of the loopback; the connection ends with the test. */
export async function rawCaller(t: TestContext, port: number): Promise<RawCaller> {
  const socket = connect({ host: '127.0.0.1', port });
  const news = new EventEmitter<{ more: [] }>();
  let heard = '';
  let isOver = false;
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
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
    get heard() {
      return heard;
    },
    say(text) {
      socket.write(text);
    },
    async hear(pattern) {
      while (!pattern.test(heard)) {
        if (isOver) throw new Error(`closed before ${String(pattern)} was heard, after: ${heard}`);
        await once(news, 'more');
      }
      return heard;
    },
    async hearOut() {
      while (!isOver) await once(news, 'more');
      return heard;
    },
  };
}

/** Says one thing on a connection of its own and gives all that is heard until the other side closes. */
export async function sayAndHearOut(t: TestContext, port: number, text: string | Buffer): Promise<string> {
  const caller = await rawCaller(t, port);
  caller.say(text);
  return caller.hearOut();
}

/** The code of the problem in an answer as it came over the wire; undefined when there is none. */
export function codeIn(heard: string): string | undefined {
  return /"code":"([A-Z_]+)"/.exec(heard)?.[1];
}
