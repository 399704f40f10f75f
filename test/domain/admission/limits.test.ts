import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inCountingOrder, limitKey, limitName, rateLimitFields } from '../../../gateway/domain/admission/limits.ts';
import { aLimit, aMatched } from '../../support/requests.ts';

const caller = {
  kind: 'jwt',
  id: 'penstock-dev/alice',
  issuer: 'penstock-dev',
  subject: 'alice',
  scopes: [],
  roles: [],
} as const;
const aCall = (fields: readonly string[] = [], callerAddress = '192.0.2.7') =>
  aMatched({ request: { fields, callerAddress } });

describe('what is counted together', () => {
  const byTenant = aLimit(1, 1000, 'header').by;

  test('an address, IPv6 by the /64 that one party holds', () => {
    assert.equal(limitKey({ kind: 'ip' }, aCall(), caller), '192.0.2.7');
    assert.equal(
      limitKey({ kind: 'ip' }, aCall([], '2001:db8:1:2:3::4'), undefined),
      limitKey({ kind: 'ip' }, aCall([], '2001:db8:1:2::9'), undefined),
    );
  });

  test('an IPv4 address in all its spellings', () => {
    const spellings = ['::ffff:9.8.7.6', '::FFFF:0908:0706', '0:0:0:0:0:ffff:9.8.7.6', '0::ffff:908:706', '9.8.7.6'];
    const keyOf = (address: string) => limitKey({ kind: 'ip' }, aCall([], address), undefined);

    assert.deepEqual(new Set(spellings.map(keyOf)), new Set(['9.8.7.6']));
    assert.equal(keyOf('::ffff:0:9.8.7.6'), '0:0:0:0::/64');
  });

  test('a caller, wherever they call from', () => {
    assert.equal(limitKey({ kind: 'caller' }, aCall(), caller), 'penstock-dev/alice');
  });

  test('a header’s value, all its lines, and its absence', () => {
    const keys = [['x-tenant', 'a'], ['X-TENANT', 'b'], ['X-Tenant', 'a', 'X-Tenant', 'b'], ['X-Tenant', ''], []].map(
      fields => limitKey(byTenant, aCall(fields), undefined),
    );

    assert.equal(new Set(keys).size, keys.length);
    assert.equal(limitKey(byTenant, aCall(['X-Tenant', 'absent']), undefined) === keys.at(-1), false);
  });

  test('the route as a whole', () => {
    assert.equal(
      limitKey({ kind: 'route' }, aCall(), caller),
      limitKey({ kind: 'route' }, aCall(['a', 'b']), undefined),
    );
  });
});

describe('the order of counting', () => {
  test('puts the whole route last, and keeps the rest as written', () => {
    const [route, ip, minute] = [aLimit(5, 1000, 'route'), aLimit(9, 1000, 'ip'), aLimit(3, 60_000, 'ip')];

    assert.deepEqual(inCountingOrder([route, ip, minute]), [ip, minute, route]);
  });

  test('counts a limit written twice once', () => {
    assert.equal(inCountingOrder([aLimit(5, 1000), aLimit(5, 1000), aLimit(5, 2000)]).length, 2);
  });
});

describe('the RateLimit fields', () => {
  const names: [perMs: number, name: string][] = [
    [250, '7-per-250ms-by-caller'],
    [1000, '7-per-1s-by-caller'],
    [90_000, '7-per-90s-by-caller'],
    [120_000, '7-per-2m-by-caller'],
    [3_600_000, '7-per-1h-by-caller'],
    [2_592_000_000, '7-per-30d-by-caller'],
  ];
  for (const [perMs, name] of names) {
    test(`call a limit ${name}`, () => assert.equal(limitName(aLimit(7, perMs)), name));
  }

  test('tell every limit, the one that leaves least first', () => {
    const fields = rateLimitFields([
      { limit: aLimit(1000, 3_600_000, 'ip'), remaining: 700, resetsInMs: 1_800_000.5, isExceeded: false, waitMs: 0 },
      { limit: aLimit(10, 1000, 'header'), remaining: 3, resetsInMs: 1, isExceeded: false, waitMs: 0 },
    ]);

    assert.deepEqual(fields, [
      'RateLimit',
      '"10-per-1s-by-header-x-tenant";r=3;t=1, "1000-per-1h-by-ip";r=700;t=1801',
      'RateLimit-Policy',
      '"10-per-1s-by-header-x-tenant";q=10;w=1, "1000-per-1h-by-ip";q=1000;w=3600',
    ]);
  });

  test('of two that leave the same, tell first the one that takes longer to pass', () => {
    const [, stands = ''] = rateLimitFields([
      { limit: aLimit(5, 1000), remaining: 0, resetsInMs: 1000, isExceeded: false, waitMs: 0 },
      { limit: aLimit(5, 60_000), remaining: 0, resetsInMs: 60_000, isExceeded: true, waitMs: 0 },
    ]);

    assert.match(stands, /^"5-per-1m/);
  });

  test('are absent where nothing was counted', () => assert.deepEqual(rateLimitFields([]), []));
});
