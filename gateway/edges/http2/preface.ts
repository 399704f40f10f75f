import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** How HTTP/2 begins (RFC 9113 §3.4); no method of HTTP/1.1 is called so. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

interface Choice {
  readonly take: (socket: Socket) => void;
  /** How long a caller may take to show what it speaks. */
  readonly waitMs: number;
}

/** Has connections of a plain server that begin as HTTP/2 does taken elsewhere, with nothing of them read. */
export function chooseByPreface(server: Server, { take, waitMs }: Choice): void {
  const http1 = server.listeners('connection') as ((this: Server, socket: Socket) => void)[];
  server.removeAllListeners('connection').on('connection', (socket: Socket) => {
    let begun = Buffer.alloc(0);
    const late = () => socket.destroy();
    const look = () => {
      const more = socket.read() as Buffer | null;
      if (more === null) return;
      begun = Buffer.concat([begun, more]); // put back when it is enough: what is put back is told of again
      const length = Math.min(begun.length, PREFACE.length);
      const isLike = begun.subarray(0, length).equals(PREFACE.subarray(0, length));
      if (isLike && length < PREFACE.length) return;
      socket.off('readable', look).off('timeout', late).off('end', late).off('error', late).setTimeout(0);
      if (isLike) {
        socket.unshift(begun);
        take(socket);
        return;
      }
      for (const listener of http1) listener.call(server, socket);
      // When Node has begun to read: before, it would begin again after the edge has stopped it for these very bytes.
      socket.once('resume', () => socket.unshift(begun));
    };
    socket.on('readable', look).on('timeout', late).on('end', late).on('error', late).setTimeout(waitMs);
  });
}
