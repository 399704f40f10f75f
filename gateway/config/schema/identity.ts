import { z } from 'zod';
import { Secret } from '../secret.ts';
import { Claims, Issuer, isUrl } from './identity-jwt.ts';
import { duration, flaw, size, text, whole } from './scalars.ts';

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
      .describe('How long an answer is remembered, at most; never longer than the token lives.'),
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
      .describe('How long a right password is remembered, by a keyed hash.'),
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
      'How many wrong credentials one address may send, and one address for one name. More are refused with RATE_LIMITED, before a signature is checked or a provider is asked; credentials that the gateway remembers as good are still taken.',
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
