import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type RequestTraits, aLimit, aMatched } from '../support/requests.ts';
import { Schemes } from '../../gateway/domain/admission/scheme.ts';
import { CounterTable, createLimitCounter } from '../../gateway/edges/express-rate-limit.ts';
import { Limits, limitName } from '../../gateway/domain/admission/limits.ts';
import { PaceQueues } from '../../gateway/domain/admission/pace.ts';
import type { Limit, Route } from '../../gateway/domain/route.ts';
import { createAdmit } from '../../gateway/stages/admit.ts';
import type { Matched } from '../../gateway/domain/call.ts';
import { manualClock } from '../support/manual-clock.ts';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

function aCounter() {
  const clock = manualClock();
  const table = new CounterTable({ clock, keysMax: 1024 });
  const counter = createLimitCounter({ table });
  const limits = new Limits({ counter, queues: new PaceQueues(clock), observe: () => undefined });
  const admit = createAdmit({ schemes: new Schemes([]), limits });
  const countLimit = ({ id: routeId }: Route, limit: Limit, key: string) =>
    counter.count({ limit, routeId, prefix: `${routeId}\n${limitName(limit)}\n` }, key, 1);
  return { clock, countLimit, admit: (call: Matched) => admit(call, () => undefined) };
}

const { route } = aMatched();

describe('counting with express-rate-limit', () => {
  test('lets through what the limit says, and not one more, until the window ends', () => {
    const { clock, countLimit } = aCounter();
    const limit = aLimit(3, 1000);
    const next = () => countLimit(route, limit, 'alice');

    assert.deepEqual(next(), { limit, remaining: 2, resetsInMs: 1000, isExceeded: false, waitMs: 0 });
    clock.advance(250);
    assert.deepEqual(next(), { limit, remaining: 1, resetsInMs: 750, isExceeded: false, waitMs: 0 });
    assert.deepEqual(next(), { limit, remaining: 0, resetsInMs: 750, isExceeded: false, waitMs: 0 });
    assert.deepEqual(next(), { limit, remaining: 0, resetsInMs: 750, isExceeded: true, waitMs: 0 });
    clock.advance(749);
    assert.deepEqual(next(), { limit, remaining: 0, resetsInMs: 1, isExceeded: true, waitMs: 0 });
    clock.advance(1);
    assert.deepEqual(next(), { limit, remaining: 2, resetsInMs: 1000, isExceeded: false, waitMs: 0 });
  });

  test('never says that a window ends later than it does', () => {
    const { clock, countLimit } = aCounter();
    clock.advance(0.4);

    const { resetsInMs } = countLimit(route, aLimit(3, 60_000), 'alice');

    assert.equal(resetsInMs, 60_000);
  });

  test('counts callers, limits and routes apart', () => {
    const { countLimit } = aCounter();
    const [perSecond, perMinute] = [aLimit(5, 1000), aLimit(5, 60_000)];
    const other = aMatched({ routeId: 'iris' }).route;

    const tallies = [
      countLimit(route, perSecond, 'alice'),
      countLimit(route, perSecond, 'bob'),
      countLimit(route, perMinute, 'alice'),
      countLimit(other, perSecond, 'alice'),
    ];

    assert.deepEqual(
      tallies.map(({ remaining }) => remaining),
      [4, 4, 4, 4],
    );
  });

  test('goes on counting through a reload that leaves the limit as it was', () => {
    const { countLimit } = aCounter();
    countLimit(route, aLimit(5, 1000), 'alice');

    const reloaded = countLimit(aMatched().route, aLimit(5, 1000), 'alice');
    const changed = countLimit(aMatched().route, aLimit(6, 1000), 'alice');

    assert.equal(reloaded.remaining, 3);
    assert.equal(changed.remaining, 5);
  });

  test('counts requests that come at once one by one', () => {
    const { countLimit } = aCounter();
    const limit = aLimit(10, 1000);

    const tallies = Array.from({ length: 25 }, () => countLimit(route, limit, 'alice'));

    assert.equal(tallies.filter(({ isExceeded }) => isExceeded).length, 15);
  });
});

describe('a limited route', () => {
  const traits: RequestTraits = { policy: { limits: [aLimit(2, 60_000, 'route'), aLimit(1, 1500, 'ip')] } };

  test('tells what is left, and when to come back, to the second', () => {
    const { clock, admit } = aCounter();
    const first = aMatched(traits);
    admit(first);
    clock.advance(600);
    const second = aMatched(traits);
    assert.throws(() => admit(second), { code: 'RATE_LIMITED', retryAfterMs: 900 });
    clock.advance(900);
    const third = aMatched(traits);
    admit(third);

    assert.deepEqual(first.replyFields, [
      ...['RateLimit', '"1-per-1500ms-by-ip";r=0;t=2, "2-per-1m-by-route";r=1;t=60'],
      ...['RateLimit-Policy', '"1-per-1500ms-by-ip";q=1;w=2, "2-per-1m-by-route";q=2;w=60'],
    ]);
    assert.deepEqual(second.replyFields, [
      ...['RateLimit', '"1-per-1500ms-by-ip";r=0;t=1'],
      ...['RateLimit-Policy', '"1-per-1500ms-by-ip";q=1;w=2'],
    ]);
    assert.match(third.replyFields[1] ?? '', /"2-per-1m-by-route";r=0;t=59/);
  });
});

