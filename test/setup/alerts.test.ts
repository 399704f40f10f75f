import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { createMetrics } from '../../gateway/edges/prom-client.ts';
import { promtool } from '../support/promtool.ts';
import { aFolder } from '../support/folder.ts';

interface Alerts {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}

const { groups } = parse(readFileSync('config/alerts.yml', 'utf8')) as Alerts;
const rules = groups.flatMap(group => group.rules);

/** Series by what they are called, with their values every ten seconds: `0+6x90` is 0, 6, 12, … */
type Series = Readonly<Record<string, string>>;

interface Case {
  /** It fires within 40 minutes. */
  readonly fires: Series;
  /** It does not: what is usual, or over soon. */
  readonly rests: Series;
}

const LONG = 'x240';
const steady = (value: number) => `${value}+0${LONG}`;
const growing = (by: number) => `0+${by}${LONG}`;

const requests = (labels: string) => `penstock_requests_total{route="fuel",${labels}}`;
const waits = (le: string) => `penstock_queue_wait_seconds_bucket{service="fuel",le="${le}"}`;
const takes = (le: string) => `penstock_request_duration_seconds_bucket{route="fuel",le="${le}"}`;
const instances = (state: string) => `penstock_instances{service="fuel",state="${state}"}`;
const contradicted = 'penstock_batch_rechecks_total{service="fuel",result="contradicted"}';

const CASES: Readonly<Record<string, Case>> = {
  PenstockDown: { fires: { 'up{job="penstock"}': steady(0) }, rests: { 'up{job="penstock"}': '1x20 0x3 1x200' } },
  PenstockServiceWithoutInstances: {
    fires: { [instances('in-rotation')]: steady(0), [instances('ejected')]: steady(2) },
    rests: { [instances('in-rotation')]: steady(0), [instances('busy-unchecked')]: steady(1) },
  },
  PenstockErrors: {
    fires: { [requests('status="200"')]: growing(90), [requests('status="502"')]: growing(10) },
    rests: { [requests('status="200"')]: growing(90), [requests('status="404"')]: growing(90) },
  },
  PenstockAuditLost: {
    fires: { 'penstock_audit_lines_total{result="lost"}': `0x20 5${LONG}` },
    rests: {
      'penstock_audit_lines_total{result="lost"}': steady(5),
      'penstock_audit_lines_total{result="written"}': growing(5),
    },
  },
  PenstockInternalErrors: {
    fires: { penstock_internal_errors_total: `0x20 1${LONG}` },
    rests: { penstock_internal_errors_total: steady(3) },
  },
  PenstockManyEjected: {
    fires: { [instances('in-rotation')]: steady(1), [instances('ejected')]: steady(1) },
    rests: { [instances('in-rotation')]: steady(4), [instances('ejected')]: steady(1) },
  },
  PenstockQueueRefuses: {
    fires: { 'penstock_refusals_total{route="fuel",code="QUEUE_FULL"}': growing(1) },
    rests: { 'penstock_refusals_total{route="fuel",code="RATE_LIMITED"}': growing(1) },
  },
  PenstockQueueSlow: {
    fires: { [waits('1')]: growing(1), [waits('5')]: growing(9), [waits('+Inf')]: growing(9) },
    rests: { [waits('1')]: growing(9), [waits('5')]: growing(9), [waits('+Inf')]: growing(9) },
  },
  PenstockSlow: {
    fires: { [takes('10')]: growing(1), [takes('30')]: growing(9), [takes('+Inf')]: growing(9) },
    rests: { [takes('10')]: growing(9), [takes('30')]: growing(9), [takes('+Inf')]: growing(9) },
  },
  PenstockHungWork: {
    // A frozen R: its caller leaves after the route's 30 s, and the call counts as hung after 2 min.
    fires: { 'penstock_permits_abandoned{service="fuel"}': `0x20 1x8 0${LONG}` },
    // Callers who leave calls of some seconds, now and then.
    rests: { 'penstock_permits_abandoned{service="fuel"}': '0x10 1 0x10 1 0x10 1 0x100' },
  },
  PenstockRetries: {
    fires: {
      'penstock_retries_total{service="fuel",reason="503"}': growing(3),
      'penstock_attempts_total{service="fuel",outcome="ok"}': growing(10),
    },
    rests: {
      'penstock_retries_total{service="fuel",reason="503"}': growing(3),
      'penstock_attempts_total{service="fuel",outcome="ok"}': growing(100),
    },
  },
  PenstockServesStale: {
    fires: { 'penstock_cache_requests_total{route="fuel",result="stale"}': growing(1) },
    rests: { 'penstock_cache_requests_total{route="fuel",result="hit"}': growing(1) },
  },
  PenstockBatchingOff: {
    fires: { 'penstock_batching{route="fuel"}': steady(0) },
    rests: { 'penstock_batching{route="fuel"}': `0x50 1${LONG}` },
  },
  PenstockBatchContradicted: {
    fires: { [contradicted]: `_x20 1${LONG}` },
    rests: { 'penstock_batch_rechecks_total{service="fuel",result="agreed"}': growing(9) },
  },
  PenstockCertificateExpires: {
    fires: { 'penstock_tls_certificate_expiry_seconds{name="a.example.org"}': steady(13 * 86_400) },
    rests: { 'penstock_tls_certificate_expiry_seconds{name="a.example.org"}': steady(15 * 86_400) },
  },
  PenstockInstanceUntrusted: {
    fires: { 'penstock_attempts_total{service="fuel",outcome="untrusted"}': `_x20 1${LONG}` },
    rests: {
      'penstock_attempts_total{service="fuel",outcome="untrusted"}': steady(0),
      'penstock_attempts_total{service="fuel",outcome="ok"}': growing(9),
    },
  },
  PenstockConfigRefused: {
    fires: { penstock_config_reload_success: steady(0) },
    rests: { penstock_config_reload_success: '1x20 0x3 1x200' },
  },
  PenstockVersionsDiffer: {
    fires: {
      'penstock_build_info{instance="a",version="1"}': steady(1),
      'penstock_build_info{instance="b",version="2"}': steady(1),
    },
    rests: {
      'penstock_build_info{instance="a",version="1"}': steady(1),
      'penstock_build_info{instance="b",version="1"}': steady(1),
    },
  },
  PenstockRosterOld: {
    fires: { 'penstock_roster_age_seconds{source="consul"}': growing(10) },
    rests: { 'penstock_roster_age_seconds{source="consul"}': steady(33) },
  },
  PenstockEventLoopSlow: {
    fires: { 'nodejs_eventloop_lag_p99_seconds{job="penstock"}': steady(0.3) },
    rests: { 'nodejs_eventloop_lag_p99_seconds{job="penstock"}': '0x20 0.3x6 0x200' },
  },
};

