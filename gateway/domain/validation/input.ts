import type { InputError } from '../errors.ts';
import { checkOperation, type InputRequest } from './arguments.ts';
import { textScalar } from './column-check.ts';
import { found, named, quoted, type Findings } from './findings.ts';
import { checkValue, type CheckJson, bytesOf, type InputBounds } from './json-walk.ts';
import type { Column } from './prototype.ts';
import { operationFor, type Operation } from './operations.ts';
import { readQuery } from '../http/request-target.ts';
import { checkRows, type RowCheck, type RowsForm } from './records.ts';

/**
 * What a service's input is held against.
 *
 *   rows        its columns, as `/prototype` publishes them: for POST …/predict
 *   operations  its paths, as `/openapi.json` publishes them
 *   json        a JSON Schema that the operator wrote: for every body
 */
export type InputSchema =
  | { readonly kind: 'rows'; readonly check: RowCheck; readonly columns: readonly Column[] }
  | { readonly kind: 'operations'; readonly operations: readonly Operation[] }
  | { readonly kind: 'json'; readonly check: CheckJson };

interface InputOptions {
  readonly bounds: InputBounds;
  readonly form: RowsForm;
}

/** Where vetiver's models predict. */
const PREDICT = '/predict';

/** Whether a schema has a say in a request. */
export function concerns(schema: InputSchema, { method, path }: InputRequest): boolean {
  switch (schema.kind) {
    case 'rows':
      return method === 'POST' && path.endsWith(PREDICT);
    case 'operations':
      return operationFor(schema.operations, method, path) !== undefined;
    case 'json':
      return method === 'POST' || method === 'PUT' || method === 'PATCH';
  }
}

/** What is wrong with a request's input; none where nothing is. Throws NotJson. */
export function checkInput(
  schema: InputSchema,
  request: InputRequest,
  { bounds, form }: InputOptions,
): readonly InputError[] {
  switch (schema.kind) {
    case 'rows':
      return found(findings => {
        checkRows(request.content, { check: schema.check, bounds, form, findings });
        checkRowQuery(schema.check, { request, bounds, findings });
      });
    case 'operations': {
      const matched = operationFor(schema.operations, request.method, request.path);
      return matched === undefined ? [] : checkOperation(matched, request, { bounds, form });
    }
    case 'json':
      return checkValue(schema.check, request.content, bounds);
  }
}

interface RowQuery {
  readonly request: InputRequest;
  readonly bounds: InputBounds;
  readonly findings: Findings;
}

/** A handler that names its columns as arguments takes them from the query first. */
function checkRowQuery({ byName, columns }: RowCheck, { request, bounds, findings }: RowQuery): void {
  for (const [name, value] of readQuery(request.query)) {
    const column = columns[byName.get(bytesOf(name)) ?? -1];
    if (column === undefined) {
      if (bounds.unknown === 'refuse') findings.add('', `query parameter ${named(name)} is not a column of the model`);
      continue;
    }
    const wrong = value === undefined ? 'is not in UTF-8' : column.judge?.(textScalar(value));
    if (wrong !== undefined) findings.add('', `query parameter ${named(name)}: ${quoted(value ?? '')} ${wrong}`);
  }
}
