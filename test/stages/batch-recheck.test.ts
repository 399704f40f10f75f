import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Deadlines } from '../../gateway/domain/deadlines.ts';
import { GatewayError } from '../../gateway/domain/errors.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import { BatchingStates } from '../../gateway/domain/sharing/batch/batching-states.ts';
import { readRows } from '../../gateway/domain/sharing/batch/rows.ts';
import { createSubjects } from '../../gateway/domain/sharing/batch/subject.ts';
import type { SendUpstream, Via } from '../../gateway/domain/upstream.ts';
import { OwnRequests } from '../../gateway/stages/batch-proof.ts';
import { Rechecks } from '../../gateway/stages/batch-recheck.ts';
import { aBatchRoute } from '../support/batching.ts';
import { seeded } from '../support/service-at-work.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aBatchPolicy } from '../support/sharing.ts';

/** What an R says to the values of x, and of which version it is; undefined: it gives no answer. */
type R = (
  xs: readonly number[],
) => { readonly values?: readonly unknown[]; readonly status?: number; readonly version?: string } | undefined;

const twice: R = xs => ({ values: xs.map(x => 2 * x) });
const FORM = { kind: 'list', isBoxed: true } as const;
const bodyOf = (...xs: number[]) => `[${xs.map(x => `{"x":${x}}`).join(',')}]`;

function aWorld(traits: { readonly sizeMax?: number; readonly rowsMax?: number } = {}) {
  const { sizeMax = 9, rowsMax = 1 } = traits;
  const world: { r: R; isIdle: boolean } = { r: twice, isIdle: true };
  const clock = manualClock();
  const deadlines = new Deadlines(clock);
  const events: GatewayEvent[] = [];
  const requested: number[][] = [];
  const policy = aBatchPolicy({ sizeMax });
  const route = aBatchRoute({ batch: policy, isIdle: () => world.isIdle });
  const subjects = createSubjects();
  const subject = subjects.of('fuel');
  subject.judge('1', { kind: 'proven', form: FORM, fields: '', rowsMax }, 0);
  const send: SendUpstream = options => {
    const { waiting, priority } = options;
    assert.equal(priority, 'low');
    const xs = (JSON.parse(options.message().body.toString()) as { x: number }[]).map(({ x }) => x);
    requested.push(xs);
    const said = world.r(xs);
    const via: Via = {
      instance: 'r',
      version: said?.version ?? '1',
      attempts: 1,
      queueMs: 0,
      connectMs: 0,
      firstByteMs: 0,
    };
    globalThis.setImmediate(() => {
      const body = Buffer.from(JSON.stringify(said?.values ?? 'no'));
      if (said === undefined) waiting.failed(new GatewayError('QUEUE_FULL', 'full'), via);
      else waiting.answered({ status: said.status ?? 200, fields: [], body, via });
    });
    return { ...via, isSent: true, leave: () => undefined, extend: () => undefined };
  };
  const own = new OwnRequests({ send: send, clock, deadlines });
  const states = new BatchingStates({ routes: () => [route], subjects, clock });
  const rechecks = new Rechecks({ own, clock, random: seeded(7), observe: event => events.push(event), states });
  const answered = (
    xs: readonly number[],
    { group = 'g', version = '1', text = JSON.stringify(xs.map(x => 2 * x)) } = {},
  ) => {
    const body = Buffer.from(bodyOf(...xs));
    const rows = readRows(body, 'array', 64) ?? assert.fail();
    const message = { method: 'POST', target: '/predict', host: undefined, fields: [], body };
    return { subject, route, policy, group, message, rows, text, version };
  };
  const settle = async () => {
    for (let i = 0; i < 60; i++) await setImmediate();
  };
  const results = () => events.flatMap(event => (event.kind === 'batch-recheck' ? [event.result] : []));
  const off = () => events.flatMap(event => (event.kind === 'batching' && !event.isOn ? [event.reason] : []));
  const trust = () => subject.trustOf('1');
  return {
    world,
    clock,
    requested,
    rechecks,
    answered,
    settle,
    results,
    off,
    trust,
    subject,
    states,
    route,
    own,
  };
}

