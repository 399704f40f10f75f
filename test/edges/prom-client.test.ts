import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { createMetrics } from '../../gateway/edges/prom-client.ts';
import type { Observe, RequestEvent } from '../../gateway/domain/events.ts';
import type { InstanceView, ServiceView } from '../../gateway/domain/service.ts';

const aRequest: RequestEvent = {
  kind: 'request',
  id: 'r-1',
  caller: null,
  method: 'POST',
  path: '/api/fuel/predict',
  route: 'fuel',
  service: 'fuel',
  instance: 'fuel-1',
  version: null,
  status: 200,
  code: null,
  attempts: 1,
  queueMs: 0,
  connectMs: 0.2,
  firstByteMs: 2,
  totalMs: 3,
  bytesIn: 24,
  bytesOut: 31,
  cache: null,
  isCoalesced: false,
  attempt: null,
};

const facts = { outcome: 'ok', status: 200, durationMs: 2, queueMs: 12 } as const;
const anAttempt = { kind: 'attempt', service: 'fuel', instance: 'fuel-1', ...facts } as const;

const anInstanceView: InstanceView = {
  id: 'fuel-1',
  address: 'http://127.0.0.1:9101',
  source: 'static',
  version: null,
  weight: 1,
  state: 'in-rotation',
  why: null,
  until: null,
  inFlight: 0,
  streams: 0,
  abandoned: 0,
  latencyMs: null,
  preferredBy: null,
  requests: 0,
  failures: 0,
};

function aServiceView(service: string, instances: readonly Partial<InstanceView>[]): ServiceView {
  return {
    service,
    queue: { depth: 3, depthMax: 256 },
    permits: { inUse: 2, abandoned: 1 },
    instances: instances.map(traits => ({ ...anInstanceView, ...traits })),
  };
}

function startMetrics(t: TestContext) {
  const world = {
    routes: new Set(['fuel', 'iris']),
    services: [aServiceView('fuel', [{ id: 'fuel-1' }, { id: 'fuel-2', state: 'ejected' }])],
    ageSeconds: 3,
    batching: new Map([['fuel', true]]),
    limitWaiting: new Map([['fuel', 2]]),
    dropped: 0,
    inFlight: 0,
  };
  const metrics = createMetrics({
    inFlight: () => world.inFlight,
    routeIds: () => world.routes,
    services: () => world.services,
    certificates: () => [{ name: 'a.example.org', atSeconds: 1_800_000_000 }],
    rosterAges: () => [{ source: 'consul', ageSeconds: world.ageSeconds, isStale: false, isKnown: true }],
    limitWaiting: () => world.limitWaiting,
    batching: () => world.batching,
    keysAges: () => [],
    jobs: () => ({ states: {}, rows: new Map() }),
    linesDropped: () => world.dropped,
    auditLines: () => ({ written: 3, lost: 1 }),
    wallMs: () => 1_700_000_000_000,
    catchUp: () => undefined,
    version: '1.2.3',
    node: 'v26.0.0',
    withProcess: false,
  });
  t.after(() => metrics.close());
  return {
    world,
    metrics,
    lines: async () => (await metrics.text()).split('\n').filter(line => !line.startsWith('#')),
  };
}

/** The names and labels of the contract, and nothing that a caller could make grow. */
const CONTRACT = new Map([
  ['penstock_requests_total', ['method', 'route', 'status']],
  ['penstock_request_duration_seconds_count', ['route']],
  ['penstock_requests_in_flight', []],
  ['penstock_refusals_total', ['code', 'route']],
  ['penstock_attempts_total', ['instance', 'outcome', 'service']],
  ['penstock_attempt_statuses_total', ['class', 'instance', 'service']],
  ['penstock_attempt_duration_seconds_count', ['service']],
  ['penstock_limit_waiting', ['route']],
  ['penstock_limit_exceeded_total', ['enforced', 'limit', 'route']],
  ['penstock_retries_total', ['reason', 'service']],
  ['penstock_queue_depth', ['service']],
  ['penstock_queue_wait_seconds_count', ['service']],
  ['penstock_permits_in_use', ['service']],
  ['penstock_permits_abandoned', ['service']],
  ['penstock_instances', ['service', 'state']],
  ['penstock_ejections_total', ['reason', 'service']],
  ['penstock_cache_requests_total', ['result', 'route']],
  ['penstock_coalesced_total', ['route']],
  ['penstock_batch_rows_count', ['service']],
  ['penstock_batch_rechecks_total', ['result', 'service']],
  ['penstock_sent_ahead_total', ['service']],
  ['penstock_internal_errors_total', []],
  ['penstock_plugin_failures_total', ['plugin']],
  ['penstock_config_reload_success', []],
  ['penstock_config_reload_timestamp_seconds', []],
  ['penstock_roster_age_seconds', ['source']],
  ['penstock_build_info', ['node', 'version']],
  ['penstock_tls_certificate_expiry_seconds', ['name']],
]);

