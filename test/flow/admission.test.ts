import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { post } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';
import { aToken, hmac, unsigned } from '../support/tokens.ts';

const SECRET = 'a secret of thirty-two bytes or more';

const soon = () => Math.floor(Date.now() / 1000) + 3_600;

function tokenOf(claims: object = {}, secret = SECRET): string {
  const all = { iss: 'here', aud: 'penstock', sub: 'alice', exp: soon(), ...claims };
  return aToken({ alg: 'HS256' }, all, hmac(secret));
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function gatewayWith(t: TestContext, policy: string) {
  const upstream = await startUpstream(t, answer('[1]'));
  const gateway = await startGateway(t, {
    services: { fuel: [upstream.origin] },
    more: "identity: { jwt: [{ issuer: here, audience: penstock, algorithms: [HS256], secret: '${env:S}' }] }",
    env: { S: SECRET },
    routes: `
services: { fuel: { health: { interval: 1h } } }
routes: [{ id: fuel, uri: lb://fuel, predicates: ['Path=/fuel/**', 'Method=GET,POST']${policy && `, ${policy}`} }]`,
  });
  return { gateway, upstream };
}

describe('a route of a gateway with identity', () => {
  test('is closed unless a credential is good, and says in one field why', async t => {
    const { gateway, upstream } = await gatewayWith(t, '');
    const send = (headers = {}) => gateway.call('/fuel', { headers });

    const table = [
      [await send(), 401, /^Bearer realm=[^,]*$|^Bearer$|^Bearer (?!.*error=)/],
      [await send({ authorization: 'Basic YTpi' }), 401, /^Bearer/],
      [await send(bearer('no.token.atall')), 401, /invalid_token/],
      [await send(bearer(tokenOf({}, 'another secret of thirty-two bytes'))), 401, /invalid_token/],
      [
        await send(bearer(aToken({ alg: 'none' }, { iss: 'here', aud: 'penstock', sub: 'a', exp: soon() }, unsigned))),
        401,
        /invalid_token/,
      ],
      [await send(bearer(tokenOf({ exp: soon() - 7_200 }))), 401, /invalid_token/],
      [await send(bearer(tokenOf({ exp: undefined }))), 401, /invalid_token/],
      [await send(bearer(tokenOf({ aud: 'others' }))), 401, /invalid_token/],
      [await send(bearer(tokenOf({ iss: 'elsewhere' }))), 401, /invalid_token/],
    ] as const;

    for (const [received, status, challenge] of table) {
      assert.equal(received.status, status);
      assert.equal(received.code, 'UNAUTHENTICATED');
      assert.match(String(received.headers['www-authenticate']), challenge);
    }
    assert.equal(upstream.requests.length, 0);
    assert.equal((await send(bearer(tokenOf()))).status, 200);
  });

  test('asks for all of its scopes and any of its roles', async t => {
    const { gateway } = await gatewayWith(t, 'auth: { scopes: [predict, batch], roles: [analyst, admin] }');
    const statusFor = async (claims: object) =>
      (await gateway.call('/fuel', { headers: bearer(tokenOf(claims)) })).status;

    assert.equal(await statusFor({ scope: 'predict', roles: ['admin'] }), 403);
    assert.equal(await statusFor({ scope: 'predict batch', roles: ['intern'] }), 403);
    assert.equal(await statusFor({ scp: ['batch', 'predict'], roles: ['intern', 'analyst'] }), 200);
  });

  test('tells R who calls, in words that no caller can forge, and keeps the token to itself', async t => {
    const { gateway, upstream } = await gatewayWith(t, "auth: { scopes: [predict] }, filters: ['StripPrefix=1']");
    const forged = {
      'X-Penstock-Subject': 'root',
      'X-Penstock-Issuer': 'root',
      x_penstock_roles: 'root',
      'Accept-Encoding': 'gzip',
      Expect: 'x',
    };

    const received = await gateway.call(
      '/fuel/predict?n=1',
      post([{ a: 1 }], { ...forged, ...bearer(tokenOf({ scope: 'predict', roles: ['r'] })) }),
    );

    assert.equal(received.status, 200);
    assert.equal(received.headers.via, '1.1 penstock');
    const { head = '', body, pieces } = upstream.requests[0] ?? {};
    assert.match(head, /^POST \/predict\?n=1 HTTP\/1\.1\r\n/);
    assert.match(head, /\r\nx-penstock-subject: alice\r\n/i);
    assert.match(head, /\r\nx-penstock-scopes: predict\r\n/i);
    assert.match(head, /\r\nx-penstock-roles: r\r\n/i);
    assert.match(head, /\r\ncontent-length: 9\r\n/i);
    assert.match(head, /\r\nconnection: keep-alive\r\n/i);
    assert.match(head, /\r\nvia: 1\.1 penstock\r\n/i);
    assert.match(head, /\r\nx-penstock-issuer: here\r\n/i);
    assert.doesNotMatch(head, /root|authorization|accept-encoding|expect|_/i);
    assert.equal(body?.toString(), '[{"a":1}]');
    assert.equal(pieces, 1, 'head and body came in one piece');
  });

  test('takes a bad credential for no credential nowhere, not even where anonymous callers may come', async t => {
    const { gateway } = await gatewayWith(t, 'auth: { allow: [jwt, anonymous] }');

    assert.equal((await gateway.call('/fuel')).status, 200);
    assert.equal((await gateway.call('/fuel', { headers: bearer('bad') })).status, 401);
    assert.equal((await gateway.call('/fuel', { headers: bearer(tokenOf()) })).status, 200);
  });
});

describe('a stranger', () => {
  test('cannot tell R who they are', async t => {
    const { gateway, upstream } = await gatewayWith(t, 'auth: { allow: [anonymous] }');

    await gateway.call('/fuel', {
      headers: {
        'X-Penstock-Subject': 'root',
        'X-Penstock-Issuer': 'root',
        'x-penstock-scopes': 'root',
        X_Penstock_Roles: 'root',
      },
    });

    assert.equal(upstream.requests.length, 1);
    assert.doesNotMatch(upstream.requests[0]?.head ?? '', /root|x.penstock/i);
  });
});

describe('a limit', () => {
  test('by caller is each caller’s own, and says how much is left and when to come back', async t => {
    const { gateway, upstream } = await gatewayWith(t, 'limits: [{ rate: 3, per: 1m, by: caller }]');
    const send = (sub: string) => gateway.call('/fuel', { headers: bearer(tokenOf({ sub })) });

    const alice = [await send('alice'), await send('alice'), await send('alice'), await send('alice')];
    const bob = await send('bob');

    assert.deepEqual(
      alice.map(({ status }) => status),
      [200, 200, 200, 429],
    );
    assert.equal(bob.status, 200);
    const [first, , , last] = alice;
    assert.match(String(first?.headers['ratelimit']), /^"3-per-1m-by-caller";r=2;t=\d+$/);
    assert.match(String(last?.headers['ratelimit']), /;r=0;/);
    assert.match(String(last?.headers['ratelimit-policy']), /q=3;w=60/);
    assert.match(String(last?.headers['retry-after']), /^([1-9]|[1-5]\d|60)$/);
    assert.equal(last?.code, 'RATE_LIMITED');
    assert.equal(upstream.requests.length, 4);
  });

  test('by address is counted before the caller is authenticated, so that guessing is limited as well', async t => {
    const { gateway } = await gatewayWith(t, 'limits: [{ rate: 2, per: 1m, by: ip }]');

    const guesses = [];
    for (let i = 0; i < 3; i += 1) guesses.push(await gateway.call('/fuel', { headers: bearer('guess') }));

    assert.deepEqual(
      guesses.map(({ status }) => status),
      [401, 401, 429],
    );
  });

  test('goes on counting through a reload that leaves it as it is', async t => {
    const { gateway } = await gatewayWith(t, 'limits: [{ rate: 2, per: 1m, by: route }]');
    const send = () => gateway.call('/fuel', { headers: bearer(tokenOf()) });

    const before = [await send(), await send()];
    await gateway.reload();
    const after = await send();

    assert.deepEqual(
      [...before, after].map(({ status }) => status),
      [200, 200, 429],
    );
  });
});

describe('a browser', () => {
  const ORIGIN = { origin: 'https://app.example.org' };
  const CORS = "cors: { origins: ['https://app.example.org'] }";

  test('is answered its question before it has a credential, and R is not asked', async t => {
    const { gateway, upstream } = await gatewayWith(t, CORS);
    const preflight = {
      ...ORIGIN,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization',
    };

    const received = await gateway.call('/fuel', { method: 'OPTIONS', headers: preflight });

    assert.equal(received.status, 204);
    assert.equal(received.headers['access-control-allow-origin'], 'https://app.example.org');
    assert.match(String(received.headers['access-control-allow-methods']), /POST/);
    assert.match(String(received.headers['access-control-allow-headers']), /authorization/);
    assert.equal(received.headers['access-control-max-age'], '600');
    assert.equal(upstream.requests.length, 0);
  });

  test('may read refusals and answers alike, and nothing of what a stranger origin asks', async t => {
    const { gateway } = await gatewayWith(t, `${CORS}, limits: [{ rate: 2, per: 1m, by: ip }]`);
    const send = (headers: object) => gateway.call('/fuel', { headers: { ...headers } });

    const received = [await send(ORIGIN), await send({ ...ORIGIN, ...bearer(tokenOf()) }), await send(ORIGIN)];
    const stranger = await send({ origin: 'https://evil.example.org' });

    assert.deepEqual(
      received.map(({ status }) => status),
      [401, 200, 429],
    );
    for (const { headers } of received) assert.equal(headers['access-control-allow-origin'], ORIGIN.origin);
    assert.equal(stranger.headers['access-control-allow-origin'], undefined);
  });
});

describe('a method', () => {
  test('that only the route’s Method forbids is answered with those that are allowed', async t => {
    const { gateway } = await gatewayWith(t, '');

    const received = await gateway.call('/fuel', { method: 'DELETE' });

    assert.deepEqual([received.status, received.code], [405, 'METHOD_NOT_ALLOWED']);
    assert.deepEqual(new Set(String(received.headers.allow).split(', ')), new Set(['GET', 'HEAD', 'POST']));
    assert.deepEqual((await gateway.call('/nowhere')).code, 'NO_ROUTE');
  });

  test('HEAD goes to R as GET, and comes back as its head', async t => {
    const { gateway, upstream } = await gatewayWith(t, '');

    const received = await gateway.call('/fuel', { method: 'HEAD', headers: bearer(tokenOf()) });

    assert.deepEqual([received.status, received.headers['content-length'], received.text], [200, '3', '']);
    assert.match(upstream.requests[0]?.head ?? '', /^GET /);
  });
});
