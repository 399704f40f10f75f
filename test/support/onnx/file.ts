import { delimited, joined, numeral } from '../../../gateway/domain/onnx/model-file.ts';

/** An input of a model that a test makes up. */
export interface GraphInput {
  readonly name: string;
  /** By its number in TensorProto.DataType. */
  readonly type: number;
  /** 0: free; undefined: the file does not say. */
  readonly dims: readonly number[] | undefined;
  readonly isSequence?: boolean;
}

interface FileTraits {
  readonly inputs: readonly GraphInput[];
  readonly metadata?: Readonly<Record<string, string>>;
}

/** An ONNX file of a graph that gives what its first input is, and has no nodes. */
export function anOnnxFile({ inputs, metadata = {} }: FileTraits): Uint8Array {
  const graph = joined([
    ...inputs.flatMap(input => delimited(11, valueOf(input))),
    ...delimited(12, valueOf({ name: 'y', type: 1, dims: [0] })),
  ]);
  const entries = Object.entries(metadata).flatMap(([key, value]) =>
    delimited(14, joined([...delimited(1, text(key)), ...delimited(2, text(value))])),
  );
  return joined([...numeral(1, 8), ...delimited(7, graph), ...entries]);
}

function valueOf({ name, type, dims, isSequence = false }: GraphInput): Uint8Array {
  const shape = dims === undefined ? [] : delimited(2, joined(dims.flatMap(dim => delimited(1, dimOf(dim)))));
  const tensor = joined(delimited(1, joined([...numeral(1, type), ...shape])));
  const of = isSequence ? joined(delimited(4, joined(delimited(1, tensor)))) : tensor;
  return joined([...delimited(1, text(name)), ...delimited(2, of)]);
}

function dimOf(dim: number): Uint8Array {
  return joined(dim === 0 ? delimited(2, text('rows')) : numeral(1, dim));
}

function text(of: string): Uint8Array {
  return new TextEncoder().encode(of);
}
