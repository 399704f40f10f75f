import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';

interface Alerts {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}

const { groups } = parse(readFileSync('config/alerts.yml', 'utf8')) as Alerts;
const rules = groups.flatMap(group => group.rules);

/** What the metrics' edge is written with: a name that stands nowhere in it is a metric that does not exist. */
const edge = readdirSync('gateway/edges')
  .filter(file => file.startsWith('prom-client'))
  .map(file => readFileSync(join('gateway/edges', file), 'utf8'))
  .join('\n');

test('every alert watches metrics that the gateway has', () => {
  for (const { alert, expr } of rules) {
    const names = [...expr.matchAll(/\bpenstock_(\w+?)(?:_bucket|_sum|_count)?\b(?=[{[)\s]|$)/g)].map(
      ([, name = '']) => name,
    );
    const watched = names.length > 0 || /\b(up|nodejs_eventloop_lag_p99_seconds)\b/.test(expr);
    assert.ok(watched, `${alert} watches nothing`);
    for (const name of names)
      assert.ok(edge.includes(`'${name}'`), `${alert} watches penstock_${name}, which is no metric`);
  }
});

test('the file has alerts at all', () => {
  assert.ok(rules.length > 10);
});
