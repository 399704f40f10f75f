import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { IssuerConfig } from '../../gateway/config/gateway-config.ts';
import { JwtScheme } from '../../gateway/edges/jsonwebtoken.ts';
import { gatewayOf, told } from '../support/configuration.ts';
import { aToken, asymmetric } from '../support/tokens.ts';

const page = readFileSync(new URL('../../docs/identity.md', import.meta.url), 'utf8');

/** The provider's part of the page: its configuration, a token's claims, and whom that makes. */
function exampleOf(provider: string) {
  const section = page.split(/^### /m).find(text => text.startsWith(`${provider}\n`)) ?? assert.fail(`no ${provider}`);
  const block = (language: string) =>
    new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(section)?.[1] ?? assert.fail(`no ${language}`);
  const known = block('text')
    .trim()
    .split('\n')
    .map(line => /^\S+ +(.*)$/.exec(line)?.[1] ?? '');
  return { yaml: block('yaml'), claims: JSON.parse(block('json')) as Record<string, unknown>, known };
}

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

/** The issuer as configured, but for where its keys are. */
function schemeOf(config: IssuerConfig): JwtScheme {
  const keys = [{ key: publicKey, algorithms: ['RS256' as const], id: 'k' }];
  const issuer = { ...config, secret: undefined, isFetched: true, keySet: { keys, prepare: () => undefined } };
  return new JwtScheme({ issuers: [issuer], tokenBytesMax: 8192, clock: { wallMs: () => Date.now() } });
}

const bearer = (claims: object) => {
  const token = aToken({ alg: 'RS256', kid: 'k' }, claims, asymmetric(privateKey, 256));
  return { kind: 'bearer', token } as const;
};

describe('the page on identity', () => {
  for (const provider of ['Keycloak', 'Auth0', 'Amazon Cognito', 'Microsoft Entra ID', 'Okta']) {
    test(`tells how tokens of ${provider} are taken`, async () => {
      const { yaml, claims, known } = exampleOf(provider);
      const { config, problems } = gatewayOf(yaml);
      assert.deepEqual(told(problems), []);
      const scheme = schemeOf(config?.identity?.jwt[0] ?? assert.fail());
      const exp = Math.floor(Date.now() / 1000) + 60;

      const finding = await scheme.identify(bearer({ ...claims, exp }));

      assert.ok(finding.kind === 'valid', JSON.stringify(finding));
      const { id, scopes, roles } = finding.caller;
      assert.deepEqual([id, scopes.join(' '), roles.join(' ')], known);
      const others = ['aud', 'client_id', 'cid'].filter(name => name in claims);
      for (const name of others) {
        const elsewhere = await scheme.identify(bearer({ ...claims, exp, [name]: 'https://others.example.org' }));
        assert.equal(elsewhere.kind, 'refused', `${name} of another`);
      }
    });
  }
});
