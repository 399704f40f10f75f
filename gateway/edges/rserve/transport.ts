import { readFileSync } from 'node:fs';
import { isUtf8 } from 'node:buffer';
import type { Clock } from '../../domain/clock.ts';
import type { Deadlines } from '../../domain/deadlines.ts';
import { GatewayError } from '../../domain/errors.ts';
import type { Observe } from '../../domain/events.ts';
import type { Route, RserveTask } from '../../domain/route.ts';
import { strings, toModelAnswer, type RValue } from '../../domain/rserve/r-value.ts';
import { inputOf, webAnswerOf } from '../../domain/rserve/task.ts';
import { printable } from '../../domain/printable.ts';
import type {
  ExchangeEnd,
  ExchangeListener,
  SendOptions,
  Transport,
  UpstreamAnswer,
  UpstreamMessage,
} from '../../domain/upstream.ts';
import { Exchanges, givenUp, modelFailed, type Way, type WayExchange } from '../by-scheme.ts';
import { meet, openConnection, type RserveConnection, RserveFailure, type RserveTarget } from './connection.ts';
import { callCommand, QapError, TooLarge, valueIn } from './qap.ts';

interface RserveParts {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly observe: Observe;
}

const NOTE_CHARS_MAX = 200;
/** R ends by itself a moment after the gateway has given up on it. */
const LIMIT_SPARE_MS = 1_000;

/**
 * The way to the origins `rserve://HOST:PORT` and `rserves://HOST:PORT`: functions of R are called with values. A
 * connection is an R of its own, so there are as many as calls are let in at once, and each is kept for the next call.
 */
export function createRserve(parts: RserveParts): Way {
  const functions = readFileSync(new URL('./call.R', import.meta.url), 'utf8');
  const pools = new Map<string, RserveConnection[]>();
  const exchanges = new Exchanges(parts);
  let isClosed = false;

  function drop(origin: string): void {
    for (const connection of pools.get(origin) ?? []) connection.destroy();
    pools.delete(origin);
  }

  const transport: Transport = {
    send(origin, message, options) {
      const { route } = options;
      if (route === undefined) throw new Error('an Rserve is called for a route');
      const { policy } = route.service;
      const { connectTimeoutMs, rserve } = policy;
      const target = { origin, tls: options.bounds.tls, account: rserve.account, functions, connectTimeoutMs };
      const pool: Pool = {
        take() {
          const idle = (pools.get(origin) ?? []).filter(({ isOver }) => !isOver);
          const at = idle.findLastIndex(connection => isSame(connection.target, target));
          const [found] = at === -1 ? [] : idle.splice(at, 1);
          pools.set(origin, idle);
          return found === undefined ? openConnection(target) : Promise.resolve(found);
        },
        giveBack(connection) {
          const idle = pools.get(origin);
          if (isClosed || idle === undefined || connection.isOver) connection.destroy();
          else idle.push(connection);
        },
      };
      const exchange = new RserveExchange({ ...parts, pool, exchanges, route }, options);
      exchanges.add(exchange);
      queueMicrotask(() => void exchange.run(message));
      return exchange;
    },
    forget: drop,
    close() {
      isClosed = true;
      exchanges.close();
      for (const origin of [...pools.keys()]) drop(origin);
      return Promise.resolve();
    },
  };

  return {
    transport,
    async probe({ origin, tls, timeoutMs, signal }) {
      try {
        await meet({ origin, tls }, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]));
        return { isWell: true, note: 'Rserve greets' };
      } catch (error) {
        const note = printable(error instanceof Error ? error.message : 'unknown', NOTE_CHARS_MAX);
        const isUntrusted = error instanceof RserveFailure && error.kind === 'untrusted';
        return isUntrusted ? { isWell: false, isUntrusted, note } : { isWell: false, note };
      }
    },
  };
}

/** Connections that wait for a call. */
interface Pool {
  /** Rejected with an RserveFailure. */
  take(): Promise<RserveConnection>;
  giveBack(connection: RserveConnection): void;
}

/** One that was opened before the routes changed may be secured, or logged in, as they said then. */
function isSame(one: RserveTarget, other: RserveTarget): boolean {
  const isSecuredAlike = one.tls?.id === other.tls?.id;
  return (
    isSecuredAlike && one.account?.user === other.account?.user && one.account?.password === other.account?.password
  );
}

interface ExchangeParts extends RserveParts {
  readonly pool: Pool;
  readonly exchanges: Exchanges;
  readonly route: Route;
}

/** One call of R's. */
class RserveExchange implements WayExchange {
  sentMs: number | undefined = undefined;
  firstByteMs: number | undefined = undefined;
  endsMs = Infinity;
  watchedAt = -1;
  listener: ExchangeListener;
  readonly #parts: ExchangeParts;
  readonly #bounds: SendOptions['bounds'];
  readonly #route: Route;
  #connection: RserveConnection | undefined = undefined;

  constructor(parts: ExchangeParts, { bounds, listener }: SendOptions) {
    this.#parts = parts;
    this.#bounds = bounds;
    this.#route = parts.route;
    this.listener = listener;
  }

