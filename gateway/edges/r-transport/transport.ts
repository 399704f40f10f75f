import { BoundedMap } from '../../domain/bounded-map.ts';
import type * as Ffi from 'node:ffi';
import type { Clock } from '../../domain/clock.ts';
import type { Deadlines } from '../../domain/deadlines.ts';
import type { UpstreamTls } from '../../domain/service.ts';
import type { ExchangeBounds, ExchangeEnd, SendOptions, Transport, UpstreamMessage } from '../../domain/upstream.ts';
import { Connection, TurnEnd, type Address, type ConnectionHome, type QuickAck } from './connection.ts';
import { WireExchange, type ExchangeHome } from './exchange.ts';
import { requestHead } from './answer-head.ts';
import { createRequire } from 'node:module';

/** What a transport to R tells beyond what the domain asks of it. */
export interface RTransport extends Transport {
  /** Whether the connections to an address carry one exchange each, or many; undefined: none was asked for yet. */
  readonly modeOf: (origin: string, tls?: UpstreamTls) => ConnectionMode | undefined;
}

/** `fresh`: a connection for each exchange. */
export type ConnectionMode = 'fresh' | 'kept';

/** What a transport goes by. */
interface TransportOptions {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** The means to acknowledge at once, looked for when an address first may be kept open by it. */
  readonly quickAckOf?: () => QuickAck | undefined;
}

/** Addresses for which something is kept; the longest known goes first, and is made anew when it is asked for. */
const ORIGINS_MAX = 4096;

/** A connection opened ahead that no call needed for so long is closed; where no call was made for so long, none is opened. */
const PRECONNECT_MS_MAX = 1_000;
const PRECONNECTS_MAX = 16;

/** Connections of one address that are kept while they are idle. */
const IDLE_MAX = 256;

/**
 * How long an address rests after a connection there broke off. An R that is killed closes one socket after the other:
 * a call that came at once could still be let in by the last of them, and be lost as well; a moment later it is refused,
 * and goes elsewhere.
 */
const REST_AFTER_LOSS_MS = 20;

/**
 * An answer whose end comes so much later than its beginning has waited for an acknowledgement: httpuv writes head and
 * body apart, and the kernel holds the second back until the first is acknowledged, which takes 40 ms where that is not
 * asked for at once.
 */
const LATE_MS = 30;
const LATE_BYTES_MAX = 64 * 1024;

/** After so many exchanges in a row that were late, or closed their connection, the address gets fresh ones for good. */
const POOR_MAX = 2;

/**
 * Carries calls to instances.
 *
 * Head and body leave in one write, with `Content-Length`, on a connection that carries nothing else meanwhile: what
 * Plumber's httpuv needs (it mistakes the rest of a split URL for the whole, and knows no pipelining).
 */
export function createTransport({ clock, deadlines, quickAckOf = findQuickAck }: TransportOptions): RTransport {
  const origins = new BoundedMap<string, Origin>(ORIGINS_MAX, (_name, origin) => origin.retire());
  let found: { readonly quickAck: QuickAck | undefined } | undefined;
  const parts: OriginParts = {
    clock,
    deadlines,
    turnEnd: new TurnEnd(),
    quickAckOf: () => (found ??= { quickAck: quickAckOf() }).quickAck,
  };
  let isClosed = false;

  const originOf = (name: string, tls: UpstreamTls | undefined): Origin => {
    const key = keyOf(name, tls);
    const known = origins.get(key);
    if (known !== undefined) return known;
    const origin = new Origin(name, { ...parts, tls });
    if (isClosed) return origin;
    origins.set(key, origin);
    return origin;
  };

  return {
    send: (name, message, send) => {
      const origin = originOf(name, send.bounds.tls);
      const exchange = origin.exchange(message, send);
      if (isClosed) setImmediate(() => exchange.abandon('the transport is closed'));
      else origin.send(exchange);
      return exchange;
    },
    forget(name) {
      const secured = name.startsWith('https:') ? [...origins.keys()].filter(key => isSecuredKey(key, name)) : [];
      for (const key of [name, ...secured]) {
        origins.get(key)?.retire();
        origins.delete(key);
      }
    },
    async close() {
      isClosed = true;
      const all = [...origins.values()];
      origins.clear();
      await Promise.all(all.map(origin => origin.close()));
    },
    modeOf: (name, tls) => origins.get(keyOf(name, tls))?.mode,
  };
}

