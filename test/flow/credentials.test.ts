import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { startGateway } from '../support/composed-gateway.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';
import { aToken, hmac } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

const SECRET = 'a secret of thirty-two bytes or more';
const JWT = "jwt: [{ issuer: here, audience: penstock, algorithms: [HS256], secret: '${env:S}' }]";
const token = (sub = 'alice', secret = SECRET) =>
  aToken({ alg: 'HS256' }, { iss: 'here', aud: 'penstock', sub, exp: Date.now() / 1000 + 600 }, hmac(secret));
const digest = (key: string) => createHash('sha256').update(key).digest('hex');

interface Traits {
  readonly identity: string;
  readonly policy?: string;
  readonly more?: string;
  readonly listen?: string;
}

async function gatewayOf(t: TestContext, { identity, policy = '', more = '', listen = '' }: Traits) {
  const upstream = await startUpstream(t, answer('[1]'));
  const gateway = await startGateway(t, {
    services: { fuel: [upstream.origin] },
    more: `identity: { ${identity} }\n${more}`,
    listen,
    env: { S: SECRET },
    routes: `
services: { fuel: { health: { interval: 1h } } }
routes: [{ id: fuel, uri: lb://fuel, predicates: ['Path=/fuel/**']${policy && `, ${policy}`} }]`,
  });
  return { gateway, upstream, send: (headers = {}, path = '/fuel') => gateway.call(path, { headers }) };
}

function aKeyFile(t: TestContext, keys: object[]) {
  const folder = aFolder(t);
  const file = join(folder, 'api-keys.yaml');
  const save = (all: object[]) => writeFileSync(file, JSON.stringify(all));
  save(keys);
  return { file, save };
}

describe('an API key', () => {
  const entry = (key: string, more: object = {}) => ({ id: key, sha256: digest(key), subject: `app/${key}`, ...more });

  test('lets its caller in from either field, with its scopes and roles, and no instance sees it', async t => {
    const { file } = aKeyFile(t, [entry('good', { scopes: ['predict'], roles: ['analyst'] })]);
    const { upstream, send, gateway } = await gatewayOf(t, {
      identity: `apiKeys: { file: '${file}' }`,
      policy: 'auth: { scopes: [predict], roles: [analyst] }',
    });

    assert.equal((await send({ 'x-api-key': 'good' })).status, 200);
    assert.equal((await send({ authorization: 'ApiKey good' })).status, 200);

    const heads = upstream.requests.map(({ head }) => head).join('');
    assert.match(heads, /x-penstock-issuer: api-key\r\n/i);
    assert.match(heads, /x-penstock-subject: app\/good\r\n/i);
    assert.doesNotMatch(heads, /x-api-key|authorization/i);
    assert.deepEqual(new Set(gateway.requests().map(({ caller }) => caller)), new Set(['api-key/app%2Fgood']));
  });

  test('that is unknown, expired or said twice is refused, and so is one in a URL, which the log never shows', async t => {
    const { file } = aKeyFile(t, [entry('old', { expires: '2020-01-01' }), entry('good')]);
    const { upstream, send, gateway } = await gatewayOf(t, { identity: `apiKeys: { file: '${file}' }` });

    const received = [
      await send(),
      await send({ 'x-api-key': 'bad' }),
      await send({ 'x-api-key': 'old' }),
      await send({}, '/fuel?api_key=good'),
      await send({}, '/fuel?a=1&X-API-Key=good'),
      await send({}, '/fuel?api%5Fkey=good'),
      await send({}, `/fuel?k=penstock_${'a'.repeat(43)}`),
      await send({ 'x-api-key': 'good', authorization: 'ApiKey good' }),
    ];

    assert.deepEqual(
      received.map(({ status }) => status),
      [401, 401, 401, 401, 401, 401, 401, 400],
    );
    assert.deepEqual(
      received.slice(3, -1).map(({ body }) => String(body).includes('An API key does not belong into a URL')),
      [true, true, true, true],
    );
    for (const { headers } of received.slice(0, -1)) assert.match(String(headers['www-authenticate']), /^ApiKey realm/);
    assert.equal(upstream.requests.length, 0);
    const log = JSON.stringify(gateway.log.lines);
    assert.match(log, /an API key came in a URL/);
    assert.doesNotMatch(log, /api_key=|good|penstock_a/i);
  });

  test('counts from the moment its file is saved, and no longer than it stands there', async t => {
    const { file, save } = aKeyFile(t, [entry('one')]);
    const { send, gateway } = await gatewayOf(t, {
      identity: `apiKeys: { file: '${file}' }, guessing: { failures: 1000 }`,
      more: `audit: { file: '${file}.jsonl' }`,
    });
    assert.equal((await send({ 'x-api-key': 'one' })).status, 200);

    save([entry('two')]);
    await until(async () => (await send({ 'x-api-key': 'two' })).status === 200, 'the new key counts');
    await until(() => readFileSync(`${file}.jsonl`, 'utf8').includes('API keys'), 'the audit trail has it');
    const line =
      readFileSync(`${file}.jsonl`, 'utf8')
        .split('\n')
        .find(each => each.includes('API keys')) ?? '';
    const { by, after } = JSON.parse(line) as Record<string, unknown>;
    assert.deepEqual([by, after], ['file', { keys: 1, added: ['two'], removed: ['one'], changed: [] }]);
    assert.equal((await send({ 'x-api-key': 'one' })).status, 401);

    writeFileSync(file, '[{ id: x }');
    await until(() => JSON.stringify(gateway.log.lines).includes('those known count on'), 'the error is told');
    assert.equal((await send({ 'x-api-key': 'two' })).status, 200);
  });
});

