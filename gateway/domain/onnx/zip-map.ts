import type { OnnxModel } from './model-file.ts';
import { delimited, joined, numeral, protoFields } from './protobuf.ts';

const [MODEL_GRAPH, GRAPH_NODE, GRAPH_OUTPUT] = [7, 1, 12];
const FLOAT = 1;

/**
 * The same model without the nodes that make maps of probabilities: its outputs are the probabilities themselves, one
 * column a class. scikit-learn's converter ends classifiers in such a node, and onnxruntime for Node cannot read what it
 * makes. The bytes themselves where there is none.
 */
export function withoutZipMaps(bytes: Uint8Array, { zipMaps }: Pick<OnnxModel, 'zipMaps'>): Uint8Array {
  if (zipMaps.length === 0) return bytes;
  const made = new Map(zipMaps.map(({ input, output }) => [output, input]));
  const parts = [...protoFields(bytes)].flatMap(({ number, bytes: content, whole }) =>
    number === MODEL_GRAPH ? delimited(MODEL_GRAPH, graphWithout(content, made)) : [whole],
  );
  return joined(parts);
}

function graphWithout(graph: Uint8Array, made: ReadonlyMap<string, string>): Uint8Array {
  return joined(
    [...protoFields(graph)].flatMap(({ number, bytes, whole }) => {
      if (number === GRAPH_NODE) return isZipMap(bytes) ? [] : [whole];
      if (number !== GRAPH_OUTPUT) return [whole];
      const input = made.get(nameIn(bytes, 1));
      return input === undefined ? [whole] : delimited(GRAPH_OUTPUT, tensorOutput(input));
    }),
  );
}

function isZipMap(node: Uint8Array): boolean {
  return nameIn(node, 4) === 'ZipMap';
}

/** ValueInfoProto of floats in two free dimensions. */
function tensorOutput(name: string): Uint8Array {
  const shape = joined([...delimited(1, new Uint8Array(0)), ...delimited(1, new Uint8Array(0))]);
  const tensor = joined([...numeral(1, FLOAT), ...delimited(2, shape)]);
  const type = joined(delimited(1, tensor));
  return joined([...delimited(1, new TextEncoder().encode(name)), ...delimited(2, type)]);
}

function nameIn(message: Uint8Array, field: number): string {
  for (const { number, bytes } of protoFields(message)) if (number === field) return new TextDecoder().decode(bytes);
  return '';
}
