import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isAddressRange, withinRanges } from '../../../gateway/domain/http/address-range.ts';

describe('a range of addresses', () => {
  for (const [range, inside, outside] of [
    ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3', '::ffff:a01:203'], ['11.0.0.0', '::10.0.0.1', '']],
    ['10.1.2.3/8', ['10.9.9.9'], ['11.1.2.3']],
    ['10.1.2.3', ['10.1.2.3'], ['10.1.2.4']],
    ['::ffff:10.1.2.3', ['10.1.2.3'], ['10.1.2.4']],
    ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255'], ['::1', '2001:db8::1']],
    ['fd00::/8', ['fd00::1', 'FDFF::', 'fd00::1%eth0'], ['fe00::1', '253.0.0.1']],
    ['::/0', ['::', '2001:db8::1', '10.0.0.1'], ['']],
    ['2001::/16', ['2001:db8::1'], ['2002::1', '10.0.0.1']],
    ['::1', ['::1', '0:0:0:0:0:0:0:1'], ['::2', '0.0.0.1']],
  ] as const) {
    test(`${range} holds what shares its first bits, and nothing else`, () => {
      const isWithin = withinRanges([range]);

      assert.ok(isAddressRange(range));
      for (const address of inside) assert.ok(isWithin(address), `${address} is in ${range}`);
      for (const address of outside) assert.ok(!isWithin(address), `${address} is not in ${range}`);
    });
  }

  for (const text of [
    ...[
      '',
      'localhost',
      '10.0.0',
      '10.0.0.256',
      '010.0.0.1',
      '10.0.0.0/',
      '10.0.0.0/33',
      '10.0.0.0/-1',
      '10.0.0.0/8/8',
    ],
    ...[
      '::/129',
      ':::',
      '1::2::3',
      '12345::',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '::ffff:10.0.0.0/8',
      '::ffff:a00:0/104',
    ],
  ]) {
    test(`'${text}' is none`, () => {
      assert.ok(!isAddressRange(text));
    });
  }
});