function aTable(keysMax?: number) {
  const clock = manualClock();
  const table = new CounterTable({ clock, ...(keysMax !== undefined && { keysMax }) });
  return { clock, table, hits: (key: string, windowMs = 1000) => table.hit(key, { windowMs }).hits };
}

describe('the table of counters', () => {
  test('counts each key for itself', () => {
    const { hits } = aTable();

    assert.deepEqual([hits('a'), hits('b'), hits('a'), hits('a'), hits('b')], [1, 1, 2, 3, 2]);
  });

  test('begins a window with a key’s first hit, and anew once it has ended', () => {
    const { clock, table } = aTable();
    clock.advance(300);
    assert.deepEqual(table.hit('a', { windowMs: 1000 }), { hits: 1, resetMs: 1300, isOver: false });

    clock.advance(999);
    assert.deepEqual(table.hit('a', { windowMs: 1000 }), { hits: 2, resetMs: 1300, isOver: false });

    clock.advance(1);
    assert.deepEqual(table.hit('a', { windowMs: 1000 }), { hits: 1, resetMs: 2300, isOver: false });
  });

  test('holds windows of a month', () => {
    const { clock, table } = aTable();
    const monthMs = 30 * 86_400_000;
    table.hit('a', { windowMs: monthMs });

    clock.advance(monthMs - 1);

    assert.equal(table.hit('a', { windowMs: monthMs }).hits, 2);
  });

  test('never grows, whatever comes, and never refuses a newcomer', () => {
    const { table, hits } = aTable(64);
    const before = table.bytes;

    for (let i = 0; i < 10_000; i++) assert.equal(hits(`newcomer ${i}`), 1);

    assert.equal(table.bytes, before);
  });

  test('keeps the heavy keys through a flood of new ones', () => {
    const { hits } = aTable(1024);
    for (let i = 0; i < 100; i++) assert.equal(hits('heavy'), i + 1);

    for (let i = 0; i < 100_000; i++) hits(`flood ${i}`);

    assert.equal(hits('heavy'), 101);
  });

  test('gives the room of ended windows to newcomers first, however heavy they were', () => {
    const { clock, hits } = aTable(16);
    for (let i = 0; i < 50; i++) hits('ended', 10);
    clock.advance(11);
    const kept = Array.from({ length: 15 }, (_, i) => `kept ${i}`);
    for (const key of kept) hits(key, 60_000);

    hits('newcomer', 60_000);

    assert.deepEqual(
      kept.map(key => hits(key, 60_000)),
      kept.map(() => 2),
    );
  });

  test('counts half a million keys without losing more than a few', () => {
    const { hits } = aTable();
    const count = 500_000;

    for (let i = 0; i < count; i++) hits(`caller-${i}`);
    let lost = 0;
    for (let i = 0; i < count; i++) if (hits(`caller-${i}`) !== 2) lost += 1;

    assert.ok(lost < count / 1000, `${lost} lost`);
  });

  test('holds a million keys of any length in less than 64 MiB', async () => {
    const script = `
      const { CounterTable } = await import('./gateway/edges/express-rate-limit.ts');
      const table = new CounterTable({ clock: { nowMs: () => 1 } });
      const pad = 'x'.repeat(200);
      table.hit('first', { windowMs: 1000 });
      gc();
      const before = process.memoryUsage();
      for (let i = 0; i < 1_000_000; i++) table.hit(pad + i, { windowMs: 60_000 });
      gc();
      const after = process.memoryUsage();
      console.log(JSON.stringify({
        heap: after.heapUsed - before.heapUsed, rss: after.rss - before.rss, bytes: table.bytes, first: table.hit('first', { windowMs: 1000 }).hits,
      }));`;

    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--expose-gc', '--max-old-space-size=64', '--input-type=module', '-e', script],
      { cwd: new URL('../..', import.meta.url) },
    );
    const { heap, rss, bytes, first } = JSON.parse(stdout) as Record<'heap' | 'rss' | 'bytes' | 'first', number>;

    assert.ok(bytes <= 64 * 2 ** 20, `the table has ${bytes} bytes`);
    assert.ok(heap < 4 * 2 ** 20, `the heap grew by ${heap} bytes`);
    assert.ok(rss < 128 * 2 ** 20, `the process grew by ${rss} bytes`);
    assert.equal(first, 2);
  });
});
