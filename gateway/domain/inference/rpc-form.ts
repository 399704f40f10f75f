import type { Call, Complete } from '../call.ts';
import { type GatewayError, bodyTooLarge } from '../errors.ts';
import { malformed, withoutSpeech } from '../grpc/speech.ts';
import type { OwnRpc } from '../grpc/own-rpc.ts';
import { endOfError } from '../grpc/transcoder.ts';
import { removeBodyFields, type RawFields } from '../http/fields.ts';
import type { Answer } from '../upstream.ts';
import { named } from '../validation/findings.ts';
import {
  TENSORS_MAX,
  type Answered,
  type InferenceForm,
  type InferRequest,
  type ModelMetadata,
  type Parameter,
} from './form.ts';
import type { InferenceTarget } from './inference-target.ts';
import { readRaw, textIn, writeRaw } from './raw-tensor.ts';
import { datatypeOf, elementOf, unfit, type Datatype, type Element, type Tensor, type TensorView } from './tensor.ts';

/** A number of 64 bits, as the library reads it. */
type Int64 = number | { toNumber(): number };

/** An `InferParameter`, of which one is set. */
type ParameterMessage = Readonly<Partial<Record<string, boolean | string | Int64>>>;

/** An `InferTensorContents`. */
type ContentsMessage = Readonly<Partial<Record<ContentsField, readonly (boolean | Int64 | Uint8Array)[]>>>;

interface InputMessage {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly Int64[];
  readonly contents?: ContentsMessage | null;
}

interface OutputMessage {
  readonly name: string;
  readonly parameters: Readonly<Record<string, ParameterMessage>>;
}

/** A `ModelInferRequest`. */
interface InferMessage {
  readonly id: string;
  readonly parameters: Readonly<Record<string, ParameterMessage>>;
  readonly inputs: readonly InputMessage[];
  readonly outputs: readonly OutputMessage[];
  readonly rawInputContents: readonly Uint8Array[];
}

const CONTENTS = [
  'boolContents',
  'intContents',
  'int64Contents',
  'uintContents',
  'uint64Contents',
  'fp32Contents',
  'fp64Contents',
  'bytesContents',
] as const;

type ContentsField = (typeof CONTENTS)[number];

/** Where elements of a datatype stand ("InferTensorContents"); undefined: only in raw contents. */
const FIELD_OF: Readonly<Record<Datatype, ContentsField | undefined>> = {
  BOOL: 'boolContents',
  INT8: 'intContents',
  INT16: 'intContents',
  INT32: 'intContents',
  INT64: 'int64Contents',
  UINT8: 'uintContents',
  UINT16: 'uintContents',
  UINT32: 'uintContents',
  UINT64: 'uint64Contents',
  FP16: undefined,
  FP32: 'fp32Contents',
  FP64: 'fp64Contents',
  BYTES: 'bytesContents',
};

/** What a call of a method of `inference.GRPCInferenceService` asks for; undefined: the protocol has no such method. */
export function rpcTargetOf({ originalPath, said }: OwnRpc): InferenceTarget | undefined {
  const method = originalPath.slice(INFERENCE_SERVICE.length + 2);
  const ofServer = OF_SERVER.get(method);
  if (ofServer !== undefined) return { kind: ofServer };
  const kind = OF_MODEL.get(method);
  const { name, version, modelName, modelVersion } = said.message as Readonly<Record<string, string>>;
  const [model = '', wanted = ''] = kind === 'infer' ? [modelName, modelVersion] : [name, version];
  return kind && { kind, model, version: wanted === '' ? undefined : wanted };
}

/** The protocol's own file. */
export const INFERENCE_FILE = 'open_inference_grpc.proto';

/** The service that it declares. */
export const INFERENCE_SERVICE = 'inference.GRPCInferenceService';

const OF_SERVER: ReadonlyMap<string, 'server' | 'live' | 'ready'> = new Map([
  ['ServerMetadata', 'server'],
  ['ServerLive', 'live'],
  ['ServerReady', 'ready'],
]);

const OF_MODEL: ReadonlyMap<string, 'metadata' | 'model-ready' | 'infer'> = new Map([
  ['ModelMetadata', 'metadata'],
  ['ModelReady', 'model-ready'],
  ['ModelInfer', 'infer'],
]);

/** The protocol over gRPC. Outputs come in raw contents where the inputs did. */
export class RpcForm implements InferenceForm {
  readonly protocol: string;
  readonly originalMethod: string;
  readonly originalPath: string;
  readonly timeoutMs: number;
  readonly keepsStatus = true;
  readonly #rpc: OwnRpc;

  constructor(rpc: OwnRpc) {
    this.protocol = rpc.protocol;
    this.originalMethod = rpc.originalMethod;
    this.originalPath = rpc.originalPath;
    this.timeoutMs = rpc.timeoutMs;
    this.#rpc = rpc;
  }

