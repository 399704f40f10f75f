import { EventEmitter, once } from 'node:events';
import type { TestContext } from 'node:test';
import type { GatewayEvent, RequestEvent } from '../../gateway/domain/events.ts';
import type { Received, Reply } from '../../gateway/domain/exchange.ts';
import type { Clock } from '../../gateway/domain/ports.ts';
import { systemClock } from '../../gateway/edges/clock.ts';
import type { ListenOptions } from '../../gateway/edges/express/listen-options.ts';
import { createServer, type GatewayServer } from '../../gateway/edges/express/server.ts';
import { createObserve } from '../../gateway/stages/observe.ts';
import { createRespond } from '../../gateway/stages/respond.ts';

/** What a test may say of a listener. */
export interface ServerTraits {
  readonly listen?: Partial<ListenOptions>;
  readonly clock?: Clock;
  /** What happens to a request between `respond` and the answer. */
  readonly travel: (received: Received) => Promise<Reply>;
}

/** A real listener whose flow is `observe`, `respond`, and what the test says. */
export interface TestServer {
  readonly server: GatewayServer;
  readonly port: number;
  readonly url: string;
  readonly told: GatewayEvent[];
  /** The first access line, as soon as there is one. */
  readonly line: () => Promise<RequestEvent>;
}

/** Starts a listener on a free port of the loopback; it ends with the test. */
export async function startServer(t: TestContext, traits: ServerTraits): Promise<TestServer> {
  const clock = traits.clock ?? systemClock;
  const told: GatewayEvent[] = [];
  const news = new EventEmitter<{ told: [] }>();
  const observe = (event: GatewayEvent) => {
    told.push(event);
    news.emit('told');
  };
  const [observeIt, respondTo] = [createObserve({ clock, observe }), createRespond({ observe })];
  const server = createServer({
    listen: { ...LISTEN, ...traits.listen },
    clock,
    observe,
    flow: received => observeIt(received, () => respondTo(received, () => traits.travel(received))),
  });
  const { port } = await server.listen();
  t.after(() => server.close(0));
  return {
    server,
    port,
    url: `http://127.0.0.1:${port}`,
    told,
    async line() {
      for (;;) {
        const line = told.find(event => event.kind === 'request');
        if (line !== undefined) return line;
        await once(news, 'told');
      }
    },
  };
}

const LISTEN: ListenOptions = {
  host: '127.0.0.1',
  port: 0,
  trustedProxies: [],
  urlBytesMax: 8 * 1024,
  headerBytesMax: 16 * 1024,
  headersTimeoutMs: 10_000,
  bodyIdleTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  connectionsMax: 1_000,
};

/** An answer that a stage might give. */
export function anAnswer(body: string | Buffer = 'ok', status = 200, rawHeaders: readonly string[] = []): Reply {
  return { kind: 'answer', status, rawHeaders, body: Buffer.from(body) };
}
