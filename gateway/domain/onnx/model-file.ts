/** One field of a message in protocol buffers' wire format. */
interface ProtoField {
  readonly number: number;
  /** Of a varint its value, which is exact up to 2^53; of a fixed one 0; of bytes their length. */
  readonly value: number;
  /** Of a length-delimited field what it holds; else empty. */
  readonly bytes: Uint8Array;
  /** The field as it stands, with its tag. */
  readonly whole: Uint8Array;
}

/** The bytes are no message of protocol buffers. */
class ProtoError extends Error {}

const [VARINT, FIXED64, DELIMITED, FIXED32] = [0, 1, 2, 5];
const NOTHING = new Uint8Array(0);

/** The fields of a message, in their order; what a field holds is not looked at. Throws ProtoError. */
export function* protoFields(message: Uint8Array): Generator<ProtoField> {
  const reader = { message, at: 0 };
  while (reader.at < message.length) {
    const from = reader.at;
    const tag = varint(reader);
    const number = Math.floor(tag / 8);
    if (number === 0 || number > 536_870_911) throw new ProtoError('a field has no number');
    const { value, bytes } = content(reader, tag % 8);
    yield { number, value, bytes, whole: message.subarray(from, reader.at) };
  }
}

interface Reader {
  readonly message: Uint8Array;
  at: number;
}

function content(reader: Reader, wireType: number): Pick<ProtoField, 'value' | 'bytes'> {
  switch (wireType) {
    case VARINT:
      return { value: varint(reader), bytes: NOTHING };
    case FIXED64:
    case FIXED32:
      return { value: 0, bytes: skip(reader, wireType === FIXED64 ? 8 : 4) };
    case DELIMITED: {
      const value = varint(reader);
      return { value, bytes: skip(reader, value) };
    }
    default:
      throw new ProtoError(`there is no wire type ${wireType}`);
  }
}

function skip(reader: Reader, length: number): Uint8Array {
  const end = reader.at + length;
  if (end > reader.message.length) throw new ProtoError('it ends too soon');
  const bytes = reader.message.subarray(reader.at, end);
  reader.at = end;
  return bytes;
}

const VARINT_BYTES_MAX = 10;

/** A negative one, and each above 2^53, comes out inexact: none that is read here may be such. */
function varint(reader: Reader): number {
  let value = 0;
  for (let i = 0; i < VARINT_BYTES_MAX; i++) {
    const byte = reader.message[reader.at];
    if (byte === undefined) throw new ProtoError('it ends too soon');
    reader.at += 1;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return value;
  }
  throw new ProtoError('a number is too long');
}

/** The numbers in a repeated field, packed or not, as signed 64-bit numbers. */
function signedVarints({ bytes, value }: ProtoField, isPacked: boolean): bigint[] {
  if (!isPacked) return [BigInt.asIntN(64, BigInt(value))];
  const numbers: bigint[] = [];
  let [number, shift] = [0n, 0n];
  for (const byte of bytes) {
    number |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (shift > 70n) throw new ProtoError('a number is too long');
    if (byte >= 0x80) continue;
    numbers.push(BigInt.asIntN(64, number));
    [number, shift] = [0n, 0n];
  }
  return numbers;
}

/** A length-delimited field. */
export function delimited(number: number, content: Uint8Array): Uint8Array[] {
  return [varintBytes(number * 8 + DELIMITED), varintBytes(content.length), content];
}

/** A field of one whole number, not negative. */
export function numeral(number: number, value: number): Uint8Array[] {
  return [varintBytes(number * 8 + VARINT), varintBytes(value)];
}

function varintBytes(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low + 128 : low);
  } while (rest > 0);
  return Uint8Array.from(bytes);
}

/** All in one piece. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** How a tensor's elements are called by onnxruntime. */
export type ElementType = (typeof ELEMENT_TYPES)[number];

/** By their numbers in TensorProto.DataType (onnx.proto). */
const ELEMENT_TYPES = [
  ...(['undefined', 'float32', 'uint8', 'int8', 'uint16', 'int16', 'int32', 'int64', 'string', 'bool'] as const),
  ...(['float16', 'float64', 'uint32', 'uint64', 'complex64', 'complex128', 'bfloat16'] as const),
] as const;

