import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Credential, Schemes, type Finding, type Scheme } from '../../gateway/domain/admission/scheme.ts';
import type { Caller } from '../../gateway/domain/caller.ts';
import type { Admitted, Matched } from '../../gateway/domain/call.ts';
import { GatewayError } from '../../gateway/domain/errors.ts';
import { fieldOf } from '../../gateway/domain/http/fields.ts';
import { Limits, limitName, type LimitCounter, type RouteLimit } from '../../gateway/domain/admission/limits.ts';
import { PaceQueues } from '../../gateway/domain/admission/pace.ts';
import { manualClock } from '../support/manual-clock.ts';
import { createAdmit } from '../../gateway/stages/admit.ts';
import { aLimit, aMatched, anAuth, endOf } from '../support/requests.ts';

const alice: Caller = {
  kind: 'jwt',
  id: 'dev/alice',
  issuer: 'dev',
  subject: 'alice',
  scopes: ['predict'],
  roles: ['analyst'],
};
/** A scheme that takes what it is told to, and finds what it is told to. */
function aScheme(name: Scheme['name'], find: (credential: Credential) => Finding | Promise<Finding>): Scheme {
  const kind = { jwt: 'bearer', opaque: 'bearer', 'api-key': 'api-key', ldap: 'basic', mtls: 'none' }[name];
  return { name, takes: credential => credential.kind === kind, identify: find };
}

const refused = { kind: 'refused', fault: 'expired' } as const;
const tokens = aScheme('jwt', credential =>
  credential.kind === 'bearer' && credential.token === 'alice' ? { kind: 'valid', caller: alice } : refused,
);
const schemes = new Schemes([tokens]);

/** Counts in a plain map, in windows that never end, and notes what it was told to count. */
function counting(): LimitCounter & { readonly requested: string[] } {
  const hits = new Map<string, number>();
  const requested: string[] = [];
  const nameOf = ({ limit }: RouteLimit, key: string) => `${limitName(limit)} ${key}`;
  const standOf = (of: RouteLimit, used: number, isExceeded: boolean) => {
    return {
      limit: of.limit,
      remaining: of.limit.rate - used,
      resetsInMs: of.limit.perMs * 1.5,
      isExceeded,
      waitMs: 0,
    };
  };
  return {
    requested,
    look(of, key, cost) {
      const used = hits.get(nameOf(of, key)) ?? 0;
      return standOf(of, used, used + cost > of.limit.rate);
    },
    count(of, key, cost) {
      requested.push(nameOf(of, key));
      const used = hits.get(nameOf(of, key)) ?? 0;
      if (used + cost > of.limit.rate) return standOf(of, used, true);
      hits.set(nameOf(of, key), used + cost);
      return standOf(of, used + cost, false);
    },
    giveBack: (of, key, cost) => void hits.set(nameOf(of, key), (hits.get(nameOf(of, key)) ?? 0) - cost),
  };
}

const limitsOf = (counter: LimitCounter) =>
  new Limits({ counter, queues: new PaceQueues(manualClock()), observe: () => undefined });

const bearer = (token: string) => ({ fields: ['Authorization', `Bearer ${token}`] });

/** Who is let in, at once; throws the refusal. */
function admitWith(counter: LimitCounter = counting()): (call: Matched) => Admitted {
  const stage = createAdmit({ schemes, limits: limitsOf(counter) });
  return call => {
    let admitted: Admitted | undefined;
    stage(call, who => (admitted = who));
    return admitted ?? assert.fail('it waits');
  };
}

const admit = admitWith();
const challengeOf = (error: unknown) => fieldOf((error as GatewayError).fields, 'www-authenticate') ?? '';

