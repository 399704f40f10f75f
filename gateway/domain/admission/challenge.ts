import type { Caller } from '../caller.ts';
import { GatewayError } from '../errors.ts';
import type { SchemeName } from '../caller.ts';
import type { Auth } from '../route.ts';

/** Why a credential is not taken, in the words the caller reads (for a token RFC 6750 §3, `error_description`). */
export const CREDENTIAL_FAULTS = {
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
  'wrong-type': 'The token is of a type that gives no access.',
  'wrong-client': 'The token was issued to another client.',
  'unknown-token': 'The token is not active.',
  'unknown-key-text': 'The API key is not known here.',
  'expired-key': 'The API key has expired.',
  'key-in-url': 'An API key does not belong into a URL, where logs and histories keep it: send it in a header field.',
  'wrong-password': 'The name or the password is not right.',
  'untrusted-certificate': 'The client certificate is not of an authority that is accepted here.',
  'expired-certificate': 'The client certificate has expired.',
  'nameless-certificate': 'The client certificate has no name that a caller can be known by here.',
  'unknown-key': 'The token is signed with a key that its issuer does not publish.',
} as const;

/** Why a credential is not taken. */
export type CredentialFault = keyof typeof CREDENTIAL_FAULTS;

/** 401 for a request without a credential, or with one of a foreign scheme: it is told what to bring, not that it erred. */
export function missingCredential(auth: Auth): GatewayError {
  const offered = auth.allow.filter(isOffered);
  const schemes = offered.length === 0 ? JWT_ALONE : offered;
  const challenges = schemes.map(scheme => challenge(scheme, isBearer(scheme) ? withScope([], auth.scopes) : []));
  return new GatewayError('UNAUTHENTICATED', 'no credential that counts here', {
    fields: [...new Set(challenges.map(([, value]) => value))].flatMap(value => ['WWW-Authenticate', value]),
    ...(schemes.every(scheme => scheme === 'mtls') && { detail: NEEDS_CERTIFICATE }),
  });
}

const NEEDS_CERTIFICATE = 'This route needs a client certificate, which is shown when the connection is opened.';

/** 401 for a credential that is not taken; the description never quotes it. */
export function badCredential(scheme: SchemeName, fault: CredentialFault): GatewayError {
  const description = CREDENTIAL_FAULTS[fault];
  const errorParameters: Parameter[] = [
    ['error', 'invalid_token'],
    ['error_description', description],
  ];
  return new GatewayError('UNAUTHENTICATED', `${scheme} refused: ${fault}`, {
    detail: description,
    fields: challenge(scheme, isBearer(scheme) ? errorParameters : []),
  });
}

/** 403 for a caller who is known and may not: `lack` says what is missing. */
export function insufficientScope({ kind, id }: Caller, auth: Auth, lack: string): GatewayError {
  const errorParameters: Parameter[] = [
    ['error', 'insufficient_scope'],
    ['error_description', lack],
  ];
  const scheme = kind === 'anonymous' ? 'jwt' : kind;
  return new GatewayError('FORBIDDEN', `${id}: ${lack}`, {
    detail: lack,
    fields: isBearer(scheme) ? challenge(scheme, withScope(errorParameters, auth.scopes)) : [],
  });
}

type Parameter = readonly [name: string, value: string];

const JWT_ALONE: readonly SchemeName[] = ['jwt'];

/** What HTTP calls a scheme (RFC 6750, RFC 7617; of API keys and certificates there is no standard). */
const HTTP_NAMES = {
  jwt: 'Bearer',
  opaque: 'Bearer',
  'api-key': 'ApiKey',
  ldap: 'Basic',
  mtls: 'Certificate',
} as const;

/** Strangers are asked nothing. */
function isOffered(scheme: Auth['allow'][number]): scheme is keyof typeof HTTP_NAMES {
  return scheme in HTTP_NAMES;
}

function isBearer(scheme: SchemeName): boolean {
  return scheme === 'jwt' || scheme === 'opaque';
}

function withScope(parameters: readonly Parameter[], scopes: readonly string[]): readonly Parameter[] {
  return scopes.length === 0 ? parameters : [...parameters, ['scope', scopes.join(' ')]];
}

/** `WWW-Authenticate` for a scheme, with these parameters (RFC 9110 §11.6.1). */
export function challenge(scheme: SchemeName, parameters: readonly Parameter[]): readonly [string, string] {
  const name = isOffered(scheme) ? HTTP_NAMES[scheme] : 'Bearer';
  const charset: readonly Parameter[] = name === 'Basic' ? [['charset', 'UTF-8']] : [];
  const all: readonly Parameter[] = [['realm', 'penstock'], ...charset, ...parameters];
  return ['WWW-Authenticate', `${name} ${all.map(([key, value]) => `${key}="${quotable(value)}"`).join(', ')}`];
}

/** Scopes come from the configuration; a quoted string takes neither quotes nor what is not ASCII. */
function quotable(value: string): string {
  return value.replace(/[^ !#-[\]-~]/g, '');
}
