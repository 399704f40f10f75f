import { isRecord } from '../unknown-value.ts';
import type { Column } from '../validation/prototype.ts';

/** What a `.proto` is made of. */
export interface ProtoParts {
  readonly service: string;
  readonly columns: readonly Column[];
  /** What the model answered to its own examples; undefined: it was not asked, or did not. */
  readonly answer: unknown;
}

/** A field of a message: its type, and its name in R. */
interface Named {
  readonly name: string;
  readonly type: string;
  readonly remark?: string | undefined;
}

/**
 * A `.proto` for a model: rows of its columns in, and what it answered to its examples out. Without an answer of a known
 * form it is vetiver's: a vector of numbers called `.pred`.
 */
export function protoText({ service, columns, answer }: ProtoParts): string {
  const title = pascal(service);
  const { fields, rule } = answerOf(answer);
  const rows = columns.map(column => ({
    name: column.name,
    type: `optional ${typeOf(column)}`,
    remark: remarkOn(column),
  }));
  return `syntax = "proto3";

package ${snake(service)}.v1;

import "google/api/annotations.proto";

service ${title} {
  rpc Predict(PredictRequest) returns (PredictResponse) {
    option (google.api.http) = {
      post: "/predict"
      body: "rows"${rule}
    };
  }
}

${message('Row', rows)}
message PredictRequest {
  repeated Row rows = 1;
}

${fields}`;
}

/** An array of records is a field of the message that answers; an object is that message. */
function answerOf(answer: unknown): { readonly fields: string; readonly rule: string } {
  const [first] = Array.isArray(answer) ? (answer as readonly unknown[]) : [];
  if (isRecord(first)) {
    const fields = Object.entries(first).map(([name, value]) => ({
      name,
      type: `optional ${scalarOf(value) ?? 'string'}`,
    }));
    const list = 'message PredictResponse {\n  repeated Prediction predictions = 1;\n}\n';
    return { fields: `${message('Prediction', fields)}\n${list}`, rule: '\n      response_body: "predictions"' };
  }
  const list = scalarOf(first);
  if (list !== undefined) {
    return {
      fields: message('PredictResponse', [{ name: 'pred', type: `repeated ${list}` }]),
      rule: '\n      response_body: "pred"',
    };
  }
  const members = isRecord(answer) ? Object.entries(answer).flatMap(memberOf) : [];
  return { fields: message('PredictResponse', members.length > 0 ? members : VETIVER), rule: '' };
}

const VETIVER: readonly Named[] = [{ name: '.pred', type: 'repeated double' }];

/** R writes a list of one as the one, where it unboxes: it may be a list the next time. */
function memberOf([name, value]: [string, unknown]): Named[] {
  const of = scalarOf(Array.isArray(value) ? (value as readonly unknown[])[0] : value);
  return of === undefined ? [] : [{ name, type: `repeated ${of}` }];
}

function scalarOf(value: unknown): string | undefined {
  if (typeof value === 'number') return 'double';
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'string' ? 'string' : undefined;
}

/** By R's class; of an unknown one, by its example. */
function typeOf({ type, example }: Column): string {
  return TYPES[type] ?? scalarOf(example) ?? 'string';
}

const TYPES: Readonly<Record<string, string>> = {
  numeric: 'double',
  double: 'double',
  integer: 'int32',
  logical: 'bool',
  character: 'string',
  factor: 'string',
  ordered: 'string',
  Date: 'string',
  POSIXct: 'string',
};

const LEVELS_SHOWN = 10;

function remarkOn({ levels }: Column): string | undefined {
  if (levels.length === 0) return undefined;
  const shown = levels.slice(0, LEVELS_SHOWN).map(level => JSON.stringify(level));
  return `One of ${shown.join(', ')}${levels.length > LEVELS_SHOWN ? ', …' : ''}.`.replaceAll(/[\u2028\u2029]/g, ' ');
}

function message(name: string, fields: readonly Named[]): string {
  const taken = new Set<string>();
  const lines = fields.map(({ name: column, type, remark }, i) => {
    const field = free(snake(column), taken);
    const isSame = field === column && !field.includes('_');
    const called = isSame ? '' : ` [json_name = ${quoted(column)}]`;
    return `${remark === undefined ? '' : `  // ${remark}\n`}  ${type} ${field} = ${i + 1}${called};\n`;
  });
  return `message ${name} {\n${lines.join('')}}\n`;
}

/** A name that no field before has. */
function free(name: string, taken: Set<string>): string {
  let field = name;
  for (let i = 2; taken.has(field); i++) field = `${name}_${i}`;
  taken.add(field);
  return field;
}

/** A column's name as a field may be called: `Sepal.Length` as `sepal_length`. */
function snake(name: string): string {
  const words = name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_');
  const plain = words.replaceAll(/^_+|_+$/g, '');
  return /^[a-z]/.test(plain) ? plain : `x${plain === '' ? '' : `_${plain}`}`;
}

function pascal(name: string): string {
  return snake(name).replaceAll(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** A text of protobuf. */
function quoted(text: string): string {
  const escaped = text.replaceAll(/["\\]/g, '\\$&').replaceAll(/[\x00-\x1f\x7f]/g, control => {
    return `\\${control.charCodeAt(0).toString(8).padStart(3, '0')}`;
  });
  return `"${escaped}"`;
}
