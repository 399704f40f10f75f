import { GatewayError } from '../errors.ts';
import { fieldOf, lowerNameOf, type RawFields } from '../http/fields.ts';
import { badCredential, challenge } from './challenge.ts';

/** What a caller presents to say who they are. */
export type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'api-key'; readonly key: string }
  /** User and password as they came: base64 (RFC 7617). */
  | { readonly kind: 'basic'; readonly encoded: string }
  /** Of a scheme that means nothing here. */
  | { readonly kind: 'foreign' };

const CREDENTIAL = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?: +(.*))?$/;
/** RFC 9110 §11.2. */
const TOKEN68 = /^[A-Za-z0-9._~+/-]+=*$/;
const NO_CREDENTIAL: Credential = { kind: 'none' };
const FOREIGN_CREDENTIAL: Credential = { kind: 'foreign' };

/**
 * What `Authorization` holds. Two of them are refused: which one was meant would be a guess, and another hop's guess
 * may differ.
 */
export function readCredential(fields: RawFields): Credential {
  const value = fieldOf(fields, 'authorization');
  if (value === undefined) return NO_CREDENTIAL;
  if (!isOnly(fields)) throw ambiguous('The request has more than one Authorization field.');
  const plain = value.startsWith('Bearer ') ? value.slice(7) : '';
  return TOKEN68.test(plain) ? { kind: 'bearer', token: plain } : readOther(value);
}

/** What is not spelled as most callers spell it, or is no bearer token. */
function readOther(value: string): Credential {
  const [, scheme = '', text = ''] = CREDENTIAL.exec(value.trim()) ?? [];
  switch (scheme.toLowerCase()) {
    case 'bearer':
      if (!TOKEN68.test(text)) throw badCredential('jwt', 'malformed');
      return { kind: 'bearer', token: text };
    case 'apikey':
      return { kind: 'api-key', key: text };
    case 'basic':
      return { kind: 'basic', encoded: text };
    default:
      return FOREIGN_CREDENTIAL;
  }
}

/** 400 for a request that says twice who it is from. */
export function ambiguous(detail: string): GatewayError {
  return new GatewayError('BAD_REQUEST', detail, { detail, fields: challenge('jwt', [['error', 'invalid_request']]) });
}

function isOnly(fields: RawFields): boolean {
  let lines = 0;
  for (let i = 0; i < fields.length; i += 2) if (lowerNameOf(fields[i] ?? '') === 'authorization') lines += 1;
  return lines === 1;
}
