import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { InputError } from '../domain/errors.ts';
import { isRecord, textOf } from '../domain/unknown-value.ts';
import { ERRORS_MAX, named, pointerStep, quoted, shortened } from '../domain/validation/findings.ts';
import type { CheckJson, CompileJsonSchema } from '../domain/validation/json-walk.ts';
import { linearRegExp } from './re2js.ts';

/** Beyond so many values in a body one mistake is told, not all: each that is found takes memory. */
const VALUES_MAX = 2_000;

/** `format` of these is checked; of another name it is refused, so that no operator relies on it. */
const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  date: isDate,
  'date-time': text => /^\d{4}-\d{2}-\d{2}[Tt ]/.test(text) && !Number.isNaN(Date.parse(text)),
  uuid: text => /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/i.test(text),
};
const NUMBER_FORMATS = ['int32', 'int64', 'float', 'double'];

/** A schema that the operator wrote: what is not understood in it is a mistake. */
export const compileJsonSchema: CompileJsonSchema = schema => compiled(schema, { strict: true });

/** A schema that a service publishes: what is not understood in it is for others. */
export const compilePublishedSchema: CompileJsonSchema = schema => compiled(schema, { strict: false });

interface EngineOptions {
  /** A keyword that is not known is a mistake. */
  readonly strict: boolean;
  readonly allErrors: boolean;
}

function compiled(schema: unknown, { strict }: Pick<EngineOptions, 'strict'>): ReturnType<CompileJsonSchema> {
  if (typeof schema !== 'boolean' && !isRecord(schema)) return { problem: 'is no JSON Schema' };
  try {
    const [first, all] = [false, true].map(allErrors => engineFor(schema, { strict, allErrors }).compile(schema));
    return first === undefined || all === undefined ? { problem: 'is no JSON Schema' } : checkBy(first, all);
  } catch (error) {
    return { problem: `is no JSON Schema that can be used: ${error instanceof Error ? error.message : ''}` };
  }
}

function engineFor(schema: unknown, { strict, allErrors }: EngineOptions): Ajv | Ajv2020 {
  const options: Options = {
    ...{ strictSchema: strict, strictTypes: false, strictTuples: false, strictRequired: false },
    ...{ allErrors, verbose: true, logger: false, code: { regExp: linearRegExp } },
  };
  const isOlder = isRecord(schema) && /draft-0[67]/.test(textOf(schema['$schema']));
  const engine = isOlder ? new Ajv(options) : new Ajv2020(options);
  for (const [name, validate] of Object.entries(FORMATS)) engine.addFormat(name, validate);
  for (const name of NUMBER_FORMATS) engine.addFormat(name, { type: 'number', validate: () => true });
  engine.removeKeyword('uniqueItems'); // ajv compares each with each
  engine.addKeyword({ keyword: 'uniqueItems', type: 'array', schemaType: 'boolean', validate: areUnique });
  return engine;
}

function areUnique(isWanted: boolean, items: readonly unknown[]): boolean {
  return !isWanted || new Set(items.map(item => canonical(item))).size === items.length;
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) =>
    isRecord(each) ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1))) : each,
  );
}

function checkBy(first: ValidateFunction, all: ValidateFunction): CheckJson {
  return (value: unknown) => {
    const isSound: boolean = first(value);
    if (isSound) return [];
    const hasRows = Array.isArray(value) && value.length > 1;
    const isSmall = valuesIn(value, VALUES_MAX) < VALUES_MAX;
    if (isSmall) all(value);
    const errors = (isSmall ? all.errors : first.errors) ?? [];
    return errors.slice(0, ERRORS_MAX).map(error => toInputError(error, hasRows));
  };
}

/** How many values there are, counted up to a bound. */
function valuesIn(value: unknown, max: number): number {
  if (typeof value !== 'object' || value === null) return 1;
  let count = 1;
  for (const each of Array.isArray(value) ? (value as unknown[]) : Object.values(value)) {
    count += valuesIn(each, max - count);
    if (count >= max) return max;
  }
  return count;
}

/** ajv's finding in the words of a data scientist. */
function toInputError({ instancePath, ...error }: ErrorObject, hasRows: boolean): InputError {
  const { missingProperty, additionalProperty, unevaluatedProperty } = error.params as Record<
    string,
    string | undefined
  >;
  const name = missingProperty ?? additionalProperty ?? unevaluatedProperty;
  const pointer = name === undefined ? instancePath : instancePath + pointerStep(name);
  const steps = instancePath.split('/').slice(1);
  const row = hasRows && steps[0] !== undefined ? `row ${Number(steps[0]) + 1}: ` : '';
  if (missingProperty !== undefined) return { pointer, detail: `${row}${named(missingProperty)} is missing` };
  if (name !== undefined) return { pointer, detail: `${row}${named(name)} is not a field that is known here` };
  const field = steps.findLast(step => !/^\d+$/.test(step));
  const of = field === undefined ? '' : `${named(field.replaceAll('~1', '/').replaceAll('~0', '~'))}: `;
  return { pointer, detail: `${row}${of}${judgementOf(error)}` };
}

const TOO_LARGE = 'a number is out of range';

function judgementOf(error: Omit<ErrorObject, 'instancePath'>): string {
  return isTooLarge(error.data) ? TOO_LARGE : `${shown(error.data)} ${wordsOf(error)}`;
}

/** All that is left of `1e999`. */
function isTooLarge(value: unknown): boolean {
  return value === Infinity || value === -Infinity;
}

function shown(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object' && value !== null ? 'an object' : shortened(String(value));
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  string: 'text',
  array: 'a list',
  object: 'an object',
  null: 'null',
};

function wordsOf({ keyword, params, message = 'does not fit' }: Omit<ErrorObject, 'instancePath'>): string {
  const { type, allowedValues, comparison, limit, pattern } = params as Record<string, unknown>;
  if (/^(?:exclusive)?m(?:in|ax)imum$/i.test(keyword)) {
    return `is out of range: it must be ${String(comparison)} ${String(limit)}`;
  }
  switch (keyword) {
    case 'type':
      return `is not ${listOf(type, ' or ', each => TYPE_WORDS[each] ?? each)}`;
    case 'enum':
      return `is not one of ${listOf(allowedValues, ', ', each => each)}`;
    case 'pattern':
      return `does not match ${String(pattern)}`;
    case 'uniqueItems':
      return 'has the same value twice';
    default:
      return message;
  }
}

function listOf(values: unknown, separator: string, wordOf: (value: string) => string): string {
  const list: readonly unknown[] = Array.isArray(values) ? values : [values];
  return list
    .slice(0, ERRORS_MAX)
    .map(value => wordOf(String(value)))
    .join(separator);
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}
