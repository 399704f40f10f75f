import { GatewayError } from '../errors.ts';
import { named } from '../validation/findings.ts';
import type { Column } from '../validation/prototype.ts';

/** An element of a tensor; null is R's `NA`. */
export type Element = number | string | boolean | null;

/** A tensor of the Open Inference Protocol v2, its elements in row-major order. */
export interface Tensor {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly elements: readonly Element[];
}

/** A tensor as a model's metadata says of it; -1 stands for any number of rows. */
export type TensorView = Omit<Tensor, 'elements'>;

/** The protocol's name of what elements are ("Tensor Data Types"). */
export type Datatype = keyof typeof DATATYPES;

interface Kind {
  readonly kind: 'float' | 'int' | 'bool' | 'bytes';
  /** Of one element in the raw form; 0: it says its own. */
  readonly bytes: number;
  /** Of an integer. */
  readonly min: number;
  readonly max: number;
}

function int(bytes: number, isSigned: boolean): Kind {
  const span = 2 ** (8 * bytes - (isSigned ? 1 : 0));
  return { kind: 'int', bytes, min: isSigned ? -span : 0, max: span - 1 };
}

const float = (bytes: number): Kind => ({ kind: 'float', bytes, min: 0, max: 0 });

const DATATYPES = {
  BOOL: { kind: 'bool', bytes: 1, min: 0, max: 0 } satisfies Kind as Kind,
  UINT8: int(1, false),
  UINT16: int(2, false),
  UINT32: int(4, false),
  UINT64: int(8, false),
  INT8: int(1, true),
  INT16: int(2, true),
  INT32: int(4, true),
  INT64: int(8, true),
  FP16: float(2),
  FP32: float(4),
  FP64: float(8),
  BYTES: { kind: 'bytes', bytes: 0, min: 0, max: 0 } satisfies Kind as Kind,
} as const;

/** What its elements are. */
export function kindOf(datatype: Datatype): Kind {
  return DATATYPES[datatype];
}

/** The datatype of this name. Throws INVALID_INPUT. */
export function datatypeOf(written: unknown, name: string): Datatype {
  if (typeof written === 'string' && Object.hasOwn(DATATYPES, written)) return written as Datatype;
  throw unfit(`${named(name)}: its datatype must be one of ${Object.keys(DATATYPES).join(', ')}`);
}

/** More dimensions no table has. */
const RANK_MAX = 8;

/** How many elements a shape has. Throws INVALID_INPUT for one that is none. */
export function sizeOf(shape: readonly number[], name: string): number {
  if (shape.length > RANK_MAX) throw unfit(`${named(name)}: its shape has more than ${RANK_MAX} dimensions`);
  let size = 1;
  for (const length of shape) {
    if (!Number.isSafeInteger(length) || length < 0) throw unfit(`${named(name)}: its shape must be of whole numbers`);
    size *= length;
  }
  return size;
}

const FLOAT_TEXTS: ReadonlyMap<unknown, number | null> = new Map<unknown, number | null>([
  ['NaN', null],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
  ['Inf', Infinity],
  ['-Inf', -Infinity],
]);

/**
 * An element as JSON says it, by its datatype; a NaN is a missing value. Throws INVALID_INPUT, for an integer that R's
 * numbers could only round as well.
 */
export function elementOf(value: unknown, { name, datatype }: Pick<Tensor, 'name' | 'datatype'>): Element {
  if (value === null) return null;
  const { kind } = kindOf(datatype);
  const element = READ[kind](value, kindOf(datatype));
  if (kind === 'int' && element !== undefined && !Number.isSafeInteger(element)) throw roundedOf(element, name);
  if (element !== undefined) return element;
  throw unfit(
    `${named(name)}: ${typeof value === 'object' ? 'a list or object' : shownValue(value)} is no ${datatype}`,
  );
}

/** The refusal of an integer that is beyond what doubles hold. */
export function roundedOf(element: Element, name: string): GatewayError {
  return unfit(`${named(name)}: R rounds whole numbers from 2^53 on, and one of about ${String(element)} came`);
}

function shownValue(value: unknown): string {
  return JSON.stringify(typeof value === 'string' ? value.slice(0, 100) : value);
}

const READ: Readonly<Record<Kind['kind'], (value: unknown, kind: Kind) => Element | undefined>> = {
  float: value => {
    if (typeof value === 'number') return Number.isNaN(value) ? null : value;
    return FLOAT_TEXTS.get(value);
  },
  int: (value, { min, max }) => {
    const isWhole = typeof value === 'number' && Number.isInteger(value);
    return isWhole && value >= min && value <= max ? value : undefined;
  },
  bool: value => {
    if (value === 0 || value === 1) return value === 1;
    return typeof value === 'boolean' ? value : undefined;
  },
  bytes: value => (typeof value === 'string' ? value : undefined),
};

const OF_R: Readonly<Record<string, Datatype>> = {
  numeric: 'FP64',
  double: 'FP64',
  integer: 'INT32',
  integer64: 'INT64',
  logical: 'BOOL',
};

/** What a model takes: one tensor a column. A date and a factor are their texts. */
export function inputsOf(columns: readonly Column[]): TensorView[] {
  return columns.map(({ name, type }) => ({ name, datatype: OF_R[type] ?? 'BYTES', shape: [-1] }));
}

/** The refusal of tensors that are none, or none of the model's. */
export function unfit(detail: string): GatewayError {
  return new GatewayError('INVALID_INPUT', 'the tensors do not fit the model', { detail });
}