/** What one service takes for a connection to an address another may not: each way of verifying has its own. */
function keyOf(name: string, tls: UpstreamTls | undefined): string {
  return tls === undefined ? name : `${name} ${tls.id}`;
}

function isSecuredKey(key: string, name: string): boolean {
  return key.startsWith(`${name} `);
}

interface OriginParts {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly turnEnd: TurnEnd;
  readonly quickAckOf: () => QuickAck | undefined;
}

interface Secured {
  readonly tls: UpstreamTls | undefined;
}

/** The connections to one address: kept, or one for each exchange, opened ahead where these follow one another. */
class Origin implements ExchangeHome, ConnectionHome {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly turnEnd: TurnEnd;
  mode: ConnectionMode = 'fresh';
  quickAck: QuickAck | undefined = undefined;
  /** Undefined: the name is no address. */
  readonly #address: Address | undefined;
  readonly #quickAckOf: () => QuickAck | undefined;
  readonly #connections = new Set<Connection>();
  /** Kept: the one used last is the first to be used again. */
  readonly #idle: Connection[] = [];
  /** Opened ahead of a call: the oldest first. */
  readonly #ahead: Connection[] = [];
  readonly #resting = new Set<WireExchange>();
  #inHand = 0;
  #lastWrittenMs = -Infinity;
  #restsUntilMs = -Infinity;
  #isRetired = false;
  /** Exchanges in a row for which a kept connection was of no use. */
  #poorInARow = 0;
  /** Kept connections were tried, and did not do. */
  #isFreshForGood = false;

  constructor(name: string, { clock, deadlines, turnEnd, quickAckOf, tls }: OriginParts & Secured) {
    this.clock = clock;
    this.deadlines = deadlines;
    this.turnEnd = turnEnd;
    this.#quickAckOf = quickAckOf;
    this.#address = toAddress(name, tls);
  }

