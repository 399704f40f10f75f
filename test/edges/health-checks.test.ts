import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createHealthChecks } from '../../gateway/edges/health-checks.ts';
import type { Probe, ProbeRequest } from '../../gateway/edges/http-probe.ts';
import { PermitRegistry } from '../../gateway/domain/service/permits.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aFinding, anEntry, aService, aServicePolicy, seeded, type PolicyTraits } from '../support/service-at-work.ts';

const oneFail: PolicyTraits = { health: { path: '/ping', intervalMs: 5_000, timeoutMs: 2_000, passes: 1, fails: 1 } };

/** Checks of services at work, with a probe that answers as the test says. */
function check(
  t: TestContext,
  services: readonly ReturnType<typeof aService>[],
  clock = services[0]?.clock ?? manualClock(),
) {
  const requested: ProbeRequest[] = [];
  const sick = new Set<string>();
  const probe: Probe = request => {
    requested.push(request);
    const isWell = !sick.has(new URL(request.origin).hostname.split('.')[0] ?? '');
    return Promise.resolve({ isWell, note: isWell ? 'fine' : 'no answer' });
  };
  const made = services.map(({ service }) => service);
  const checks = createHealthChecks({ services: () => made, clock, random: seeded(7), probe });
  t.after(() => checks.close());

  /** Turns the clock, a quarter of a second at a time, and lets every probe be answered. */
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 250) {
      clock.advance(250);
      await setImmediate();
    }
  };
  const probesOf = (id: string) => requested.filter(({ origin }) => origin.startsWith(`http://${id}.`)).length;
  return { checks, requested, sick, pass, probesOf };
}

