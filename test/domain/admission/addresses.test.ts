import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { addressRules, refuseAddress } from '../../../gateway/domain/http/address-range.ts';

describe('the addresses that callers may come from', () => {
  const rows: [allow: string[], deny: string[], address: string, isAdmitted: boolean][] = [
    [['10.0.0.0/8'], [], '10.1.2.3', true],
    [['10.0.0.0/8'], [], '::ffff:10.1.2.3', true],
    [['10.0.0.0/8'], [], '11.1.2.3', false],
    [['10.0.0.0/8'], [], '2001:db8::1', false],
    [['10.0.0.0/8'], ['10.9.0.0/16'], '10.9.1.1', false],
    [['10.0.0.0/8'], ['10.9.0.0/16'], '::ffff:10.9.1.1', false],
    [[], ['2001:db8::/32'], '2001:db8:1::9', false],
    [[], ['2001:db8::/32'], 'fe80::1%eth0', true],
    [['fe80::/10'], [], 'fe80::1%eth0', true],
    [['10.0.0.1'], [], '10.0.0.1', true],
    [['10.0.0.0/8'], [], 'unix', false],
  ];
  for (const [allow, deny, address, isAdmitted] of rows) {
    test(`${isAdmitted ? 'hold' : 'do not hold'} ${address}, of [${allow.join()}] without [${deny.join()}]`, () => {
      assert.equal(addressRules({ allow, deny })?.admits(address), isAdmitted);
    });
  }

  test('are all there are where nothing is said', () => {
    assert.equal(addressRules({ allow: [], deny: [] }), undefined);
    refuseAddress(undefined, { callerAddress: '192.0.2.1' });
  });

  test('that are not among them are refused', () => {
    const rules = addressRules({ allow: [], deny: ['192.0.2.0/24'] });

    assert.throws(() => refuseAddress(rules, { callerAddress: '192.0.2.1' }), { code: 'FORBIDDEN' });
  });
});
