import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../domain/clock.ts';
import type { ListenOptions, Peer, Intake } from './intake.ts';
import type { Call, WayBack } from '../../domain/call.ts';
import type { Deadlines } from '../../domain/deadlines.ts';
import type { GatewayError } from '../../domain/errors.ts';
import type { Observe } from '../../domain/events.ts';

/** What one connection may cost. */
type Bounds = Pick<
  ListenOptions,
  'requestsPerConnectionMax' | 'bytesPerConnectionMax' | 'bodyIdleTimeoutMs' | 'headersTimeoutMs'
>;

/** A request on the connection, and its answer: `HttpWire`. */
interface ConnectionWire {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Nothing follows it on the connection. */
  isLast: boolean;
  /** Its first bytes wait for the caller to take them. */
  readonly isStuck: boolean;
  /** The request becomes a call. */
  enter(): void;
  fail(failure: GatewayError): void;
}

interface AboutConnection {
  readonly peer: Peer;
  readonly bounds: Bounds;
  readonly clock: Clock;
}

/**
 * A caller's connection: bounds what requests sent ahead may cost, in number, in bytes and in time.
 *
 * Node parses all that a packet holds, and reads on. Here a request beyond the bounds waits its turn, and meanwhile
 * nothing more is read. An answer that its caller does not take keeps the connection no longer than a pause in a body.
 */
export class Connection {
  readonly peer: Peer;
  readonly #socket: Socket;
  readonly #bounds: Bounds;
  readonly #clock: Clock;
  /** In flight, in the order in which they are answered. */
  readonly #wires: ConnectionWire[] = [];
  readonly #waiting: ConnectionWire[] = [];
  /** Of answers that were handed to Node and are not out yet. */
  #bytesUnread = 0;
  #isTimed = false;
  /** Ends a connection whose head came too slowly; there while that is owed to the waiting. */
  #endLate: (() => void) | undefined = undefined;
  #cancelLate: (() => void) | undefined = undefined;

  constructor(socket: Socket, { peer, bounds, clock }: AboutConnection) {
    this.#socket = socket;
    this.peer = peer;
    this.#bounds = bounds;
    this.#clock = clock;
  }

  /** The request whose body the bytes on the connection now belong to, if to any. */
  get last(): ConnectionWire | undefined {
    return this.#waiting.at(-1) ?? this.#wires.at(-1);
  }

  /** Nothing is in flight. */
  get isIdle(): boolean {
    return this.#wires.length === 0 && this.#waiting.length === 0;
  }

  /**
   * True where a head is late because nothing more is read: its caller may have sent it whole. It has its time anew when
   * reading goes on, since Node looks at each head but once.
   */
  excusesLateHead(end: () => void): boolean {
    if (this.#waiting.length === 0) return false;
    this.#endLate = end;
    return true;
  }

  /** A request came: it is taken now, or when others before it are answered. */
  add(wire: ConnectionWire): void {
    this.#cancelLate?.();
    this.#cancelLate = undefined;
    if (this.#waiting.length === 0 && this.#hasRoom()) {
      this.#wires.push(wire);
      wire.enter();
      return;
    }
    if (this.#waiting.length === 0) holdReading(this.#socket);
    this.#waiting.push(wire);
  }

  /** An answer was handed to Node whole. */
  handed(bytes: number): void {
    this.#bytesUnread += bytes;
    this.watch();
  }

  /** A call's answer is out, or its caller is gone. */
  leave(wire: ConnectionWire, bytes: number): void {
    this.#bytesUnread -= bytes;
    const at = this.#wires.indexOf(wire);
    if (at === 0 && this.#wires.length === 1)
      this.#wires.pop(); // keeps its room, which `shift` gives up
    else if (at === 0) this.#wires.shift();
    else if (at > 0) this.#wires.splice(at, 1);
    this.watch();
    if (this.#waiting.length > 0) this.#takeWaiting();
  }

  /** The idle time runs while the first answer waits for its caller to take it; Node has one of its own between requests. */
  watch(): void {
    const [first] = this.#wires;
    const isStuck = first?.isStuck === true;
    if (isStuck === this.#isTimed) return;
    this.#isTimed = isStuck;
    if (first !== undefined) this.#socket.setTimeout(isStuck ? this.#bounds.bodyIdleTimeoutMs : 0);
  }

  #takeWaiting(): void {
    while (this.#waiting.length > 0 && this.#hasRoom() && !this.#socket.destroyed) {
      const wire = this.#waiting.shift();
      if (wire === undefined) break;
      this.#wires.push(wire);
      if (this.#waiting.length === 0) this.#readOn();
      wire.enter();
    }
  }

  #readOn(): void {
    readOn(this.#socket);
    if (this.#endLate === undefined) return;
    const cancel = this.#clock.after(this.#bounds.headersTimeoutMs, this.#endLate);
    this.#endLate = undefined;
    this.#cancelLate = cancel;
    this.#socket.once('close', cancel);
  }

  #hasRoom(): boolean {
    const { requestsPerConnectionMax, bytesPerConnectionMax } = this.#bounds;
    return this.#wires.length < requestsPerConnectionMax && this.#bytesUnread < bytesPerConnectionMax;
  }
}

/** Reads nothing more of a connection, whatever Node's server thinks meanwhile: each answer makes it read on. */
export function holdReading(socket: Socket): void {
  socket.pause();
  socket.resume = () => socket;
}

function readOn(socket: Socket): void {
  Reflect.deleteProperty(socket, 'resume');
  socket.resume();
}

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

/** What the calls of one listener have in common. */
export interface Listener {
  readonly listen: ListenOptions;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** The flow's beginning: `enter` of `createFlow`. It never throws. */
  readonly enter: (call: Call) => void;
  readonly back: WayBack;
  readonly observe: Observe;
  readonly intake: Intake;
  readonly inHand: InHand;
  /** Why nothing new is taken, while that is so: connections end with their answers. */
  readonly refusal: () => GatewayError | undefined;
}

/** Counts what has begun and not ended. */
export class InHand {
  readonly #clock: Clock;
  #count = 0;
  #onNone: (() => void) | undefined = undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#count;
  }

  begin(): void {
    this.#count += 1;
  }

  end(): void {
    this.#count -= 1;
    if (this.#count === 0) this.#onNone?.();
  }

  /** Resolves when nothing is left, or `withinMs` later. */
  settle(withinMs: number): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise(resolve => {
      const stop = () => {
        cancel();
        this.#onNone = undefined;
        resolve();
      };
      const cancel = this.#clock.after(withinMs, stop);
      this.#onNone = stop;
    });
  }
}
