import { z } from 'zod';
import { Issuer } from './identity-jwt.ts';
import { withLater } from './later.ts';
import { flaw, size } from './scalars.ts';

/** Whose credentials are believed. */
export const Identity = withLater(
  z.strictObject({
    jwt: z
      .array(Issuer)
      .min(1)
      .optional()
      .describe('Issuers of JSON Web Tokens. A token is judged by the one its `iss` names.'),
    tokenBytesMax: size({ min: '256B', max: '64KiB' }).prefault('8KiB').describe('A larger token is refused unread.'),
  }),
  { keys: ['apiKeys', 'introspection', 'guessing', 'mtls', 'ldap'] },
).check(({ value, issues }) => {
  const issuers = (value.jwt ?? []).map(({ issuer }) => issuer);
  issuers.forEach((issuer, at) => {
    if (issuers.indexOf(issuer) === at) return;
    issues.push({ ...flaw(issuer, 'this issuer is listed already'), path: ['jwt', at, 'issuer'] });
  });
  if (value.jwt !== undefined) return;
  issues.push(flaw(undefined, 'names no scheme: nothing could be judged by it'));
});
