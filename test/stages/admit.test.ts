import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Caller } from '../../gateway/domain/caller.ts';
import type { Admitted } from '../../gateway/domain/exchange.ts';
import type { GatewayError } from '../../gateway/domain/errors.ts';
import { fieldOf } from '../../gateway/domain/http/fields.ts';
import { limitName } from '../../gateway/domain/admission/limits.ts';
import type { LimitCounter, VerifyToken } from '../../gateway/domain/ports.ts';
import { createAdmit } from '../../gateway/stages/admit.ts';
import { aLimit, aMatched, anAuth } from '../support/requests.ts';

const alice: Caller = { kind: 'jwt', id: 'dev/alice', subject: 'alice', scopes: ['predict'], roles: ['analyst'] };
const verifyToken: VerifyToken = token =>
  token === 'alice' ? { kind: 'valid', caller: alice } : { kind: 'refused', fault: 'expired' };

/** Counts in a plain map, in windows that never end, and notes what it was asked. */
function counting(): LimitCounter & { readonly asked: string[] } {
  const hits = new Map<string, number>();
  const asked: string[] = [];
  return {
    asked,
    count(_route, limit, key) {
      const name = `${limitName(limit)} ${key}`;
      asked.push(name);
      const used = (hits.get(name) ?? 0) + 1;
      hits.set(name, used);
      const remaining = Math.max(0, limit.rate - used);
      return Promise.resolve({ limit, remaining, resetsInMs: 1500, isExceeded: used > limit.rate });
    },
  };
}

const bearer = (token: string) => ({ rawHeaders: ['Authorization', `Bearer ${token}`] });
const admitWith = (limits: LimitCounter = counting()) => createAdmit({ verifyToken, limits });
const admit = admitWith();
const challengeOf = (error: unknown) => fieldOf((error as GatewayError).fields, 'www-authenticate') ?? '';

describe('admit: who is calling', () => {
  test('anyone, where no identity is configured, and their credential is not looked at', async () => {
    const { caller } = await admit(aMatched({ request: bearer('nonsense') }));

    assert.deepEqual(caller, { kind: 'anonymous', id: '192.0.2.7', subject: undefined, scopes: [], roles: [] });
  });

  test('the caller that a token names, added to the request itself', async () => {
    const matched = aMatched({ request: bearer('alice'), policy: { auth: anAuth() } });

    const admitted = await admit(matched);

    assert.equal(admitted.caller, alice);
    assert.equal(admitted, matched);
  });

  test('nobody without a credential, who is told what to bring and not of an error', async () => {
    await assert.rejects(admit(aMatched({ policy: { auth: anAuth() } })), error => {
      assert.equal((error as GatewayError).code, 'UNAUTHENTICATED');
      return challengeOf(error) === 'Bearer realm="penstock"';
    });
  });

  test('an anonymous caller where the route allows them', async () => {
    const auth = anAuth({ allow: ['jwt', 'anonymous'] });

    assert.equal((await admit(aMatched({ policy: { auth } }))).caller.kind, 'anonymous');
    assert.equal((await admit(aMatched({ policy: { auth }, request: bearer('alice') }))).caller, alice);
  });

  for (const allow of [['jwt', 'anonymous'], ['anonymous']] as const) {
    test(`nobody with a bad credential, even where ${allow.join(' and ')} are allowed`, async () => {
      const policy = { auth: anAuth({ allow }) };

      await assert.rejects(admit(aMatched({ policy, request: bearer('bad') })), error =>
        challengeOf(error).includes('error="invalid_token", error_description="The token has expired."'),
      );
      const basic = { rawHeaders: ['Authorization', 'Basic eA=='] };
      await assert.rejects(admit(aMatched({ policy, request: basic })), { code: 'UNAUTHENTICATED' });
    });
  }

  test('a stranger with a good token where only strangers are meant', async () => {
    const policy = { auth: anAuth({ allow: ['anonymous'] }) };

    assert.equal((await admit(aMatched({ policy, request: bearer('alice') }))).caller.kind, 'anonymous');
  });

  test('a stranger whose credential is the service’s to judge, where the route passes it on', async () => {
    const policy = { auth: anAuth({ allow: ['anonymous'], forwardToken: true }) };
    const request = { rawHeaders: ['Authorization', 'Basic eA=='] };

    assert.equal((await admit(aMatched({ policy, request }))).caller.kind, 'anonymous');
  });
});

