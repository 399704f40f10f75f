import { corsFields, isCorsField, isPreflight } from './cors.ts';
import { isMatched, type Received } from './exchange.ts';
import { hasField, removeField, removeFieldsWhere } from './fields.ts';

/**
 * Adds to a reply's fields what every reply of this request owes: its id, what limits noted, and the route's CORS
 * fields. These are the gateway's word, so that what an instance said under the same names goes.
 */
export function payOwedFields(fields: string[], received: Received): void {
  removeField(fields, 'x-request-id');
  fields.push('X-Request-Id', received.id, ...received.notes.owedFields);
  const cors = isMatched(received) ? received.route.policy.cors : undefined;
  if (cors === undefined || isPreflightsAnswer(fields, received)) return;
  removeFieldsWhere(fields, isCorsField);
  fields.push(...corsFields(cors, received.rawHeaders));
}

/** Answered by the gateway itself, with all that CORS asks for; its refusal is not. */
function isPreflightsAnswer(fields: readonly string[], received: Received): boolean {
  return isPreflight(received.method, received.rawHeaders) && hasField(fields, 'vary');
}
