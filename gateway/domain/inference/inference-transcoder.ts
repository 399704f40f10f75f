import type { Call, Complete, Transcoder } from '../call.ts';
import { GatewayError } from '../errors.ts';
import { fieldOf, removeBodyFields, removeFieldsWhere, setField } from '../http/fields.ts';
import { toProblem } from '../http/reply.ts';
import { upstreamResourceOf } from '../http/upstream-request.ts';
import type { Route } from '../route.ts';
import type { ColumnsFor } from '../table/csv-transcoder.ts';
import { dropBody, type Answer } from '../upstream.ts';
import { isRecord, textOf } from '../unknown-value.ts';
import type { Column } from '../validation/prototype.ts';
import type { InferenceTarget, ModelTarget } from './inference-target.ts';
import { readInfer, writeInferAnswer, type InferRequest } from './rest-form.ts';
import { chooseOutputs, rowsOfTensors, tensorsOfAnswer } from './rows.ts';
import type { KnownOutputs } from './known-outputs.ts';
import { inputsOf } from './tensor.ts';

/** What an inference call asks the gateway. */
export interface InferencePorts {
  readonly columnsFor: ColumnsFor;
  readonly outputs: KnownOutputs;
  /** Whether the route's service has an instance in rotation. */
  readonly isReady: (route: Route) => boolean;
}

const JSON_TYPE = 'application/json';
const BINARY_TYPE = 'application/octet-stream';
const HEADER_LENGTH = 'inference-header-content-length';

/**
 * Serves one call of the Open Inference Protocol v2 over REST (github.com/kserve/open-inference-protocol): a prediction,
 * or what is asked about a model. Refusals and failures have the protocol's shape, `{ "error": "CODE: …" }`.
 */
export class InferenceTranscoder implements Transcoder {
  readonly protocol = 'open-inference';
  readonly askedPath: string;
  readonly #target: InferenceTarget;
  readonly #ports: InferencePorts;
  #request: InferRequest | undefined = undefined;

  constructor(target: InferenceTarget, { path }: Pick<Call, 'path'>, ports: InferencePorts) {
    this.askedPath = path;
    this.#target = target;
    this.#ports = ports;
  }

