import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test, type TestContext } from 'node:test';
import type { IssuerConfig } from '../../gateway/config/gateway-config.ts';
import { JwtScheme } from '../../gateway/edges/jsonwebtoken.ts';
import type { CallTraits } from '../support/call.ts';
import { aCertificate } from '../support/certificates.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { gatewayOf, reported } from '../support/configuration.ts';
import { json, startScriptedProvider } from '../support/identity-provider.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';
import { startSlapd, SUFFIX } from '../support/slapd.ts';
import { aToken, asymmetric } from '../support/tokens.ts';
import { aFolder } from '../support/folder.ts';

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
      assert.deepEqual(reported(problems), []);
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

/** The blocks of YAML in the part of this title, each with what it begins with. */
function blocksOf(title: string): string[] {
  const section = page.split(/^## /m).find(part => part.startsWith(`${title}\n`)) ?? assert.fail(`no ${title}`);
  return [...section.matchAll(/```yaml\n([^]*?)```/g)].map(([, yaml = '']) => yaml);
}

/** A folder with these files, gone when the test ends. */
function folderWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = aFolder(t);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

/** A gateway with this part of the page, and whom it takes callers for: its service answers with that. */
async function gatewayWith(t: TestContext, more: string, { auth = '{}', env = {} } = {}) {
  const upstream = await startUpstream(t, answer('[1]'));
  const gateway = await startGateway(t, {
    ...{ services: { fuel: [upstream.origin] }, more, env },
    routes: `routes: [{ id: fuel, uri: lb://fuel, predicates: ['Path=/fuel/**'], auth: ${auth} }]`,
  });
  return async (headers: NonNullable<CallTraits['headers']>) => {
    const { status } = await gateway.call('/fuel/predict', { headers });
    return status === 200 ? gateway.requests().at(-1)?.['caller'] : status;
  };
}

const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` });

describe('what the page on identity has to be written', () => {
  test('for API keys takes the key of its file', async t => {
    const [identity = '', file = ''] = blocksOf('API keys');
    const folder = folderWith(t, { 'keys/api-keys.yaml': file });
    const more = identity.replace('keys/api-keys.yaml', join(folder, 'keys/api-keys.yaml'));
    const callerOf = await gatewayWith(t, more, { auth: '{ scopes: [predict] }' });

    assert.equal(await callerOf({ 'x-api-key': 'hello' }), 'api-key/mobile-app');
    assert.equal(await callerOf({ authorization: 'ApiKey hello' }), 'api-key/mobile-app');
    assert.equal(await callerOf({ 'x-api-key': 'hallo' }), 401);
  });

  test('for opaque tokens asks the provider, in the gateway’s name', async t => {
    const seen: string[] = [];
    const yes = json({
      active: true,
      aud: 'penstock',
      sub: 'pipeline',
      iss: 'https://id.example.org',
      scope: 'predict',
    });
    const provider = await startScriptedProvider(t, (request, response, body) => {
      seen.push(`${request.headers.authorization ?? ''} ${body}`);
      (body.includes('good') ? yes : json({ active: false }))(request, response, body);
    });
    const [block = ''] = blocksOf('Opaque tokens');
    const more = block.replace('https://id.example.org/introspect', `${provider.url}/introspect`);
    const callerOf = await gatewayWith(t, more, { env: { INTROSPECTION_SECRET: 'of the test' } });

    for (let i = 0; i < 3; i++) {
      assert.equal(await callerOf({ authorization: 'Bearer opaque-good' }), 'https://id.example.org/pipeline');
    }
    assert.equal(await callerOf({ authorization: 'Bearer opaque-bad' }), 401);
    assert.equal(await callerOf({ authorization: 'Bearer other-good' }), 401);
    assert.deepEqual(provider.requests, ['/introspect', '/introspect']);
    assert.match(seen[0] ?? '', /^Basic .* token=opaque-good/);
  });

  test('for a directory makes roles of its groups', async t => {
    const person = (uid: string) => ({ objectClass: 'inetOrgPerson', uid, cn: uid, sn: uid, userPassword: `${uid}'s` });
    const group = (cn: string, member: string) => ({ objectClass: 'groupOfNames', cn, member });
    const directory = await startSlapd(t, [
      [SUFFIX, { objectClass: ['dcObject', 'organization'], dc: 'example', o: 'Example' }],
      [`ou=people,${SUFFIX}`, { objectClass: 'organizationalUnit', ou: 'people' }],
      [`ou=groups,${SUFFIX}`, { objectClass: 'organizationalUnit', ou: 'groups' }],
      [`uid=anna,ou=people,${SUFFIX}`, person('anna')],
      [`uid=otto,ou=people,${SUFFIX}`, person('otto')],
      [`cn=forest,ou=groups,${SUFFIX}`, group('forest', `uid=anna,ou=people,${SUFFIX}`)],
      [`cn=data-team,ou=groups,${SUFFIX}`, group('data-team', `cn=forest,ou=groups,${SUFFIX}`)],
    ]);
    const [block = ''] = blocksOf('LDAP');
    const servers = /servers: .*/.exec(block)?.[0] ?? assert.fail();
    const ca = join(folderWith(t, { 'ca.pem': directory.ca }), 'ca.pem');
    const more = block.replace(servers, `servers: ['${directory.ldaps}']\n    ca: ${ca}\n    timeout: 30s`);
    const callerOf = await gatewayWith(t, more, { auth: '{ roles: [scientist] }' });

    assert.equal(await callerOf(basic(`anna:anna's`)), 'ldap/anna');
    assert.equal(await callerOf(basic(`otto:otto's`)), 403);
    assert.equal(await callerOf(basic('anna:wrong')), 401);
  });

  test('for client certificates knows a caller by the certificate’s name', async t => {
    const [ofGateway = '', routes = ''] = blocksOf('Client certificates');
    const authority = aCertificate({ subject: '/CN=authority', names: [], isAuthority: true });
    const server = aCertificate({ names: ['IP:127.0.0.1'] });
    const alice = aCertificate({ names: ['alice.example'], by: authority });
    const folder = folderWith(t, {
      'tls/cert.pem': server.cert,
      'tls/key.pem': server.key,
      'tls/clients.pem': authority.cert,
    });
    const [, listen = '', more = ''] = /listen:\n {2}(.*)\n([^]*)/.exec(ofGateway) ?? [];
    const upstream = await startUpstream(t, answer('[1]'));
    const gateway = await startGateway(t, {
      ...{ services: { fuel: [upstream.origin] }, more, routes },
      listen: listen.replaceAll('tls/', `${folder}/tls/`),
    });
    const send = async (shown: object) => {
      const sent = request({
        host: '127.0.0.1',
        port: gateway.port,
        path: '/fuel/a',
        ca: server.cert,
        agent: false,
        ...shown,
      }).end();
      const [received] = (await once(sent, 'response')) as [IncomingMessage];
      await text(received);
      return received.statusCode;
    };

    assert.deepEqual([await send(alice), await send({})], [200, 401]);
    assert.equal(gateway.requests()[0]?.['caller'], 'mtls/alice.example');
  });
});