describe('admit: who is calling', () => {
  test('any caller, where no identity is configured, and their credential is not looked at', () => {
    const { caller } = admit(aMatched({ request: bearer('nonsense') }));

    assert.deepEqual(caller, {
      kind: 'anonymous',
      id: '192.0.2.7',
      ...{ issuer: undefined, subject: undefined, scopes: [], roles: [] },
    });
  });

  test('the caller that a token names, added to the request itself', () => {
    const matched = aMatched({ request: bearer('alice'), policy: { auth: anAuth() } });

    const admitted = admit(matched);

    assert.equal(admitted.caller, alice);
    assert.equal(admitted, matched);
  });

  test('no caller without a credential, who is told what to bring and not of an error', () => {
    assert.throws(
      () => admit(aMatched({ policy: { auth: anAuth() } })),
      error => {
        assert.equal((error as GatewayError).code, 'UNAUTHENTICATED');
        return challengeOf(error) === 'Bearer realm="penstock"';
      },
    );
  });

  test('an anonymous caller where the route allows them', () => {
    const auth = anAuth({ allow: ['jwt', 'anonymous'] });

    assert.equal(admit(aMatched({ policy: { auth } })).caller.kind, 'anonymous');
    assert.equal(admit(aMatched({ policy: { auth }, request: bearer('alice') })).caller, alice);
  });

  for (const allow of [['jwt', 'anonymous'], ['anonymous']] as const) {
    test(`no caller with a bad credential, even where ${allow.join(' and ')} are allowed`, () => {
      const policy = { auth: anAuth({ allow }) };

      assert.throws(
        () => admit(aMatched({ policy, request: bearer('bad') })),
        error => challengeOf(error).includes('error="invalid_token", error_description="The token has expired."'),
      );
      const basic = { fields: ['Authorization', 'Basic eA=='] };
      assert.throws(() => admit(aMatched({ policy, request: basic })), { code: 'UNAUTHENTICATED' });
    });
  }

  test('a stranger with a good token where only strangers are meant', () => {
    const policy = { auth: anAuth({ allow: ['anonymous'] }) };

    assert.equal(admit(aMatched({ policy, request: bearer('alice') })).caller.kind, 'anonymous');
  });

  test('a stranger whose credential is the service’s to judge, where the route passes it on', () => {
    const policy = { auth: anAuth({ allow: ['anonymous'], forwardToken: true }) };
    const request = { fields: ['Authorization', 'Basic eA=='] };

    assert.equal(admit(aMatched({ policy, request })).caller.kind, 'anonymous');
  });
});

describe('admit: by which scheme', () => {
  const withKeys = (find: () => Finding | Promise<Finding> = () => ({ kind: 'valid', caller: bob })) => {
    const stage = createAdmit({
      schemes: new Schemes([tokens, aScheme('api-key', find)]),
      limits: limitsOf(counting()),
    });
    return (call: Matched) => {
      let admitted: Admitted | undefined;
      stage(call, who => (admitted = who));
      return admitted?.caller;
    };
  };
  const bob: Caller = { ...alice, kind: 'api-key', id: 'api-key/bob', issuer: 'api-key', subject: 'bob' };
  const key = { fields: ['Authorization', 'ApiKey k'] };

  test('the one whose form the credential has', () => {
    const policy = { auth: anAuth({ allow: ['jwt', 'api-key'] }) };

    assert.equal(withKeys()(aMatched({ policy, request: key })), bob);
    assert.equal(withKeys()(aMatched({ policy, request: bearer('alice') })), alice);
  });

  test('none that the route does not take: it is not asked, and the caller is told what the route takes', () => {
    const requested = withKeys(() => assert.fail('asked'));

    assert.throws(
      () => requested(aMatched({ policy: { auth: anAuth() }, request: key })),
      error => challengeOf(error) === 'Bearer realm="penstock"',
    );
    const open = anAuth({ allow: ['anonymous'], forwardToken: true });
    assert.equal(requested(aMatched({ policy: { auth: open }, request: key }))?.kind, 'anonymous');
  });

  test('nothing, where that cannot be found out now: the call fails as the scheme says', async () => {
    const call = aMatched({ policy: { auth: anAuth({ allow: ['api-key'] }) }, request: key });
    const lost = Promise.reject(new GatewayError('SERVICE_UNAVAILABLE', 'no provider'));

    withKeys(() => lost)(call);
    await assert.rejects(lost);

    assert.equal(endOf(call).failure?.code, 'SERVICE_UNAVAILABLE');
  });
});

describe('admit: may they', () => {
  test('a caller who lacks a scope is refused, and told which the route asks for', () => {
    const policy = { auth: anAuth({ scopes: ['predict', 'train'] }) };

    assert.throws(
      () => admit(aMatched({ policy, request: bearer('alice') })),
      error => {
        assert.equal((error as GatewayError).code, 'FORBIDDEN');
        return challengeOf(error).endsWith('scope="predict train"');
      },
    );
  });

  test('a caller who has none of the roles is refused', () => {
    const policy = { auth: anAuth({ roles: ['admin'] }) };

    assert.throws(() => admit(aMatched({ policy, request: bearer('alice') })), { code: 'FORBIDDEN' });
    admit(aMatched({ policy: { auth: anAuth({ roles: ['admin', 'analyst'] }) }, request: bearer('alice') }));
  });

  test('a caller who is refused is known to the request all the same', () => {
    const forbidden = aMatched({ policy: { auth: anAuth({ roles: ['admin'] }) }, request: bearer('alice') });
    const policy = { auth: anAuth(), limits: [aLimit(0, 1000, 'caller')] };
    const limited = aMatched({ policy, request: bearer('alice') });

    assert.throws(() => admit(forbidden), { code: 'FORBIDDEN' });
    assert.throws(() => admit(limited), { code: 'RATE_LIMITED' });

    for (const refused of [forbidden, limited]) assert.equal((refused as Partial<Admitted>).caller, alice);
  });

  test('a stranger where scopes are asked for is asked for a credential', () => {
    const policy = { auth: anAuth({ allow: ['jwt', 'anonymous'], scopes: ['predict'] }) };

    assert.throws(() => admit(aMatched({ policy })), { code: 'UNAUTHENTICATED' });
  });
});

