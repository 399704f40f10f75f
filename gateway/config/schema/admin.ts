import { z } from 'zod';
import { ADMIN_ROLES, isLoopback } from '../../domain/operating/admin.ts';
import { flaw, listeningPort, text } from './scalars.ts';

const Token = z
  .strictObject({
    name: text().describe('The name that the log gives to the token’s owner.'),
    sha256: z
      .string()
      .regex(/^[0-9a-fA-F]{64}$/, 'must be a SHA-256 digest: 64 hexadecimal digits')
      .transform(digest => digest.toLowerCase())
      .describe('The digest of the token: `printf %s TOKEN | sha256sum`. The token itself stands nowhere.'),
    role: z
      .enum(ADMIN_ROLES)
      .describe(
        'A viewer looks; a scientist looks, and purges and rechecks the services named for them; an operator does everything but read the audit trail; an auditor looks, and reads the audit trail.',
      ),
    services: z.array(text()).default([]).describe('What a scientist may purge and recheck.'),
  })
  .check(({ value: { role, services }, issues }) => {
    const isScientist = role === 'scientist';
    if (isScientist === services.length > 0) return;
    const message = isScientist
      ? 'names no service, and a scientist may change only those'
      : 'is for the role scientist alone';
    issues.push({
      ...flaw(services, message, isScientist ? 'write `services: [fuel]`' : undefined),
      path: [isScientist ? 'role' : 'services'],
    });
  });

const held = () => z.array(text()).default([]);

const Roles = z.strictObject({
  viewer: held().describe('Roles of an identity that make a viewer.'),
  scientist: held().describe('The same for a scientist; each is named under `services` too.'),
  operator: held().describe('The same for an operator.'),
  auditor: held().describe('The same for an auditor.'),
});

const Access = z
  .strictObject({
    open: z
      .array(z.enum(['livez', 'readyz', 'metrics']))
      .default(['livez', 'readyz', 'metrics'])
      .describe('What may be read without a token.'),
    tokens: z
      .array(Token)
      .default([])
      .describe('Tokens for the rest, sent as `Authorization: Bearer TOKEN`, and what each may do.'),
    roles: Roles.prefault({}).describe(
      'Roles that a token, an API key or an LDAP group of `identity` gives, and what they are here.',
    ),
    services: z
      .record(text(), z.array(text()).min(1))
      .default({})
      .describe('By role of an identity: what such a scientist may purge and recheck.'),
  })
  .check(({ value: { roles, services }, issues }) => {
    for (const [i, role] of roles.scientist.entries()) {
      if (Object.hasOwn(services, role)) continue;
      const issue = flaw(
        role,
        'no service is named for this role, and a scientist may change only those',
        'name them beside `roles`, as in `services: { data-team: [fuel] }`',
      );
      issues.push({ ...issue, path: ['roles', 'scientist', i] });
    }
    for (const role of Object.keys(services)) {
      if (!roles.scientist.includes(role))
        issues.push({ ...flaw(undefined, 'is no role of `roles.scientist`'), path: ['services', role] });
    }
  });

/** The listener for operators. */
export const Admin = z
  .strictObject({
    host: text().default('127.0.0.1').describe('The address to listen on.'),
    port: listeningPort().default(9090).describe('The port to listen on; 0 takes any that is free.'),
    access: Access.optional().describe(
      'What is open, and what needs a token. Required where `host` is not loopback; on loopback it has no effect, and everything is open.',
    ),
  })
  .check(({ value, issues }) => {
    if (isLoopback(value.host) || value.access !== undefined) return;
    const hint = 'write `access: { open: [livez, readyz, metrics], tokens: [] }`';
    const issue = flaw(value.host, 'is not loopback, and `admin.access` says nothing of who may do what', hint);
    issues.push({ ...issue, path: ['host'] });
  });
