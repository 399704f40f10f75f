import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readConsulListing } from '../../../gateway/domain/discovery/consul-entries.ts';

interface Parts {
  readonly node?: Record<string, unknown>;
  readonly service?: Record<string, unknown>;
  readonly checks?: unknown;
}

/** An entry of `health/service`, of which only what matters is said. */
function aRegistration({ node = {}, service = {}, checks = [] }: Parts = {}): unknown {
  return {
    Node: { Node: 'north', Address: '10.0.0.5', ...node },
    Service: { ID: 'fuel-1', Service: 'fuel', Address: '', Port: 9101, Meta: {}, CreateIndex: 10, ...service },
    Checks: checks,
  };
}

const aCheck = (Status: string, more: Record<string, unknown> = {}) => ({
  ...{ CheckID: 'service:fuel-1', Name: 'ping', Status, Output: 'said', Notes: '' },
  ...more,
});

const readOne = (parts: Parts) => readConsulListing([aRegistration(parts)]);

describe('a registration in Consul', () => {
  test('becomes an entry at the address of its node, where it names none', () => {
    const { entries, malformed } = readOne({});

    assert.deepEqual(entries, [
      {
        ...{ id: 'fuel-1', origin: 'http://10.0.0.5:9101', source: 'consul', weight: 1 },
        ...{ health: 'passing', healthNote: null, version: null, model: null, concurrency: undefined },
      },
    ]);
    assert.deepEqual(malformed, []);
  });

  for (const [address, origin] of [
    ['10.0.0.9', 'http://10.0.0.9:9101'],
    ['fuel.internal', 'http://fuel.internal:9101'],
    ['fd00::7', 'http://[fd00::7]:9101'],
  ] as const) {
    test(`is reached at ${address}`, () => {
      assert.equal(readOne({ service: { Address: address } }).entries[0]?.origin, origin);
    });
  }

  test('is an Rserve where its meta `protocol` says so', () => {
    const { entries } = readOne({ service: { Port: 6311, Meta: { protocol: 'rserve' } } });
    assert.equal(entries[0]?.origin, 'rserve://10.0.0.5:6311');
    const byTls = readOne({ service: { Port: 6311, Meta: { protocol: 'rserve', secure: 'true' } } });
    assert.equal(byTls.entries[0]?.origin, 'rserves://10.0.0.5:6311');
    const grpc = readOne({ service: { Port: 50_051, Meta: { protocol: 'gRPC' } } });
    assert.equal(grpc.entries[0]?.origin, 'grpc://10.0.0.5:50051');
    const secured = readOne({ service: { Port: 50_051, Meta: { protocol: 'grpc', secure: 'true' } } });
    assert.equal(secured.entries[0]?.origin, 'grpcs://10.0.0.5:50051');
  });

  for (const [what, parts, problem] of [
    ['without a port', { service: { Port: 0 } }, /port is 0/],
    ['with a port beyond all ports', { service: { Port: 70_000 } }, /port is 70000/],
    ['with a port in words', { service: { Port: '9101' } }, /port is 9101/],
    ['without any address', { node: { Address: '' } }, /no address/],
    ['with an address that is a URL', { service: { Address: 'http://10.0.0.5' } }, /is no host/],
    ['with an address that smuggles a path', { service: { Address: '10.0.0.5/admin' } }, /is no host/],
    ['with an address that smuggles a user', { service: { Address: 'user@10.0.0.5' } }, /is no host/],
    ['with an address of five numbers', { service: { Address: '10.0.0.0.5' } }, /is no host/],
    ['with an address that means here', { service: { Address: '0.0.0.0' } }, /means "here"/],
    ['with a broken IPv6 address', { service: { Address: 'fd00:::7' } }, /is no host/],
    ['without an id', { service: { ID: '' } }, /id is empty/],
    ['with a line break in its id', { service: { ID: 'fuel\n1' } }, /control characters/],
    ['with an endless id', { service: { ID: 'x'.repeat(300) } }, /longer than 256/],
  ] as const) {
    test(`${what} is reported and skipped, and the next one is taken`, () => {
      const other = aRegistration({ service: { ID: 'fuel-2', Port: 9102 } });

      const { entries, malformed } = readConsulListing([aRegistration(parts), other]);

      assert.deepEqual(
        entries.map(({ id }) => id),
        ['fuel-2'],
      );
      assert.equal(malformed.length, 1);
      assert.match(malformed[0]?.problem ?? '', problem);
    });
  }

  for (const garbage of [null, 7, 'text', [], {}, { Service: null }, { Service: { ID: 'a' }, Node: 3, Checks: 'x' }]) {
    test(`that is ${JSON.stringify(garbage)} is reported and skipped`, () => {
      const { entries, malformed } = readConsulListing([garbage]);

      assert.deepEqual([entries.length, malformed.length], [0, 1]);
    });
  }

  test('is spoken to by TLS where its meta says `secure: true`', () => {
    assert.match(readOne({ service: { Meta: { secure: 'true' } } }).entries[0]?.origin ?? '', /^https:\/\//);
    assert.match(readOne({ service: { Meta: { secure: 'no' } } }).entries[0]?.origin ?? '', /^http:\/\//);
  });

  test('tells its version, model and concurrency', () => {
    const { entries } = readOne({ service: { Meta: { version: '1.2.0', model: 'lm', concurrency: '4' } } });

    const [entry] = entries;
    assert.deepEqual([entry?.version, entry?.model, entry?.concurrency], ['1.2.0', 'lm', 4]);
  });

  for (const concurrency of ['0', '-1', '1.5', 'many', '99999', '']) {
    test(`keeps its service's concurrency where its own is '${concurrency}'`, () => {
      const { entries, malformed } = readOne({ service: { Meta: { concurrency } } });

      assert.deepEqual([entries[0]?.id, entries[0]?.concurrency, malformed.length], ['fuel-1', undefined, 1]);
    });
  }

  test('loses a version that would break a line', () => {
    const { entries, malformed } = readOne({ service: { Meta: { version: '1\r\nX: y' } } });

    assert.deepEqual([entries[0]?.version, malformed.length], [null, 1]);
  });

  test('is told from its namesake on another node by the name of the node, the elder keeping its own', () => {
    const young = aRegistration({ node: { Node: 'south', Address: '10.0.0.6' }, service: { CreateIndex: 20 } });

    const { entries, malformed } = readConsulListing([young, aRegistration()]);

    assert.deepEqual(
      entries.map(({ id, origin }) => [id, origin]),
      [
        ['fuel-1', 'http://10.0.0.5:9101'],
        ['fuel-1@south', 'http://10.0.0.6:9101'],
      ],
    );
    assert.deepEqual(malformed, []);
  });

  test('that repeats the address of another counts once: the healthier of the two', () => {
    const stale = aRegistration({ checks: [aCheck('critical')] });
    const fresh = aRegistration({ service: { ID: 'fuel-1b', CreateIndex: 20 } });

    const { entries, malformed } = readConsulListing([stale, fresh]);

    assert.deepEqual(
      entries.map(({ id }) => id),
      ['fuel-1b'],
    );
    assert.deepEqual(
      malformed.map(({ instance }) => instance),
      ['fuel-1'],
    );
  });
});

describe('the health of a registration', () => {
  for (const [what, checks, health, note] of [
    ['passes without checks', [], 'passing', null],
    ['passes where all checks pass', [aCheck('passing'), aCheck('passing')], 'passing', null],
    ['is a warning where one check warns', [aCheck('passing'), aCheck('warning')], 'warning', 'ping: said'],
    ['is critical where one check is', [aCheck('warning'), aCheck('critical')], 'critical', 'ping: said'],
    [
      'is critical where its node fails',
      [aCheck('critical', { CheckID: 'serfHealth', Name: 'Serf Health Status', Output: 'Agent not live' })],
      ...['critical', 'Serf Health Status: Agent not live'],
    ],
    [
      'is maintenance where the service is maintained, whatever else fails',
      [
        aCheck('critical'),
        aCheck('critical', { CheckID: '_service_maintenance:fuel-1', Name: 'm', Output: '', Notes: 'disk' }),
      ],
      ...['maintenance', 'm: disk'],
    ],
    [
      'is maintenance where the node is maintained',
      [aCheck('critical', { CheckID: '_node_maintenance', Name: 'm', Output: '', Notes: 'reboot' })],
      ...['maintenance', 'm: reboot'],
    ],
    ['is critical where a status is unknown', [aCheck('dizzy')], 'critical', 'ping: said'],
    [
      'shows control characters escaped',
      [aCheck('critical', { Output: 'a\nb\u001b[31m' })],
      'critical',
      'ping: a\\nb\\u001b[31m',
    ],
  ] as const) {
    test(what, () => {
      const { entries } = readOne({ checks });

      assert.deepEqual([entries[0]?.health, entries[0]?.healthNote], [health, note]);
    });
  }

  test('is unproven where critical checks have not run yet', () => {
    const { entries, unproven } = readOne({ checks: [aCheck('critical', { Output: '' })] });

    assert.deepEqual([entries[0]?.health, entries[0]?.healthNote], ['critical', 'ping: has not run yet']);
    assert.deepEqual([...unproven], ['fuel-1']);
  });

  test('shortens a long output', () => {
    const { entries } = readOne({ checks: [aCheck('critical', { Output: 'x'.repeat(5_000) })] });

    assert.equal(entries[0]?.healthNote?.length, 200);
  });

  for (const [status, weight] of [
    ['passing', 10],
    ['warning', 2],
  ] as const) {
    test(`takes the weight for ${status}`, () => {
      const { entries } = readOne({ service: { Weights: { Passing: 10, Warning: 2 } }, checks: [aCheck(status)] });

      assert.equal(entries[0]?.weight, weight);
    });
  }

  test('is critical while warning where the weight for that is 0', () => {
    const { entries } = readOne({ service: { Weights: { Passing: 1, Warning: 0 } }, checks: [aCheck('warning')] });

    assert.deepEqual([entries[0]?.health, entries[0]?.weight], ['critical', 1]);
  });
});
