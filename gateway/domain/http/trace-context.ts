import { fieldsOf, type RawFields } from './fields.ts';

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;

/** True when the message carries one well-formed `traceparent` (W3C Trace Context §3.2), so that a trace may go on. */
export function hasTraceparent(fields: RawFields): boolean {
  const values = fieldsOf(fields, 'traceparent');
  return values.length === 1 && values.every(isTraceparent);
}

function isTraceparent(value: string): boolean {
  const match = TRACEPARENT.exec(value);
  if (match === null) return false;
  const [, version, traceId = '', parentId = '', rest] = match;
  if (version === 'ff' || (version === '00' && rest !== undefined)) return false; // only later versions may say more
  return !isAllZero(traceId) && !isAllZero(parentId);
}

function isAllZero(digits: string): boolean {
  return /^0+$/.test(digits);
}
