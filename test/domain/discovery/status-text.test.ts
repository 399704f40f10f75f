import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { InstanceView, ServiceView } from '../../../gateway/domain/service.ts';
import { reportStatus } from '../../../gateway/domain/discovery/status-text.ts';

function anInstanceView(id: string, more: Partial<InstanceView> = {}): InstanceView {
  return {
    ...{ id, address: 'http://127.0.0.1:9101', source: 'consul', version: null, weight: 1, state: 'in-rotation' },
    ...{ why: null, until: null, inFlight: 0, streams: 0, abandoned: 0, latencyMs: null, requests: 0, failures: 0 },
    preferredBy: null,
    ...more,
  };
}

const aServiceView = (service: string, instances: readonly InstanceView[], depth = 0): ServiceView => ({
  ...{ service, instances, queue: { depth, depthMax: 256 }, permits: { inUse: 0, abandoned: 0 } },
});

describe('what the gateway says of itself', () => {
  test('is a line for each service, and who is out and why', () => {
    const views = [
      aServiceView('fuel', [anInstanceView('fuel-1', { inFlight: 1 }), anInstanceView('fuel-2')], 3),
      aServiceView('iris', [
        anInstanceView('iris-1'),
        anInstanceView('iris-2', { state: 'ejected', why: 'refused', until: '2026-01-01T00:00:30.000Z' }),
      ]),
    ];

    const { status, output } = reportStatus(views, false);

    assert.equal(status, 'passing');
    assert.deepEqual(output.split('\n'), [
      '2 services, each with instances in rotation',
      'iris: 1 of 2 pass, 0 busy, 1 ejected',
      '  iris-2 ejected until 2026-01-01T00:00:30.000Z: refused',
      'fuel: 2 of 2 pass, 1 busy, 0 ejected, 3 waiting',
    ]);
  });

  for (const [what, instances] of [
    ['has no instances', []],
    ['has none in rotation', [anInstanceView('a', { state: 'unhealthy', why: 'ping: down' })]],
  ] as const) {
    test(`is a warning where a service ${what}`, () => {
      const { status, output } = reportStatus([aServiceView('fuel', instances)], false);

      assert.equal(status, 'warning');
      assert.match(output, /^1 of 1 service without an instance in rotation\n/);
    });
  }

  for (const state of ['in-rotation', 'slow-start', 'busy-unchecked', 'probation'] as const) {
    test(`counts ${state} as passing`, () => {
      assert.equal(reportStatus([aServiceView('fuel', [anInstanceView('a', { state })])], false).status, 'passing');
    });
  }

  test('names the other gateways before the same instances, in one line', () => {
    const views = [aServiceView('fuel', [anInstanceView('fuel-1')])];
    const shown = (peers: readonly string[]) => reportStatus(views, false, peers).output.split('\n')[1];

    assert.equal(shown(['penstock-b']), 'shares instances with penstock-b');
    assert.equal(shown(['b', 'c', 'd', 'e', 'f']), 'shares instances with b, c, d, and 2 more');
    assert.equal(shown([]), 'fuel: 1 of 1 pass, 0 busy, 0 ejected');
  });

  test('is critical while it drains', () => {
    assert.equal(reportStatus([aServiceView('fuel', [anInstanceView('a')])], true).status, 'critical');
  });

  test('passes where no service is in use', () => {
    assert.equal(reportStatus([], false).status, 'passing');
  });

  test('stays short, however much there is to tell', () => {
    const out = { state: 'ejected', why: 'x'.repeat(900) } as const;
    const instances = Array.from({ length: 40 }, (_, i) => anInstanceView(`instance-${i}`, out));
    const views = Array.from({ length: 300 }, (_, i) => aServiceView(`service-${i}`, instances));

    const { output } = reportStatus(views, false);

    assert.ok(output.length <= 2_000);
    assert.match(output, /and 37 more/);
    assert.match(output, /and \d+ services more$/);
  });
});
