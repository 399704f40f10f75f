import { Socket } from 'node:net';

/** Why a connection that was opened ahead is of no use: nothing of the call that was given it can have been computed. */
export class StaleConnection extends Error {
  override readonly name = 'StaleConnection';
}

/** A plain connection for one call. */
export class CallSocket extends Socket {
  /** It was open before there was a call for it. */
  isSpare = false;

  constructor() {
    super({ noDelay: true });
  }

  /** Nothing has come of it yet, neither bytes nor its end. */
  get isFit(): boolean {
    return !this.destroyed && !this.readableEnded && this.writable && this.readableLength === 0;
  }

  override destroy(error?: NodeJS.ErrnoException): this {
    if (error?.code === 'UND_ERR_INFO') return this.#endOfUse(error);
    const isStale = this.#isRefusedWrite(error);
    return super.destroy(isStale ? new StaleConnection('closed meanwhile', { cause: error }) : error);
  }

  /**
   * undici ends a connection by an error where nothing went wrong; nobody ever reads its stack, which Node would ask for.
   *
   * One whose answer is complete is `reset`: the caller has the answer before it is closed. One that was given up is
   * closed at once, since what still came of it would be told to a request that is over.
   */
  #endOfUse(error: Error): this {
    error.stack = error.message;
    if (error.message !== 'reset') return super.destroy(error);
    setImmediate(() => super.destroy(error));
    return this;
  }

  /** What was to be sent did not go out whole: R, which looks at whole requests only, has not seen it. */
  #isRefusedWrite(error: NodeJS.ErrnoException | undefined): boolean {
    return this.isSpare && error?.syscall === 'write';
  }
}