describe('addresses', () => {
  test('are let in by the gateway and by the route, as trusted proxies tell them', async t => {
    const { send } = await gatewayOf(t, {
      identity: JWT,
      more: "addresses: { deny: ['192.0.2.0/24', '2001:db8::/32'] }",
      listen: 'trustedProxies: [127.0.0.1]',
      policy: "auth: { allow: [anonymous] }, addresses: { allow: ['198.51.100.0/24', '2001:db8:1::/48', '127.0.0.1'] }",
    });
    const from = async (address: string, path?: string) => (await send({ 'x-forwarded-for': address }, path)).status;

    assert.deepEqual(await Promise.all(['198.51.100.7', '::ffff:198.51.100.7'].map(each => from(each))), [200, 200]);
    assert.equal(await from('203.0.113.1'), 403, 'the route does not list it');
    assert.equal(await from('192.0.2.1'), 403, 'the gateway refuses it');
    assert.equal(await from('2001:db8:1::9'), 403, 'the gateway refuses it, though the route lists it');
    assert.equal(await from('192.0.2.1', '/nowhere'), 403, 'and tells it nothing of what routes there are');
    assert.equal((await send()).status, 200);
  });
});

describe('guessing', () => {
  test('is refused from an address after so many failures; what is cached as good goes on', async t => {
    const { send } = await gatewayOf(t, { identity: `${JWT}, guessing: { failures: 3, per: 1h }` });
    const bearer = (text: string) => ({ authorization: `Bearer ${text}` });
    const good = bearer(token());
    assert.equal((await send(good)).status, 200);

    const statuses = [];
    for (let i = 0; i < 4; i++) statuses.push((await send(bearer(token('eve', `${SECRET}${i}`)))).status);

    assert.deepEqual(statuses, [401, 401, 401, 429]);
    assert.equal((await send(good)).status, 200);
  });
});

describe('a credential elsewhere than in Authorization', () => {
  const ORIGIN = 'https://app.example.org';
  const policy = `auth: { from: [header, 'cookie:session'] }, cors: { origins: ['${ORIGIN}'], credentials: true }`;
  const cookie = () => ({ cookie: `theme=dark; session=${token()}; lang=de` });

  test('is a cookie, from pages that the route names and from the gateway’s own, and is not passed on', async t => {
    const { send, upstream } = await gatewayOf(t, { identity: JWT, policy });

    const welcome = [{ origin: ORIGIN }, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }];
    for (const more of welcome) assert.equal((await send({ ...cookie(), ...more })).status, 200, JSON.stringify(more));
    const strange = [
      {},
      { origin: 'https://evil.example.org' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
    ];
    for (const more of [...strange, { 'sec-fetch-site': 'same-site' }]) {
      assert.equal((await send({ ...cookie(), ...more })).status, 403, JSON.stringify(more));
    }
    const two = `session=${token()}; session=${token()}`;
    assert.equal((await send({ cookie: two, origin: ORIGIN })).status, 400);

    assert.equal(upstream.requests.length, 3);
    for (const { head } of upstream.requests) {
      assert.match(head, /\r\ncookie: theme=dark; lang=de\r\n/i);
      assert.doesNotMatch(head, /session|eyJ/);
    }
  });

  test('is the token after `bearer` among a WebSocket’s protocols, and only where the route says so', async t => {
    const { send, upstream } = await gatewayOf(t, { identity: JWT, policy: 'auth: { from: [protocol] }' });

    const offered = await send({ 'sec-websocket-protocol': `chat, bearer, ${token()}` });
    const header = await send({ authorization: `Bearer ${token()}` });

    assert.deepEqual([offered.status, header.status], [200, 401]);
    assert.match(upstream.requests[0]?.head ?? '', /\r\nsec-websocket-protocol: chat\r\n/i);
    assert.doesNotMatch(upstream.requests[0]?.head ?? '', /eyJ/);
    const alone = await send({ 'sec-websocket-protocol': `bearer, ${token()}` });
    assert.equal(alone.headers['sec-websocket-protocol'], 'bearer');
    assert.doesNotMatch(upstream.requests[1]?.head ?? '', /sec-websocket-protocol/i);
  });

  test('is no cookie where the page says itself who it is, since a browser sends cookies along', async t => {
    const everywhere = policy.replace('header,', 'header, protocol,');
    const { send, upstream } = await gatewayOf(t, { identity: JWT, policy: everywhere });
    const [said, protocol] = [`Bearer ${token()}`, `bearer, ${token()}`];
    const evil = { origin: 'https://evil.example.org' };

    for (const more of [{ authorization: said }, { 'sec-websocket-protocol': protocol }]) {
      assert.equal((await send({ ...cookie(), ...evil, ...more })).status, 200);
      assert.doesNotMatch(upstream.requests.at(-1)?.head ?? '', /session|eyJ/);
    }
    assert.equal((await send({ ...cookie(), origin: ORIGIN, authorization: 'Bearer x' })).status, 401);
    const twice = { ...cookie(), origin: ORIGIN, authorization: said, 'sec-websocket-protocol': protocol };
    assert.equal((await send(twice)).status, 400);
  });
});
