import type { Call, Complete } from '../call.ts';
import { GatewayError, wordsOfFailure } from '../errors.ts';
import { fieldOf, type RawFields, removeBodyFields, removeFieldsWhere, setField } from '../http/fields.ts';
import { toProblem } from '../http/reply.ts';
import { isRecord, textOf } from '../unknown-value.ts';
import type { Answer } from '../upstream.ts';
import { named } from '../validation/findings.ts';
import {
  TENSORS_MAX,
  type Answered,
  type InferenceForm,
  type InferRequest,
  type ModelMetadata,
  type Parameter,
  type WantedOutput,
} from './form.ts';
import { readRaw, writeRaw } from './raw-tensor.ts';
import { datatypeOf, elementOf, sizeOf, type Element, type Tensor, unfit } from './tensor.ts';

const JSON_TYPE = 'application/json';
const BINARY_TYPE = 'application/octet-stream';
const HEADER_LENGTH = 'inference-header-content-length';

/** The protocol over REST. Refusals and failures have its shape, `{ "error": "CODE: …" }`. */
export class RestForm implements InferenceForm {
  readonly protocol = 'open-inference';
  readonly timeoutMs = Infinity;
  readonly keepsStatus = false;
  readonly originalMethod: string;
  readonly originalPath: string;

  constructor({ method, path }: Pick<Call, 'method' | 'path'>) {
    this.originalMethod = method;
    this.originalPath = path;
  }

  read(call: Complete): InferRequest {
    return readInfer(call.content, headerLengthOf(call));
  }

  fieldsFrom(fields: RawFields): string[] {
    const kept = [...fields];
    removeBodyFields(kept);
    removeFieldsWhere(kept, name => name === HEADER_LENGTH);
    if (fieldOf(kept, 'accept') !== undefined) setField(kept, 'Accept', JSON_TYPE);
    return kept;
  }

  ready(name: string, isReady: boolean): Answer {
    return jsonAnswer(isReady ? 200 : 503, { name, ready: isReady });
  }

  metadata(model: ModelMetadata): Answer {
    return jsonAnswer(200, model);
  }

  answered(answer: Answer, answered: Answered, request: InferRequest): Answer {
    const { content, headerLength } = writeInferAnswer(answered, request);
    ofJson(answer.fields);
    if (headerLength !== undefined) {
      setField(answer.fields, 'Content-Type', BINARY_TYPE);
      setField(answer.fields, 'Inference-Header-Content-Length', String(headerLength));
    }
    return { ...answer, body: content };
  }

  refused(answer: Answer): Answer {
    ofJson(answer.fields);
    const { body } = answer;
    return { ...answer, body: errorBody(Buffer.isBuffer(body) ? wordsOf(body) : '') };
  }

  failure({ id }: Call, failure: GatewayError): Answer {
    const problem = toProblem(failure, id);
    setField(problem.fields, 'Content-Type', JSON_TYPE);
    problem.body = errorBody(`${failure.code}: ${wordsOfFailure(failure)}`);
    if (failure.code === 'INVALID_INPUT') problem.status = 400; // as the protocol has it
    return problem;
  }
}

function ofJson(fields: string[]): void {
  removeBodyFields(fields);
  removeFieldsWhere(fields, name => name === HEADER_LENGTH);
  setField(fields, 'Content-Type', JSON_TYPE);
}

/** The length of the JSON before binary data; undefined: there are none. */
function headerLengthOf({ fields }: Complete): number | undefined {
  const said = fieldOf(fields, HEADER_LENGTH);
  if (said === undefined) return undefined;
  if (/^\d{1,10}$/.test(said)) return Number(said);
  const detail = '`Inference-Header-Content-Length` must be a number.';
  throw new GatewayError('BAD_REQUEST', 'no length of a header', { detail });
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

/**
 * Reads a request of the protocol: its JSON, and behind that, where `headerLength` says how long it is, the raw form of
 * inputs that have a `binary_data_size` (Triton's binary tensor data extension). Throws BAD_REQUEST for what is none,
 * INVALID_INPUT for tensors that are none.
 */
export function readInfer(content: Buffer, headerLength: number | undefined): InferRequest {
  if (headerLength !== undefined && headerLength > content.length)
    throw malformed('`Inference-Header-Content-Length` is more than came');
  const said = parsed(content.subarray(0, headerLength));
  if (!isRecord(said)) throw malformed('it must be a JSON object with `inputs`');
  const { id, inputs, outputs } = said;
  if (id !== undefined && typeof id !== 'string') throw malformed('`id` must be text');
  const parameters = parametersIn(said['parameters'], '`parameters`');
  const isBinary = parameters?.[BINARY_OUTPUT] === true;
  const raw = new RawParts(content.subarray(headerLength ?? content.length));
  const tensors = listIn(inputs, '`inputs`').map(input => readInput(input, raw));
  raw.end();
  const wanted = outputs === undefined ? [] : listIn(outputs, '`outputs`').map(output => readOutput(output, isBinary));
  return { id, parameters, inputs: tensors, outputs: wanted.length === 0 ? undefined : wanted, isBinary };
}

const BINARY_OUTPUT = 'binary_data_output';
const BINARY_SIZE = 'binary_data_size';

const UTF8 = new TextDecoder('utf-8', { fatal: true });

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(UTF8.decode(bytes));
  } catch {
    throw malformed('it is not JSON in UTF-8');
  }
}

