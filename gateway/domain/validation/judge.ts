import type { Complete } from '../call.ts';
import { GatewayError, type InputError } from '../errors.ts';
import { fieldOf } from '../http/fields.ts';
import { upstreamResourceOf } from '../http/upstream-request.ts';
import type { ValidatePolicy } from '../route.ts';
import { invalidInput, NotJson, notJson } from './findings.ts';
import type { InputRequest } from './arguments.ts';
import { checkInput, concerns, type InputSchema } from './input.ts';

/** A call's input, as the service will be sent it. */
export function inputOf(call: Complete): InputRequest {
  const { path, query } = upstreamResourceOf(call);
  return { method: call.method, path, query, fields: call.fields, content: call.content };
}

/**
 * Holds input against the schemas of all versions that may answer: it is refused where none of them takes it, for what
 * the first of them finds. Throws INVALID_INPUT, and BAD_REQUEST for what is no JSON.
 */
export function judgeInput(policy: ValidatePolicy, request: InputRequest, schemas: readonly InputSchema[]): void {
  let errors: readonly InputError[] | undefined;
  for (const schema of schemas) {
    if (!concerns(schema, request)) return;
    const own = checkOrRefuse(policy, request, schema);
    if (own.length === 0) return;
    errors ??= own;
  }
  if (errors !== undefined) throw invalidInput(errors);
}

function checkOrRefuse(policy: ValidatePolicy, request: InputRequest, schema: InputSchema): readonly InputError[] {
  try {
    return checkInput(schema, request, { bounds: policy, form: policy.form });
  } catch (error) {
    throw error instanceof NotJson ? refusalOf(error, request) : error;
  }
}

/** Plumber could read it, but not as the JSON that was published. */
function refusalOf(error: NotJson, { fields, content }: InputRequest): GatewayError {
  if (fieldOf(fields, 'content-type')?.toLowerCase().startsWith('text/csv') !== true) return notJson(error, content);
  return new GatewayError('UNSUPPORTED_MEDIA_TYPE', 'CSV on a route without `csv`', {
    detail: 'The body is CSV, and this route takes JSON.',
    fields: ['Accept', 'application/json'],
  });
}
