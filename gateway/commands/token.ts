import { createHmac } from 'node:crypto';
import type { IdentityConfig, IssuerConfig } from '../config/gateway-config.ts';
import { durationMs } from '../config/units.ts';
import { claimAt, type ClaimPath, isSubject, parseToken } from '../domain/admission/token.ts';
import type { CommandIo } from './io.ts';
import { gatewayIn, misused, readArguments, Refusal, saidBy } from './refusal.ts';

const HELP = `penstock token --sub NAME [--scope S]… [--role R]… [--expires 1h] [--config FILE] [--json]

Prints a token of the first configured issuer that signs with HS256, for trying things out.

  --sub NAME      whom the token names
  --scope S       a scope it grants; as often as needed
  --role R        a role it grants; as often as needed
  --expires 1h    how long it is valid: 30s, 15m, 1h, 30d
  --config FILE   gateway.yaml; default config/gateway.yaml
  --json          the token with what it says, as JSON
`;

const EXPIRES_MS_MAX = 366 * 86_400_000;

interface Wanted {
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  readonly expiresMs: number;
  readonly file: string;
  readonly isJson: boolean;
}

/** Prints a token for trying things out; resolves to the exit status. */
export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return saidBy('token', io, () => {
    const wanted = wantedBy(args);
    return wanted === 'help' ? HELP : issue(wanted, io);
  });
}

function wantedBy(args: readonly string[]): Wanted | 'help' {
  const { values } = readArguments(args, { options: OPTIONS, help: HELP });
  if (values.help === true) return 'help';
  const expiresMs = durationMs(values.expires);
  if (expiresMs === undefined || expiresMs < 1000 || expiresMs > EXPIRES_MS_MAX) {
    throw misused('--expires takes a duration such as 30s, 15m, 1h or 30d, up to 366d');
  }
  const { scope: scopes = [], role: roles = [] } = values;
  if (scopes.some(name => name === '' || name.includes(' ')))
    throw misused('--scope takes one scope; repeat it for more');
  return {
    subject: values.sub ?? '',
    scopes,
    roles,
    expiresMs,
    file: values.config,
    isJson: values.json === true,
  };
}

const OPTIONS = {
  sub: { type: 'string' },
  scope: { type: 'string', multiple: true },
  role: { type: 'string', multiple: true },
  expires: { type: 'string', default: '1h' },
  config: { type: 'string', default: 'config/gateway.yaml' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

function issue(wanted: Wanted, io: CommandIo): string {
  if (wanted.subject === '') throw misused(`--sub NAME says whom the token names\n\n${HELP}`);
  const identity = readIdentity(wanted.file, io);
  const issuer = identity.jwt.find(({ algorithms }) => algorithms.includes('HS256'));
  if (issuer === undefined) {
    throw new Refusal(`${wanted.file} has no issuer that signs with HS256: the others sign their tokens themselves`);
  }
  const claims = claimsFor(wanted, issuer);
  const token = sign(claims, issuer);
  if (token.length > identity.tokenBytesMax) {
    throw new Refusal(
      `the token has ${token.length} bytes, more than tokenBytesMax (${identity.tokenBytesMax}) allows`,
    );
  }
  if (typeof parseToken(token) === 'string' || !isSubject(claimAt(claims, issuer.claims.subject ?? SUBJECT)))
    throw misused('--sub is empty, too long, or no text: no gateway would take it');
  return wanted.isJson ? `${JSON.stringify({ token, claims }, null, 2)}\n` : `${token}\n`;
}

const SUBJECT: ClaimPath = ['sub'];
const SCOPES: ClaimPath = ['scope'];
const ROLES: ClaimPath = ['roles'];

/** What the token says, where the gateway looks for it. */
function claimsFor({ subject, scopes, roles, expiresMs }: Wanted, issuer: IssuerConfig): Record<string, unknown> {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const claims: Record<string, unknown> = {
    iss: issuer.issuer,
    ...(issuer.audience !== undefined && { aud: issuer.audience }),
    ...(issuer.clientId !== undefined && { azp: issuer.clientId }),
    sub: subject,
    iat: nowSeconds,
    exp: nowSeconds + Math.floor(expiresMs / 1000),
  };
  putAt(claims, issuer.claims.subject ?? SUBJECT, subject);
  if (scopes.length > 0) putAt(claims, issuer.claims.scopes ?? SCOPES, scopes.join(' '));
  if (roles.length > 0) putAt(claims, issuer.claims.roles ?? ROLES, roles);
  return claims;
}

function putAt(claims: Record<string, unknown>, path: ClaimPath, value: unknown): void {
  const [name = '', ...rest] = path;
  if (rest.length === 0) {
    claims[name] = value;
    return;
  }
  const inner = claims[name];
  const within = typeof inner === 'object' && inner !== null ? { ...inner } : {};
  putAt(within, rest, value);
  claims[name] = within;
}

/** HS256 (RFC 7515, appendix A.1): commands do without the packages of edges. */
function sign(claims: object, { secret, isSecretBase64 }: IssuerConfig): string {
  const input = [{ alg: 'HS256', typ: 'JWT' }, claims].map(part =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const signature = createHmac(
    'sha256',
    Buffer.from(secret?.reveal() ?? '', isSecretBase64 ? 'base64' : 'utf8'),
  ).update(input.join('.'));
  return [...input, signature.digest('base64url')].join('.');
}

const NEEDED = { identity: ['apiKeys', 'guessing', 'introspection', 'ldap', 'mtls'] } as const;

function readIdentity(file: string, io: CommandIo): IdentityConfig {
  const { identity } = gatewayIn(file, NEEDED, io);
  if (identity === undefined) throw new Refusal(`${file} configures no identity by tokens: the gateway asks for none`);
  return identity;
}
