import { EventEmitter, once } from 'node:events';
import type { TestContext } from 'node:test';
import type { Call, WayBack } from '../../gateway/domain/call.ts';
import type { Clock } from '../../gateway/domain/clock.ts';
import { Deadlines } from '../../gateway/domain/deadlines.ts';
import { toGatewayError } from '../../gateway/domain/errors.ts';
import type { GatewayEvent, RequestEvent } from '../../gateway/domain/events.ts';
import type { Answer } from '../../gateway/domain/upstream.ts';
import { systemClock } from '../../gateway/edges/clock.ts';
import type { ListenOptions } from '../../gateway/edges/express/intake.ts';
import { createServer, type GatewayServer } from '../../gateway/edges/express/server.ts';
import { createObserve } from '../../gateway/stages/observe.ts';
import { addReplyFields, toProblem } from '../../gateway/domain/http/reply.ts';

/** What a test may say of a listener. */
export interface ServerTraits {
  readonly listen?: Partial<ListenOptions>;
  readonly clock?: Clock;
  /** What happens to a call on its way; without an answer it was handed over. */
  readonly travel: (call: Call) => Answer | undefined | Promise<Answer | undefined>;
}

/** A real listener whose flow reports calls, answers what is refused, and else does what the test says. */
export interface TestServer {
  readonly server: GatewayServer;
  readonly port: number;
  readonly url: string;
  readonly reported: GatewayEvent[];
  /** The first access line, as soon as there is one. */
  readonly line: () => Promise<RequestEvent>;
}

/** Starts a listener on a free port of the loopback; it ends with the test. */
export async function startServer(t: TestContext, traits: ServerTraits): Promise<TestServer> {
  const clock = traits.clock ?? systemClock;
  const reported: GatewayEvent[] = [];
  const news = new EventEmitter<{ reported: [] }>();
  const observe = (event: GatewayEvent) => {
    reported.push(event);
    news.emit('told');
  };
  const flow = aFlow(traits, clock, observe);
  const deadlines = new Deadlines(clock);
  const listen = { ...LISTEN, ...traits.listen };
  const server = createServer({ listen, clock, deadlines, observe, ...flow });
  const { port } = await server.listen();
  t.after(async () => {
    await server.close(0);
    deadlines.close();
  });
  return {
    server,
    port,
    url: `http://127.0.0.1:${port}`,
    reported,
    async line() {
      for (;;) {
        const line = reported.find(event => event.kind === 'request');
        if (line !== undefined) return line;
        await once(news, 'told');
      }
    },
  };
}

function aFlow({ travel }: ServerTraits, clock: Clock, observe: (event: GatewayEvent) => void) {
  const reply = (call: Call, answer: Answer) => {
    addReplyFields(answer.fields, call);
    call.isReplied = true;
    call.record.status = answer.status;
    call.wire.send(call, answer);
  };
  const back: WayBack = {
    answered: reply,
    failed(call, failure) {
      call.record.code = failure.code;
      if (failure.code === 'INTERNAL') {
        observe({ kind: 'internal-error', where: 'flow', error: failure.cause, requestId: call.id });
      }
      reply(call, toProblem(failure, call.id));
    },
    over: createObserve({ clock, observe, audit: { note: () => undefined } }),
  };
  const go = async (call: Call) => {
    const answer = await travel(call);
    if (answer !== undefined) call.answered(answer);
  };
  return {
    back,
    enter: (call: Call) => {
      if (call.refusal !== undefined) call.fail(call.refusal);
      else go(call).catch((error: unknown) => call.fail(toGatewayError(error)));
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
  requestsPerConnectionMax: 32,
  bytesPerConnectionMax: 1024 * 1024,
  mergeSlashes: false,
};

/** An answer that a stage might give. */
export function anAnswer(body: Answer['body'] | string = 'ok', status = 200, fields: readonly string[] = []): Answer {
  return { status, fields: [...fields], body: typeof body === 'string' ? Buffer.from(body) : body, via: null };
}

/** Takes a call's body in whole. */
export function bodyOf(call: Call, bytesMax = 1024 * 1024): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    call.waitsFor = {
      leave(reason) {
        call.body.leave();
        reject(reason);
      },
    };
    call.body.read(bytesMax, { onBody: resolve, onBodyFailed: reject });
  });
}
