import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import { describe, test, type TestContext } from 'node:test';
import type { Finding } from '../../gateway/domain/admission/scheme.ts';
import { OpaqueScheme, type IntrospectionEndpoint } from '../../gateway/edges/introspection.ts';
import { json, startScriptedProvider } from '../support/identity-provider.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aMatched } from '../support/requests.ts';
import { aToken, hmac } from '../support/tokens.ts';
import { listen } from '../support/node-server.ts';

/** The package has no types of its own. */
const { default: Provider } = createRequire(import.meta.url)('oidc-provider') as {
  readonly default: new (issuer: string, configuration: object) => { callback(): RequestListener };
};

const NOW = Date.UTC(2026, 0, 1) / 1000;

function anEndpoint(url: string, traits: Partial<IntrospectionEndpoint> = {}): IntrospectionEndpoint {
  return {
    ...{ url, clientId: 'pen stock', clientSecret: 'a+b:c', issuer: url, audience: undefined, match: undefined },
    ...{ claims: {}, cacheMs: 30_000 },
    ...traits,
  };
}

function aScheme(endpoints: readonly IntrospectionEndpoint[], clock = manualClock()) {
  const failures: string[] = [];
  const scheme = new OpaqueScheme({
    ...{ endpoints, tokenBytesMax: 8192, clock, guessing: undefined },
    onFailure: (_url, problem) => failures.push(problem),
  });
  const judge = async (token: string) => scheme.identify({ kind: 'bearer', token }, aMatched());
  return { scheme, clock, failures, judge };
}

const active = (more: object = {}) => json({ active: true, sub: 'alice', scope: 'predict', ...more });
const faultOf = (finding: Finding) => (finding.kind === 'refused' ? finding.fault : 'none');

async function schemeBefore(t: TestContext, answer = active(), traits: Partial<IntrospectionEndpoint> = {}) {
  const provider = await startScriptedProvider(t, answer);
  return { provider, ...aScheme([anEndpoint(`${provider.url}/i`, traits)]) };
}

describe('an opaque token', () => {
  test('is asked about once, however many calls bring it, and cached for `cacheFor`', async t => {
    const { provider, judge, clock } = await schemeBefore(t);

    const found = await Promise.all([judge('opaque-1'), judge('opaque-1'), judge('opaque-1')]);
    await judge('opaque-1');
    assert.equal(provider.requests.length, 1);
    const [first] = found;
    assert.ok(first.kind === 'valid');
    assert.deepEqual([first.caller.kind, first.caller.subject, first.caller.scopes], ['opaque', 'alice', ['predict']]);

    clock.advance(30_000);
    await judge('opaque-1');
    assert.equal(provider.requests.length, 2);
  });

  test('names its caller by the claim that the endpoint’s configuration says, or else by its user or client', async t => {
    const said = { sub: undefined, username: 'alice', client_id: 'web', mail: { of: 'a@example.org' } };
    const nameBy = async (answer: object, subject?: readonly string[]) => {
      const { judge } = await schemeBefore(t, active(answer), { claims: { subject } });
      const finding = await judge('a');
      return finding.kind === 'valid' ? finding.caller.subject : finding.fault;
    };

    assert.equal(await nameBy(said, ['mail', 'of']), 'a@example.org');
    assert.equal(await nameBy(said, ['mail', 'at']), 'no-subject');
    assert.equal(await nameBy(said), 'alice');
    assert.equal(await nameBy({ ...said, username: undefined }), 'web');
  });

  test('is cached no longer than it lives', async t => {
    const { provider, judge, clock } = await schemeBefore(t, active({ exp: NOW + 10 }));
    await judge('opaque-1');

    clock.advance(10_000);

    assert.equal(faultOf(await judge('opaque-1')), 'expired');
    assert.equal(provider.requests.length, 2);
  });

  test('that is not active is cached as well', async t => {
    const { provider, judge } = await schemeBefore(t, json({ active: false }));

    assert.deepEqual([faultOf(await judge('a')), faultOf(await judge('a'))], ['unknown-token', 'unknown-token']);
    assert.equal(provider.requests.length, 1);
  });

  test('is asked about as the standard says, by a client that names itself', async t => {
    let received = {};
    const { judge } = await schemeBefore(t, (request, response, body) => {
      received = { method: request.method, authorization: request.headers.authorization, body };
      active()(request, response, body);
    });

    await judge('a+/=');

    const authorization = `Basic ${Buffer.from('pen+stock:a%2Bb%3Ac').toString('base64')}`;
    assert.deepEqual(received, {
      method: 'POST',
      authorization,
      body: 'token=a%2B%2F%3D&token_type_hint=access_token',
    });
  });

  const refused: [what: string, answer: object, fault: string][] = [
    ['for another audience', { aud: 'others' }, 'wrong-audience'],
    ['that is a refresh token', { token_type: 'refresh_token', aud: 'penstock' }, 'wrong-type'],
    ['that is one by Keycloak’s word', { typ: 'Refresh', aud: 'penstock' }, 'wrong-type'],
    ['without a subject', { sub: ' ', aud: ['penstock'] }, 'no-subject'],
    ['whose end is written as text, and was', { exp: String(NOW - 1), aud: 'penstock' }, 'expired'],
  ];
  for (const [what, answer, fault] of refused) {
    test(`${what} is refused`, async t => {
      const { judge } = await schemeBefore(t, active(answer), { audience: 'penstock' });
      assert.equal(faultOf(await judge('a')), fault);
    });
  }

  const failures: [what: string, answer: ReturnType<typeof json>][] = [
    ['an error', json({ active: true, sub: 'alice' }, 500)],
    ['a refusal of the client', json({ active: true, sub: 'alice' }, 401)],
    ['no JSON', (_, response) => response.end('active')],
    ['a text for a truth', json({ active: 'true', sub: 'alice' })],
    ['another shape', json([true])],
    ['nothing', (_, response) => response.destroy()],
    ['a switch of protocols', ({ socket }) => socket.write('HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n')],
    ['an end in words', active({ exp: 'tomorrow' })],
    ['an end that is none', active({ exp: { at: NOW } })],
    ['an issuer of a thousand letters and more', active({ iss: 'x'.repeat(1_025) })],
  ];
  for (const [what, answer] of failures) {
    test(`is never active where the provider answers ${what}: nothing is known, and nothing cached`, async t => {
      const { provider, judge, clock, failures: reported } = await schemeBefore(t, answer);

      await assert.rejects(judge('a'), { code: 'IDENTITY_UNAVAILABLE', retryAfterMs: 1_000 });
      await assert.rejects(judge('b'), { code: 'IDENTITY_UNAVAILABLE' });
      assert.deepEqual([provider.requests.length, reported.length >= 1], [1, true], 'it is left alone for a moment');

      provider.answer = active();
      clock.advance(1_000);
      assert.equal((await judge('a')).kind, 'valid');
    });
  }

  test('is asked about at the first endpoint that it fits: by what it begins with, or by its issuer', async t => {
    const provider = await startScriptedProvider(t, active());
    const at = (path: string, match?: string) => anEndpoint(`${provider.url}/${path}`, { match });
    const { scheme, judge } = aScheme([at('a', 'aa-'), at('b', 'https://b.example.org'), at('rest')]);
    const jwtOf = (iss: string) => aToken({ alg: 'HS256' }, { iss, exp: NOW + 60 }, hmac('x'));

    for (const token of ['aa-1', 'bb-1', jwtOf('https://b.example.org')]) await judge(token);

    assert.deepEqual(provider.requests, ['/a', '/rest', '/b']);
    assert.equal(scheme.takes({ kind: 'bearer', token: jwtOf('https://c.example.org') }), false, 'a JWT is another’s');
  });
});

