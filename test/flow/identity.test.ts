import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { startGateway } from '../support/composed-gateway.ts';
import { json, signingKey, startScriptedProvider } from '../support/identity-provider.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const soon = () => Math.floor(Date.now() / 1000) + 3_600;

async function gatewayOf(t: TestContext, { identity, auth = '{}' }: { identity: string; auth?: string }) {
  const upstream = await startUpstream(t, answer('[1]'));
  const gateway = await startGateway(t, {
    services: { fuel: [upstream.origin] },
    more: `identity: ${identity}`,
    routes: `
services: { fuel: { concurrency: 64, health: { interval: 1h } } }
routes: [{ id: fuel, uri: lb://fuel, predicates: ['Path=/fuel/**'], auth: ${auth} }]`,
  });
  return { gateway, upstream };
}

describe('keys that an issuer publishes', () => {
  const [old, young] = [signingKey('old'), signingKey('young')];

  test('change under load, and no call is lost', async t => {
    const published = (...keys: { published: object }[]) => json({ keys: keys.map(key => key.published) });
    const provider = await startScriptedProvider(t, published(old));
    const identity = `{ jwt: [{ issuer: '${provider.url}', audience: penstock, algorithms: [ES256], jwks: '${provider.url}/jwks' }] }`;
    const { gateway } = await gatewayOf(t, { identity });
    const claims = (sub: string) => ({ iss: provider.url, aud: 'penstock', sub, exp: soon() });
    const send = async (token: string) => (await gateway.call('/fuel', bearer(token))).status;

    const before = await Promise.all([1, 2, 3, 4].map(i => send(old.sign(claims(`s${i}`)))));
    provider.answer = published(young, old);
    const during = await Promise.all(
      Array.from({ length: 20 }, (_, i) => send((i % 2 === 0 ? old : young).sign(claims(`d${i}`)))),
    );
    assert.deepEqual(new Set([...before, ...during]), new Set([200]));
    assert.equal(provider.requests.length, 2, 'one fetch at first, and one for the new key');

    const metrics = (await gateway.get('/metrics')).text;
    assert.match(metrics, new RegExp(`penstock_jwks_age_seconds\\{issuer="${provider.url}"\\} [\\d.]+`));
  });

  test('that are not to be had make a token no fault of its caller: 503, and when to come again', async t => {
    const provider = await startScriptedProvider(t, json({}, 500));
    const identity = `{ jwt: [{ issuer: '${provider.url}', audience: penstock, algorithms: [ES256], jwks: '${provider.url}/jwks' }] }`;
    const { gateway, upstream } = await gatewayOf(t, { identity });
    const token = old.sign({ iss: provider.url, aud: 'penstock', sub: 'a', exp: soon() });

    const received = await gateway.call('/fuel', bearer(token));

    assert.deepEqual(
      [received.status, received.code, received.headers['retry-after']],
      [503, 'IDENTITY_UNAVAILABLE', '5'],
    );
    assert.equal(upstream.requests.length, 0);
  });
});

describe('a caller who may not', () => {
  test('is told what the token lacks, or that it carries none where they were looked for', async t => {
    const key = signingKey('one');
    const provider = await startScriptedProvider(t, json({ keys: [key.published] }));
    const issuer = `{ issuer: '${provider.url}', audience: any, algorithms: [ES256], jwks: '${provider.url}/jwks', claims: { roles: realm_access.roles } }`;
    const { gateway } = await gatewayOf(t, { identity: `{ jwt: [${issuer}] }`, auth: '{ roles: [analyst] }' });
    const send = (more: object) =>
      gateway.call('/fuel', bearer(key.sign({ iss: provider.url, sub: 'a', exp: soon(), ...more })));

    const none = await send({ roles: ['analyst'] });
    const other = await send({ realm_access: { roles: ['intern'] } });

    const reported = (received: Awaited<ReturnType<typeof send>>) => [
      received.status,
      (JSON.parse(received.text) as { detail: string }).detail,
    ];
    const where = 'they were looked for in realm_access.roles';
    assert.deepEqual(reported(none), [403, `The credential carries no roles at all; ${where}.`]);
    assert.deepEqual(reported(other), [403, 'The credential carries none of the roles analyst.']);
    assert.equal((await send({ realm_access: { roles: ['analyst'] } })).status, 200);
  });
});
