import type { Clock } from '../../domain/clock.ts';
import type { Deadlines } from '../../domain/deadlines.ts';
import { GatewayError } from '../../domain/errors.ts';
import { fieldOf } from '../../domain/http/fields.ts';
import { toProblem } from '../../domain/http/reply.ts';
import { modelPathOf } from '../../domain/onnx/model-path.ts';
import type { Route } from '../../domain/route.ts';
import type { ExchangeEnd, ExchangeListener, SendOptions, UpstreamMessage } from '../../domain/upstream.ts';
import { Exchanges, givenUp, Hosts, modelFailed, type Way, type WayExchange } from '../by-scheme.ts';
import type { RKeeper } from '../r-keeper.ts';
import type { Loaded, Refusal } from './frames.ts';
import { ModelHost, SCHEME, type HostParts, type LocalModel, type WaitsForModel } from './model-host.ts';
import type { ModelProcess, Said } from './model-process.ts';

interface OnnxParts extends HostParts {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
}

/** Runs ONNX models in answer to calls: the way to the origins `onnx:NAME`. */
export interface Models extends Way {
  /** Runs this model from now on; `onChange` is called when another version of it answers, or none. */
  keep(model: LocalModel, onChange: () => void): RKeeper;
}

/** It has no models yet. */
export function createModels(parts: OnnxParts): Models {
  const hosts = new Hosts<ModelHost>();
  const exchanges = new Exchanges(parts);
  return {
    transport: hosts.transport(
      'model',
      exchanges,
      (message, options) => new OnnxExchange({ ...parts, exchanges, message }, options),
    ),
    probe({ origin }) {
      const entry = hosts.get(origin)?.entry();
      const isWell = entry?.health === 'passing';
      return Promise.resolve({
        isWell,
        note: isWell ? 'the model is loaded' : (entry?.healthNote ?? 'not loaded yet'),
      });
    },
    keep: (model, onChange) => hosts.keep(`${SCHEME}${model.service}`, new ModelHost(model, parts, onChange)),
  };
}

interface ExchangeParts extends OnnxParts {
  readonly exchanges: Exchanges;
  readonly message: UpstreamMessage;
}

/** One call that a model answers. */
class OnnxExchange implements WayExchange, WaitsForModel {
  sentMs: number | undefined = undefined;
  firstByteMs: number | undefined = undefined;
  endsMs = Infinity;
  watchedAt = -1;
  listener: ExchangeListener;
  readonly #parts: ExchangeParts;
  readonly #bounds: SendOptions['bounds'];
  readonly #route: Route | undefined;
  #host: ModelHost | undefined = undefined;
  #process: ModelProcess | undefined = undefined;

  constructor(parts: ExchangeParts, { bounds, listener, route }: SendOptions) {
    this.#parts = parts;
    this.#bounds = bounds;
    this.#route = route;
    this.listener = listener;
  }

  begin(host: ModelHost): void {
    const path = modelPathOf(this.#parts.message);
    this.#host = host;
    if (path !== 'predict') setImmediate(() => this.#report(path, host.loaded));
    else queueMicrotask(() => host.wait(this));
    this.#parts.exchanges.time(this, this.#bounds.hangMsMax);
  }

  take(process: ModelProcess): void {
    this.#process = process;
    this.sentMs = this.#parts.clock.nowMs();
    process.send(this.#parts.message.body, this.#bounds.bufferBytesMax, said => this.#said(said, process));
  }

  refuse(why: string): void {
    this.#end({ kind: 'refused', failure: new GatewayError('CONNECT_FAILED', why) });
  }

  lose(how: string): void {
    const failure = new GatewayError('CONNECTION_LOST', `the process of the model ended: ${how}`);
    this.#end({ kind: 'lost', failure });
  }

  /** The model computes to its end, since onnxruntime cannot be asked to stop: its permit stays taken until then. */
  discard(): void {
    if (this.#process === undefined && this.#host !== undefined) this.abandon('its caller left');
  }

  abandon(reason: string): void {
    this.#giveUp('abandoned', givenUp(this, reason));
  }

  onTimeOver(): void {
    const message = `the model did not answer within ${this.#bounds.hangMsMax} ms`;
    this.#giveUp('hung', new GatewayError('ATTEMPT_TIMEOUT', message));
  }

  #giveUp(kind: 'abandoned' | 'hung', failure: GatewayError): void {
    this.#host?.leave(this);
    this.#end({ kind, failure });
    this.#process?.kill();
  }

  /** What is known of the model without asking it. */
  #report(path: Exclude<ReturnType<typeof modelPathOf>, 'predict'>, loaded: Loaded | undefined): void {
    this.sentMs = this.#parts.clock.nowMs();
    if (path instanceof GatewayError) this.#problem(path);
    else if (path === 'ping') this.#answer(Buffer.from('{"status":"online"}'));
    else if (loaded === undefined) this.refuse('the model is not loaded');
    else this.#answer(Buffer.from(loaded[path]));
  }

  #said(said: Said, process: ModelProcess): void {
    this.firstByteMs = this.#parts.clock.nowMs();
    this.#process = undefined;
    this.#host?.giveBack(process);
    if (said.kind === 'answer') this.#answer(said.body);
    else if (said.kind === 'refused') this.#problem(errorOf(said.refusal));
    else this.#problem(modelFailed(said.message, this.#route, this.#parts.observe));
  }

  #answer(body: Buffer): void {
    const fields = ['Content-Type', 'application/json'];
    this.#end({ kind: 'answered', answer: { status: 200, fields, body } });
  }

  /** An answer of the model's: rows that it does not take are the same as with R's services to batches and to proofs. */
  #problem(error: GatewayError): void {
    const requestId = fieldOf(this.#parts.message.fields, 'x-request-id') ?? '';
    const { status, fields, body } = toProblem(error, requestId);
    this.#end({ kind: 'answered', answer: { status, fields, body } });
  }

  #end(end: ExchangeEnd): void {
    this.#parts.exchanges.end(this, end);
  }
}

function errorOf({ code, detail, errors }: Refusal): GatewayError {
  return new GatewayError(code, detail, { detail, ...(errors === undefined ? {} : { errors }) });
}
