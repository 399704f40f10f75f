import type { Clock } from '../domain/clock.ts';
import type { Deadlines, Timed } from '../domain/deadlines.ts';
import { GatewayError } from '../domain/errors.ts';
import type { Observe } from '../domain/events.ts';
import { printable } from '../domain/printable.ts';
import type { RosterEntry } from '../domain/roster.ts';
import type { Route } from '../domain/route.ts';
import type { Exchange, ExchangeEnd, SendOptions, Transport, UpstreamMessage } from '../domain/upstream.ts';
import { probeHttp, type Probe } from './http-probe.ts';
import type { RKeeper } from './r-keeper.ts';

/** A way to instances that do not speak HTTP. */
export interface Way {
  readonly transport: Transport;
  readonly probe: Probe;
}

/** Ways by the scheme of the origins they lead to. */
export type Ways = Readonly<Record<string, Way>>;

/** Carries a call by the way that its instance's origin names; HTTP, where that names none of these. */
export function transportByScheme(http: Transport, ways: Ways): Transport {
  const others = Object.values(ways).map(({ transport }) => transport);
  if (others.length === 0) return http;
  const to = (origin: string) => wayOf(origin, ways)?.transport ?? http;
  return {
    send: (origin, message, options) => to(origin).send(origin, message, options),
    forget: origin => to(origin).forget(origin),
    async close() {
      await Promise.all([http, ...others].map(transport => transport.close()));
    },
  };
}

/** Checks an instance by the way that its origin names. */
export function probeByScheme(ways: Ways): Probe {
  return request => (wayOf(request.origin, ways)?.probe ?? probeHttp)(request);
}

function wayOf(origin: string, ways: Ways): Way | undefined {
  return origin.startsWith('http') ? undefined : ways[origin.slice(0, origin.indexOf(':'))];
}

/** One of a way that does not speak HTTP. */
export interface WayExchange extends Exchange, Timed {
  /** It can come to no good end any more. */
  abandon(reason: string): void;
}

/** The exchanges of such a way that are not over: each has its time, and gets its end once. */
export class Exchanges {
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #running = new Set<WayExchange>();

  constructor({ clock, deadlines }: { readonly clock: Clock; readonly deadlines: Deadlines }) {
    this.#clock = clock;
    this.#deadlines = deadlines;
  }

  add(exchange: WayExchange): void {
    this.#running.add(exchange);
  }

  isOver(exchange: WayExchange): boolean {
    return !this.#running.has(exchange);
  }

  /** From now on it may take so long. Now, by the clock. */
  time(exchange: WayExchange, hangMsMax: number): number {
    const nowMs = this.#clock.nowMs();
    this.#deadlines.move(exchange, nowMs + hangMsMax);
    return nowMs;
  }

  end(exchange: WayExchange, end: ExchangeEnd): void {
    if (!this.#running.delete(exchange)) return;
    this.#deadlines.remove(exchange);
    exchange.listener.onEnd(end);
  }

  /** The gateway ends: none of them will be answered. */
  close(): void {
    for (const exchange of this.#running) exchange.abandon('the gateway ends');
  }
}

/** Given up before the answer: whether it was sent tells whether it may have had an effect. */
export function givenUp({ sentMs }: Exchange, reason: string): GatewayError {
  return new GatewayError(sentMs === undefined ? 'CONNECT_FAILED' : 'CONNECTION_LOST', reason);
}

const MESSAGE_CHARS_MAX = 2_000;

/** What a model says of its error is for operators, and for callers where the route says so. */
export function modelFailed(said: string, route: Route | undefined, observe: Observe): GatewayError {
  const message = printable(said, MESSAGE_CHARS_MAX);
  const about = route === undefined ? {} : { service: route.service.name, route: route.id };
  observe({ kind: 'notice', level: 'warn', text: message, about });
  const isShown = route?.policy.showsErrorMessages === true;
  return new GatewayError('MODEL_FAILED', message, isShown ? { detail: message } : {});
}

/** What runs one script or model of the gateway's own. */
interface Host {
  entry(): RosterEntry | null;
  hasBeenTried(): boolean;
  close(): void;
}

/** The scripts, or the models, of the gateway's own, by their origins. */
export class Hosts<H extends Host> {
  readonly #hosts = new Map<string, H>();

  get(origin: string): H | undefined {
    return this.#hosts.get(origin);
  }

  /** It answers to this origin until the keeper is closed. */
  keep(origin: string, host: H): RKeeper {
    this.#hosts.set(origin, host);
    return {
      entry: () => host.entry(),
      hasBeenTried: () => host.hasBeenTried(),
      close: () => {
        this.#hosts.delete(origin);
        host.close();
        return Promise.resolve();
      },
    };
  }

  /** Each call begins at the host of its origin; `what` they are is said where there is none. */
  transport(
    what: string,
    exchanges: Exchanges,
    create: (message: UpstreamMessage, options: SendOptions) => WayExchange & { begin(host: H): void },
  ): Transport {
    return {
      send: (origin, message, options) => {
        const exchange = create(message, options);
        exchanges.add(exchange);
        const host = this.#hosts.get(origin);
        if (host === undefined) setImmediate(() => exchange.abandon(`${origin} is no ${what} of this gateway`));
        else exchange.begin(host);
        return exchange;
      },
      forget: () => undefined,
      close() {
        exchanges.close();
        return Promise.resolve();
      },
    };
  }
}
