import type { Clock } from '../domain/ports.ts';
import type { CallSocket } from './undici-socket.ts';

/** A spare that nobody needed for so long is closed; and where no call was made for so long, none is opened. */
const IDLE_MS_MAX = 1_000;

/** Spares of one address. */
const SPARES_MAX = 16;

/** Connections to one address, opened while R still computes the calls in hand, for those that come after them. */
export interface Spares {
  /** The oldest that is fit, open or about to be; undefined: there is none. */
  take(): CallSocket | undefined;
  /** A call was sent, one of so many in hand. Where calls come one after the other, a connection for the next is opened. */
  sent(open: () => CallSocket, callsInHand: number): void;
  /** Closes them all: the address is not what it was. */
  drop(): void;
}

interface Spare {
  readonly socket: CallSocket;
  readonly bornMs: number;
  readonly onGone: () => void;
}

/**
 * Spares as calls need them: never more than calls in hand, since no more permits can be handed over.
 *
 * Nothing is written on a spare before its call has a permit. httpuv accepts it meanwhile, beside the R that computes,
 * and never ends a silent connection by itself; one that ends, because its R does, leaves at once.
 */
export function createSpares(clock: Clock): Spares {
  const spares = new Set<Spare>();
  let lastSentMs = -Infinity;
  let cancelSweep: (() => void) | undefined;

  const leave = (spare: Spare) => {
    spares.delete(spare);
    spare.socket.off('end', spare.onGone).off('close', spare.onGone);
  };
  const close = (spare: Spare) => {
    leave(spare);
    spare.socket.destroy();
  };
  const add = (socket: CallSocket) => {
    const spare = { socket, bornMs: clock.nowMs(), onGone: () => close(spare) };
    socket.isSpare = true;
    socket.on('error', ignore).on('end', spare.onGone).on('close', spare.onGone);
    spares.add(spare);
    cancelSweep ??= clock.after(IDLE_MS_MAX, sweep);
  };
  /** One timer for all of them: a spare lives for IDLE_MS_MAX at least, and twice that at most. */
  const sweep = () => {
    const nowMs = clock.nowMs();
    for (const spare of spares) if (nowMs - spare.bornMs >= IDLE_MS_MAX) close(spare);
    cancelSweep = spares.size > 0 ? clock.after(IDLE_MS_MAX, sweep) : undefined;
  };

  return {
    take() {
      for (const spare of spares) {
        leave(spare);
        if (spare.socket.isFit) return spare.socket;
        spare.socket.destroy();
      }
      return undefined;
    },
    sent(open, callsInHand) {
      const nowMs = clock.nowMs();
      const isOneOfMany = nowMs - lastSentMs < IDLE_MS_MAX;
      lastSentMs = nowMs;
      if (isOneOfMany && spares.size < Math.min(SPARES_MAX, callsInHand)) add(open());
    },
    drop() {
      cancelSweep?.();
      cancelSweep = undefined;
      lastSentMs = -Infinity;
      for (const spare of spares) close(spare);
    },
  };
}

function ignore(): void {
  // 'close' follows. Whoever calls next opens a connection anew, and is told.
}
