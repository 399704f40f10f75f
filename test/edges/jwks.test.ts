import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import { KeySet, type KeySetOptions } from '../../gateway/edges/jwks.ts';
import { json, signingKey, startScriptedProvider } from '../support/identity-provider.ts';
import { manualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';

const [one, two] = [signingKey('one'), signingKey('two')];
const published = (...keys: { published: object }[]) => json({ keys: keys.map(key => key.published) });

async function aKeySet(t: TestContext, traits: Partial<KeySetOptions> & { answer?: ReturnType<typeof json> } = {}) {
  const provider = await startScriptedProvider(t, traits.answer ?? published(one));
  const clock = manualClock();
  const events: GatewayEvent[] = [];
  const gone: (string | undefined)[] = [];
  const set = new KeySet({
    issuer: provider.url,
    algorithms: ['ES256'],
    url: `${provider.url}/jwks`,
    staleMsMax: 3_600_000,
    clock,
    observe: event => events.push(event),
    onGone: keys => gone.push(...[...keys].map(({ id }) => id)),
    ...traits,
  });
  t.after(() => set.close());
  const ids = () => set.keys.map(({ id }) => id);
  const texts = () => events.map(event => (event.kind === 'notice' ? event.text : event.kind));
  return { provider, clock, set, ids, gone, texts };
}

describe('the published keys of an issuer', () => {
  test('are fetched when first asked for, once for all who ask at a time', async t => {
    const { provider, set, ids } = await aKeySet(t);
    assert.deepEqual([provider.requests, set.ageSeconds], [[], undefined]);

    await Promise.all([set.prepare('one'), set.prepare('one'), set.prepare(undefined)]);

    assert.deepEqual([ids(), provider.requests], [['one'], ['/jwks']]);
    assert.equal(set.prepare('one'), undefined, 'known at once');
  });

  test('are fetched anew every ten minutes beside the calls, and a key that left is reported', async t => {
    const { provider, clock, set, ids, gone } = await aKeySet(t, { answer: published(one, two) });
    await set.prepare('one');
    const [kept] = set.keys;

    provider.answer = published(one);
    clock.advance(599_999);
    assert.equal(provider.requests.length, 1);
    clock.advance(1);
    await until(() => ids().length === 1, 'the set is fetched anew');

    assert.deepEqual([ids(), gone, provider.requests.length], [['one'], ['two'], 2]);
    assert.equal(set.keys[0], kept, 'what stays is the same key');
  });

  test('are fetched at once for a token that names another, and not again for thirty seconds', async t => {
    const { provider, clock, set, ids } = await aKeySet(t);
    await set.prepare('one');

    provider.answer = published(one, two);
    await Promise.all([set.prepare('two'), set.prepare('two')]);
    assert.deepEqual([ids(), provider.requests.length], [['one', 'two'], 2]);

    clock.advance(29_999);
    assert.equal(set.prepare('three'), undefined, 'refused without asking');
    clock.advance(1);
    await set.prepare('three');
    assert.equal(provider.requests.length, 3);
  });

  test('serve while the issuer is away, up to their age, and are then believed no more', async t => {
    const { provider, clock, set, ids, gone, texts } = await aKeySet(t, { staleMsMax: 1_200_000 });
    await set.prepare('one');
    provider.answer = json({}, 500);

    clock.advance(600_000);
    await until(() => texts().length === 1, 'the failure is told');
    assert.deepEqual([ids(), set.prepare('one')], [['one'], undefined]);
    await assert.rejects(set.prepare('two') ?? assert.fail(), { code: 'IDENTITY_UNAVAILABLE' });
    assert.equal(set.ageSeconds, 600);

    clock.advance(600_000);
    await until(() => ids().length === 0, 'the keys are too old');
    assert.deepEqual(gone, ['one']);
    assert.match(texts().join(), /cannot be fetched.*too old/);
    await assert.rejects(set.prepare('one') ?? assert.fail(), { code: 'IDENTITY_UNAVAILABLE', status: 503 });

    provider.answer = published(one);
    clock.advance(5_000);
    await until(() => ids().length === 1, 'the issuer is back');
    assert.match(texts().at(-1) ?? '', /fetched again/);
  });

  test('that cannot be had at first are asked for again only after a pause', async t => {
    const { provider, clock, set } = await aKeySet(t, { answer: json({}, 503) });

    await assert.rejects(set.prepare('one') ?? assert.fail(), { code: 'IDENTITY_UNAVAILABLE', retryAfterMs: 5_000 });
    await assert.rejects(set.prepare('one') ?? assert.fail(), { code: 'IDENTITY_UNAVAILABLE' });
    assert.equal(provider.requests.length, 1);

    provider.answer = published(one);
    clock.advance(5_000);
    await until(() => set.keys.length === 1, 'asked again by itself');
  });

  const useless: [what: string, answer: ReturnType<typeof json>][] = [
    ['no JSON', (_, response) => response.end('<html>')],
    ['a redirect', (_, response) => response.writeHead(302, { location: '/jwks2' }).end()],
    ['no key', json({ keys: [] })],
    ['no set', json([1, 2])],
    ['secrets', json({ keys: [{ kty: 'oct', k: 'AAAA', kid: 'one' }] })],
    ['keys for encryption', json({ keys: [{ ...one.published, use: 'enc' }] })],
    ['keys of other algorithms', json({ keys: [{ ...one.published, alg: 'ES384' }] })],
    ['broken keys', json({ keys: [{ ...one.published, x: '!' }, null, 7] })],
    ['more than is read', (_, response) => response.end(`"${'x'.repeat(600_000)}"`)],
    [
      'half an answer',
      (_, response) => response.writeHead(200, { 'content-length': 100 }).write('{', () => response.destroy()),
    ],
    [
      'a switch of protocols that was not asked for',
      ({ socket }) => socket.write('HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
    ],
  ];
  for (const [what, answer] of useless) {
    test(`are not replaced by ${what}`, async t => {
      const { provider, clock, set, ids, texts } = await aKeySet(t);
      await set.prepare('one');

      provider.answer = answer;
      clock.advance(600_000);
      await until(() => texts().length === 1, 'the failure is told');

      assert.deepEqual(ids(), ['one']);
    });
  }

  test('count up to the first hundred for signatures, and the log reports more', async t => {
    const others = Array.from({ length: 100 }, (_, i) => ({ published: { ...two.published, kid: `k${i}` } }));
    const useless = others.map(({ published: key }) => ({ published: { ...key, use: 'enc' } }));
    const { set, ids, texts } = await aKeySet(t, { answer: published(...useless, one, ...others) });

    await set.prepare('one');

    assert.deepEqual([ids()[0], ids().length], ['one', 100]);
    assert.match(texts().join(), /^an issuer publishes more keys than are read/);
  });

  test('are looked for where the issuer’s own discovery document says', async t => {
    const { provider, set, ids } = await aKeySet(t, { url: undefined });
    provider.answer = (request, response, body) => {
      const document = { issuer: provider.url, jwks_uri: `${provider.url}/keys` };
      (request.url === '/keys' ? published(two) : json(document))(request, response, body);
    };

    await set.prepare('two');

    assert.deepEqual([ids(), provider.requests], [['two'], ['/.well-known/openid-configuration', '/keys']]);
  });

  for (const [what, document] of [
    ['another issuer', { issuer: 'https://evil.example.org', jwks_uri: 'https://evil.example.org/keys' }],
    ['no place of keys', {}],
    ['a file', { jwks_uri: 'file:///etc/passwd' }],
  ] as const) {
    test(`are not looked for where a document names ${what}`, async t => {
      const { provider, set, texts } = await aKeySet(t, { url: undefined });
      provider.answer = (...args) => json({ issuer: provider.url, ...document })(...args);

      await assert.rejects(set.prepare('one') ?? assert.fail(), { code: 'IDENTITY_UNAVAILABLE' });

      assert.deepEqual([provider.requests.length, texts().length], [1, 1]);
    });
  }

  test('leave nothing behind when the gateway ends', async t => {
    const { clock, set } = await aKeySet(t);
    await set.prepare('one');
    assert.equal(clock.alarms, 1);

    set.close();

    assert.equal(clock.alarms, 0);
  });
});