/** What a graph takes or gives under one name. */
export interface GraphValue {
  readonly name: string;
  /** What is no tensor has a kind: `sequence`, `map`, … */
  readonly kind: 'tensor' | 'sequence' | 'map' | 'optional' | 'sparse tensor' | 'untyped';
  readonly type: ElementType | undefined;
  /** A free dimension is undefined; no dimensions at all: a scalar; undefined: the file does not say. */
  readonly dims: readonly (number | undefined)[] | undefined;
}

/** A node that makes maps of a classifier's probabilities, which onnxruntime cannot hand over. */
export interface ZipMap {
  readonly input: string;
  readonly output: string;
  /** The classes, in the order of the columns. */
  readonly labels: readonly string[];
}

/** What an ONNX file says of the model in it. */
export interface OnnxModel {
  readonly graph: string;
  readonly producer: string;
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly metadata: ReadonlyMap<string, string>;
  readonly zipMaps: readonly ZipMap[];
  /** Of the one classifier in the graph; empty: there is none, or several. */
  readonly classLabels: readonly string[];
  /** Weights lie in files beside it. */
  readonly hasExternalData: boolean;
}

/** Reads what an ONNX file says of its model; or, in words that follow the file's name, why it is none. */
export function readOnnxModel(bytes: Uint8Array): OnnxModel | { readonly flaw: string } {
  try {
    return modelIn(bytes);
  } catch (error) {
    if (error instanceof ProtoError) return { flaw: `is no ONNX file: ${error.message}` };
    throw error;
  }
}

/** Numbers of the fields in onnx.proto. */
const MODEL = { irVersion: 1, producerName: 2, producerVersion: 3, graph: 7, metadataProps: 14 } as const;
const GRAPH = { node: 1, name: 2, initializer: 5, input: 11, output: 12, sparseInitializer: 15 } as const;
const NODE = { input: 1, output: 2, opType: 4, attribute: 5 } as const;
const ATTRIBUTE = { name: 1, ints: 8, strings: 9 } as const;
const TENSOR = { name: 8, dataLocation: 14 } as const;
const EXTERNAL = 1;

function modelIn(bytes: Uint8Array): OnnxModel | { readonly flaw: string } {
  let [irVersion, producer, producerVersion] = [0, '', ''];
  let graph: Uint8Array | undefined;
  const metadata = new Map<string, string>();
  for (const field of protoFields(bytes)) {
    if (field.number === MODEL.irVersion) irVersion = field.value;
    else if (field.number === MODEL.producerName) producer = textOf(field);
    else if (field.number === MODEL.producerVersion) producerVersion = textOf(field);
    else if (field.number === MODEL.graph) graph = field.bytes;
    else if (field.number === MODEL.metadataProps) metadata.set(...entryOf(field));
  }
  if (graph === undefined || irVersion === 0) return { flaw: 'is no ONNX file: it holds no graph' };
  return { ...graphIn(graph), producer: `${producer} ${producerVersion}`.trim(), metadata };
}

type OfGraph = Omit<OnnxModel, 'producer' | 'metadata'>;

function graphIn(bytes: Uint8Array): OfGraph {
  const [inputs, outputs]: [GraphValue[], GraphValue[]] = [[], []];
  const given = new Set<string>();
  const zipMaps: ZipMap[] = [];
  const classifiers: (readonly string[])[] = [];
  let [graph, hasExternalData] = ['', false];
  for (const field of protoFields(bytes)) {
    if (field.number === GRAPH.name) graph = textOf(field);
    else if (field.number === GRAPH.input) inputs.push(valueIn(field));
    else if (field.number === GRAPH.output) outputs.push(valueIn(field));
    else if (field.number === GRAPH.initializer) hasExternalData = takeInitializer(field, given) || hasExternalData;
    else if (field.number === GRAPH.node) takeNode(field, { zipMaps, classifiers });
  }
  const [classLabels = []] = classifiers.length === 1 ? classifiers : [];
  const feeds = inputs.filter(({ name }) => !given.has(name)); // before IR version 4 weights stand among the inputs
  return { graph, inputs: feeds, outputs, zipMaps, classLabels, hasExternalData };
}

