import { GatewayError } from '../../domain/errors.ts';
import type { IncomingBody } from '../../domain/exchange.ts';
import type { Clock } from '../../domain/ports.ts';
import type { HttpWire } from './wire.ts';

const NOTHING = Buffer.alloc(0);

interface BodyParts {
  readonly wire: HttpWire;
  readonly length: number | undefined;
  readonly idleMsMax: number;
  readonly clock: Clock;
}

/** A request's body on its way in. */
export class HttpBody implements IncomingBody {
  readonly length: number | undefined;
  readonly #parts: BodyParts;

  constructor(parts: BodyParts) {
    this.length = parts.length;
    this.#parts = parts;
  }

  read(bytesMax: number, signal: AbortSignal): Promise<Buffer> {
    const { req } = this.#parts.wire;
    if (this.length === 0) return Promise.resolve(NOTHING);
    if (this.length !== undefined && this.length > bytesMax) return Promise.reject(tooLarge(bytesMax));
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    this.#parts.wire.sendContinue();
    if (req.complete) {
      // A small body lies here whole by now: no listener, no timer.
      if (req.readableLength > bytesMax) return Promise.reject(tooLarge(bytesMax));
      return Promise.resolve((req.read() as Buffer | null) ?? NOTHING);
    }
    return this.#collect(bytesMax, signal);
  }

  #collect(bytesMax: number, signal: AbortSignal): Promise<Buffer> {
    const { clock, idleMsMax } = this.#parts;
    const { wire } = this.#parts;
    const { req } = wire;
    const chunks: Buffer[] = [];
    let bytes = 0;
    let cancel: () => void;

    return new Promise((resolve, reject) => {
      const stop = () => {
        cancel();
        wire.onFault(undefined);
        signal.removeEventListener('abort', leave);
        req.off('data', take).off('end', finish).off('close', cutOff);
      };
      const refuse = (error: Error) => {
        stop();
        req.pause();
        reject(error);
      };
      const take = (chunk: Buffer) => {
        cancel();
        bytes += chunk.length;
        if (bytes > bytesMax) {
          refuse(tooLarge(bytesMax));
          return;
        }
        chunks.push(chunk);
        cancel = clock.after(idleMsMax, stall);
      };
      const finish = () => {
        stop();
        resolve(Buffer.concat(chunks, bytes));
      };
      const stall = () => refuse(new GatewayError('REQUEST_TIMEOUT', `no byte of the body for ${idleMsMax} ms`));
      const cutOff = () => refuse(new GatewayError('BAD_REQUEST', 'the body was cut off', { detail: CUT_OFF }));
      const leave = () => refuse(signal.reason as Error);

      cancel = clock.after(idleMsMax, stall);
      signal.addEventListener('abort', leave, { once: true });
      req.on('data', take).on('end', finish).on('close', cutOff);
      wire.onFault(refuse);
    });
  }
}

const CUT_OFF = 'The body ended before it was complete.';

/** A body where none can be: that of an upgrade. */
export const NO_BODY: IncomingBody = { length: 0, read: () => Promise.resolve(NOTHING) };

function tooLarge(bytesMax: number): GatewayError {
  return new GatewayError('BODY_TOO_LARGE', `the body is larger than ${bytesMax} bytes`, {
    detail: `The body is larger than the ${bytesMax} bytes that this route takes.`,
  });
}