describe('a real provider', () => {
  test('says of its own tokens that they are active, and of others that they are not', async t => {
    const client = {
      ...{ client_id: 'pipeline', client_secret: 'a secret of the pipeline', redirect_uris: [], response_types: [] },
      grant_types: ['client_credentials'],
      scope: 'predict',
    };
    const gateway = {
      client_id: 'penstock',
      client_secret: 'a secret of the gateway',
      redirect_uris: [],
      response_types: [],
    };
    const server = createServer();
    const url = `http://127.0.0.1:${await listen(t, server)}`;
    const provider = new Provider(url, {
      clients: [client, { ...gateway, grant_types: [] }],
      scopes: ['predict'],
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        introspection: { enabled: true, allowedPolicy: () => true },
        revocation: { enabled: true },
      },
    });
    server.on('request', provider.callback());
    const basic = (id: string, secret: string) =>
      `Basic ${Buffer.from(`${id}:${secret.replaceAll(' ', '+')}`).toString('base64')}`;
    const post = async (path: string, form: Record<string, string>) => {
      const headers = { authorization: basic(client.client_id, client.client_secret), connection: 'close' };
      return fetch(`${url}${path}`, { method: 'POST', headers, body: new URLSearchParams(form) });
    };
    const issued = await post('/token', { grant_type: 'client_credentials', scope: 'predict' });
    const { access_token: token } = (await issued.json()) as { access_token: string };
    const wallMs = Date.now();
    const clock = manualClock(wallMs);
    const endpoint = { clientId: gateway.client_id, clientSecret: gateway.client_secret };
    const { judge } = aScheme([anEndpoint(`${url}/token/introspection`, endpoint)], clock);

    const found = await judge(token);
    assert.ok(found.kind === 'valid', JSON.stringify(found));
    assert.deepEqual([found.caller.id, found.caller.scopes], [`${url}/pipeline`, ['predict']]);
    assert.equal(faultOf(await judge(`${token}x`)), 'unknown-token');

    await post('/token/revocation', { token });
    assert.equal((await judge(token)).kind, 'valid', 'cached');
    clock.advance(30_000);
    assert.equal(faultOf(await judge(token)), 'unknown-token');
  });
});