  exchange(message: UpstreamMessage, options: SendOptions): WireExchange {
    const isKept = this.#isKept(options.bounds.reuse);
    const head = requestHead(message, { authority: this.#address?.authority ?? '', isKept });
    const request = { head, body: message.body, isHead: message.method === 'HEAD', isKept };
    const exchange = new WireExchange(this, request, options);
    this.#inHand += 1;
    return exchange;
  }

  send(exchange: WireExchange): void {
    const connection = exchange.request.isKept ? this.#idle.pop() : this.#ahead.shift();
    if (connection === undefined) this.#open(exchange);
    else {
      this.deadlines.remove(connection);
      connection.carry(exchange);
    }
  }

  /** Lets exchanges under way end by themselves. */
  retire(): void {
    this.#isRetired = true;
    this.#drop();
  }

  async close(): Promise<void> {
    this.retire();
    for (const exchange of this.#resting) exchange.abandon('closed by the gateway');
    const closed = [...this.#connections].map(connection => connection.abandon('closed by the gateway'));
    await Promise.all(closed);
  }

  onExchangeOver(kind: ExchangeEnd['kind']): void {
    this.#inHand -= 1;
    // Where one connection broke, or none came about, the others are not to be trusted either.
    if (kind !== 'answered') this.#drop();
    if (kind === 'lost') this.#restsUntilMs = this.clock.nowMs() + REST_AFTER_LOSS_MS;
  }

  /** Where exchanges come one after the other, a connection for the next is opened: never more than there are in hand. */
  onWritten(): void {
    if (this.mode === 'kept') return;
    const nowMs = this.clock.nowMs();
    const isOneOfMany = nowMs - this.#lastWrittenMs < PRECONNECT_MS_MAX;
    this.#lastWrittenMs = nowMs;
    if (!isOneOfMany || this.#isRetired || this.#restsUntilMs > nowMs || this.#address?.isTls !== false) return;
    if (this.#ahead.length >= Math.min(PRECONNECTS_MAX, this.#inHand)) return;
    const connection = new Connection(this, this.#address);
    this.#connections.add(connection);
    this.#ahead.push(connection);
    this.#watch(connection, PRECONNECT_MS_MAX);
  }

  onAnswered(connection: Connection, exchange: WireExchange, idleMs: number): void {
    if (!exchange.request.isKept) return;
    if (exchange.isForR) this.#judge(connection, exchange, idleMs);
    if (idleMs <= 0) return;
    if (this.#isRetired || this.mode === 'fresh' || this.#idle.length >= IDLE_MAX) this.turnEnd.close(connection);
    else {
      this.#idle.push(connection);
      this.#watch(connection, idleMs);
    }
  }

  onUnseen(exchange: WireExchange): void {
    this.#drop();
    this.#open(exchange);
  }

  onUnfit(connection: Connection): void {
    this.deadlines.remove(connection);
    for (const list of [this.#idle, this.#ahead]) {
      const place = list.indexOf(connection);
      if (place >= 0) list.splice(place, 1);
    }
  }

  onClosed(connection: Connection): void {
    this.#connections.delete(connection);
  }

  #isKept(reuse: ExchangeBounds['reuse']): boolean {
    this.quickAck = reuse === 'auto' && !this.#isFreshForGood && !this.#address?.isTls ? this.#quickAckOf() : undefined;
    this.mode = reuse === true || this.quickAck !== undefined ? 'kept' : 'fresh';
    return this.mode === 'kept';
  }

  /** Kept connections are right for an R as long as they are seen to be. */
  #judge(connection: Connection, exchange: WireExchange, idleMs: number): void {
    const isPoor = idleMs <= 0 || (connection.served > 0 && exchange.isLate(LATE_MS, LATE_BYTES_MAX));
    this.#poorInARow = isPoor ? this.#poorInARow + 1 : 0;
    if (this.#poorInARow < POOR_MAX) return;
    this.#isFreshForGood = true;
    this.mode = 'fresh';
    this.#drop();
  }

  #open(exchange: WireExchange): void {
    const restMs = this.#restsUntilMs - this.clock.nowMs();
    if (restMs > 0) {
      this.#resting.add(exchange);
      exchange.connecting(restMs);
      this.clock.after(restMs, () => {
        if (this.#resting.delete(exchange) && !exchange.isOver) this.#open(exchange);
      });
      return;
    }
    if (this.#address === undefined) {
      setImmediate(() => exchange.abandon('no address'));
      return;
    }
    const connection = new Connection(this, this.#address);
    this.#connections.add(connection);
    connection.carry(exchange);
  }

  #watch(connection: Connection, idleMs: number): void {
    connection.endsMs = this.clock.nowMs() + idleMs;
    this.deadlines.add(connection);
  }

  #drop(): void {
    for (const list of [this.#idle, this.#ahead]) {
      for (const connection of list) {
        this.deadlines.remove(connection);
        connection.close();
      }
      list.length = 0;
    }
  }
}

function toAddress(origin: string, tls: UpstreamTls | undefined): Address | undefined {
  if (!URL.canParse(origin)) return undefined;
  const { protocol, hostname, host, port } = new URL(origin);
  const isTls = protocol === 'https:';
  return {
    hostname: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname,
    port: port === '' ? (isTls ? 443 : 80) : Number(port),
    isTls,
    tls,
    authority: host,
  };
}

const IPPROTO_TCP = 6;
const TCP_QUICKACK = 12;

/** An `int` of C's, in memory that stays where it is. */
const ON = Buffer.from(new Int32Array([1]).buffer);

/**
 * The means to acknowledge at once, or undefined where there is none: on other systems than Linux, and on a Node without
 * `node:ffi`, which is experimental.
 */
function findQuickAck(): QuickAck | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const { dlopen, getRawPointer } = createRequire(import.meta.url)('node:ffi') as typeof Ffi;
    const { functions } = dlopen(null, {
      setsockopt: { arguments: ['int32', 'int32', 'int32', 'pointer', 'uint32'], return: 'int32' },
    });
    const on = getRawPointer(ON);
    return socket => {
      const fd = (socket as { _handle?: { fd?: number } | null })._handle?.fd ?? -1;
      if (fd >= 0) functions.setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, on, 4);
    };
  } catch {
    return undefined; // Connections are not kept, then.
  }
}