describe('rows that were answered alone', () => {
  test('are asked together with others, in numbers that grow to the largest, until they are trusted', async () => {
    const { rechecks, answered, settle, requested, trust, results } = aWorld();
    const rows = readRows(Buffer.from(bodyOf(3)), 'array', 64) ?? assert.fail();
    for (let i = 0; i < 160; i++) {
      rechecks.answeredAlone(answered([i % 8]));
      if (i % 8 === 7) await settle();
    }

    const counts = requested.map(xs => xs.length);
    assert.deepEqual(new Set(counts), new Set([2, 3, 4, 5, 7, 8, 9]));
    assert.equal(trust()?.rowsMax, 9);
    assert.equal(trust()?.has(rows), true);
    assert.deepEqual(new Set(results()), new Set(['agreed']));
  });

  test('are not asked together with themselves alone', async () => {
    const { rechecks, answered, settle, requested } = aWorld();
    rechecks.answeredAlone(answered([1]));
    await settle();

    assert.deepEqual(requested, []);
  });

  test('stay within their group: none meets what R is sent for another', async () => {
    const { rechecks, answered, settle, requested } = aWorld();
    for (const [group, xs] of [
      ['alice', [1]],
      ['bob', [101]],
      ['alice', [2]],
      ['bob', [102]],
    ] as const) {
      rechecks.answeredAlone(answered(xs, { group }));
    }
    await settle();

    assert.ok(requested.length > 1);
    for (const xs of requested) assert.equal(new Set(xs.map(x => x > 100)).size, 1, xs.join());
  });

  test('end batching for the version where they are answered otherwise together, without their values in what is said', async () => {
    const { world, rechecks, answered, settle, results, off, subject, states, route } = aWorld();
    states.called(route, true);
    world.r = xs => ({ values: xs.map(x => (xs.length > 6 ? 2 * x + 1 : 2 * x)) });
    for (let i = 0; i < 40; i++) {
      rechecks.answeredAlone(answered([4_711 + i]));
      await settle();
    }

    assert.equal(subject.standing('1', 0), 'refuted');
    assert.equal(results().at(-1), 'contradicted');
    assert.equal(off().length, 1);
    assert.match(
      off()[0] ?? '',
      /^\/predict of version 1: a row is answered otherwise among others than alone: .* is a number in both, 0\.01/,
    );
    assert.ok(!off().join().includes('47'));
    assert.deepEqual([...states.read()], [['fuel', false]]);
    assert.deepEqual(states.view('fuel'), { isOn: false, reason: off()[0] });
  });

  for (const [what, r] of [
    ['no answer', () => undefined],
    ['an error', () => ({ status: 500 })],
    ['another version', (xs: readonly number[]) => ({ ...twice(xs), version: '2' })],
  ] as const) {
    test(`win no trust by ${what}, which is tried again ever more seldom`, async () => {
      const { world, rechecks, answered, settle, requested, subject, trust, clock } = aWorld();
      world.r = r;
      const tries: number[] = [];
      for (let s = 0; s < 40; s++) {
        const before = requested.length;
        for (const x of [1, 2, 3]) rechecks.answeredAlone(answered([x]));
        await settle();
        if (requested.length > before) tries.push(s);
        clock.advance(1_000);
      }

      assert.deepEqual(tries, [0, 2, 6, 14, 30]);
      assert.deepEqual([subject.standing('1', clock.nowMs()), trust()?.rowsMax], ['proven', 1]);
    });
  }

  test('that are long are not kept', async () => {
    const { rechecks, answered, settle, requested } = aWorld();
    const text = JSON.stringify(['a'.repeat(33_000)]);
    for (const x of [1, 2]) rechecks.answeredAlone(answered([x], { text }));
    await settle();

    assert.deepEqual(requested, []);
  });

  test('make room of what was kept of groups that send no more, and are compared', async () => {
    const { world, rechecks, answered, settle, requested } = aWorld();
    const longAnswer = (x: number) => `${x} ${'a'.repeat(32_000)}`;
    world.r = xs => ({ values: xs.map(longAnswer) });
    const answeredLong = (x: number, group: string) =>
      rechecks.answeredAlone(answered([x], { group, text: JSON.stringify([longAnswer(x)]) }));
    for (let at = 0; at < 40; at++) {
      for (let x = 0; x < 18; x++) answeredLong(x, `gone ${at}`);
      await settle();
    }

    for (const x of [901, 902]) answeredLong(x, 'new');
    await settle();

    assert.ok(requested.some(xs => xs.includes(901) && xs.includes(902)));
  });
});

