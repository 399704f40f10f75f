import type { Caller } from '../caller.ts';
import { percentEncode } from './percent-encoding.ts';

const IS_PLAIN = /^[!-$&-~](?:[ -$&-~]*[!-$&-~])?$/;

/** True for a name, in lower case, by which an instance learns who calls: nobody but the gateway may use it. */
export function isIdentityField(name: string): boolean {
  return name.startsWith('x-penstock-');
}

/**
 * Who calls, for the instance; nothing of an anonymous caller. Two issuers may have one subject: both are told.
 *
 * Scopes and roles are lists separated by one space. Whatever is not printable ASCII, the percent sign itself, and a
 * space within a member are percent-encoded as UTF-8 (`URLdecode` gives them back), so that two subjects never look
 * alike and no subject can end a line.
 */
export function identityFields(caller: Caller): readonly string[] {
  if (caller.subject === undefined) return NO_FIELDS;
  const known = fieldsByCaller.get(caller);
  if (known !== undefined) return known;
  const fields = toFields(caller, caller.subject);
  fieldsByCaller.set(caller, fields);
  return fields;
}

const NO_FIELDS: readonly string[] = [];

/** A verified token's caller comes again and again as the same object. */
const fieldsByCaller = new WeakMap<Caller, readonly string[]>();

function toFields(caller: Caller, subject: string): readonly string[] {
  return [
    'X-Penstock-Issuer',
    encode(caller.issuer ?? ''),
    'X-Penstock-Subject',
    encode(subject),
    'X-Penstock-Scopes',
    caller.scopes.map(encodeMember).join(' '),
    'X-Penstock-Roles',
    caller.roles.map(encodeMember).join(' '),
  ];
}

function encode(text: string): string {
  return IS_PLAIN.test(text) ? text : percentEncode(text, /^ +|(?<! ) +$|[^ -~]+|%/gu);
}

function encodeMember(text: string): string {
  return encode(text).replaceAll(' ', '%20');
}
