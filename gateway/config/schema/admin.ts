import { z } from 'zod';
import { isLoopback } from '../../domain/operating/admin.ts';
import { flaw, listeningPort, text } from './scalars.ts';

const Token = z.strictObject({
  name: text().describe('The name that the log gives to the token’s owner.'),
  sha256: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'must be a SHA-256 digest: 64 hexadecimal digits')
    .transform(digest => digest.toLowerCase())
    .describe('The digest of the token: `printf %s TOKEN | sha256sum`. The token itself stands nowhere.'),
  role: z
    .enum(['viewer', 'operator', 'auditor'])
    .describe(
      'A viewer reads; an operator also changes; an auditor reads, the audit trail as well, which no other may.',
    ),
});

const Access = z.strictObject({
  open: z
    .array(z.enum(['livez', 'readyz', 'metrics']))
    .default(['livez', 'readyz', 'metrics'])
    .describe('What may be read without a token.'),
  tokens: z
    .array(Token)
    .default([])
    .describe('Tokens for the rest, sent as `Authorization: Bearer TOKEN`, and what each may do.'),
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