/** True where its data lie elsewhere. */
function takeInitializer({ bytes }: ProtoField, given: Set<string>): boolean {
  let isExternal = false;
  for (const field of protoFields(bytes)) {
    if (field.number === TENSOR.name) given.add(textOf(field));
    else if (field.number === TENSOR.dataLocation) isExternal = field.value === EXTERNAL;
  }
  return isExternal;
}

interface Classes {
  readonly zipMaps: ZipMap[];
  readonly classifiers: (readonly string[])[];
}

function takeNode({ bytes }: ProtoField, { zipMaps, classifiers }: Classes): void {
  let opType = '';
  const [inputs, outputs, attributes]: [string[], string[], ProtoField[]] = [[], [], []];
  for (const field of protoFields(bytes)) {
    if (field.number === NODE.opType) opType = textOf(field);
    else if (field.number === NODE.input) inputs.push(textOf(field));
    else if (field.number === NODE.output) outputs.push(textOf(field));
    else if (field.number === NODE.attribute) attributes.push(field);
  }
  const [input, output] = [inputs[0], outputs[0]];
  if (opType === 'ZipMap' && input !== undefined && output !== undefined)
    zipMaps.push({ input, output, labels: attributes.flatMap(labelsIn) });
  else if (opType.endsWith('Classifier')) classifiers.push(attributes.flatMap(labelsIn));
}

/** The operators of ai.onnx.ml call them `classlabels_strings`, `classlabels_int64s` or `classlabels_ints`. */
function labelsIn({ bytes }: ProtoField): string[] {
  const fields = [...protoFields(bytes)];
  const name = fields.find(({ number }) => number === ATTRIBUTE.name);
  if (name === undefined || !/^classlabels_(?:strings|int64s|ints)$/.test(textOf(name))) return [];
  return fields.flatMap(field => {
    if (field.number === ATTRIBUTE.strings) return [textOf(field)];
    return field.number === ATTRIBUTE.ints ? signedVarints(field, field.bytes.length > 0).map(String) : [];
  });
}

const KINDS: Readonly<Record<number, GraphValue['kind']>> = {
  1: 'tensor',
  4: 'sequence',
  5: 'map',
  8: 'sparse tensor',
  9: 'optional',
};

/** ValueInfoProto. */
function valueIn({ bytes }: ProtoField): GraphValue {
  let name = '';
  let value: Omit<GraphValue, 'name'> = { kind: 'untyped', type: undefined, dims: undefined };
  for (const field of protoFields(bytes)) {
    if (field.number === 1) name = textOf(field);
    else if (field.number === 2) value = typeIn(field.bytes);
  }
  return { name, ...value };
}

/** TypeProto. */
function typeIn(bytes: Uint8Array): Omit<GraphValue, 'name'> {
  for (const { number, bytes: of } of protoFields(bytes)) {
    const kind = KINDS[number];
    if (kind === undefined) continue;
    return kind === 'tensor' ? { kind, ...tensorTypeIn(of) } : { kind, type: undefined, dims: undefined };
  }
  return { kind: 'untyped', type: undefined, dims: undefined };
}

function tensorTypeIn(bytes: Uint8Array): Pick<GraphValue, 'type' | 'dims'> {
  let type: ElementType | undefined;
  let dims: GraphValue['dims'];
  for (const field of protoFields(bytes)) {
    if (field.number === 1) type = ELEMENT_TYPES[field.value];
    else if (field.number === 2) dims = [...protoFields(field.bytes)].map(dim => dimIn(dim.bytes));
  }
  return { type, dims };
}

/** A dimension with a number that is positive; a name, or nothing, leaves it free. */
function dimIn(bytes: Uint8Array): number | undefined {
  for (const { number, value } of protoFields(bytes)) {
    if (number === 1 && value > 0 && Number.isSafeInteger(value)) return value;
  }
  return undefined;
}

/** StringStringEntryProto. */
function entryOf({ bytes }: ProtoField): [key: string, value: string] {
  let [key, value] = ['', ''];
  for (const field of protoFields(bytes)) {
    if (field.number === 1) key = textOf(field);
    else if (field.number === 2) value = textOf(field);
  }
  return [key, value];
}

const decoder = new TextDecoder();

function textOf({ bytes }: ProtoField): string {
  return decoder.decode(bytes);
}