  get #message(): InferMessage {
    return this.#rpc.said.message as InferMessage; // a `ModelInferRequest`, by the method's own type
  }

  read({ route }: Complete): InferRequest {
    const { bodyBytesMax } = route.policy;
    if (this.#rpc.said.bytes > bodyBytesMax) throw bodyTooLarge(bodyBytesMax);
    const { id, inputs, outputs, rawInputContents, parameters: said } = this.#message;
    if (inputs.length > TENSORS_MAX || outputs.length > TENSORS_MAX)
      throw malformed(`The message has more than ${TENSORS_MAX} tensors.`);
    const isRaw = rawInputContents.length > 0;
    if (isRaw && rawInputContents.length !== inputs.length)
      throw malformed('`raw_input_contents` must have one member for each of `inputs`.');
    const parameters = parametersOf(said);
    const isBinary = isRaw || parameters['binary_data_output'] === true;
    const wanted = outputs.map(output => ({ name: output.name, isBinary: isBinary || isWantedRaw(output) }));
    return {
      ...{ id, parameters, isBinary: isBinary || wanted.some(output => output.isBinary) },
      inputs: inputs.map((input, i) => readInput(input, rawInputContents[i])),
      outputs: wanted.length === 0 ? undefined : wanted,
    };
  }

  fieldsFrom(fields: RawFields): string[] {
    const kept = withoutSpeech(fields);
    removeBodyFields(kept);
    return kept;
  }

  ready(_name: string, ready: boolean): Answer {
    return this.#rpc.reply({ ready });
  }

  metadata(model: ModelMetadata): Answer {
    return this.#rpc.reply(model);
  }

  answered(answer: Answer, { model, version = '', tensors }: Answered, { isBinary }: InferRequest): Answer {
    const { id, parameters } = this.#message;
    const outputs = tensors.map(tensor => {
      const { name, datatype, shape } = tensor;
      return isBinary ? { name, datatype, shape } : { name, datatype, shape, contents: contentsOf(tensor) };
    });
    const rawOutputContents = isBinary ? tensors.map(writeRaw) : [];
    const message = { modelName: model, modelVersion: version, id, parameters, outputs, rawOutputContents };
    return this.#rpc.reply(message, answer);
  }

  refused(answer: Answer): Answer {
    return endOfError(this.#rpc.speech, answer);
  }

  failure(call: Call, failure: GatewayError): Answer {
    return this.#rpc.failure(call, failure);
  }
}

function numberOf(value: Int64): number {
  return typeof value === 'number' ? value : value.toNumber();
}

const NO_PARAMETERS: Readonly<Record<string, Parameter>> = {};

function parametersOf(parameters: Readonly<Record<string, ParameterMessage>>): Readonly<Record<string, Parameter>> {
  const names = Object.keys(parameters);
  if (names.length === 0) return NO_PARAMETERS;
  return Object.fromEntries(
    names.flatMap(name => {
      const [value] = Object.values(parameters[name] ?? {});
      return value === undefined ? [] : [[name, typeof value === 'object' ? numberOf(value) : value]];
    }),
  );
}

function isWantedRaw({ parameters }: OutputMessage): boolean {
  return parametersOf(parameters)['binary_data'] === true;
}

function readInput({ name, datatype: written, shape, contents }: InputMessage, raw: Uint8Array | undefined): Tensor {
  const datatype = datatypeOf(written, name);
  const about = { name, datatype, shape: shape.map(numberOf) };
  return { name, datatype, shape: about.shape, elements: elementsOf(about, contents, raw) };
}

function elementsOf(
  about: TensorView,
  contents: ContentsMessage | null | undefined,
  raw: Uint8Array | undefined,
): readonly Element[] {
  const { name, datatype } = about;
  const field = FIELD_OF[datatype];
  const hasOthers = hasContentsBeside(raw === undefined ? field : undefined, contents);
  if (raw !== undefined) {
    if (hasOthers) throw unfit(`${named(name)} has contents, though \`raw_input_contents\` are given`);
    return readRaw(Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength), about);
  }
  if (field === undefined) throw unfit(`${named(name)}: ${datatype} comes in \`raw_input_contents\``);
  if (hasOthers) throw unfit(`${named(name)}: its contents are not those of ${datatype}`);
  return (contents?.[field] ?? []).map(value => elementIn(value, about));
}

function hasContentsBeside(own: ContentsField | undefined, contents: ContentsMessage | null | undefined): boolean {
  if (contents === undefined || contents === null) return false;
  return CONTENTS.some(each => each !== own && (contents[each]?.length ?? 0) > 0);
}

function elementIn(value: boolean | Int64 | Uint8Array, about: Pick<Tensor, 'name' | 'datatype'>): Element {
  if (value instanceof Uint8Array) return textIn(value, about.name);
  return elementOf(typeof value === 'object' ? numberOf(value) : value, about);
}

/** A missing number is NaN; a missing text is empty. */
function contentsOf({ datatype, elements }: Tensor) {
  if (datatype === 'BOOL') return { boolContents: elements };
  if (datatype === 'BYTES') return { bytesContents: elements.map(element => Buffer.from(String(element ?? ''))) };
  return { fp64Contents: elements.map(element => element ?? NaN) };
}
