import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AdmissionView } from '../../gateway/compose-explain.ts';
import { call } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';
import { aFolder } from '../support/folder.ts';

const KEY = 'a-key-of-the-test';
const digestOf = (text: string) => createHash('sha256').update(text).digest('hex');

test('explain tells who would be let in and under what they count, counts nothing, and shuts no caller out', async t => {
  const upstream = await startUpstream(t, answer('[1]'));
  const folder = aFolder(t);
  const keys = join(folder, 'keys.yaml');
  writeFileSync(keys, `[{ id: app, sha256: ${digestOf(KEY)}, subject: app, scopes: [predict] }]`);
  const gateway = await startGateway(t, {
    services: { fuel: [upstream.origin] },
    more: `addresses: { deny: [203.0.113.0/24] }
identity: { apiKeys: { file: ${keys} }, guessing: { failures: 2 } }`,
    routes: `routes: [{ id: fuel, uri: lb://fuel, predicates: ['Path=/fuel/**'], auth: { scopes: [predict] },
      limits: [{ rate: 2, per: 1m, by: caller }] }]`,
  });
  const explain = async (headers: object, more: object = {}) => {
    const body = JSON.stringify({ url: '/fuel/predict', headers, ...more });
    const { text } = await call(`${gateway.adminUrl}/api/explain`, { method: 'POST', body });
    return (JSON.parse(text) as { answers: { admission: AdmissionView } }).answers.admission;
  };
  const outcomeOf = ({ outcome, scheme, refusal }: AdmissionView) => [outcome, scheme, refusal?.status];

  for (let i = 0; i < 5; i++) {
    assert.deepEqual(await explain({ 'X-API-Key': KEY }), {
      outcome: 'admitted',
      scheme: 'api-key',
      caller: { id: 'api-key/app', scopes: ['predict'], roles: [] },
      refusal: null,
      limits: [{ limit: '2-per-1m-by-caller', key: 'api-key/app', isEnforced: true }],
    });
  }
  assert.deepEqual(outcomeOf(await explain({ 'X-API-Key': KEY }, { address: '203.0.113.9' })), ['refused', null, 403]);
  assert.deepEqual(outcomeOf(await explain({}, { url: `/fuel/predict?api_key=${KEY}` })), ['refused', 'api-key', 401]);
  assert.deepEqual(
    gateway.log.of('notice').filter(({ text }) => String(text).includes('URL')),
    [],
  );
  const guesses: AdmissionView[] = [];
  for (const key of ['a', 'b', 'c']) guesses.push(await explain({ 'X-API-Key': key }));
  assert.deepEqual(guesses.map(outcomeOf), [
    ['refused', 'api-key', 401],
    ['refused', 'api-key', 401],
    ['refused', 'api-key', 429],
  ]);

  const statuses: number[] = [];
  for (const key of [KEY, KEY, KEY, 'wrong']) {
    statuses.push((await gateway.call('/fuel/predict', { headers: { 'x-api-key': key } })).status);
  }
  assert.deepEqual(statuses, [200, 200, 429, 401]);
});
