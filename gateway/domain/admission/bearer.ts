import { GatewayError } from '../errors.ts';
import { fieldOf, lowerNameOf, type RawFields } from '../http/fields.ts';

/** What a caller presents to say who they are. */
export type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'bearer'; readonly token: string }
  /** Of a scheme that means nothing here. */
  | { readonly kind: 'foreign' };

/** Why a token is not taken, in the words the caller reads (RFC 6750 §3, `error_description`). */
export const TOKEN_FAULTS = {
  'too-large': 'The token is larger than this gateway takes.',
  malformed: 'The token is not a well-formed JWT.',
  'critical-header': 'The token demands an extension that is not understood here.',
  'unknown-issuer': 'The token is from an issuer that is not accepted here.',
  'wrong-algorithm': 'The token is signed with an algorithm that is not accepted from its issuer.',
  'wrong-signature': 'The signature of the token is not valid.',
  'wrong-audience': 'The token is meant for another audience.',
  'no-expiry': 'The token has no expiry.',
  expired: 'The token has expired.',
  'not-yet-valid': 'The token is not valid yet.',
  'no-subject': 'The token names no usable subject.',
} as const;

/** Why a token is not taken. */
export type TokenFault = keyof typeof TOKEN_FAULTS;

const CREDENTIAL = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?: +(.*))?$/;
const B64TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
const NO_CREDENTIAL: Credential = { kind: 'none' };
const FOREIGN_CREDENTIAL: Credential = { kind: 'foreign' };

/**
 * What `Authorization` holds. Two of them are refused: which one was meant would be a guess, and another hop's guess
 * may differ.
 */
export function readCredential(fields: RawFields): Credential {
  const value = fieldOf(fields, 'authorization');
  if (value === undefined) return NO_CREDENTIAL;
  if (!isOnly(fields)) throw ambiguous();
  const plain = value.startsWith('Bearer ') ? value.slice(7) : '';
  return B64TOKEN.test(plain) ? { kind: 'bearer', token: plain } : readOther(value);
}

/** What is not spelled as most callers spell it, or is no bearer token. */
function readOther(value: string): Credential {
  const [, scheme, token = ''] = CREDENTIAL.exec(value.trim()) ?? [];
  if (scheme?.toLowerCase() !== 'bearer') return FOREIGN_CREDENTIAL;
  if (!B64TOKEN.test(token)) throw badToken('malformed');
  return { kind: 'bearer', token };
}

function ambiguous(): GatewayError {
  return new GatewayError('BAD_REQUEST', 'several Authorization fields', {
    detail: 'The request has more than one Authorization field.',
    fields: challenge([['error', 'invalid_request']]),
  });
}

function isOnly(fields: RawFields): boolean {
  let lines = 0;
  for (let i = 0; i < fields.length; i += 2) if (lowerNameOf(fields[i] ?? '') === 'authorization') lines += 1;
  return lines === 1;
}

/** 401 for a request without a credential, or with one of a foreign scheme: it is told what to bring, not that it erred. */
export function missingCredential(scopes: readonly string[]): GatewayError {
  return new GatewayError('UNAUTHENTICATED', 'no credential that counts here', {
    fields: challenge(withScope([], scopes)),
  });
}

/** 401 for a token that is not taken; the description never quotes it. */
export function badToken(fault: TokenFault): GatewayError {
  const description = TOKEN_FAULTS[fault];
  return new GatewayError('UNAUTHENTICATED', `bearer token refused: ${fault}`, {
    detail: description,
    fields: challenge([
      ['error', 'invalid_token'],
      ['error_description', description],
    ]),
  });
}

/** 403 for a caller who is known and may not. */
export function insufficientScope(callerId: string, scopes: readonly string[]): GatewayError {
  const detail = 'The token lacks a scope or role that this route asks for.';
  const told: Parameter[] = [
    ['error', 'insufficient_scope'],
    ['error_description', detail],
  ];
  return new GatewayError('FORBIDDEN', `${callerId} lacks a scope or role`, {
    detail,
    fields: challenge(withScope(told, scopes)),
  });
}

type Parameter = readonly [name: string, value: string];

function withScope(parameters: readonly Parameter[], scopes: readonly string[]): readonly Parameter[] {
  return scopes.length === 0 ? parameters : [...parameters, ['scope', scopes.join(' ')]];
}

function challenge(parameters: readonly Parameter[]): readonly string[] {
  const all: readonly Parameter[] = [['realm', 'penstock'], ...parameters];
  return ['WWW-Authenticate', `Bearer ${all.map(([name, value]) => `${name}="${quotable(value)}"`).join(', ')}`];
}

/** Scopes come from the configuration; a quoted string takes neither quotes nor what is not ASCII. */
function quotable(value: string): string {
  return value.replace(/[^ !#-[\]-~]/g, '');
}
