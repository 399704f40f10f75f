import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../domain/ports.ts';

/** How long what a refused caller still sends is read and thrown away. */
const LINGER_MS_MAX = 2_000;

/**
 * Lets a connection whose request is not read to its end close so that the caller still gets the answer.
 *
 * Closing while bytes are under way resets the connection, and the reset takes the answer out of the caller's hands.
 * So our side is ended, what comes is read for a moment, and only then is it over.
 */
export function lingerAtEnd(req: IncomingMessage, clock: Clock): void {
  const { socket } = req;
  socket.destroySoon = () => {
    socket.end();
    if (req.complete || socket.destroyed) {
      socket.destroy();
      return;
    }
    const cancel = clock.after(LINGER_MS_MAX, () => socket.destroy());
    socket.once('close', cancel);
    req.once('end', () => socket.destroy()).resume();
  };
}
