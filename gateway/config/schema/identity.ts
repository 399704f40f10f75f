import { z } from 'zod';
import { Secret } from '../secret.ts';
import { withLater } from './later.ts';
import { duration, flaw, size, text } from './scalars.ts';

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

const Issuer = withLater(
  z.strictObject({
    issuer: text().describe('What `iss` must be.'),
    audience: text().describe('What `aud` must be, or hold.'),
    algorithms: z
      .array(Algorithm)
      .min(1)
      .describe(
        'The algorithms this issuer signs with, of one kind: HS… with `secret`, RS…, PS… or ES… with `publicKey`.',
      ),
    secret: z
      .string()
      .optional()
      .transform(secret => (secret === undefined ? undefined : new Secret(secret)))
      .describe('For HS…: at least as long as the hash (32 bytes for HS256). Best `${env:NAME}` or `${file:PATH}`.'),
    publicKey: text().optional().describe('For RS…, PS… and ES…: a PEM file with the public key, or a certificate.'),
    leeway: duration({ min: '0ms', max: '10m' })
      .prefault('30s')
      .describe('How far the issuer’s clock and ours may differ.'),
  }),
  { keys: ['jwks', 'discovery', 'introspection'] },
)
  .check(({ value, issues }) => {
    const isShared = value.algorithms.map(algorithm => algorithm.startsWith('HS'));
    if (isShared.length === 0) return; // said already
    const add = (key: string, message: string) => issues.push({ ...flaw(undefined, message), path: [key] });
    if (isShared.includes(true) && isShared.includes(false)) {
      add('algorithms', 'mixes HS… with others: an issuer has a secret, or it has a key pair');
      return;
    }
    for (const { key, message } of keyFlaws(value, isShared.includes(true))) add(key, message);
  })
  .transform(({ leeway, ...rest }) => ({ ...rest, leewayMs: leeway }));

interface Keys {
  readonly algorithms: readonly string[];
  readonly secret: Secret | undefined;
  readonly publicKey?: string | undefined;
}

function* keyFlaws(
  { algorithms, secret, publicKey }: Keys,
  isShared: boolean,
): Iterable<{ key: string; message: string }> {
  const [wanted, unwanted] = isShared ? ['secret', 'publicKey'] : ['publicKey', 'secret'];
  const has = { secret: secret !== undefined, publicKey: publicKey !== undefined };
  if (!has[wanted as keyof typeof has]) {
    yield { key: 'algorithms', message: `${algorithms.join(', ')} needs \`${wanted}\`` };
  }
  if (has[unwanted as keyof typeof has]) {
    yield { key: unwanted, message: `is of no use with ${algorithms.join(', ')}` };
  }
  if (!isShared || secret === undefined) return;
  const bytesMin = Math.max(...algorithms.map(algorithm => Number(algorithm.slice(2)) / 8));
  const bytes = Buffer.byteLength(secret.reveal());
  if (bytes < bytesMin) {
    yield { key: 'secret', message: `is too short: ${algorithms.join(', ')} asks for at least ${bytesMin} bytes` };
  }
}

/** Whose credentials are believed. */
export const Identity = withLater(
  z.strictObject({
    jwt: z.array(Issuer).min(1).describe('Issuers of tokens. A token is judged by the one its `iss` names.'),
    tokenBytesMax: size({ min: '256B', max: '64KiB' }).prefault('8KiB').describe('A larger token is refused unread.'),
  }),
  { keys: ['apiKeys', 'introspection'] },
).check(({ value, issues }) => {
  const issuers = value.jwt.map(({ issuer }) => issuer);
  issuers.forEach((issuer, at) => {
    if (issuers.indexOf(issuer) === at) return;
    issues.push({ ...flaw(issuer, 'this issuer is listed already'), path: ['jwt', at, 'issuer'] });
  });
});