  async run(message: UpstreamMessage): Promise<void> {
    try {
      const task = taskOf(this.#route);
      const command = this.#commandFor(task, message);
      const answer = await this.#call(command, task);
      this.#end({ kind: 'answered', answer });
    } catch (error) {
      const { kind, failure } = error instanceof RserveFailure ? error : ownFailure(error);
      this.#end({ kind, failure });
    }
  }

  /** R computes to its end, since a connection cannot be asked to stop: its permit stays taken until then. */
  discard(): void {
    // What comes is thrown away by the listener.
  }

  abandon(reason: string): void {
    this.#giveUp('abandoned', givenUp(this, reason));
  }

  onTimeOver(): void {
    const message = `Rserve did not answer within ${this.#bounds.hangMsMax} ms`;
    this.#giveUp('hung', new GatewayError('ATTEMPT_TIMEOUT', message));
  }

  /** Ended before R has answered: the connection is of no use any more. */
  #giveUp(kind: 'abandoned' | 'hung', failure: GatewayError): void {
    this.#end({ kind, failure });
    this.#connection?.destroy();
  }

  #commandFor(task: RserveTask, message: UpstreamMessage): Buffer {
    if (!isUtf8(message.body) && task.kind === 'call') throw failed(notText());
    const input = inputOf(task, message);
    if (input instanceof GatewayError) throw failed(input);
    const limit = (this.#bounds.hangMsMax + LIMIT_SPARE_MS) / 1_000;
    const name: RValue = task.kind === 'call' ? strings(...task.name.split('::')) : { type: 'null' };
    return callCommand('.penstock', [name, input, { type: 'double', values: [limit] }]);
  }

  async #call(command: Buffer, task: RserveTask): Promise<UpstreamAnswer> {
    const { exchanges, pool } = this.#parts;
    const connection = await pool.take();
    if (exchanges.isOver(this)) {
      pool.giveBack(connection);
      throw failed(new GatewayError('CONNECTION_LOST', 'given up before it was sent'));
    }
    this.#connection = connection;
    this.sentMs = exchanges.time(this, this.#bounds.hangMsMax);
    const value = await this.#valueFrom(connection, command);
    const [result, message, memory] = value.type === 'list' ? value.values : [];
    this.#keepOrEnd(connection, memory);
    if (result === undefined || message === undefined) throw faulty('its answer is not what was asked for');
    if (message.type === 'string') {
      throw failed(modelFailed(message.values[0] ?? '', this.#route, this.#parts.observe));
    }
    return this.#answerOf(task, result);
  }

  async #valueFrom(connection: RserveConnection, command: Buffer): Promise<RValue> {
    try {
      const { error, body } = await connection.send(command, this.#bounds.bufferBytesMax);
      this.firstByteMs = this.#parts.clock.nowMs();
      if (error !== undefined) throw faultOfCall(error);
      return valueIn(body);
    } catch (error) {
      connection.destroy();
      if (error instanceof RserveFailure) throw error;
      if (error instanceof TooLarge) throw failed(tooLarge(this.#bounds.bufferBytesMax));
      if (error instanceof QapError) throw faulty(error.message);
      throw new RserveFailure(
        'lost',
        new GatewayError('CONNECTION_LOST', 'Rserve ended the connection', { cause: error }),
      );
    }
  }

  /** One that has served too many calls, or says with one of them that it has grown too large, is replaced by the next call. */
  #keepOrEnd(connection: RserveConnection, memory: RValue | undefined): void {
    const { callsMax, memoryBytesMax } = this.#route.service.policy.rserve;
    const [bytes] = memory?.type === 'double' ? memory.values : [];
    connection.calls += 1;
    if (connection.calls < callsMax && (bytes ?? 0) <= memoryBytesMax) this.#parts.pool.giveBack(connection);
    else connection.destroy();
    this.#connection = undefined;
  }

  #answerOf(task: RserveTask, result: RValue): UpstreamAnswer {
    const answer = task.kind === 'script' ? webAnswerOf(result) : undefined;
    if (answer !== undefined) return { ...answer, body: Buffer.from(answer.body) };
    if (task.kind === 'script') throw faulty('the script’s answer is none of HTTP');
    const text = toModelAnswer(result, bytes => Buffer.from(bytes).toString('base64'));
    const body = Buffer.from(text, 'utf8');
    if (body.length > this.#bounds.bufferBytesMax) throw failed(tooLarge(this.#bounds.bufferBytesMax));
    return { status: 200, fields: ['Content-Type', 'application/json'], body };
  }

  #end(end: ExchangeEnd): void {
    this.#parts.exchanges.end(this, end);
  }
}

function taskOf({ policy, id }: Route): RserveTask {
  if (policy.rserve !== undefined) return policy.rserve;
  const message = `route ${id} has no \`rserve\`, and its service is an Rserve: write rserve: { call: FUNCTION }`;
  throw failed(new GatewayError('MODEL_FAILED', message));
}

/** The model's own failure: the instance is well. */
function failed(failure: GatewayError): RserveFailure {
  return new RserveFailure('failed', failure);
}

function faulty(message: string): RserveFailure {
  return new RserveFailure('malformed', new GatewayError('UPSTREAM_FAULT', message));
}

/** What went wrong in the gateway itself says nothing of the instance. */
function ownFailure(cause: unknown): Pick<RserveFailure, 'kind' | 'failure'> {
  return { kind: 'abandoned', failure: new GatewayError('INTERNAL', 'an error of our own', { cause }) };
}

function notText(): GatewayError {
  const detail = 'The body is not text in UTF-8.';
  return new GatewayError('BAD_REQUEST', 'the body is not UTF-8', { detail });
}

function tooLarge(bytesMax: number): GatewayError {
  const detail = `The model answered with more than the ${bytesMax} bytes that this route takes.`;
  return new GatewayError('MODEL_FAILED', detail, { detail });
}

/** R could not even take the call, or Rserve not its answer: Rserve's own numbers (Rsrv.h). */
function faultOfCall(error: number): RserveFailure {
  return failed(new GatewayError('MODEL_FAILED', `Rserve answered with its error ${error}`));
}