describe('rows that travelled together', () => {
  test('are asked again alone where an instance is idle', async () => {
    const { world, rechecks, answered, settle, requested, clock, results } = aWorld();
    world.isIdle = false;
    rechecks.answeredTogether(answered([1, 2]));
    clock.advance(9_000);
    assert.deepEqual(requested, []);
    world.isIdle = true;
    clock.advance(50);
    await settle();

    assert.deepEqual([requested, results()], [[[1, 2]], ['agreed']]);
    clock.advance(11_000);
    assert.equal(clock.alarms, 0, 'nothing waits any more');
  });

  test('are asked again after all callers where none has been idle for ten seconds, one at a time', async () => {
    const { world, rechecks, answered, settle, requested, clock } = aWorld();
    world.isIdle = false;
    for (const x of [1, 2]) rechecks.answeredTogether(answered([x]));
    clock.advance(10_000);
    await settle();
    assert.equal(requested.length, 1);
    clock.advance(9_900);
    await settle();
    assert.equal(requested.length, 1);
    clock.advance(100);
    await settle();

    assert.equal(requested.length, 2);
  });

  for (const [what, r, reason] of [
    ['otherwise', () => ({ values: [3] }), 'the answer[0] is a number in both, 33 % apart'],
    ['with a refusal', () => ({ status: 422 }), 'alone with 422'],
  ] as const) {
    test(`end batching for the version where they are answered ${what} alone`, async () => {
      const { world, rechecks, answered, settle, clock, results, off, subject } = aWorld();
      world.r = r;
      rechecks.answeredTogether(answered([1]));
      clock.advance(50);
      await settle();

      assert.deepEqual([subject.standing('1', 0), results()], ['refuted', ['contradicted']]);
      assert.deepEqual(off(), [
        `/predict of version 1: a row is answered otherwise among others than alone: ${reason}`,
      ]);
    });
  }

  for (const [what, r] of [
    ['none', () => undefined],
    ['an error of R', () => ({ status: 500 })],
    ['that of another version', () => ({ values: [7], version: '2' })],
  ] as const) {
    test(`prove nothing where the answer alone is ${what}`, async () => {
      const { world, rechecks, answered, settle, clock, results, subject } = aWorld();
      world.r = r;
      rechecks.answeredTogether(answered([1]));
      clock.advance(50);
      await settle();

      assert.deepEqual([subject.standing('1', clock.nowMs()), results()], ['proven', ['unanswered']]);
    });
  }

  test('are not asked again once the version has been refuted, nor when the gateway ends', async () => {
    const { rechecks, answered, settle, requested, clock, subject } = aWorld();
    rechecks.answeredTogether(answered([1]));
    subject.judge('1', { kind: 'refuted', reason: 'of the test' }, 0);
    clock.advance(50);
    await settle();
    rechecks.answeredTogether(answered([1]));
    rechecks.close();

    assert.deepEqual([requested, clock.alarms], [[], 0]);
  });
});
