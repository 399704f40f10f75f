import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { call } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';
import { aToken, hmac, unsigned } from '../support/tokens.ts';
import { aFolder } from '../support/folder.ts';

const SECRET = 'a secret of thirty-two bytes or more';
const digestOf = (text: string) => createHash('sha256').update(text).digest('hex');

function bearer(roles: readonly string[], signer = hmac(SECRET)): { authorization: string } {
  const exp = Math.floor(Date.now() / 1000) + 60;
  const claims = { iss: 'here', aud: 'penstock', sub: 'ann', exp, roles };
  return { authorization: `Bearer ${aToken({ alg: 'HS256' }, claims, signer)}` };
}

/** A gateway whose admin listener others can reach, and whose callers have roles by tokens and by keys. */
async function start(t: TestContext) {
  const upstream = await startUpstream(t, answer('[1]'));
  const folder = aFolder(t);
  const keys = join(folder, 'keys.yaml');
  const trail = join(folder, 'audit.jsonl');
  writeFileSync(keys, `[{ id: ci, sha256: ${digestOf('the key')}, subject: ci, roles: [ops-team] }]`);
  const gateway = await startGateway(t, {
    services: { fuel: [upstream.origin], iris: [upstream.origin] },
    admin: {
      yaml: `host: 0.0.0.0, access: {
        tokens: [{ name: test, sha256: ${digestOf('test')}, role: operator }],
        roles: { viewer: [staff], scientist: [data-team, forest], operator: [ops-team], auditor: [audit] },
        services: { data-team: [fuel], forest: [iris] } }`,
      headers: { authorization: 'Bearer test' },
    },
    more: `audit: { file: ${trail} }
identity:
  apiKeys: { file: ${keys} }
  guessing: { failures: 3 }
  jwt: [{ issuer: here, audience: penstock, algorithms: [HS256], secret: '\${env:S}' }]`,
    env: { S: SECRET },
    routes: `routes:
  - { id: fuel, uri: lb://fuel, predicates: ['Path=/fuel/**'], cache: { ttl: 1m } }
  - { id: iris, uri: lb://iris, predicates: ['Path=/iris/**'], cache: { ttl: 1m } }`,
  });
  const send = (method: string, path: string, headers: Record<string, string>) =>
    call(`${gateway.adminUrl}${path}`, { method, headers });
  return { send };
}

test('roles of tokens and keys hold on the admin listener as on routes', async t => {
  const { send } = await start(t);
  const status = async (...[method, path, headers]: Parameters<typeof send>) =>
    (await send(method, path, headers)).status;
  const purge = (service: string) => `/api/cache/purge?route=${service}`;

  assert.equal(await status('GET', '/api/services', bearer(['staff'])), 200);
  assert.equal(await status('POST', purge('fuel'), bearer(['staff'])), 403);
  assert.equal(await status('POST', purge('fuel'), bearer(['data-team'])), 200);
  assert.equal(await status('POST', '/api/services/fuel/recheck', bearer(['data-team'])), 200);
  assert.equal(await status('POST', purge('iris'), bearer(['data-team'])), 403);
  assert.equal(await status('POST', purge('iris'), bearer(['data-team', 'forest'])), 200);
  assert.equal(await status('POST', '/api/reload', bearer(['data-team'])), 403);
  assert.equal(await status('GET', '/api/audit', bearer(['ops-team'])), 403);
  assert.equal(await status('POST', purge('iris'), { 'x-api-key': 'the key' }), 200);

  const trail = await send('GET', '/api/audit', bearer(['audit', 'data-team']));
  assert.equal(trail.status, 200);
  const purges = trail.text.split('\n').flatMap(line => {
    const { what = '', by = '' } = (line === '' ? {} : JSON.parse(line)) as { what?: string; by?: string };
    return what.startsWith('purge') ? [`${by}: ${what}`] : [];
  });
  assert.deepEqual(purges, ['here/ann: purge fuel', 'here/ann: purge iris', 'api-key/ci: purge iris']);
});

test('a caller without a role of the listener, or with a credential that is not taken, is refused there', async t => {
  const { send } = await start(t);
  const received = async (headers: Record<string, string>) => {
    const { status, code, headers: reported } = await send('GET', '/api/services', headers);
    return [status, code, reported['www-authenticate']?.split(' ', 1)[0]];
  };

  assert.deepEqual(await received({}), [401, 'UNAUTHENTICATED', 'Bearer']);
  assert.deepEqual(
    await received(bearer(['operator'])),
    [403, 'FORBIDDEN', undefined],
    'a role of the same name is none',
  );
  assert.deepEqual(await received({ ...bearer(['staff']), 'x-api-key': 'the key' }), [400, 'BAD_REQUEST', 'Bearer']);
  for (const signer of [hmac(`${SECRET}x`), unsigned]) {
    assert.deepEqual(await received(bearer(['staff'], signer)), [401, 'UNAUTHENTICATED', 'Bearer']);
  }
  assert.deepEqual(await received({ 'x-api-key': 'no key' }), [401, 'UNAUTHENTICATED', 'ApiKey']);
  assert.deepEqual(await received(bearer(['staff'], unsigned)), [429, 'RATE_LIMITED', undefined], 'guessing is slowed');
});
