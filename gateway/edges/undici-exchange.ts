import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { GatewayError } from '../domain/errors.ts';
import { fieldOf } from '../domain/http/fields.ts';
import type { Clock, SendBounds, Sending, Settled, UpstreamAnswer } from '../domain/ports.ts';
import { diagnose, isSwitched } from './undici-failure.ts';
import type { Lane } from './undici-lane.ts';
import { StaleConnection } from './undici-socket.ts';

/** A switch of protocols, which is what a caller of an ordinary route is told of it. */
const SWITCHED: UpstreamAnswer = { status: 101, rawHeaders: [], body: Buffer.alloc(0) };

/**
 * One exchange with one instance, as undici's handler and as the `Sending` that the domain knows.
 *
 *   begun      → buffering   the head is there
 *   buffering  → over        the answer is complete, or broke off
 *   buffering  → streaming   it outgrew its buffer, or is an event stream
 *   streaming  → over        it is complete, broke off, or the reader left
 *   any        → over        it hung, or was abandoned
 *
 * One object for both, because every call makes one.
 */
export class Exchange implements Dispatcher.DispatchHandler, Sending {
  readonly answer: Promise<UpstreamAnswer>;
  readonly settled: Promise<Settled>;
  readonly timings: { connectMs: number | undefined; firstByteMs: number | undefined };
  readonly #bounds: SendBounds;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #cancelHang: () => void;
  #resolve: (answer: UpstreamAnswer) => void = ignore;
  #reject: (error: GatewayError) => void = ignore;
  #settle: (settled: Settled) => void = ignore;
  #lane: Lane | undefined;
  #options: Dispatcher.DispatchOptions | undefined;
  #isSentAgain = false;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #fields: string[] = [];
  #chunks: Buffer[] = [];
  #bytes = 0;
  #body: Readable | undefined;
  #isDiscarded = false;
  #isOver = false;

  constructor(bounds: SendBounds, clock: Clock) {
    this.#bounds = bounds;
    this.#clock = clock;
    this.#startedMs = clock.nowMs();
    this.timings = { connectMs: undefined, firstByteMs: undefined };
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.answer.catch(ignore); // who asked may have left
    this.settled = new Promise(resolve => {
      this.#settle = resolve;
    });
    this.#cancelHang = clock.after(bounds.hangMsMax, () => this.#hang());
  }

  /** Sends it. */
  go(lane: Lane, options: Dispatcher.DispatchOptions): void {
    this.#lane = lane;
    this.#options = options;
    lane.begin();
    lane.dispatch(options, this);
  }

  discard(): void {
    this.#isDiscarded = true;
    this.#chunks = [];
    this.#body?.destroy();
  }

  /** The gateway gives up before anything was sent: says nothing of the instance. */
  abandon(cause: unknown): void {
    this.#fail('abandoned', new GatewayError('CONNECT_FAILED', 'not sent', { cause }));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) controller.abort(new Error('given up while it waited for a connection'));
    else this.timings.connectMs = this.#sinceStart();
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status === 101) this.#switch();
    if (status < 200 || this.#isOver) return;
    this.timings.firstByteMs = this.#sinceStart();
    this.#status = status;
    this.#fields = toFields(controller.rawHeaders);
    if (isEventStream(this.#fields)) this.#stream(controller);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return;
    if (this.#body !== undefined) {
      if (!this.#body.push(chunk)) controller.pause();
      return;
    }
    this.#bytes += chunk.length;
    if (!this.#isDiscarded) this.#chunks.push(chunk);
    if (this.#bytes > this.#bounds.bufferBytesMax) this.#stream(controller);
  }

  onResponseEnd(): void {
    if (this.#isOver) return;
    if (this.#body === undefined) this.#tell(this.#collect());
    else this.#body.push(null);
    this.#end('answered');
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#isOver) return;
    if (isSwitched(error)) this.#switch();
    else if (error instanceof StaleConnection && !this.#isSentAgain) this.#sendAgain();
    else {
      const progress = { isSent: this.timings.connectMs !== undefined, isHeadThere: this.#status !== 0 };
      const { settled, failure } = diagnose(error, progress);
      this.#fail(settled, failure);
    }
  }

  /** The connection had been opened ahead, and R has not seen the call: it gets one of its own. */
  #sendAgain(): void {
    const { lane, options } = { lane: this.#lane, options: this.#options };
    if (lane === undefined || options === undefined) return;
    this.#isSentAgain = true;
    lane.spares?.drop();
    lane.dispatch(options, this);
  }

  #switch(): void {
    if (this.#isOver) return;
    this.#resolve(SWITCHED);
    this.#end('answered');
    this.#breakOff();
  }

  /** From here the answer flows only as fast as it is read; when nobody is there to read, it ends. */
  #stream(controller: Dispatcher.DispatchController): void {
    if (this.#isDiscarded) {
      this.#leave();
      return;
    }
    const body = new Readable({
      read: () => controller.resume(),
      destroy: (error, callback) => {
        this.#leave();
        callback(error);
      },
    });
    body.on('error', ignore); // whoever reads listens too; if nobody does, nobody needs to know
    this.#body = body;
    let isRoomLeft = true;
    for (const chunk of this.#chunks) isRoomLeft = body.push(chunk);
    if (!isRoomLeft) controller.pause();
    this.#chunks = [];
    this.#tell(body);
  }

  /** The reader wants no more. The instance has given its answer: nothing of it is lost by closing. */
  #leave(): void {
    if (this.#isOver) return;
    this.#end('answered');
    this.#breakOff();
  }

  #hang(): void {
    // A reader that takes nothing is no fault of the instance's.
    const isReadersFault = this.#body !== undefined && this.#controller?.paused === true;
    const failure = new GatewayError('ATTEMPT_TIMEOUT', `no end within ${this.#bounds.hangMsMax} ms`);
    this.#fail(isReadersFault ? 'answered' : 'hung', failure);
  }

  #fail(settled: Settled, failure: GatewayError): void {
    if (this.#isOver) return;
    this.#end(settled);
    this.#breakOff();
    this.#chunks = [];
    if (this.#body === undefined) this.#reject(failure);
    else this.#body.destroy(failure);
  }

  #end(settled: Settled): void {
    this.#isOver = true;
    this.#cancelHang();
    this.#lane?.over(settled);
    this.#settle(settled);
  }

  #breakOff(): void {
    this.#controller?.abort(new Error('broken off'));
  }

  #tell(body: Buffer | Readable): void {
    this.#resolve({ status: this.#status, rawHeaders: this.#fields, body });
  }

  #collect(): Buffer {
    const [first] = this.#chunks;
    return this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
  }

  #sinceStart(): number {
    return this.#clock.nowMs() - this.#startedMs;
  }
}

function toFields(rawHeaders: Dispatcher.DispatchController['rawHeaders']): string[] {
  if (!Array.isArray(rawHeaders)) return [];
  const fields = new Array<string>(rawHeaders.length);
  for (let i = 0; i < rawHeaders.length; i += 1) {
    const part = rawHeaders[i] ?? '';
    fields[i] = typeof part === 'string' ? part : part.toString('latin1');
  }
  return fields;
}

function isEventStream(fields: readonly string[]): boolean {
  return fieldOf(fields, 'content-type')?.toLowerCase().startsWith('text/event-stream') ?? false;
}

function ignore(): void {
  // Told elsewhere: by `settled`, or by whoever reads.
}
