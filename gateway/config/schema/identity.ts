import { z } from 'zod';
import { Secret } from '../secret.ts';
import { duration, flaw, size, text, whole } from './scalars.ts';
import { parseClaimPath } from '../../domain/admission/token.ts';

const Algorithm = z.enum([
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
]);

const PATH_HINT = "a name with a dot, a colon or a slash in it stands in brackets: ['cognito:groups']";

/** Where in a token something stands: names with dots between them, or a list of names. */
function claimPath() {
  return z
    .union([z.string(), z.array(text()).min(1)], { error: 'must be a path of claims, or a list of names' })
    .transform((written, { issues }) => {
      const path = typeof written === 'string' ? parseClaimPath(written) : written;
      if (path === undefined) issues.push(flaw(written, 'is no path of claims', PATH_HINT));
      return path ?? [];
    });
}

/** Where in what an issuer says things stand. */
const Claims = z.strictObject({
  scopes: claimPath()
    .optional()
    .describe(
      'Where the scopes stand: words in one text, or a list. Default: `scope`, `scp` and `scopes`, all that are there.',
    ),
  roles: claimPath()
    .optional()
    .describe(
      "Where the roles stand, as `realm_access.roles`; a name that itself has dots, colons or slashes is written in brackets: `['cognito:groups']`. Default: `roles`.",
    ),
  subject: claimPath().optional().describe('Where the caller’s name stands. Default: `sub`.'),
});

const SharedSecret = z
  .union([z.string(), z.strictObject({ base64: z.string() })], { error: 'must be text, or { base64: … }' })
  .transform(written =>
    typeof written === 'string'
      ? { secret: new Secret(written), isBase64: false }
      : { secret: new Secret(written.base64), isBase64: true },
  );

/** Keys come from one of these. */
const KEY_SOURCES = ['secret', 'publicKey', 'jwks', 'discovery'] as const;

/** An issuer of tokens, and by what they are judged. */
const Issuer = z
  .strictObject({
    issuer: text().describe('What `iss` must be.'),
    audience: text()
      .optional()
      .describe(
        'What `aud` must be, or hold. `any` takes tokens that were meant for others too: then demand a `clientId`, or be sure that the issuer has no other audience. Needed unless there is a `clientId`.',
      ),
    clientId: text()
      .optional()
      .describe('The client that the token must have been issued to: `azp`, else `client_id`, `cid` or `appid`.'),
    algorithms: z
      .array(Algorithm)
      .min(1)
      .describe(
        'The algorithms this issuer signs with, of one kind: HS… with `secret`; RS…, PS… or ES… with `publicKey`, `jwks` or `discovery`.',
      ),
    secret: SharedSecret.optional().describe(
      'For HS…: at least as long as the hash (32 bytes for HS256). Best `${env:NAME}` or `${file:PATH}`. `{ base64: … }` where the issuer signs with the decoded bytes, as jjwt and JHipster do.',
    ),
    publicKey: text().optional().describe('For RS…, PS… and ES…: a PEM file with the public key, or a certificate.'),
    jwks: z
      .string()
      .optional()
      .describe(
        'For RS…, PS… and ES…: the URL of the issuer’s keys (RFC 7517). Fetched when first needed, then kept up to date.',
      ),
    discovery: z
      .boolean()
      .default(false)
      .describe(
        'The URL of the keys is what `ISSUER/.well-known/openid-configuration` says (OpenID Connect Discovery).',
      ),
    jwksStaleMax: duration({ min: '1m', max: '30d' })
      .prefault('24h')
      .describe('How long fetched keys are used while the issuer cannot be reached.'),
    claims: Claims.prefault({}).describe('Where in a token of this issuer things stand.'),
    leeway: duration({ min: '0ms', max: '10m' })
      .prefault('30s')
      .describe('How far the issuer’s clock and ours may differ.'),
  })
  .check(({ value, issues }) => {
    const add = (key: string, message: string, hint?: string) =>
      issues.push({ ...flaw(undefined, message, hint), path: [key] });
    if (value.audience === undefined && value.clientId === undefined) {
      add('audience', 'is missing', 'where tokens have none, `clientId` tells them apart');
    }
    if (RESERVED_ISSUERS.includes(value.issuer)) {
      add('issuer', 'is what callers without an issuer are called here: no token can be told from them');
    }
    for (const key of ['jwks'] as const) if (!isUrl(value[key])) add(key, 'must be a URL of https:// or http://');
    if (value.discovery && !isUrl(value.issuer)) add('issuer', 'must be a URL, where `discovery` looks for its keys');
    const isShared = value.algorithms.map(algorithm => algorithm.startsWith('HS'));
    if (isShared.length === 0) return; // said already
    if (isShared.includes(true) && isShared.includes(false)) {
      add('algorithms', 'mixes HS… with others: an issuer has a secret, or it has a key pair');
      return;
    }
    for (const { key, message } of keyFlaws(value, isShared.includes(true))) add(key, message);
  })
  .transform(({ leeway, jwksStaleMax, secret, audience, ...rest }) => ({
    ...rest,
    audience: audience === 'any' ? undefined : audience,
    isAudienceAny: audience === 'any',
    secret: secret?.secret,
    isSecretBase64: secret?.isBase64 ?? false,
    leewayMs: leeway,
    jwksStaleMsMax: jwksStaleMax,
  }));