/** All that has series by route, service or instance. */
function observeAll(observe: Observe): void {
  observe({ ...aRequest, cache: 'hit', isCoalesced: true });
  observe({ kind: 'plugin-failed', plugin: 'Tenant', error: new Error('x'), requestId: null });
  observe({ ...aRequest, status: 503, code: 'QUEUE_FULL' });
  observe(anAttempt);
  observe({ kind: 'retry', service: 'fuel', reason: '503', requestId: 'r-1', instance: 'fuel-1' });
  observe({ kind: 'ejected', service: 'fuel', instance: 'fuel-2', reason: 'refused', forMs: 30_000 });
  observe({ kind: 'batch', service: 'fuel', rows: 2 });
  observe({ kind: 'batch-recheck', service: 'fuel', result: 'agreed' });
  observe({ kind: 'sent-ahead', service: 'fuel' });
  observe({ kind: 'limit-exceeded', route: 'fuel', limit: '1-per-1s-by-caller', isEnforced: false });
}

describe('metrics', () => {
  test('have the names and labels of the contract', async t => {
    const { metrics, lines } = startMetrics(t);
    observeAll(metrics.observe);

    const shown = new Map(
      (await lines()).map(line => {
        const [, name = '', labels = ''] = /^(\w+)(?:\{(.*)\})? /.exec(line) ?? [];
        return [name, [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label).sort()];
      }),
    );

    for (const [name, labels] of CONTRACT) assert.deepEqual(shown.get(name), labels, name);
  });

  test('count requests by route, method and status, and those under way', async t => {
    const { world, metrics, lines } = startMetrics(t);
    world.inFlight = 1;
    metrics.observe(aRequest);
    metrics.observe(aRequest);

    const shown = await lines();

    assert.ok(shown.includes('penstock_requests_total{route="fuel",method="POST",status="200"} 2'));
    assert.ok(shown.includes('penstock_requests_in_flight 1'));
    assert.ok(shown.includes('penstock_request_duration_seconds_bucket{le="0.0025",route="fuel"} 0'));
    assert.ok(shown.includes('penstock_request_duration_seconds_bucket{le="0.005",route="fuel"} 2'));
    assert.ok(shown.includes('penstock_request_duration_seconds_sum{route="fuel"} 0.006'));
  });

  test('show how many rows travel together, and whether they may', async t => {
    const { world, metrics, lines } = startMetrics(t);
    for (const rows of [1, 3, 64]) metrics.observe({ kind: 'batch', service: 'fuel', rows });
    const before = await lines();
    world.batching = new Map([['iris', false]]);

    for (const line of [
      'penstock_batch_rows_bucket{le="2",service="fuel"} 1',
      'penstock_batch_rows_bucket{le="4",service="fuel"} 2',
      'penstock_batch_rows_sum{service="fuel"} 68',
      'penstock_batching{route="fuel"} 1',
    ]) {
      assert.ok(before.includes(line), line);
    }
    assert.deepEqual(
      (await lines()).filter(line => line.includes('batching')),
      ['penstock_batching{route="iris"} 0'],
    );
  });

  test('go on counting from one scrape to the next', async t => {
    const { metrics, lines } = startMetrics(t);
    metrics.observe(aRequest);
    await lines();
    metrics.observe(aRequest);

    assert.ok((await lines()).includes('penstock_requests_total{route="fuel",method="POST",status="200"} 2'));
  });

  test('have every duration, however many came between two scrapes', async t => {
    const { metrics, lines } = startMetrics(t);
    const observe = (times: number) => {
      for (let i = 0; i < times; i++) metrics.observe({ ...anAttempt, queueMs: 4 });
    };
    const shown = async () => (await lines()).filter(line => /queue_wait_seconds_(count|bucket.*"0.005")/.test(line));

    observe(1_300);
    assert.deepEqual(await shown(), [
      'penstock_queue_wait_seconds_bucket{le="0.005",service="fuel"} 1300',
      'penstock_queue_wait_seconds_count{service="fuel"} 1300',
    ]);

    observe(1);
    assert.match((await shown()).join(), /1301.*1301/);
  });

  test('count what a request’s event says of its last attempt, of its wait, and of what it shared', async t => {
    const { metrics, lines } = startMetrics(t);
    const { observe } = metrics;
    observe({ ...aRequest, cache: 'miss', attempts: 2, queueMs: 30, attempt: { ...facts, queueMs: 10 } });
    observe({ ...anAttempt, outcome: 'lost', status: null, queueMs: 20 });
    observe({ ...aRequest, cache: 'hit', instance: null, attempts: 0 });
    observe({ ...aRequest, isCoalesced: true });
    observe({ ...aRequest, instance: null, attempts: 0, queueMs: 500, status: 503, code: 'QUEUE_TIMEOUT' });
    observe({ ...anAttempt, queueMs: null });

    const shown = await lines();

    for (const line of [
      'penstock_cache_requests_total{route="fuel",result="miss"} 1',
      'penstock_cache_requests_total{route="fuel",result="hit"} 1',
      'penstock_coalesced_total{route="fuel"} 1',
      'penstock_attempts_total{service="fuel",instance="fuel-1",outcome="ok"} 2',
      'penstock_attempts_total{service="fuel",instance="fuel-1",outcome="lost"} 1',
      'penstock_attempt_statuses_total{service="fuel",instance="fuel-1",class="2xx"} 2',
      'penstock_queue_wait_seconds_count{service="fuel"} 3',
      'penstock_queue_wait_seconds_sum{service="fuel"} 0.53',
    ]) {
      assert.ok(shown.includes(line), line);
    }
  });

  test('do not grow with what callers invent', async t => {
    const { metrics, lines } = startMetrics(t);
    for (let i = 0; i < 100; i++) {
      metrics.observe({ ...aRequest, method: `M${i}`, path: `/${i}`, route: null, status: 404, code: 'NO_ROUTE' });
    }

    const shown = (await lines()).filter(line => line.startsWith('penstock_requests_total'));

    assert.deepEqual(shown, ['penstock_requests_total{route="",method="OTHER",status="404"} 100']);
  });

  test('forget routes and services that are gone, even when a late request ends', async t => {
    const { world, metrics, lines } = startMetrics(t);
    observeAll(metrics.observe);
    world.routes = new Set(['iris']);
    world.services = [];
    world.batching = new Map();
    world.limitWaiting = new Map();
    metrics.observe({ kind: 'config-loaded', generation: 2, routes: 1, warnings: [] });
    observeAll(metrics.observe);

    assert.deepEqual(
      (await lines()).filter(line => line.includes('fuel')),
      [],
    );
  });

  test('forget an instance that left, and keep its neighbours', async t => {
    const { world, metrics, lines } = startMetrics(t);
    for (const instance of ['fuel-1', 'fuel-2']) {
      metrics.observe({ ...anAttempt, instance, status: 404 });
      metrics.observe({ ...anAttempt, instance, status: null });
    }
    world.services = [aServiceView('fuel', [{ id: 'fuel-2' }])];
    metrics.observe({ kind: 'instance-left', service: 'fuel', instance: 'fuel-1' });

    const shown = (await lines()).filter(line => /^penstock_attempt(s|_statuses)_total/.test(line));

    assert.deepEqual(shown, [
      'penstock_attempts_total{service="fuel",instance="fuel-2",outcome="ok"} 2',
      'penstock_attempt_statuses_total{service="fuel",instance="fuel-2",class="4xx"} 1',
    ]);
  });

  test('read queues, permits, instances and rosters when asked', async t => {
    const { world, lines } = startMetrics(t);
    world.ageSeconds = 17;

    const shown = await lines();

    for (const line of [
      'penstock_queue_depth{service="fuel"} 3',
      'penstock_permits_in_use{service="fuel"} 2',
      'penstock_permits_abandoned{service="fuel"} 1',
      'penstock_instances{service="fuel",state="in-rotation"} 1',
      'penstock_instances{service="fuel",state="ejected"} 1',
      'penstock_instances{service="fuel",state="probation"} 0',
      'penstock_roster_age_seconds{source="consul"} 17',
      'penstock_tls_certificate_expiry_seconds{name="a.example.org"} 1800000000',
      'penstock_build_info{version="1.2.3",node="v26.0.0"} 1',
    ]) {
      assert.ok(shown.includes(line), line);
    }
  });

  test('say whether the last reload was taken, and when the one in use was', async t => {
    const { metrics, lines } = startMetrics(t);

    metrics.observe({ kind: 'config-loaded', generation: 1, routes: 2, warnings: [] });
    assert.ok((await lines()).includes('penstock_config_reload_success 1'));

    metrics.observe({ kind: 'config-refused', problems: ['routes.yaml:3:5 unknown key'] });
    const shown = await lines();
    assert.ok(shown.includes('penstock_config_reload_success 0'));
    assert.ok(shown.includes('penstock_config_reload_timestamp_seconds 1700000000'));
  });

  test('count mistakes of the gateway and lines the log dropped', async t => {
    const { world, metrics, lines } = startMetrics(t);
    assert.ok((await lines()).includes('penstock_internal_errors_total 0'));
    world.dropped = 4;
    metrics.observe({ kind: 'internal-error', where: 'test', error: new Error('x'), requestId: null });

    const shown = await lines();

    assert.ok(shown.includes('penstock_internal_errors_total 1'));
    assert.ok(shown.includes('penstock_log_lines_dropped_total 4'));
  });

  test('take a duration that is no number without throwing', async t => {
    const { metrics, lines } = startMetrics(t);

    metrics.observe({ ...aRequest, totalMs: NaN });

    assert.ok((await lines()).includes('penstock_request_duration_seconds_count{route="fuel"} 1'));
  });

  test('escape what a route may be called', async t => {
    const { world, metrics, lines } = startMetrics(t);
    world.routes = new Set(['a"b\\c\nd']);
    metrics.observe({ ...aRequest, route: 'a"b\\c\nd' });

    assert.ok((await lines()).some(line => line.includes('route="a\\"b\\\\c\\nd"')));
  });
});