/** One unit test of promtool's: the alert fires over these series, or does not, as it should. */
function unitTest(alert: string, series: Series, fires: boolean) {
  const firing = `max_over_time(ALERTS{alertname="${alert}",alertstate="firing"}[40m])`;
  return {
    name: `${alert} ${fires ? 'fires' : 'rests'}`,
    interval: '10s',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      { expr: `count(${firing})`, eval_time: '40m', exp_samples: fires ? [{ labels: '{}', value: 1 }] : [] },
    ],
  };
}

describe('every alert', () => {
  test('fires when it should, and not on what is usual', async t => {
    const folder = aFolder(t);
    const files = rules.map(rule => {
      const { alert } = rule;
      const { fires, rests } = CASES[alert] ?? assert.fail(`a new alert needs its case above: ${alert}`);
      const [ruleFile, testFile] = [join(folder, `${alert}.yml`), join(folder, `${alert}.test.yml`)];
      const tests = [unitTest(alert, fires, true), unitTest(alert, rests, false)];
      writeFileSync(ruleFile, stringify({ groups: [{ name: alert, rules: [rule] }] })); // of all rules, each test would try all
      writeFileSync(testFile, stringify({ rule_files: [ruleFile], evaluation_interval: '10s', tests }));
      return testFile;
    });

    assert.equal(await promtool(['test', 'rules', ...files]), '');
    assert.equal(await promtool(['check', 'rules', 'config/alerts.yml']), '');
  });

  test('watches metrics that the gateway has', async t => {
    const metrics = createMetrics({
      ...{
        routeIds: () => new Set<string>(),
        services: () => [],
        rosterAges: () => [],
        limitWaiting: () => new Map(),
        batching: () => new Map(),
      },
      certificates: () => [],
      ...{
        inFlight: () => 0,
        keysAges: () => [],
        jobs: () => ({ states: {}, rows: new Map() }),
        linesDropped: () => 0,
        auditLines: () => ({ written: 0, lost: 0 }),
        wallMs: () => 0,
        catchUp: () => undefined,
        version: '1',
        node: 'v26',
      },
      withProcess: true,
    });
    t.after(() => metrics.close());
    const text = await metrics.text();

    for (const { alert, expr } of rules) {
      const names = [...expr.matchAll(/\b(penstock|nodejs)_\w+/g)].map(([name]) => name);
      assert.ok(names.length > 0 || expr.startsWith('up{'), `${alert} watches nothing`);
      for (const name of names) {
        const family = name.replace(/_bucket$/, '');
        assert.ok(text.includes(`# TYPE ${family} `), `${alert} watches ${name}, which is no metric`);
      }
    }
  });

  test('has its line in docs/operating.md, which says what to do', () => {
    const manual = readFileSync('docs/operating.md', 'utf8');

    for (const { alert } of rules) assert.ok(manual.includes(`| \`${alert}\` |`), alert);
  });
});
