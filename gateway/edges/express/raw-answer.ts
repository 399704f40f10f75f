import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Answer } from '../../domain/exchange.ts';

/** An answer in full, for a connection that Node's server has no hand in any more; the connection ends after it. */
function toBytes(answer: Answer, nowWallMs: number): Buffer {
  const body = Buffer.isBuffer(answer.body) ? answer.body : Buffer.alloc(0);
  let head = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? 'Unknown'}\r\n`;
  for (let i = 0; i + 1 < answer.rawHeaders.length; i += 2) {
    head += `${answer.rawHeaders[i] ?? ''}: ${answer.rawHeaders[i + 1] ?? ''}\r\n`;
  }
  const date = new Date(nowWallMs).toUTCString();
  head += `Date: ${date}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

/** Answers on the connection itself and ends it. A body that is a stream has no place here and is left. */
export function answerRaw(socket: Duplex, answer: Answer, nowWallMs: number): void {
  if (!Buffer.isBuffer(answer.body)) answer.body.destroy();
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  socket.on('error', ignore); // Node leaves it to us after CONNECT, and the other side may have reset it
  socket.end(toBytes(answer, nowWallMs), () => socket.destroy());
}

function ignore(): void {
  // See where it is used.
}
