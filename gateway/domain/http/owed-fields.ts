import { corsFields, isCorsField } from './cors.ts';
import { isMatched, type Matched, type Received } from '../exchange.ts';
import { hasField, removeFieldsWhere } from './fields.ts';

/**
 * Adds to a reply's fields what every reply of this request owes: its id, what limits noted, and the route's CORS
 * fields. These are the gateway's word, so that what an instance said under the same names goes.
 */
export function payOwedFields(fields: string[], received: Received): void {
  const owed = ['X-Request-Id', received.id, ...received.notes.owedFields];
  const names = owed.filter((_part, i) => i % 2 === 0).map(name => name.toLowerCase());
  removeFieldsWhere(fields, name => names.includes(name));
  fields.push(...owed);
  if (!isMatched(received)) return;
  const { cors } = received.route.policy;
  if (cors === undefined || isPreflightsAnswer(fields, received)) return;
  removeFieldsWhere(fields, isCorsField);
  fields.push(...corsFields(cors, received.rawHeaders));
}

/** Answered by the gateway itself, with all that CORS asks for; its refusal is not, nor what an instance answers. */
function isPreflightsAnswer(fields: readonly string[], received: Matched): boolean {
  return received.isPreflight && hasField(fields, 'vary');
}