/** Whose callers have no issuer: `api-key/…`. */
const RESERVED_ISSUERS = ['api-key', 'ldap', 'mtls'];

/** True for a URL of HTTP, and for none. */
function isUrl(written: string | undefined): boolean {
  return written === undefined || (/^https?:\/\//i.test(written) && URL.canParse(written));
}

type Written = z.output<typeof SharedSecret>;

interface Keys {
  readonly algorithms: readonly string[];
  readonly secret?: Written | undefined;
  readonly publicKey?: string | undefined;
  readonly jwks?: string | undefined;
  readonly discovery: boolean;
}

function* keyFlaws(keys: Keys, isShared: boolean): Iterable<{ key: string; message: string }> {
  const algorithms = keys.algorithms.join(', ');
  const given = KEY_SOURCES.filter(source => keys[source] !== undefined && keys[source] !== false);
  const fitting = given.filter(source => (source === 'secret') === isShared);
  if (fitting.length === 0) {
    const wanted = isShared ? '`secret`' : '`publicKey`, `jwks` or `discovery`';
    yield { key: 'algorithms', message: `${algorithms} needs ${wanted}` };
  }
  for (const source of given) {
    if (!fitting.includes(source)) yield { key: source, message: `is of no use with ${algorithms}` };
  }
  for (const source of fitting.slice(1)) {
    yield { key: source, message: `is one source of keys too many: there is \`${fitting[0] ?? ''}\` already` };
  }
  if (isShared && keys.secret !== undefined) yield* secretFlaws(keys.algorithms, keys.secret);
}

function* secretFlaws(algorithms: readonly string[], { secret, isBase64 }: Written) {
  const text = secret.reveal();
  if (isBase64 && !/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) {
    yield { key: 'secret', message: 'is not base64' };
    return;
  }
  const bytesMin = Math.max(...algorithms.map(algorithm => Number(algorithm.slice(2)) / 8));
  const bytes = isBase64 ? Buffer.from(text, 'base64').length : Buffer.byteLength(text);
  if (bytes < bytesMin) {
    yield { key: 'secret', message: `is too short: ${algorithms.join(', ')} asks for at least ${bytesMin} bytes` };
  }
}

const ApiKeys = z.strictObject({
  file: text().describe(
    'A YAML file, reloaded when it changes: `[{ id, sha256, subject, scopes, roles, expires }]`, of each key the SHA-256 digest alone. `penstock key` makes, lists and revokes keys.',
  ),
  header: z
    .string()
    .regex(/^[A-Za-z0-9!#$%&'*+.^`|~-]+$/, 'must be the name of a header field')
    .default('X-API-Key')
    .transform(name => name.toLowerCase())
    .describe('The field that a key may stand in, beside `Authorization: ApiKey KEY`. No instance is sent it.'),
});

const Introspection = z
  .strictObject({
    endpoint: z.string().describe('The endpoint that says whether a token is active (RFC 7662).'),
    clientId: text().describe('The gateway’s name at the provider.'),
    clientSecret: z
      .string()
      .transform(secret => new Secret(secret))
      .describe('Best `${env:NAME}` or `${file:PATH}`.'),
    audience: text().optional().describe('What `aud` must be, or hold. Default: any.'),
    match: text()
      .optional()
      .describe(
        'Which tokens this endpoint judges: what they begin with, or their `iss` where they are JWTs. The first endpoint that fits is asked. Default: every token that is no JWT.',
      ),
    claims: Claims.prefault({}).describe('Where in an answer things stand.'),
    cacheFor: duration({ min: '0ms', max: '1h' })
      .prefault('30s')
      .describe('How long an answer is cached, at most; never longer than the token lives.'),
  })
  .check(({ value, issues }) => {
    if (!isUrl(value.endpoint))
      issues.push({ ...flaw(undefined, 'must be a URL of https:// or http://'), path: ['endpoint'] });
  })
  .transform(({ cacheFor, ...rest }) => ({ ...rest, cacheMs: cacheFor }));

const Guessing = z
  .strictObject({
    failures: whole(1, 10_000).default(10).describe('How many wrong credentials are taken.'),
    per: duration({ min: '1s', max: '1d' }).prefault('1m').describe('In which time.'),
  })
  .transform(({ failures, per }) => ({ failures, perMs: per }));

const Groups = z.strictObject({
  base: text().describe('Under which entry groups are looked for.'),
  filter: text()
    .default('(member={dn})')
    .describe('Which groups hold a caller: `{dn}` and `{user}` are put in escaped (RFC 4515).'),
  nested: z.boolean().default(true).describe('Whether groups that hold a group count as well.'),
});

const Ldap = z
  .strictObject({
    servers: z
      .array(z.string().regex(/^ldaps?:\/\/[^/?#@]+\/?$/i, 'must be ldaps://HOST or ldap://HOST'))
      .min(1)
      .describe('In the order in which they are tried.'),
    userDn: text()
      .regex(/\{user\}/, 'must hold `{user}`')
      .describe('The entry of a caller: `{user}` is put in escaped (RFC 4514).'),
    groups: Groups.optional().describe('Where the groups of callers are. Without it callers have no roles.'),
    roles: z
      .record(z.string(), text())
      .default({})
      .describe('Which role a group gives, by the `cn` of the group. Other groups give none.'),
    startTls: z
      .boolean()
      .default(false)
      .describe('Whether a connection of `ldap://` is secured before anything is said.'),
    ca: text()
      .optional()
      .describe('A PEM file with the authorities that servers are verified by. Default: those that Node knows.'),
    timeout: duration({ min: '100ms', max: '1m' }).prefault('2s').describe('For each thing a server is asked.'),
    pool: whole(1, 100).default(4).describe('Connections at once.'),
    bindDn: text().optional().describe('The entry as which the gateway looks for groups. Default: the caller’s.'),
    bindPassword: z
      .string()
      .optional()
      .transform(secret => (secret === undefined ? undefined : new Secret(secret)))
      .describe('Best `${env:NAME}` or `${file:PATH}`.'),
    cacheFor: duration({ min: '0ms', max: '1h' })
      .prefault('60s')
      .describe('How long a right password is cached, by a keyed hash.'),
  })
  .check(({ value, issues }) => {
    const isPlain = value.servers.some(server => /^ldap:/i.test(server));
    const isSecure = value.servers.some(server => /^ldaps:/i.test(server));
    if (value.startTls && isSecure) issues.push({ ...flaw(undefined, 'is for ldap:// alone'), path: ['startTls'] });
    if (isPlain && isSecure) issues.push({ ...flaw(undefined, 'mixes ldaps:// and ldap://'), path: ['servers'] });
    if ((value.bindDn === undefined) !== (value.bindPassword === undefined)) {
      issues.push({
        ...flaw(undefined, 'goes together with `bindPassword`, which must not be empty'),
        path: ['bindDn'],
      });
    }
  })
  .transform(({ timeout, pool, cacheFor, roles, ...rest }) => ({
    ...rest,
    roles: new Map(Object.entries(roles).map(([group, role]) => [group.toLowerCase(), role])),
    timeoutMs: timeout,
    poolMax: pool,
    cacheMs: cacheFor,
  }));

const Mtls = z.strictObject({
  caller: z
    .enum(['san', 'subject'])
    .default('san')
    .describe(
      'By what a caller is known: `san`: the first URI among the certificate’s alternative names, else the first name of a host, e-mail address or IP address; `subject`: its distinguished name, as RFC 4514 writes it.',
    ),
});

/** Whose credentials are believed. */
export const Identity = z
  .strictObject({
    jwt: z
      .array(Issuer)
      .min(1)
      .optional()
      .describe('Issuers of JSON Web Tokens. A token is judged by the one its `iss` names.'),
    tokenBytesMax: size({ min: '256B', max: '64KiB' }).prefault('8KiB').describe('A larger token is refused unread.'),
    apiKeys: ApiKeys.optional().describe('API keys.'),
    introspection: z
      .array(Introspection)
      .min(1)
      .optional()
      .describe('Opaque tokens of OAuth 2.0: the endpoints that say whether they are active.'),
    guessing: Guessing.prefault({}).describe(
      'How many wrong credentials one address may send, and one address for one name. More are refused with RATE_LIMITED, before a signature is checked or a provider is asked; credentials that the gateway has cached as good are still taken.',
    ),
    mtls: Mtls.optional().describe('Certificates that callers open their connection with, of `listen.tls.clientCa`.'),
    ldap: Ldap.optional().describe(
      'Callers with a name and a password of a directory: HTTP Basic, judged by a bind as the caller.',
    ),
  })
  .check(({ value, issues }) => {
    const issuers = (value.jwt ?? []).map(({ issuer }) => issuer);
    issuers.forEach((issuer, at) => {
      if (issuers.indexOf(issuer) === at) return;
      issues.push({ ...flaw(issuer, 'this issuer is listed already'), path: ['jwt', at, 'issuer'] });
    });
    const schemes = [value.jwt, value.apiKeys, value.introspection, value.mtls, value.ldap];
    if (schemes.every(scheme => scheme === undefined)) {
      issues.push(flaw(undefined, 'names no scheme: nothing could be judged by it'));
    }
  });