  request(call: Complete, next: (call: Complete) => void): void {
    const target = this.#target;
    if (!('model' in target)) return; // of the server: answered before
    refuseVersion(target, call.route);
    if (target.kind === 'infer') this.#request = readInfer(call.content, headerLengthOf(call));
    const columns = this.#ports.columnsFor(call.route, upstreamResourceOf(call).path);
    if (!(columns instanceof Promise)) this.#known(call, columns, next);
    else call.awaits(columns, found => this.#known(call, found, next));
  }

  #known(call: Complete, columns: readonly Column[] | undefined, next: (call: Complete) => void): void {
    if (columns === undefined) throw noColumns(call.route);
    if (this.#request === undefined) call.answered(this.#about(call, columns));
    else {
      takeTensors(call, this.#request, columns);
      next(call);
    }
  }

  /** What the gateway itself knows of the model. */
  #about({ route }: Complete, columns: readonly Column[]): Answer {
    const { id, service } = route;
    if (this.#target.kind === 'model-ready') {
      const ready = this.#ports.isReady(route);
      return jsonAnswer(ready ? 200 : 503, { name: id, ready });
    }
    return jsonAnswer(200, {
      name: id,
      versions: versionsOf(service.versions),
      platform: 'r_plumber',
      inputs: inputsOf(columns),
      outputs: this.#ports.outputs.of(route),
    });
  }

  answer(call: Call, answer: Answer): Answer {
    const { status, body, fields, via } = answer;
    const request = this.#request;
    if (request === undefined || call.route === undefined) return answer; // it is the gateway's own
    if (!Buffer.isBuffer(body)) {
      dropBody(answer);
      throw noTable('is larger than `answer.bufferMax`');
    }
    removeBodyFields(fields);
    removeFieldsWhere(fields, name => name === HEADER_LENGTH);
    setField(fields, 'Content-Type', JSON_TYPE);
    if (status >= 400) return { ...answer, body: errorBody(wordsOf(body)) };
    if (status !== 200) throw noTable(`has the status ${status}`);
    const tensors = tensorsOfAnswer(body.toString('utf8'));
    this.#ports.outputs.learn(call.route, tensors);
    const version = via?.version ?? onlyOf(versionsOf(call.route.service.versions));
    const chosen = request.outputs === undefined ? tensors : chooseOutputs(tensors, request.outputs);
    const written = writeInferAnswer({ model: call.route.id, version, tensors: chosen }, request);
    if (written.headerLength !== undefined) {
      setField(fields, 'Content-Type', BINARY_TYPE);
      setField(fields, 'Inference-Header-Content-Length', String(written.headerLength));
    }
    return { ...answer, body: written.content };
  }

  failure({ id }: Call, failure: GatewayError): Answer {
    const problem = toProblem(failure, id);
    setField(problem.fields, 'Content-Type', JSON_TYPE);
    const { code, detail, errors } = failure;
    const words = errors === undefined ? detail : errors.map(error => error.detail).join('; ');
    problem.body = errorBody(`${code}: ${words}`);
    if (code === 'INVALID_INPUT') problem.status = 400; // as the protocol has it
    return problem;
  }
}

function takeTensors(call: Complete, { inputs }: InferRequest, columns: readonly Column[]): void {
  const { validate, sharing, bodyBytesMax } = call.route.policy;
  call.content = rowsOfTensors(inputs, {
    columns,
    form: validate?.form ?? sharing?.batch?.rows ?? 'array',
    rowsMax: validate?.rowsMax ?? Infinity,
    bytesMax: bodyBytesMax,
  });
  const fields = [...call.fields];
  removeBodyFields(fields);
  removeFieldsWhere(fields, name => name === HEADER_LENGTH);
  fields.push('Content-Type', JSON_TYPE);
  if (fieldOf(fields, 'accept') !== undefined) setField(fields, 'Accept', JSON_TYPE);
  call.fields = fields;
}

/** The length of the JSON before binary data; undefined: there are none. */
function headerLengthOf({ fields }: Complete): number | undefined {
  const said = fieldOf(fields, HEADER_LENGTH);
  if (said === undefined) return undefined;
  if (/^\d{1,10}$/.test(said)) return Number(said);
  const detail = '`Inference-Header-Content-Length` must be a number.';
  throw new GatewayError('BAD_REQUEST', 'no length of a header', { detail });
}

function versionsOf(versions: string): string[] {
  return versions === '' ? [] : versions.split(',');
}

function onlyOf(versions: readonly string[]): string | undefined {
  return versions.length === 1 ? versions[0] : undefined;
}

/** One version is promised only where all instances run it. */
function refuseVersion({ version }: ModelTarget, { id, service }: Route): void {
  if (version === undefined || version === service.versions) return;
  const running = versionsOf(service.versions).join(' and ');
  const detail = running === '' ? `Model ${id} has no version.` : `Model ${id} runs as ${running}.`;
  throw new GatewayError('NO_ROUTE', `model ${id} does not run in the version asked for`, { detail });
}

/** The refusal of a model that is none, or not to be had by this door. */
export function noModel(): GatewayError {
  return new GatewayError('NO_ROUTE', 'no such model', { detail: 'No model of this name is published here.' });
}

function noColumns({ id }: Route): GatewayError {
  return new GatewayError('NO_ROUTE', `the service of route ${id} publishes no columns`, {
    detail: `What ${id} takes is not known: its service publishes no columns at /prototype.`,
  });
}

function noTable(why: string): GatewayError {
  const detail = `The model’s answer ${why}, and cannot be told as tensors.`;
  return new GatewayError('UPSTREAM_FAULT', 'the answer is no table', { detail });
}

function errorBody(error: string): Buffer {
  return Buffer.from(JSON.stringify({ error }));
}

/** What a service says of an error: problem+json's detail, Plumber's error, or the text as it is. */
function wordsOf(body: Buffer): string {
  const text = body.toString('utf8');
  try {
    const said: unknown = JSON.parse(text);
    if (!isRecord(said)) return text;
    const [detail, message, error] = [said['detail'], said['message'], said['error']].map(first);
    return textOf(detail) || textOf(message) || textOf(error) || text;
  } catch {
    return text;
  }
}

/** Where R boxes its scalars, each is a list of one. */
function first(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : value;
}

/** An answer of the gateway's own in JSON. */
export function jsonAnswer(status: number, value: unknown): Answer {
  return {
    status,
    fields: ['Content-Type', JSON_TYPE, 'Cache-Control', 'no-store'],
    body: Buffer.from(JSON.stringify(value)),
    via: null,
  };
}
