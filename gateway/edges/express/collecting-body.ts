import type { BodyReader } from '../../domain/call.ts';
import type { Clock } from '../../domain/clock.ts';
import type { Deadlines, Timed } from '../../domain/deadlines.ts';
import { bodyTooLarge, GatewayError } from '../../domain/errors.ts';
import type { HttpWire } from './http-wire.ts';

/** A body that comes in pieces, and is bounded in bytes and by its pauses. */
export class CollectingBody implements Timed {
  endsMs = Infinity;
  readonly #wire: HttpWire;
  readonly #about: AboutBody;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #lastMs = 0;

  constructor(wire: HttpWire, about: AboutBody) {
    this.#wire = wire;
    this.#about = about;
  }

  start(): void {
    const { deadlines, clock, idleMsMax } = this.#about;
    this.#lastMs = clock.nowMs();
    deadlines.move(this, this.#lastMs + idleMsMax);
    this.#wire.req.on('data', this.#take).on('end', this.#finish).on('close', this.#cutOff);
    this.#wire.onFault(this.#refuse);
  }

  stop(): void {
    this.#about.deadlines.remove(this);
    this.#wire.onFault(undefined);
    this.#wire.req.off('data', this.#take).off('end', this.#finish).off('close', this.#cutOff);
  }

  /** Pieces only note their time: it is looked at when the body could be late. */
  onTimeOver(): void {
    const { deadlines, clock, idleMsMax } = this.#about;
    const endsMs = this.#lastMs + idleMsMax;
    if (endsMs > clock.nowMs()) deadlines.move(this, endsMs);
    else this.#refuse(new GatewayError('REQUEST_TIMEOUT', `no byte of the body for ${idleMsMax} ms`));
  }

  readonly #take = (chunk: Buffer): void => {
    this.#lastMs = this.#about.clock.nowMs();
    this.#bytes += chunk.length;
    if (this.#bytes > this.#about.bytesMax) this.#refuse(bodyTooLarge(this.#about.bytesMax));
    else this.#chunks.push(chunk);
  };

  readonly #finish = (): void => {
    this.stop();
    this.#about.reader.onBody(Buffer.concat(this.#chunks, this.#bytes));
  };

  readonly #cutOff = (): void => {
    this.#refuse(new GatewayError('BAD_REQUEST', 'the body was cut off', { detail: CUT_OFF }));
  };

  readonly #refuse = (failure: GatewayError): void => {
    this.stop();
    this.#wire.req.pause();
    this.#about.reader.onBodyFailed(failure);
  };
}

interface AboutBody {
  readonly reader: BodyReader;
  readonly bytesMax: number;
  readonly idleMsMax: number;
  readonly deadlines: Deadlines;
  readonly clock: Clock;
}

const CUT_OFF = 'The body ended before it was complete.';
