import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { believeForwarded, isHost, type Trust } from '../../../gateway/domain/http/forwarding.ts';

const seen = { peerAddress: '10.0.0.1', scheme: 'http', host: 'inner' } as const;

const trustOf = (address: string): Trust => {
  if (!/^[\d.:a-f]+$/.test(address)) return 'no-address';
  return address.startsWith('10.') ? 'trusted' : 'stranger';
};

const believe = (...fields: string[]) => believeForwarded(fields, seen, trustOf);

describe('the believed origin of a request from a trusted proxy', () => {
  const chains: Record<string, { chain: string; caller: string }> = {
    'the one the proxy took it from': { chain: '203.0.113.9', caller: '203.0.113.9' },
    'the first stranger from the right, whatever stands left of it': {
      chain: '6.6.6.6, 203.0.113.9, 10.0.0.2',
      caller: '203.0.113.9',
    },
    'the farthest proxy, when there is no stranger': { chain: '10.0.0.3, 10.0.0.2', caller: '10.0.0.3' },
    'the last who can be told, where an entry is no address': {
      chain: '203.0.113.9, unknown, 10.0.0.2',
      caller: '10.0.0.2',
    },
    'told without its port': { chain: '203.0.113.9:4711', caller: '203.0.113.9' },
    'told without brackets': { chain: '[2001:db8::1]:4711', caller: '2001:db8::1' },
    'the proxy itself, when it says nothing': { chain: '', caller: '10.0.0.1' },
  };
  for (const [name, { chain, caller }] of Object.entries(chains)) {
    test(`has as its caller ${name}`, () => {
      assert.equal(believe('X-Forwarded-For', chain).callerAddress, caller);
    });
  }

  test('may be told by `Forwarded`, where there is no X-Forwarded-For', () => {
    const forwarded =
      'for=6.6.6.6, for="[2001:db8::9]:4711";host="api.example.org:81";proto=https, FOR=10.0.0.2; proto=http';

    assert.deepEqual(believe('Forwarded', forwarded), {
      callerAddress: '2001:db8::9',
      scheme: 'https',
      host: 'api.example.org:81',
    });
    assert.equal(believe('Forwarded', 'for=6.6.6.6', 'X-Forwarded-For', '203.0.113.9').callerAddress, '203.0.113.9');
    assert.equal(believe('Forwarded', 'for=_hidden, for="10.0.0.2"').callerAddress, '10.0.0.2');
    assert.deepEqual(believe('Forwarded', '";,=for="'), believe(), 'rubbish tells nothing');
  });

  test('reads several lines of a field as one', () => {
    assert.equal(believe('X-Forwarded-For', '203.0.113.9', 'x-forwarded-for', '10.0.0.2').callerAddress, '203.0.113.9');
  });

  test('takes scheme and host at the same distance as the caller', () => {
    const fields = ['X-Forwarded-For', '6.6.6.6, 203.0.113.9, 10.0.0.2', 'X-Forwarded-Proto', 'gopher, https, http'];

    const { scheme, host } = believe(...fields, 'X-Forwarded-Host', 'evil, api.example.org, inner');

    assert.deepEqual({ scheme, host }, { scheme: 'https', host: 'api.example.org' });
  });

  test('takes a single scheme and host for what they are', () => {
    const fields = ['X-Forwarded-For', '203.0.113.9, 10.0.0.2', 'X-Forwarded-Proto', 'HTTPS'];

    const { scheme, host } = believe(...fields, 'X-Forwarded-Host', 'api.example.org');

    assert.deepEqual({ scheme, host }, { scheme: 'https', host: 'api.example.org' });
  });

  test('keeps to what the connection shows where the proxy tells nonsense', () => {
    const { scheme, host } = believe('X-Forwarded-Proto', 'gopher', 'X-Forwarded-Host', 'a/b');

    assert.deepEqual({ scheme, host }, { scheme: 'http', host: 'inner' });
  });
});

describe('a host', () => {
  test('is a name or an address, and perhaps a port', () => {
    for (const host of ['a', 'api.example.org', 'a:80', '[::1]:80', '127.0.0.1', 'a_b']) assert.ok(isHost(host), host);
    for (const host of ['', 'a/b', 'a b', 'a@b', 'a:80:81', ':80', '[::1', 'a\u0000']) assert.ok(!isHost(host), host);
  });

  test('is no longer than a name may be', () => {
    const longest = 'a.'.repeat(127) + 'a';

    assert.deepEqual([isHost(longest), isHost(`${longest}a`)], [true, false]);
  });
});