describe('admit: not too often', () => {
  const limits = [
    aLimit(2, 1000, 'route'),
    aLimit(9, 1000, 'caller'),
    aLimit(3, 1000, 'ip'),
    aLimit(8, 1000, 'header'),
  ];

  test('counts address and header before it authenticates, caller and then the route after', () => {
    const counter = counting();
    const policy = { auth: anAuth(), limits };

    admitWith(counter)(aMatched({ policy, request: bearer('alice') }));

    assert.deepEqual(counter.requested, [
      '3-per-1s-by-ip 192.0.2.7',
      '8-per-1s-by-header-x-tenant absent',
      '9-per-1s-by-caller dev/alice',
      '2-per-1s-by-route ',
    ]);
  });

  test('counts a bad credential against address and header alone: a stranger spends nothing of what protects R', () => {
    const counter = counting();
    const matched = aMatched({ policy: { auth: anAuth(), limits }, request: bearer('bad') });

    assert.throws(() => admitWith(counter)(matched), { code: 'UNAUTHENTICATED' });

    assert.equal(counter.requested.length, 2);
    assert.match(fieldOf(matched.replyFields, 'ratelimit') ?? '', /by-ip";r=2;t=2, .*by-header-x-tenant";r=7;t=2/);
  });

  test('refuses what is too much, says when to come back, and owes the fields once', () => {
    const once = admitWith();
    const policy = { limits: [aLimit(1, 1000)] };
    once(aMatched({ policy }));
    const again = aMatched({ policy });

    assert.throws(() => once(again), { code: 'RATE_LIMITED', retryAfterMs: 1500 });

    assert.deepEqual(again.replyFields, [
      ...['RateLimit', '"1-per-1s-by-caller";r=0;t=2'],
      ...['RateLimit-Policy', '"1-per-1s-by-caller";q=1;w=1'],
    ]);
  });

  test('does not count a refused address against the route', () => {
    const counter = counting();
    const flooded = admitWith(counter);
    const policy = { limits: [aLimit(100, 1000, 'route'), aLimit(1, 1000, 'ip')] };
    flooded(aMatched({ policy }));

    assert.throws(() => flooded(aMatched({ policy })), { code: 'RATE_LIMITED' });

    assert.equal(counter.requested.filter(name => name.includes('by-route')).length, 1);
  });

  test('owes nothing where the route has no limits', () => {
    const matched = aMatched();

    admit(matched);

    assert.deepEqual(matched.replyFields, []);
  });
});

describe('admit: where a token has to be asked about', () => {
  test('goes on when the answer is there, with the late limits counted then', async () => {
    const counter = counting();
    const policy = { auth: anAuth(), limits: [aLimit(9, 1000, 'caller'), aLimit(3, 1000, 'ip')] };
    const call = aMatched({ policy, request: bearer('opaque') });
    const finding = Promise.resolve({ kind: 'valid', caller: alice } as const);
    const admitted: Admitted[] = [];

    createAdmit({ schemes: new Schemes([aScheme('jwt', () => finding)]), limits: limitsOf(counter) })(call, who =>
      admitted.push(who),
    );
    assert.deepEqual([admitted.length, counter.requested.length], [0, 1]);
    await finding;

    assert.deepEqual(admitted, [call]);
    assert.equal(counter.requested.length, 2);
  });

  test('fails the call when it is refused, and does nothing for a call that has ended', async () => {
    for (const hasEnded of [false, true]) {
      const call = aMatched({ policy: { auth: anAuth() }, request: bearer('opaque') });
      const finding = Promise.resolve({ kind: 'refused', fault: 'expired' } as const);

      createAdmit({ schemes: new Schemes([aScheme('jwt', () => finding)]), limits: limitsOf(counting()) })(call, () =>
        assert.fail('admitted'),
      );
      if (hasEnded) call.hangUp();
      await finding;

      assert.equal(endOf(call).failure?.code, hasEnded ? 'CALLER_GONE' : 'UNAUTHENTICATED');
    }
  });
});
