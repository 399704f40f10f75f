import type { Cells } from './cells.ts';
import { type OnnxModel, delimited, joined, numeral, protoFields } from './model-file.ts';

/** What a model gave under one name. */
export interface Output {
  readonly name: string;
  readonly data: Cells;
  readonly dims: readonly number[];
  readonly isBoolean: boolean;
}

/** How a model's outputs are called in answers. */
export interface AnswerPlan {
  /** In the file's order, as onnxruntime is asked for them. */
  readonly outputs: readonly string[];
  /** Of a classifier: which output has one value a class, and which the class itself. */
  readonly classes:
    { readonly output: string; readonly labels: readonly string[]; readonly of: string | undefined } | undefined;
}

/** What is asked of a model, and how its answers are called. */
export function answerPlanOf({ outputs, zipMaps, classLabels }: OnnxModel): AnswerPlan {
  const inputs = new Map(zipMaps.map(({ input, output }) => [output, input]));
  const names = outputs.map(({ name }) => inputs.get(name) ?? name);
  const [zipMap] = zipMaps;
  const found =
    zipMap === undefined ? classified(outputs, classLabels) : { output: zipMap.input, labels: zipMap.labels };
  if (found === undefined || found.labels.length === 0) return { outputs: names, classes: undefined };
  const other = names.length === 2 ? names.find(name => name !== found.output) : undefined;
  return { outputs: names, classes: { ...found, of: other } };
}

/** A classifier's two outputs are the class, and a matrix with one column a class. */
function classified(outputs: OnnxModel['outputs'], labels: readonly string[]) {
  if (outputs.length !== 2 || labels.length === 0) return undefined;
  const of = outputs.find(({ type }) => type === 'string' || type === 'int64');
  const matrix = outputs.find(value => value !== of);
  const width = matrix?.dims?.[1];
  if (of === undefined || matrix === undefined || (width !== undefined && width !== labels.length)) return undefined;
  return { output: matrix.name, labels };
}

/** One field of an answer's rows. */
interface Field {
  readonly name: string;
  /** As JSON. */
  readonly values: readonly string[];
  /** Each is an array. */
  readonly isNested: boolean;
}

/**
 * What a model gave for so many rows, as JSON in vetiver's shapes: `{".pred": …}` where it gave one value a row, else
 * records. Undefined: it gave something else than a value for each row.
 */
export function answerOf(outputs: readonly Output[], rows: number, plan: AnswerPlan): string | undefined {
  const fields: Field[] = [];
  for (const output of outputs) {
    const of = fieldsOf(output, rows, plan);
    if (of === undefined) return undefined;
    fields.push(...of);
  }
  const [only] = fields;
  if (only !== undefined && fields.length === 1 && outputs.length === 1) return predOf(only, rows);
  const names = fields.map(({ name }) => JSON.stringify(name));
  const records = Array.from({ length: rows }, (_, row) => {
    return `{${fields.map(({ values }, i) => `${names[i] ?? ''}:${values[row] ?? 'null'}`).join(',')}}`;
  });
  return `[${records.join(',')}]`;
}

/** A value alone stands bare, as R's services write it. */
function predOf({ values, isNested }: Field, rows: number): string {
  const value = rows === 1 && !isNested ? (values[0] ?? 'null') : `[${values.join(',')}]`;
  return `{".pred":${value}}`;
}

function fieldsOf(output: Output, rows: number, plan: AnswerPlan): Field[] | undefined {
  const { data, dims } = output;
  const isOfRows = dims[0] === rows || (dims.length === 0 && rows === 1);
  if (!isOfRows) return undefined;
  const own = dims.slice(1);
  const width = own.reduce((product, dim) => product * dim, 1);
  if (data.length !== rows * width) return undefined;
  const textOf = cellText(output);
  const prefix = plan.outputs.length === 1 ? '.pred' : `.pred_${output.name}`;
  if (own.length > 1) {
    const values = Array.from({ length: rows }, (_, row) => nested(textOf, { dims: own, from: row * width }));
    return [{ name: prefix, values, isNested: true }];
  }
  return Array.from({ length: width }, (_, i) => ({
    name: nameOf({ output: output.name, prefix, width, at: i }, plan),
    values: Array.from({ length: rows }, (_row, row) => textOf(row * width + i)),
    isNested: false,
  }));
}

interface Place {
  readonly output: string;
  readonly prefix: string;
  readonly width: number;
  readonly at: number;
}

/** tidymodels' names: `.pred_class`, and `.pred_` with each class. */
function nameOf({ output, prefix, width, at }: Place, { classes }: AnswerPlan): string {
  if (classes?.of === output && width === 1) return '.pred_class';
  if (classes?.output === output && classes.labels.length === width) return `.pred_${classes.labels[at] ?? at + 1}`;
  return width === 1 ? prefix : `${prefix}_${at + 1}`;
}

type CellText = (at: number) => string;

/** What is no number in JSON is said as R says it. */
function cellText({ data, isBoolean }: Output): CellText {
  if (isBoolean) return at => (data[at] === 1 ? 'true' : 'false');
  return at => {
    const value = data[at];
    if (typeof value !== 'number') return typeof value === 'bigint' ? String(value) : JSON.stringify(value);
    if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value);
    return Number.isNaN(value) ? '"NaN"' : `"${value > 0 ? '' : '-'}Inf"`;
  };
}

function nested(textOf: CellText, { dims, from }: { readonly dims: readonly number[]; readonly from: number }): string {
  const [length = 0, ...inner] = dims;
  const width = inner.reduce((product, dim) => product * dim, 1);
  const parts = Array.from({ length }, (_, i) =>
    inner.length === 0 ? textOf(from + i) : nested(textOf, { dims: inner, from: from + i * width }),
  );
  return `[${parts.join(',')}]`;
}

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
