import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Limits, limitName, type SharedCounter, type SharedTally } from '../../../gateway/domain/admission/limits.ts';
import { PaceQueues } from '../../../gateway/domain/admission/pace.ts';
import { Schemes } from '../../../gateway/domain/admission/scheme.ts';
import type { Call, Complete } from '../../../gateway/domain/call.ts';
import type { GatewayEvent } from '../../../gateway/domain/events.ts';
import { fieldOf } from '../../../gateway/domain/http/fields.ts';
import type { Limit, Pace, Route } from '../../../gateway/domain/route.ts';
import { CounterTable, createLimitCounter } from '../../../gateway/edges/express-rate-limit.ts';
import { createAdmit } from '../../../gateway/stages/admit.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { aLimit, aMatched, aRoute, endOf } from '../../support/requests.ts';

/** Calls to a route with these limits, counted in memory. */
function routeWith(limits: readonly Limit[], shared?: SharedCounter) {
  const clock = manualClock();
  const events: GatewayEvent[] = [];
  const queues = new PaceQueues(clock);
  const counter = createLimitCounter({ table: new CounterTable({ clock, keysMax: 64 }) });
  const stage = new Limits({ counter, shared, queues, observe: event => void events.push(event) });
  const admit = createAdmit({ schemes: new Schemes([]), limits: stage });
  const route: Route = aRoute({ policy: { limits, countsRows: limits.some(({ cost }) => cost === 'rows') } });
  const passed: Call[] = [];

  /** Its end, if it has one: `ok`, a code, or that it waits. */
  const endNow = (call: Call) => endOf(call).failure?.code ?? (passed.includes(call) ? 'ok' : 'waits');
  const send = (body = '', callerAddress = '192.0.2.7') => {
    const call = aMatched({ route, clock, request: { callerAddress } });
    try {
      admit(call, admitted => {
        const complete = admitted as unknown as Complete;
        complete.content = Buffer.from(body);
        stage.countRows(complete, () => passed.push(call));
      });
    } catch (error) {
      call.fail(error as never);
    }
    return call;
  };
  /** Time passes, and what is due goes on. */
  const advance = async (ms: number) => {
    clock.advance(ms);
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  const fieldsOf = (call: Call) => fieldOf(call.replyFields, 'ratelimit') ?? '';
  return { clock, events, queues, send, endNow, advance, fieldsOf, passed };
}

const paced = (rate: number, pace: Partial<Pace> = {}, by: Limit['by']['kind'] = 'caller') =>
  aLimit(rate, 1000, { by, pace: { burst: 1, waitMsMax: 2_000, depthMax: 256, ...pace } });

describe('several limits at once', () => {
  test('count a call against all of them or none: what one refuses uses up nothing of the others', () => {
    const { clock, send, endNow } = routeWith([aLimit(2, 1000), aLimit(5, 86_400_000)]);

    const ends = [send(), send(), send(), send(), send()].map(endNow);
    assert.deepEqual(ends, ['ok', 'ok', ...Array<string>(3).fill('RATE_LIMITED')]);
    clock.advance(1000);
    assert.deepEqual([send(), send(), send()].map(endNow), ['ok', 'ok', 'RATE_LIMITED']);
    clock.advance(1000);

    assert.deepEqual([send(), send()].map(endNow), ['ok', 'RATE_LIMITED'], 'five in a day, and none was lost');
  });

  test('say to come back when all of them have room', () => {
    const { clock, send } = routeWith([aLimit(1, 1000), aLimit(1, 60_000)]);
    send();
    clock.advance(400);

    const refused = send();

    assert.equal(endOf(refused).failure?.retryAfterMs, 59_600);
  });

  test('say of each how it stands, also of those that a refused call was not counted against', () => {
    const { send, fieldsOf } = routeWith([aLimit(1, 1000), aLimit(5, 60_000)]);
    send();

    assert.equal(fieldsOf(send()), '"1-per-1s-by-caller";r=0;t=1, "5-per-1m-by-caller";r=4;t=60');
  });
});

describe('a limit that is not enforced', () => {
  test('refuses nothing, tells callers nothing, and counts what would have been refused', () => {
    const shadow = aLimit(2, 1000, { isEnforced: false });
    const { events, send, endNow, fieldsOf } = routeWith([shadow, paced(1, { waitMsMax: 0 })]);
    const { events: alone, send: sendAlone, endNow: endAlone } = routeWith([shadow]);

    assert.deepEqual([send()].map(endNow), ['ok']);
    assert.deepEqual([sendAlone(), sendAlone(), sendAlone()].map(endAlone), ['ok', 'ok', 'ok']);

    assert.doesNotMatch(fieldsOf(send()), /2-per/);
    assert.deepEqual(alone, [{ kind: 'limit-exceeded', route: 'fuel', limit: limitName(shadow), isEnforced: false }]);
    assert.equal(events.length, 1, 'and of the other, which refused');
  });

  test('lets no call wait', () => {
    const { send, endNow } = routeWith([{ ...paced(1), isEnforced: false }]);

    assert.deepEqual([send(), send(), send()].map(endNow), ['ok', 'ok', 'ok']);
  });

  test('is no way round the same limit that is', () => {
    const { send, endNow } = routeWith([aLimit(1, 1000), aLimit(1, 1000, { isEnforced: false })]);

    assert.deepEqual([send(), send()].map(endNow), ['ok', 'RATE_LIMITED']);
  });
});

describe('calls at a pace', () => {
  test('go on one after the other at equal distances, in order', async () => {
    const { send, endNow, advance, passed } = routeWith([paced(10)]);
    const calls = [send(), send(), send()];
    assert.deepEqual(calls.map(endNow), ['ok', 'waits', 'waits']);

    await advance(99);
    assert.equal(passed.length, 1);
    await advance(1);
    assert.equal(passed.length, 2);
    await advance(100);

    assert.deepEqual(passed, calls);
  });

  test('are refused at once where the wait would be too long, with the second from which it is not', () => {
    const { send, endNow, fieldsOf } = routeWith([paced(1, { waitMsMax: 2_000 })]);
    const calls = [send(), send(), send(), send()];

    assert.deepEqual(calls.map(endNow), ['ok', 'waits', 'waits', 'RATE_LIMITED']);
    const refused = calls.at(-1) ?? assert.fail();
    assert.equal(endOf(refused).failure?.retryAfterMs, 1000);
    assert.equal(fieldsOf(refused), '"1-per-1s-by-caller-paced";r=0;t=1');
  });

  test('leave at once when their caller does, and those behind move up', async () => {
    const { send, endNow, advance, queues, clock } = routeWith([paced(1, { depthMax: 2 })]);
    const [, second, third] = [send(), send(), send()];
    assert.equal(endNow(send()), 'RATE_LIMITED');

    second.hangUp();
    assert.deepEqual([endNow(second), queues.waiting().get('fuel')], ['CALLER_GONE', 1]);
    const late = send();
    assert.equal(endNow(late), 'waits', 'there is room again');
    await advance(1000);
    assert.deepEqual([endNow(third), endNow(late)], ['ok', 'waits']);
    await advance(1000);

    assert.deepEqual([endNow(late), clock.alarms], ['ok', 0]);
  });

  test('wait no longer than their deadline', async () => {
    const { send, endNow, advance } = routeWith([paced(1)]);
    send();
    const waiting = send();
    waiting.arm(500);

    await advance(600);

    assert.equal(endNow(waiting), 'DEADLINE_EXCEEDED');
  });

  test('wait before the caller is authenticated where addresses are paced, each for itself', async () => {
    const { send, endNow, advance } = routeWith([paced(1, {}, 'ip')]);
    const calls = [send('', '192.0.2.1'), send('', '192.0.2.1'), send('', '192.0.2.2')];

    assert.deepEqual(calls.map(endNow), ['ok', 'waits', 'ok']);
    await advance(1000);

    assert.deepEqual(calls.map(endNow), ['ok', 'ok', 'ok']);
  });

  test('wait for one pace after the other, and count against a window only once', async () => {
    const { send, endNow, advance } = routeWith([paced(2), paced(1, {}, 'route'), aLimit(3, 60_000)]);
    const calls = [send(), send(), send(), send()];

    assert.deepEqual(calls.map(endNow), ['ok', 'waits', 'waits', 'RATE_LIMITED']);
    await advance(500);
    assert.equal(endNow(calls[1] ?? assert.fail()), 'waits');
    await advance(1500);

    assert.deepEqual(calls.map(endNow), ['ok', 'ok', 'ok', 'RATE_LIMITED']);
  });
});

describe('rows', () => {
  const rows = (count: number) => JSON.stringify(Array.from({ length: count }, () => ({ x: 1 })));

  test('are counted once the body is known, and told with the other limits', () => {
    const { send, endNow, fieldsOf } = routeWith([aLimit(100, 60_000), aLimit(1000, 60_000, { cost: 'rows' })]);

    const calls = [send(rows(600)), send(rows(401)), send(rows(400)), send(rows(1))];

    assert.deepEqual(calls.map(endNow), ['ok', 'RATE_LIMITED', 'ok', 'RATE_LIMITED']);
    assert.equal(
      fieldsOf(calls[1] ?? assert.fail()),
      '"100-per-1m-by-caller";r=98;t=60, "1000-rows-per-1m-by-caller";r=400;t=60',
    );
    assert.match(
      fieldOf(calls[0]?.replyFields ?? [], 'ratelimit-policy') ?? '',
      /"1000-rows-per-1m-by-caller";q=1000;qu="rows";w=60/,
    );
  });

  test('that no window holds are refused for good: no time is named to come back', () => {
    const { send } = routeWith([aLimit(10, 1000, { cost: 'rows', by: 'route' })]);

    const { failure } = endOf(send(rows(11)));

    assert.deepEqual([failure?.code, failure?.retryAfterMs], ['RATE_LIMITED', undefined]);
    assert.match(failure?.detail ?? '', /has 11 rows, and this limit .* takes 10 in one window/);
  });

  test('make those behind wait the longer where they are paced', async () => {
    const { send, endNow, advance } = routeWith([{ ...paced(10, { waitMsMax: 5_000 }), cost: 'rows' }]);
    const calls = [send(rows(30)), send(rows(1)), send(rows(1))];
    assert.deepEqual(calls.map(endNow), ['ok', 'waits', 'waits']);

    await advance(3_000);
    assert.deepEqual(calls.map(endNow), ['ok', 'ok', 'waits']);
    await advance(100);

    assert.deepEqual(calls.map(endNow), ['ok', 'ok', 'ok']);
  });
});

describe('limits that are counted elsewhere', () => {
  const shared = (answers: readonly (Partial<SharedTally> | undefined)[]) => {
    const givenBack: number[] = [];
    const left = [...answers];
    const counter: SharedCounter = {
      count(of) {
        const answer = left.shift();
        if (answer === undefined) return Promise.resolve(undefined);
        const plain = { limit: of.limit, remaining: 1, resetsInMs: 1000, isExceeded: false, waitMs: 0 };
        return Promise.resolve({ ...plain, giveBack: cost => givenBack.push(cost), ...answer });
      },
    };
    return { counter, givenBack };
  };

  test('make a call wait for the answer, and what it then says is done', async () => {
    const { counter } = shared([{}, { isExceeded: true, remaining: 0 }, undefined]);
    const { send, endNow, advance } = routeWith([aLimit(1, 1000)], counter);
    const calls = [send(), send(), send()];
    assert.deepEqual(calls.map(endNow), ['waits', 'waits', 'waits']);

    await advance(0);

    assert.deepEqual(calls.map(endNow), ['ok', 'RATE_LIMITED', 'ok']);
  });

  test('take back what a call was counted against that a later one refuses', async () => {
    const { counter, givenBack } = shared([{}, { isExceeded: true }]);
    const { send, endNow, advance } = routeWith([aLimit(1, 1000), aLimit(1, 60_000)], counter);
    const call = send();

    await advance(0);

    assert.deepEqual([endNow(call), givenBack], ['RATE_LIMITED', [1]]);
  });

  test('give the place back of a caller who leaves, before the answer or while they wait', async () => {
    const { counter, givenBack } = shared([{ waitMs: 500 }, { waitMs: 500 }]);
    const { send, endNow, advance, queues } = routeWith([paced(1)], counter);
    const [early, late] = [send(), send()];

    early.hangUp();
    await advance(0);
    assert.equal(queues.waiting().get('fuel'), 1);
    late.hangUp();
    await advance(1000);

    assert.deepEqual(
      [[early, late].map(endNow), givenBack],
      [
        ['CALLER_GONE', 'CALLER_GONE'],
        [1, 1],
      ],
    );
  });
});