describe('active health checks', () => {
  test('ask each instance about once an interval, as the policy says', async t => {
    const fuel = aService({ policy: { sharedSecret: 's3cret' } });
    const { requested, pass, probesOf } = check(t, [fuel]);

    await pass(50_000);

    for (const id of ['a', 'b']) assert.ok(probesOf(id) >= 9 && probesOf(id) <= 12, `${probesOf(id)} of ${id}`);
    assert.deepEqual(
      [requested[0]?.path, requested[0]?.timeoutMs, requested[0]?.sharedSecret],
      ['/ping', 2_000, 's3cret'],
    );
  });

  test('take an instance out after as many failures as the policy says, and bring it back', async t => {
    const fuel = aService();
    const { sick, pass, probesOf } = check(t, [fuel]);
    sick.add('a');

    while (probesOf('a') < 2) await pass(250);
    assert.equal(fuel.state('a'), 'in-rotation');
    while (probesOf('a') < 3) await pass(250);
    assert.deepEqual([fuel.state('a'), fuel.state('b')], ['unhealthy', 'in-rotation']);

    sick.clear();
    while (probesOf('a') < 4) await pass(250);
    assert.equal(fuel.state('a'), 'in-rotation');
  });

  test('want as many passes in a row as the policy says', async t => {
    const fuel = aService({ policy: { health: { ...aServicePolicy().health, passes: 2, fails: 1 } } });
    const { sick, pass, probesOf } = check(t, [fuel]);
    sick.add('a');
    while (fuel.state('a') !== 'unhealthy') await pass(250);

    sick.clear();
    const before = probesOf('a');
    while (probesOf('a') < before + 1) await pass(250);
    assert.equal(fuel.state('a'), 'unhealthy');
    while (probesOf('a') < before + 2) await pass(250);
    assert.equal(fuel.state('a'), 'in-rotation');
  });

  test('end an ejection with the first pass', async t => {
    const fuel = aService({ policy: { health: { ...aServicePolicy().health, passes: 9 } } });
    const { pass, probesOf } = check(t, [fuel]);
    const permit = fuel.take();
    const { id } = permit.instance;
    fuel.service.report(permit.instance, aFinding({ outcome: 'refused' }));
    permit.release();
    assert.equal(fuel.state(id), 'ejected');

    const before = probesOf(id);
    while (probesOf(id) === before) await pass(250);

    assert.equal(fuel.state(id), 'probation');
  });

  test('leave an instance in peace while it works for us, under whatever name', async t => {
    const [clock, permits] = [manualClock(), new PermitRegistry()];
    const fuel = aService({ clock, permits, entries: [anEntry('a')], policy: oneFail });
    const alias = aService({ clock, permits, name: 'car', entries: [anEntry('a')], policy: oneFail });
    const { sick, pass, probesOf } = check(t, [fuel, alias], clock);
    sick.add('a');

    for (let second = 0; second < 30; second++) {
      const permit = fuel.take();
      await pass(1_000);
      permit.release();
    }
    assert.deepEqual([probesOf('a'), alias.state('a')], [0, 'in-rotation']);

    await pass(6_000);
    assert.equal(alias.state('a'), 'unhealthy');
  });

  test('show that one stands still while it works for us, and leave it in rotation', async t => {
    const fuel = aService({ entries: [anEntry('a')] });
    const { sick, pass } = check(t, [fuel]);
    sick.add('a');
    const permit = fuel.take();

    await pass(4_000);
    assert.equal(fuel.state('a'), 'in-rotation');
    await pass(4_000);
    assert.deepEqual([fuel.state('a'), fuel.view('a')?.why], ['busy-unchecked', 'no answer']);

    sick.clear();
    await pass(6_000);
    assert.deepEqual([fuel.state('a'), fuel.view('a')?.why], ['in-rotation', null]);
    permit.release();
  });

  test('eject one whose call hangs with the first that fails afterwards', async t => {
    const fuel = aService({ policy: { hangMsMax: 20_000 } });
    const { sick, pass } = check(t, [fuel]);
    const permit = fuel.take();
    const { id } = permit.instance;
    permit.begin();
    await pass(20_000);
    fuel.service.report(permit.instance, aFinding({ outcome: 'hung', status: null, permit }));
    permit.release();
    assert.equal(fuel.state(id), 'in-rotation');

    sick.add(id);
    await pass(6_000);

    assert.deepEqual([fuel.state(id), fuel.view(id)?.why], ['ejected', 'hung']);
  });

  test('think nothing of a failure while a call came in between', async t => {
    const fuel = aService({ entries: [anEntry('a')], policy: oneFail });
    let fail: () => void = () => undefined;
    const probe: Probe = () =>
      new Promise(resolve => {
        fail = () => resolve({ isWell: false, note: 'late' });
      });
    const { clock, service } = fuel;
    const checks = createHealthChecks({ services: () => [service], clock, random: seeded(7), probe });
    t.after(() => checks.close());
    clock.advance(5_250);

    const permit = fuel.take();
    fail();
    await setImmediate();
    permit.release();

    assert.equal(fuel.state('a'), 'in-rotation');
  });

  test('follow another interval at once', async t => {
    const fuel = aService({ policy: { health: { ...aServicePolicy().health, intervalMs: 3_600_000 } } });
    const { pass, requested } = check(t, [fuel]);
    await pass(60_000);
    assert.ok(requested.length <= 1);

    fuel.service.adopt(aServicePolicy());

    await pass(60_000);
    assert.ok(requested.length >= 20, `${requested.length}`);
  });

  test('ask only so many at a time, and those first who have waited longest', async () => {
    const entries = Array.from({ length: 50 }, (_, i) => anEntry(`r${i}`));
    const fuel = aService({ entries });
    const waiting: (() => void)[] = [];
    const requested: string[] = [];
    const probe: Probe = ({ origin }) => {
      requested.push(origin);
      return new Promise(resolve => waiting.push(() => resolve({ isWell: true, note: '' })));
    };
    const { clock, service } = fuel;
    const checks = createHealthChecks({ services: () => [service], clock, random: seeded(7), probe });

    clock.advance(60_000);
    assert.equal(waiting.length, 8);

    for (let round = 0; round < 10; round += 1) {
      for (const answer of waiting.splice(0)) answer();
      await setImmediate();
      clock.advance(250);
    }
    assert.equal(new Set(requested.slice(0, 50)).size, 50);
    const closed = checks.close();
    for (const answer of waiting) answer();
    await closed;
  });

  test('stop with the gateway, and leave nothing behind', async t => {
    const fuel = aService();
    const { checks, requested, pass } = check(t, [fuel]);
    await pass(10_000);

    await checks.close();

    const before = requested.length;
    await pass(60_000);
    assert.equal(requested.length, before);
    assert.ok(requested.every(({ signal }) => signal.aborted));
    assert.equal(fuel.clock.alarms, 0);
  });
});
