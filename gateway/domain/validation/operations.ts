import { isRecord, recordOf, textOf } from '../unknown-value.ts';
import { judgeOf, SCALAR, textScalar, type JudgeValue } from './column-check.ts';
import type { CheckJson, CompileJsonSchema } from './json-walk.ts';
import { parseJson } from './prototype.ts';
import { createRowCheck, type RowCheck } from './records.ts';

/** An argument of a handler, as Plumber publishes it. */
export interface Argument {
  readonly name: string;
  readonly isRequired: boolean;
  /** Undefined: it takes whatever is there. */
  readonly judge: JudgeValue | undefined;
}

/** What a handler makes of a body: rows; a value by a JSON Schema; its arguments; or what only it can read. */
type OperationBody =
  | { readonly kind: 'rows'; readonly check: RowCheck }
  | { readonly kind: 'json'; readonly check: CheckJson }
  | { readonly kind: 'arguments' | 'opaque' };

/** One handler of a service, as its OpenAPI document says of it. */
export interface Operation {
  readonly method: string;
  readonly segments: readonly PathSegment[];
  /** But those of the path, which decide whether it is this handler. */
  readonly arguments: readonly Argument[];
  /** Names that the path gives a value, which the body then cannot. */
  readonly ofPath: ReadonlySet<string>;
  readonly body: OperationBody;
}

/** As it stands, or any text that a parameter takes. */
type PathSegment = string | { readonly judge: JudgeValue | undefined };

const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'];

/**
 * The handlers in an OpenAPI document as Plumber writes one; undefined where it is none.
 *
 * It is not standard: the arguments of every handler are published as parameters of the query, and taken from the query,
 * the path or the body; a type that was not declared is published as `string`, and takes anything.
 */
export function readOperations(text: string, compile: CompileJsonSchema): readonly Operation[] | undefined {
  const document = parseJson(text);
  if (!isRecord(document) || !isRecord(document['paths'])) return undefined;
  const operations = Object.entries(document['paths']).flatMap(([path, item]) =>
    METHODS.flatMap(method => {
      const operation = recordOf(item)[method];
      return isRecord(operation) ? [toOperation({ path, method, operation, document, compile })] : [];
    }),
  );
  // As written comes before what a parameter takes.
  return operations.sort((a, b) => parametersIn(a) - parametersIn(b));
}

function parametersIn({ segments }: Operation): number {
  return segments.filter(segment => typeof segment !== 'string').length;
}

interface Written {
  readonly path: string;
  readonly method: string;
  readonly operation: Readonly<Record<string, unknown>>;
  readonly document: Readonly<Record<string, unknown>>;
  readonly compile: CompileJsonSchema;
}

function toOperation({ path, method, operation, document, compile }: Written): Operation {
  const written = operation['parameters'];
  const parameters = Array.isArray(written) ? written.map(recordOf) : [];
  const ofPath = new Map(
    parameters.flatMap(parameter => (parameter['in'] === 'path' ? [[textOf(parameter['name']), parameter]] : [])),
  );
  return {
    method: method.toUpperCase(),
    segments: path.split('/').map(segment => {
      const name = /^\{(.+)\}$/.exec(segment)?.[1];
      return name === undefined ? segment : { judge: judgeOfSchema(ofPath.get(name)?.['schema']) };
    }),
    arguments: parameters.flatMap(parameter => (parameter['in'] === 'query' ? [toArgument(parameter)] : [])),
    ofPath: new Set(ofPath.keys()),
    body: bodyOf(recordOf(operation['requestBody']), document, compile),
  };
}

function toArgument({ name, required, schema }: Readonly<Record<string, unknown>>): Argument {
  return { name: textOf(name), isRequired: required === true, judge: judgeOfSchema(schema) };
}

function judgeOfSchema(schema: unknown): JudgeValue | undefined {
  const { type, items, format } = recordOf(schema);
  if (type === 'array') return judgeOfSchema(items);
  return judgeOf(format === 'date' ? 'Date' : (R_TYPES[textOf(type)] ?? ''), []);
}

/** A type that Plumber was not told is published as `string`. */
const R_TYPES: Readonly<Record<string, string>> = { number: 'numeric', integer: 'integer', boolean: 'logical' };

function bodyOf(
  requestBody: Readonly<Record<string, unknown>>,
  document: Readonly<Record<string, unknown>>,
  compile: CompileJsonSchema,
): OperationBody {
  const content = recordOf(requestBody['content']);
  const types = Object.keys(content);
  const type = types.find(name => /^(?:application|text)\/(?:.+\+)?json\b/i.test(name));
  if (type === undefined) return { kind: types.length === 0 ? 'arguments' : 'opaque' };
  const { schema } = recordOf(content[type]);
  const rows = rowsOf(recordOf(schema));
  if (rows !== undefined) return { kind: 'rows', check: rows };
  const check = compile({ ...recordOf(schema), components: document['components'] });
  return typeof check === 'function' ? { kind: 'json', check } : { kind: 'opaque' };
}

/** What says nothing of what is right. */
const REMARKS: ReadonlySet<string> = new Set(['type', 'title', 'description', 'example', 'format', 'default']);

/** An array of records with typed fields, which vetiver publishes; undefined: it is another schema, or says more. */
function rowsOf({ type, items, minItems = 1, ...more }: Readonly<Record<string, unknown>>): RowCheck | undefined {
  const { properties, required, ...rest } = recordOf(items);
  const isPlain = [...Object.keys(more), ...Object.keys(rest)].every(key => REMARKS.has(key));
  if (type !== 'array' || minItems !== 1 || rest['type'] !== 'object' || !isPlain || !isRecord(properties))
    return undefined;
  const columns = Object.entries(properties).map(([name, schema]) => columnOf(name, recordOf(schema)));
  if (columns.length === 0 || columns.some(column => column === undefined)) return undefined;
  const names = Array.isArray(required) ? required.map(textOf) : [textOf(required)];
  return createRowCheck(
    columns.flatMap(column => column ?? []),
    new Set(names),
  );
}

function columnOf(name: string, { enum: levels, ...schema }: Readonly<Record<string, unknown>>) {
  const type = textOf(schema['type']);
  if (!Object.keys(schema).every(key => REMARKS.has(key)) || !['string', ...Object.keys(R_TYPES)].includes(type)) {
    return undefined;
  }
  if (levels === undefined) return { name, type: R_TYPES[type] ?? SCALAR, levels: [] };
  const isOfTexts = Array.isArray(levels) && levels.every(level => typeof level === 'string');
  return type === 'string' && isOfTexts ? { name, type: 'factor', levels } : undefined;
}

/** The handler that Plumber would call; undefined: the document reports none. */
export function operationFor(operations: readonly Operation[], method: string, path: string): Operation | undefined {
  const segments = path.split('/');
  return operations.find(operation => operation.method === method && isAt(operation, segments));
}

function isAt(operation: Operation, segments: readonly string[]): boolean {
  if (operation.segments.length !== segments.length) return false;
  return operation.segments.every((expected, i) => {
    const segment = segments[i] ?? '';
    if (typeof expected === 'string') return expected === segment;
    return segment !== '' && expected.judge?.(textScalar(segment)) === undefined;
  });
}
