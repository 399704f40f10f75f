import type { InputError } from '../errors.ts';
import { fieldOf, type RawFields } from '../http/fields.ts';
import { bodyReadingOf } from '../sharing/body-reading.ts';
import { isRecord } from '../unknown-value.ts';
import { scalarOf, shown, textScalar } from './column-check.ts';
import { ENOUGH, found, named, pointerStep, type Findings } from './findings.ts';
import { checkValue, readValue, type InputBounds } from './json-walk.ts';
import type { Argument, Operation } from './operations.ts';
import { readQuery, type QueryParameter } from '../http/request-target.ts';
import { checkRows, type RowsForm } from './records.ts';

/** A request as the service will be sent it. */
export interface InputRequest {
  readonly method: string;
  /** Still percent-encoded, without the query. */
  readonly path: string;
  readonly query: string;
  readonly fields: RawFields;
  readonly content: Buffer;
}

interface OperationOptions {
  readonly bounds: InputBounds;
  readonly form: RowsForm;
}

/** What is wrong with what a handler would be called with; none where nothing is. Throws NotJson. */
export function checkOperation(
  operation: Operation,
  request: InputRequest,
  { bounds, form }: OperationOptions,
): readonly InputError[] {
  const { body } = operation;
  switch (body.kind) {
    case 'rows':
      return found(findings => {
        checkRows(request.content, { check: body.check, bounds, form, findings });
        new ArgumentCheck(operation, bounds, findings).query(request);
      });
    case 'json': {
      const errors = checkValue(body.check, request.content, bounds);
      return errors.length > 0
        ? errors
        : found(findings => new ArgumentCheck(operation, bounds, findings).query(request));
    }
    case 'opaque':
      return found(findings => new ArgumentCheck(operation, bounds, findings).query(request));
    case 'arguments':
      return operation.arguments.length === 0
        ? []
        : found(findings => new ArgumentCheck(operation, bounds, findings).all(request));
  }
}

/** A handler's arguments: each from the query, else from the path, else from the body. */
class ArgumentCheck {
  readonly #operation: Operation;
  readonly #bounds: InputBounds;
  readonly #findings: Findings;

  constructor(operation: Operation, bounds: InputBounds, findings: Findings) {
    this.#operation = operation;
    this.#bounds = bounds;
    this.#findings = findings;
  }

  all(request: InputRequest): void {
    const said = this.query(request);
    const body = this.#bodyOf(request);
    for (const argument of this.#operation.arguments) {
      if (!said.has(argument.name) && !this.#operation.ofPath.has(argument.name)) this.#ofBody(argument, body);
    }
    this.#refuseUnknown(body.keys(), pointerStep);
  }

  /** The names that the query gives a value. */
  query({ query }: InputRequest): ReadonlySet<string> {
    const parameters = readQuery(query);
    for (const [name, value] of parameters) this.#ofQuery(name, value);
    const names = new Set(parameters.map(([name]) => name));
    this.#refuseUnknown(names, () => '');
    return names;
  }

  #ofQuery(name: string, value: QueryParameter[1]): void {
    const argument = this.#operation.arguments.find(candidate => candidate.name === name);
    if (argument === undefined) return;
    const scalar = textScalar(value ?? '');
    const wrong = value === undefined ? 'is not in UTF-8' : argument.judge?.(scalar);
    if (wrong !== undefined) this.#findings.add('', `query parameter ${named(name)}: ${shown(scalar)} ${wrong}`);
  }

  #ofBody({ name, isRequired, judge }: Argument, body: ReadonlyMap<string, unknown>): void {
    const pointer = pointerStep(name);
    if (!body.has(name)) {
      if (isRequired) this.#findings.add(pointer, `${named(name)} is missing`);
      return;
    }
    if (judge === undefined) return;
    const value = body.get(name);
    const values: readonly unknown[] = Array.isArray(value) ? value : [value]; // to R a value is a vector of one
    if (values.length === 0) this.#findings.add(pointer, `${named(name)} has no values`);
    values.forEach((each, i) => {
      const scalar = scalarOf(each);
      const wrong = scalar === undefined ? 'must hold one value, or a list of values' : judge(scalar);
      if (wrong === undefined) return;
      const at = Array.isArray(value) ? `${pointer}/${i}` : pointer;
      this.#findings.add(at, `${named(name)}${scalar === undefined ? '' : `: ${shown(scalar)}`} ${wrong}`);
    });
  }

  #refuseUnknown(names: Iterable<string>, pointerTo: (name: string) => string): void {
    if (this.#bounds.unknown === 'allow') return;
    const { arguments: known, ofPath } = this.#operation;
    for (const name of names) {
      if (ofPath.has(name) || known.some(argument => argument.name === name)) continue;
      this.#findings.add(pointerTo(name), `${named(name)} is not an argument of this path`);
    }
  }

  /** What the body gives by name, as Plumber reads it: from a JSON object, or a form. */
  #bodyOf({ fields, content }: InputRequest): ReadonlyMap<string, unknown> {
    if (content.length === 0) return new Map();
    if (isForm(fields) && content.includes('=')) {
      return new Map(readQuery(content.toString('latin1')).map(([name, value]) => [name, value ?? '']));
    }
    if (bodyReadingOf(fields, content) === 'bytes' && isSaidOtherwise(fields)) return new Map();
    const { errors, value } = readValue(content, this.#bounds);
    for (const { pointer, detail } of errors) this.#findings.add(pointer, detail);
    if (errors.length > 0) throw ENOUGH; // which of the readings counts is not known
    return isRecord(value) ? new Map(Object.entries(value)) : new Map<string, unknown>();
  }
}

function isForm(fields: InputRequest['fields']): boolean {
  return fieldOf(fields, 'content-type')?.toLowerCase().startsWith('application/x-www-form-urlencoded') === true;
}

/** Its type is another than JSON's: Plumber makes no arguments of it. */
function isSaidOtherwise(fields: InputRequest['fields']): boolean {
  const type = fieldOf(fields, 'content-type');
  return type !== undefined && !/json/i.test(type);
}