function malformed(what: string): GatewayError {
  const detail = `The body is no inference request: ${what}.`;
  return new GatewayError('BAD_REQUEST', 'the body is no inference request', { detail });
}

function listIn(value: unknown, what: string): readonly Readonly<Record<string, unknown>>[] {
  if (!Array.isArray(value) || !value.every(isRecord)) throw malformed(`${what} must be a list of objects`);
  if (value.length > TENSORS_MAX) throw malformed(`${what} has more than ${TENSORS_MAX} members`);
  return value;
}

function nameIn({ name }: Readonly<Record<string, unknown>>, what: string): string {
  if (typeof name !== 'string' || name === '') throw malformed(`each of ${what} must have a \`name\``);
  return name;
}

function parametersIn(value: unknown, what: string): Readonly<Record<string, Parameter>> | undefined {
  if (value === undefined) return undefined;
  const isFit = isRecord(value) && Object.values(value).every(isParameter);
  if (!isFit) throw malformed(`${what} must be an object of texts, numbers and truths`);
  return value as Readonly<Record<string, Parameter>>;
}

function isParameter(value: unknown): value is Parameter {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

/** What stands behind the JSON, in the order of the inputs. */
class RawParts {
  readonly #raw: Buffer;
  #at = 0;

  constructor(raw: Buffer) {
    this.#raw = raw;
  }

  next(size: number, name: string): Buffer {
    if (!Number.isSafeInteger(size) || size < 0 || this.#at + size > this.#raw.length)
      throw malformed(`${named(name)} has not the bytes that its \`${BINARY_SIZE}\` says`);
    this.#at += size;
    return this.#raw.subarray(this.#at - size, this.#at);
  }

  end(): void {
    if (this.#at !== this.#raw.length) throw malformed('bytes stand behind it that belong to no input');
  }
}

function readInput(input: Readonly<Record<string, unknown>>, raw: RawParts): Tensor {
  const name = nameIn(input, '`inputs`');
  const { shape } = input;
  if (!Array.isArray(shape) || !shape.every(length => typeof length === 'number'))
    throw malformed(`${named(name)} must have a \`shape\`, a list of numbers`);
  const datatype = datatypeOf(input['datatype'], name);
  const about = { name, datatype, shape };
  const size = parametersIn(input['parameters'], `\`parameters\` of ${named(name)}`)?.[BINARY_SIZE];
  if (typeof size === 'number') return { ...about, elements: readRaw(raw.next(size, name), about) };
  const elements: Element[] = [];
  flatten(input['data'], { about, elements, most: sizeOf(shape, name), depth: 0 });
  return { ...about, elements };
}

interface Flattening {
  readonly about: Pick<Tensor, 'name' | 'datatype' | 'shape'>;
  readonly elements: Element[];
  readonly most: number;
  readonly depth: number;
}

/** In its natural form, or flat ("Tensor Data"). */
function flatten(data: unknown, flattening: Flattening): void {
  const { about, elements, most, depth } = flattening;
  if (!Array.isArray(data)) throw unfit(`${named(about.name)} has no \`data\`, which is a list`);
  if (depth > about.shape.length) throw unfit(`${named(about.name)}: its data are nested deeper than its shape`);
  for (const value of data as readonly unknown[]) {
    if (Array.isArray(value)) flatten(value, { ...flattening, depth: depth + 1 });
    else elements.push(elementOf(value, about));
    if (elements.length > most) throw unfit(`${named(about.name)} has more elements than its shape`);
  }
}

function readOutput(output: Readonly<Record<string, unknown>>, isBinary: boolean): WantedOutput {
  const name = nameIn(output, '`outputs`');
  const own = parametersIn(output['parameters'], `\`parameters\` of ${named(name)}`)?.['binary_data'];
  return { name, isBinary: typeof own === 'boolean' ? own : isBinary };
}

interface WrittenAnswer {
  readonly content: Buffer;
  /** Of the JSON before raw data; undefined: there are none. */
  readonly headerLength: number | undefined;
}

/** An answer in the protocol's form, with the request's `id` and `parameters`, outputs in the form that they are wanted. */
export function writeInferAnswer({ model, version, tensors }: Answered, request: InferRequest): WrittenAnswer {
  const { id, parameters, outputs, isBinary } = request;
  const raws: Buffer[] = [];
  const isRaw = (name: string) => outputs?.find(output => output.name === name)?.isBinary ?? isBinary;
  const said = tensors.map(tensor => {
    const { name, datatype, shape } = tensor;
    if (!isRaw(name)) return { name, datatype, shape, data: tensor.elements.map(jsonElement) };
    const raw = writeRaw(tensor);
    raws.push(raw);
    return { name, datatype, shape, parameters: { [BINARY_SIZE]: raw.length } };
  });
  const header = Buffer.from(
    JSON.stringify({ model_name: model, model_version: version, id, parameters, outputs: said }),
  );
  if (raws.length === 0) return { content: header, headerLength: undefined };
  return { content: Buffer.concat([header, ...raws]), headerLength: header.length };
}

/** JSON has no infinities: as proto3's JSON spells them. */
function jsonElement(element: Element): Element {
  if (element === Infinity) return 'Infinity';
  return element === -Infinity ? '-Infinity' : element;
}
