import type { RawFields } from '../http/fields.ts';
import { SHARED_SECRET_FIELD } from '../http/upstream-request.ts';
import type { UpstreamMessage } from '../upstream.ts';
import type { Sharing } from '../route.ts';
import { bodyReadingOf } from './body-reading.ts';
import { writeJsonValue } from './json/json-value.ts';
import { readRows } from './batch/rows.ts';

/** In what requests must agree to share anything, in words: what the key is made of. */
export function agreementOf(message: UpstreamMessage, sharing: Sharing): string[] {
  const { method, target, host, fields, body } = message;
  const names = namesOf(fields);
  const isSent = (name: string) => names.some(sent => sent.toLowerCase() === name);
  return [
    'the route, its service, and the versions of the model',
    `${method} ${target}`,
    ...(host === undefined ? [] : [`Host: ${host}`]),
    ...names.map(name => `${name}, as it is sent`),
    ...sharing.varyBy.flatMap(key => {
      if (key.kind === 'caller') return ['the caller'];
      return isSent(key.name) ? [] : [`${key.name}, as the caller says it`];
    }),
    ...(body.length === 0 ? [] : bodyAgreement(message, sharing)),
  ];
}

/** Equal requests share an answer or a flight; those that travel together differ in their rows. */
function bodyAgreement(message: UpstreamMessage, { coalesce, cache, batch }: Sharing): string[] {
  const { method, fields, body } = message;
  const isEqualShared = coalesce || cache?.methods.has(method) === true;
  const equal = isJson(fields, body) ? 'the body, as JSON by value' : 'the body, byte for byte';
  if (batch === undefined || method !== 'POST') return [equal];
  const isRows = bodyReadingOf(fields, body) !== 'bytes' && readRows(body, batch.rows, batch.sizeMax) !== undefined;
  const alike = isRows
    ? `to travel in one batch${isEqualShared ? ' instead' : ''}: the names and types of its rows’ fields`
    : 'no batch: the body is not rows that could travel with others';
  return [...(isEqualShared ? [equal] : []), alike];
}

function namesOf(fields: RawFields): string[] {
  const names = fields.filter((_, i) => i % 2 === 0).filter(name => name !== SHARED_SECRET_FIELD);
  return [...new Set(names)];
}

function isJson(fields: RawFields, body: Buffer): boolean {
  return bodyReadingOf(fields, body) !== 'bytes' && writeJsonValue(body, Buffer.alloc(body.length), 0) !== undefined;
}
