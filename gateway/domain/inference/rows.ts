import { GatewayError } from '../errors.ts';
import { SPECIAL_NUMBERS, tableOf, type AnswerTable, type Cell } from '../table/answer-table.ts';
import { RowsJson } from '../table/rows-json.ts';
import { named } from '../validation/findings.ts';
import type { Column } from '../validation/prototype.ts';
import type { RowsForm } from '../validation/records.ts';
import { sizeOf, unfit, type Datatype, type Element, type Tensor } from './tensor.ts';

interface RowsOptions {
  /** What the model takes, in its order. */
  readonly columns: readonly Column[];
  readonly form: RowsForm;
  readonly rowsMax: number;
  /** Of the JSON. */
  readonly bytesMax: number;
}

/**
 * Tensors as the JSON that REST would have brought: one tensor a column, of the shape [rows] or [rows, 1], by name; or one
 * matrix [rows, columns], in the order in which the model publishes its columns. Throws INVALID_INPUT, BODY_TOO_LARGE.
 */
export function rowsOfTensors(inputs: readonly Tensor[], options: RowsOptions): Buffer {
  for (const { name, shape, elements } of inputs) {
    const size = sizeOf(shape, name);
    if (size !== elements.length)
      throw unfit(`${named(name)}: its shape has ${size} elements, and ${elements.length} came`);
  }
  const { columns } = options;
  const matrix = matrixOf(inputs, columns);
  const columnOf = matrix === undefined ? byName(inputs, columns) : undefined;
  const rows = (matrix ?? inputs[0])?.shape[0] ?? 0;
  if (rows > options.rowsMax) throw unfit(`more than ${options.rowsMax} rows, which is the most at once`);
  if (rows === 0) throw unfit('the tensors have no rows');
  const json = new RowsJson(
    columns.map(({ name }) => name),
    options,
  );
  const width = columns.length;
  const at = (row: number, column: number) =>
    matrix === undefined ? columnOf?.[column]?.elements[row] : matrix.elements[row * width + column];
  for (let row = 0; row < rows; row++) json.add(columns.map((_, column) => jsonOf(at(row, column) ?? null)));
  return json.content();
}

/** One input with as many columns as the model has; of a model of one column that is the column, whatever its name. */
function matrixOf(inputs: readonly Tensor[], columns: readonly Column[]): Tensor | undefined {
  const [only, ...others] = inputs;
  if (only === undefined || others.length > 0 || only.shape.length !== 2) return undefined;
  if (columns.length > 1 && columns.some(({ name }) => name === only.name)) return undefined;
  const width = only.shape[1] ?? 0;
  if (width === columns.length) return only;
  throw unfit(
    `${named(only.name)}: a matrix of ${width} columns, and the model has ${columns.length}: ${namesOf(columns)}`,
  );
}

const NAMES_LISTED = 20;

function namesOf(columns: readonly Column[]): string {
  const names = columns.slice(0, NAMES_LISTED).map(({ name }) => name);
  return `${names.join(', ')}${columns.length > NAMES_LISTED ? ', …' : ''}`;
}

function byName(inputs: readonly Tensor[], columns: readonly Column[]): readonly Tensor[] {
  const tensors = new Map<string, Tensor>();
  for (const input of inputs) {
    const { name, shape } = input;
    if (!columns.some(column => column.name === name))
      throw unfit(`${named(name)} is no input of the model, which takes ${namesOf(columns)}`);
    if (tensors.has(name)) throw unfit(`${named(name)} comes twice`);
    if (shape.length !== 1 && !(shape.length === 2 && shape[1] === 1))
      throw unfit(`${named(name)}: a column has the shape [rows] or [rows, 1]`);
    if (shape[0] !== inputs[0]?.shape[0]) throw unfit(`${named(name)} has not as many rows as the others`);
    tensors.set(name, input);
  }
  return columns.map(({ name }) => tensors.get(name) ?? missing(name));
}

function missing(name: string): never {
  throw unfit(`${named(name)} is missing`);
}

/** R reads infinities so beside numbers. */
function jsonOf(element: Element): string {
  if (typeof element === 'number' && Number.isFinite(element)) return String(element); // as JSON has it
  if (element === Infinity) return '"Inf"';
  return element === -Infinity ? '"-Inf"' : JSON.stringify(element);
}

/**
 * A model's answer in JSON as tensors, one a column of the table in it, of the shape [rows]: FP64 of numbers, BOOL of
 * truths, BYTES of texts. Throws UPSTREAM_FAULT where there is no table in the answer.
 */
export function tensorsOfAnswer(json: string): Tensor[] {
  const table = tableOf(json);
  if (table === undefined) throw noTable();
  return table.columns.map(column => tensorOf(column, table.rows));
}

/** An output that is wanted a thousand times would make a small answer a large one. Throws INVALID_INPUT. */
export function refuseRepeats(wanted: readonly { readonly name: string }[] = []): void {
  const names = new Set<string>();
  for (const { name } of wanted) {
    if (names.has(name)) throw unfit(`${named(name)} is asked for twice`);
    names.add(name);
  }
}

/** The outputs that a caller wants, in their order. Throws INVALID_INPUT where the model has none of that name. */
export function chooseOutputs(tensors: readonly Tensor[], wanted: readonly { readonly name: string }[]): Tensor[] {
  return wanted.map(({ name }) => tensors.find(tensor => tensor.name === name) ?? noOutput(name, tensors));
}

function noTable(): GatewayError {
  return new GatewayError('UPSTREAM_FAULT', 'the answer is no table', {
    detail: 'The model’s answer is no table, and only a table can be told as tensors.',
  });
}

function noOutput(name: string, tensors: readonly Tensor[]): never {
  throw unfit(`${named(name)} is no output of the model, which has ${tensors.map(tensor => tensor.name).join(', ')}`);
}

function tensorOf({ name, cells }: AnswerTable['columns'][number], rows: number): Tensor {
  const datatype = datatypeOfCells(cells);
  const elements = cells.map(cell => elementIn(cell, datatype));
  if (datatype === 'BOOL' && elements.includes(null))
    throw new GatewayError('UPSTREAM_FAULT', 'a truth is missing', {
      detail: `The output ${named(name)} has a missing value, and BOOL has none.`,
    });
  return { name, datatype, shape: [rows], elements };
}

function datatypeOfCells(cells: readonly Cell[]): Datatype {
  let [numbers, truths] = [false, false];
  for (const cell of cells) {
    if (typeof cell === 'number') numbers = true;
    else if (typeof cell === 'boolean') truths = true;
    else if (cell !== null && !SPECIAL_NUMBERS.has(cell)) return 'BYTES';
  }
  if (!truths) return 'FP64';
  return numbers ? 'BYTES' : 'BOOL';
}

function elementIn(cell: Cell, datatype: Datatype): Element {
  if (datatype === 'BYTES') return cell === null ? null : String(cell);
  if (typeof cell === 'number') return cell;
  if (!SPECIAL_NUMBERS.has(cell)) return cell;
  const special = SPECIAL_NUMBERS.get(cell) ?? null;
  return Number.isNaN(special) ? null : special;
}
