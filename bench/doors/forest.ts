import { delimited, joined, numeral } from '../../gateway/domain/onnx/model-file.ts';

const TREES = 1_000;
/** Each tree is full: so many questions lead to a leaf. */
const DEPTH = 10;
const [FLOAT, INTS, FLOATS, STRINGS] = [1, 7, 6, 8];

/** An ONNX file of a large forest over the columns `wt` and `hp`: as a gradient-boosted model may be, with numbers from a seed. */
export function forestFile(trees = TREES): Uint8Array {
  const { nodes, leaves } = forest(trees);
  const count = nodes.length;
  const attributes = [
    ints(
      'nodes_treeids',
      nodes.map(({ tree }) => tree),
    ),
    ints(
      'nodes_nodeids',
      nodes.map(({ id }) => id),
    ),
    ints(
      'nodes_featureids',
      nodes.map(({ id }) => id % 2),
    ),
    ints(
      'nodes_truenodeids',
      nodes.map(({ id, isLeaf }) => (isLeaf ? 0 : 2 * id + 1)),
    ),
    ints(
      'nodes_falsenodeids',
      nodes.map(({ id, isLeaf }) => (isLeaf ? 0 : 2 * id + 2)),
    ),
    floats(
      'nodes_values',
      nodes.map(({ split }) => split),
    ),
    strings(
      'nodes_modes',
      nodes.map(({ isLeaf }) => (isLeaf ? 'LEAF' : 'BRANCH_LEQ')),
    ),
    ints(
      'target_treeids',
      leaves.map(({ tree }) => tree),
    ),
    ints(
      'target_nodeids',
      leaves.map(({ id }) => id),
    ),
    ints(
      'target_ids',
      leaves.map(() => 0),
    ),
    floats(
      'target_weights',
      leaves.map(({ split }) => split / count),
    ),
    attribute('n_targets', 2, numeral(3, 1)),
  ];
  const axis = attribute('axis', 2, numeral(3, 1));
  const graph = [
    ...delimited(1, node('Concat', { inputs: ['wt', 'hp'], output: 'cars', attributes: [axis] })),
    ...delimited(1, node('TreeEnsembleRegressor', { inputs: ['cars'], output: 'mpg', attributes })),
    ...delimited(2, text('forest')),
    ...['wt', 'hp'].flatMap(name => delimited(11, value(name))),
    ...delimited(12, value('mpg')),
  ];
  const opsets = [...delimited(8, numbered('', 13)), ...delimited(8, numbered('ai.onnx.ml', 2))];
  return joined([...numeral(1, 7), ...delimited(7, joined(graph)), ...opsets]);
}

interface TreeNode {
  readonly tree: number;
  readonly id: number;
  readonly isLeaf: boolean;
  readonly split: number;
}

/** Columns in turns, split within their ranges. */
function forest(trees: number): { readonly nodes: readonly TreeNode[]; readonly leaves: readonly TreeNode[] } {
  let state = 1;
  const share = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  const inner = 2 ** DEPTH - 1;
  const nodes = Array.from({ length: trees }, (_, tree) =>
    Array.from({ length: 2 * inner + 1 }, (_node, id): TreeNode => {
      return { tree, id, isLeaf: id >= inner, split: id % 2 === 0 ? 1 + 9 * share() : 100 + 300 * share() };
    }),
  ).flat();
  return { nodes, leaves: nodes.filter(({ isLeaf }) => isLeaf) };
}

interface NodeTraits {
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: readonly Uint8Array[];
}

function node(opType: string, { inputs, output, attributes }: NodeTraits): Uint8Array {
  return joined([
    ...inputs.flatMap(name => delimited(1, text(name))),
    ...delimited(2, text(output)),
    ...delimited(4, text(opType)),
    ...attributes.flatMap(each => delimited(5, each)),
    ...(opType.startsWith('Tree') ? delimited(7, text('ai.onnx.ml')) : []),
  ]);
}

/** AttributeProto. */
function attribute(name: string, type: number, content: readonly Uint8Array[]): Uint8Array {
  return joined([...delimited(1, text(name)), ...content, ...numeral(20, type)]);
}

function ints(name: string, values: readonly number[]): Uint8Array {
  return attribute(
    name,
    INTS,
    values.flatMap(each => numeral(8, each)),
  );
}

function floats(name: string, values: readonly number[]): Uint8Array {
  return attribute(name, FLOATS, delimited(7, new Uint8Array(Float32Array.from(values).buffer)));
}

function strings(name: string, values: readonly string[]): Uint8Array {
  return attribute(
    name,
    STRINGS,
    values.flatMap(each => delimited(9, text(each))),
  );
}

/** ValueInfoProto of a column of floats. */
function value(name: string): Uint8Array {
  const dims = [...delimited(1, joined(delimited(2, text('rows')))), ...delimited(1, joined(numeral(1, 1)))];
  const tensor = joined([...numeral(1, FLOAT), ...delimited(2, joined(dims))]);
  return joined([...delimited(1, text(name)), ...delimited(2, joined(delimited(1, tensor)))]);
}

/** OperatorSetIdProto. */
function numbered(domain: string, version: number): Uint8Array {
  return joined([...delimited(1, text(domain)), ...numeral(2, version)]);
}

function text(of: string): Uint8Array {
  return new TextEncoder().encode(of);
}