describe('admit: may they', () => {
  test('a caller who lacks a scope is refused, and told which the route asks for', async () => {
    const policy = { auth: anAuth({ scopes: ['predict', 'train'] }) };

    await assert.rejects(admit(aMatched({ policy, request: bearer('alice') })), error => {
      assert.equal((error as GatewayError).code, 'FORBIDDEN');
      return challengeOf(error).endsWith('scope="predict train"');
    });
  });

  test('a caller who has none of the roles is refused', async () => {
    const policy = { auth: anAuth({ roles: ['admin'] }) };

    await assert.rejects(admit(aMatched({ policy, request: bearer('alice') })), { code: 'FORBIDDEN' });
    await admit(aMatched({ policy: { auth: anAuth({ roles: ['admin', 'analyst'] }) }, request: bearer('alice') }));
  });

  test('a caller who is refused is known to the request all the same', async () => {
    const forbidden = aMatched({ policy: { auth: anAuth({ roles: ['admin'] }) }, request: bearer('alice') });
    const policy = { auth: anAuth(), limits: [aLimit(0, 1000, 'caller')] };
    const limited = aMatched({ policy, request: bearer('alice') });

    await assert.rejects(admit(forbidden), { code: 'FORBIDDEN' });
    await assert.rejects(admit(limited), { code: 'RATE_LIMITED' });

    for (const refused of [forbidden, limited]) assert.equal((refused as Partial<Admitted>).caller, alice);
  });

  test('a stranger where scopes are asked for is asked for a credential', async () => {
    const policy = { auth: anAuth({ allow: ['jwt', 'anonymous'], scopes: ['predict'] }) };

    await assert.rejects(admit(aMatched({ policy })), { code: 'UNAUTHENTICATED' });
  });
});

describe('admit: not too often', () => {
  const limits = [
    aLimit(2, 1000, 'route'),
    aLimit(9, 1000, 'caller'),
    aLimit(3, 1000, 'ip'),
    aLimit(8, 1000, 'header'),
  ];

  test('counts address and route before it authenticates, caller and header after', async () => {
    const counter = counting();
    const policy = { auth: anAuth(), limits };

    await admitWith(counter)(aMatched({ policy, request: bearer('alice') }));

    assert.deepEqual(counter.asked, [
      '3-per-1s-by-ip 192.0.2.7',
      '2-per-1s-by-route ',
      '9-per-1s-by-caller dev/alice',
      '8-per-1s-by-header-x-tenant absent',
    ]);
  });

  test('counts a bad credential against address and route alone', async () => {
    const counter = counting();
    const matched = aMatched({ policy: { auth: anAuth(), limits }, request: bearer('bad') });

    await assert.rejects(admitWith(counter)(matched), { code: 'UNAUTHENTICATED' });

    assert.equal(counter.asked.length, 2);
    assert.match(fieldOf(matched.notes.owedFields, 'ratelimit') ?? '', /by-route";r=1;t=2, .*by-ip";r=2;t=2/);
  });

  test('refuses what is too much, says when to come back, and owes the fields once', async () => {
    const once = admitWith();
    const policy = { limits: [aLimit(1, 1000)] };
    await once(aMatched({ policy }));
    const again = aMatched({ policy });

    await assert.rejects(once(again), { code: 'RATE_LIMITED', retryAfterMs: 1500 });

    assert.deepEqual(again.notes.owedFields, [
      ...['RateLimit', '"1-per-1s-by-caller";r=0;t=2'],
      ...['RateLimit-Policy', '"1-per-1s-by-caller";q=1;w=1'],
    ]);
  });

  test('does not count a refused address against the route', async () => {
    const counter = counting();
    const flooded = admitWith(counter);
    const policy = { limits: [aLimit(100, 1000, 'route'), aLimit(1, 1000, 'ip')] };
    await flooded(aMatched({ policy }));

    await assert.rejects(flooded(aMatched({ policy })), { code: 'RATE_LIMITED' });

    assert.equal(counter.asked.filter(name => name.includes('by-route')).length, 1);
  });

  test('owes nothing where the route has no limits', async () => {
    const matched = aMatched();

    await admit(matched);

    assert.deepEqual(matched.notes.owedFields, []);
  });
});
