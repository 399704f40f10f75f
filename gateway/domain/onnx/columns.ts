import type { ElementType, GraphValue, OnnxModel } from './model-file.ts';

/** What a cell of a row may be. */
export type CellType = Exclude<ElementType, 'undefined' | 'complex64' | 'complex128' | 'bfloat16'>;

/** A column of the rows that callers send, and where it goes. */
export interface OnnxColumn {
  readonly name: string;
  readonly type: CellType;
  /** Which input of the model, and from which of its values in a row on. */
  readonly input: number;
  readonly offset: number;
  /** A cell holds an array of these dimensions, of which an undefined one is free; undefined: one value. */
  readonly dims: readonly (number | undefined)[] | undefined;
}

/** An input of the model as it is fed. */
export interface OnnxInput {
  readonly name: string;
  readonly type: CellType;
  /** Of a row alone; undefined where rows say it. */
  readonly dims: readonly (number | undefined)[];
}

/** How rows become a model's inputs. */
export interface OnnxPlan {
  readonly columns: readonly OnnxColumn[];
  readonly inputs: readonly OnnxInput[];
  /** The first dimension is not free: the model takes one row at once. */
  readonly isOneRow: boolean;
}

/** More columns are an array in one. */
const COLUMNS_MAX = 1_024;
const FEATURE_NAMES = 'feature_names';

/**
 * The columns of a model: one for each input that has one value a row, one for each column of a matrix, and one that holds
 * arrays for what has more dimensions. Or what is wrong with the model, in words that follow the file's name.
 */
export function planOf(model: OnnxModel): OnnxPlan | { readonly flaw: string } {
  const [first] = model.inputs;
  if (first === undefined) return { flaw: 'takes no input' };
  if (model.outputs.length === 0) return { flaw: 'gives no output' };
  const flaws = [...model.inputs.map(flawOfInput), ...model.outputs.map(value => flawOfOutput(value, model))];
  const [flaw = rowsFlaw(model.inputs)] = flaws.filter(each => each !== undefined);
  if (flaw !== undefined) return { flaw };
  const inputs = model.inputs.map(({ name, type, dims = [] }) => ({
    name,
    type: type as CellType,
    dims: dims.slice(1),
  }));
  const columns = columnsOf(inputs, model.metadata.get(FEATURE_NAMES));
  if ('flaw' in columns) return columns;
  return { columns, inputs, isOneRow: first.dims?.[0] === 1 };
}

const UNTAKEN: ReadonlySet<ElementType> = new Set(['undefined', 'complex64', 'complex128', 'bfloat16']);

function flawOfInput({ name, kind, type, dims }: GraphValue): string | undefined {
  if (kind !== 'tensor') return `takes a ${kind} as its input \`${name}\`, where rows need tensors`;
  if (type === undefined || UNTAKEN.has(type))
    return `takes elements of type ${type ?? 'unknown'} as its input \`${name}\``;
  if (dims === undefined) return `does not say which shape its input \`${name}\` has`;
  if (dims.length === 0)
    return `takes one value for all rows as its input \`${name}\`; export it with a first dimension that is free`;
  return undefined;
}

function flawOfOutput({ name, kind, type }: GraphValue, { zipMaps }: OnnxModel): string | undefined {
  if (zipMaps.some(({ output }) => output === name) || kind === 'untyped') return undefined;
  if (kind !== 'tensor') return `gives a ${kind} as its output \`${name}\`, where answers need tensors`;
  return type !== undefined && UNTAKEN.has(type)
    ? `gives elements of type ${type} as its output \`${name}\``
    : undefined;
}

function rowsFlaw(inputs: readonly GraphValue[]): string | undefined {
  const fixed = inputs.find(({ dims }) => dims?.[0] !== undefined && dims[0] !== 1);
  const hint = 'export it with a first dimension that is free';
  if (fixed !== undefined)
    return `takes ${fixed.dims?.[0] ?? 0} rows as its input \`${fixed.name}\`, no more and no less; ${hint}`;
  const isMixed = new Set(inputs.map(({ dims }) => dims?.[0])).size > 1;
  return isMixed ? `takes one row in some inputs and many in others; ${hint}` : undefined;
}

type Columns = OnnxColumn[] | { readonly flaw: string };

function columnsOf(inputs: readonly OnnxInput[], featureNames: string | undefined): Columns {
  const names = featureNames === undefined ? undefined : namesIn(featureNames);
  const widths = inputs.map(widthOf);
  const features = widths.reduce((sum, width) => sum + (width > 1 ? width : 0), 0);
  if (names !== undefined && names.length !== features) {
    return { flaw: `has ${names.length} \`feature_names\` for ${features} columns of matrices` };
  }
  let named = 0;
  const columns = inputs.flatMap(({ name, type, dims }, input): OnnxColumn[] => {
    const width = widths[input] ?? 0;
    if (width === 0) return [{ name, type, input, offset: 0, dims }];
    if (width === 1) return [{ name, type, input, offset: 0, dims: undefined }];
    return Array.from({ length: width }, (_, i) => {
      return { name: names?.[named++] ?? `${name}${i + 1}`, type, input, offset: i, dims: undefined };
    });
  });
  const taken = columns.map(({ name }) => name);
  const twice = taken.find((name, i) => name === '' || taken.indexOf(name) < i);
  return twice === undefined
    ? columns
    : { flaw: twice === '' ? 'has a column without a name' : `has two columns \`${twice}\`` };
}

/** Columns of one value each; 0: the input is one column of arrays. */
function widthOf({ dims }: OnnxInput): number {
  if (dims.length === 0) return 1;
  const [width] = dims;
  return dims.length === 1 && width !== undefined && width <= COLUMNS_MAX ? width : 0;
}

/** An array in JSON, or a list with commas. */
function namesIn(text: string): string[] {
  try {
    const names: unknown = JSON.parse(text);
    if (Array.isArray(names)) return names.map(String);
  } catch {
    // Then it is a list.
  }
  return text.split(',').map(name => name.trim());
}

/** R's classes by a cell's type; integer64 is bit64's. */
const CLASSES: Readonly<Record<CellType, string>> = {
  ...{ float16: 'numeric', float32: 'numeric', float64: 'numeric', string: 'character', bool: 'logical' },
  ...{ int8: 'integer', int16: 'integer', int32: 'integer', uint8: 'integer', uint16: 'integer' },
  ...{ int64: 'integer64', uint32: 'integer64', uint64: 'integer64' },
};

const EXAMPLES: Readonly<Record<string, unknown>> = { character: 'a', logical: true };

/** The columns as vetiver publishes them at `/prototype`. */
export function prototypeOf({ columns }: OnnxPlan): string {
  const entries = columns.map(({ name, type, dims }) => {
    if (dims !== undefined)
      return [
        name,
        { type: 'list', example: [], details: { element: CLASSES[type], dims: dims.map(dim => dim ?? null) } },
      ];
    const of = CLASSES[type];
    return [name, { type: of, example: EXAMPLES[of] ?? 1, details: [] }];
  });
  return JSON.stringify(Object.fromEntries(entries));
}
