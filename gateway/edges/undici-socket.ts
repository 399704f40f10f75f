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

  /**
   * undici ends a connection that is not used again by an error, which Node asks for its stack; nobody ever reads it, and
   * writing it down costs a tenth of a whole call.
   */
  override destroy(error?: NodeJS.ErrnoException): this {
    if (error?.code === 'UND_ERR_INFO') error.stack = error.message;
    return super.destroy(
      this.#isRefusedWrite(error) ? new StaleConnection('closed meanwhile', { cause: error }) : error,
    );
  }

  /** What was to be sent did not go out whole: R, which looks at whole requests only, has not seen it. */
  #isRefusedWrite(error: NodeJS.ErrnoException | undefined): boolean {
    return this.isSpare && error?.syscall === 'write';
  }
}
