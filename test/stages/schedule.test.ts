import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AffinityKey } from '../../gateway/domain/service/service-policy.ts';
import type { Answer, Attempt } from '../../gateway/domain/exchange.ts';
import { createSchedule } from '../../gateway/stages/schedule.ts';
import { aQuestionFor, anEntry, aService, type PolicyTraits } from '../support/builders.ts';

const REPLY: Answer = { kind: 'answer', status: 200, rawHeaders: [], body: Buffer.alloc(0) };

/** The stage before a service of one instance. */
function aSchedule(policy: PolicyTraits = {}) {
  const at = aService({ entries: [anEntry('a')], policy });
  const schedule = createSchedule({ clock: at.clock, observe: event => at.events.push(event) });
  const placed: string[] = [];
  const attempt: Attempt = {
    number: 1,
    signal: new AbortController().signal,
    tried: [],
    placed: ({ id }) => placed.push(id),
    answered: () => undefined,
  };
  return { ...at, schedule, attempt, placed };
}

describe('schedule', () => {
  test('goes on with a place, and tells how long it took', async () => {
    const { schedule, service, attempt, placed, clock, take, told } = aSchedule();
    const held = await take();
    const question = aQuestionFor(service);
    const reply = schedule(question, attempt, permit => {
      assert.equal(permit.instance.id, 'a');
      permit.begin();
      return Promise.resolve(REPLY);
    });
    clock.advance(250);

    held.release();

    assert.equal(await reply, REPLY);
    assert.deepEqual(placed, ['a']);
    assert.equal(question.notes.queueMs, 250);
    assert.deepEqual(told('queue-left'), [{ kind: 'queue-left', service: 'fuel', waitedMs: 250 }]);
    assert.equal(service.view().permits.inUse, 1); // whoever sent something gives it back
  });

  test('notes the wait of those who were refused, too', async () => {
    const { schedule, service, attempt, clock, take, told } = aSchedule();
    await take();
    const question = aQuestionFor(service);
    const refused = assert.rejects(
      schedule(question, attempt, () => Promise.resolve(REPLY)),
      { code: 'QUEUE_TIMEOUT' },
    );

    clock.advance(5_000);

    await refused;
    assert.equal(question.notes.queueMs, 5_000);
    assert.equal(told('queue-left').length, 1);
  });

  test('gives the place back when nothing was sent', async () => {
    const { schedule, service, attempt } = aSchedule();

    await assert.rejects(
      schedule(aQuestionFor(service), attempt, () => Promise.reject(new Error('unfit'))),
      { message: 'unfit' },
    );
    await assert.rejects(
      schedule(aQuestionFor(service), attempt, () => {
        throw new Error('unfit at once');
      }),
      { message: 'unfit at once' },
    );

    assert.equal(service.view().permits.inUse, 0);
  });

  test('leaves the place to who sent something, however that ends', async () => {
    const { schedule, service, attempt } = aSchedule();

    await assert.rejects(
      schedule(aQuestionFor(service), attempt, permit => {
        permit.begin();
        return Promise.reject(new Error('lost'));
      }),
    );

    assert.equal(service.view().permits.inUse, 1);
  });
});

describe('what keeps a request with an instance', () => {
  const request = {
    callerAddress: '198.51.100.9',
    rawHeaders: ['X-Tenant', 'acme', 'Cookie', 'a=1; session=s-7', 'Cookie', 'b=2'],
  };
  const rows: [AffinityKey, string][] = [
    [{ kind: 'caller' }, '192.0.2.7'],
    [{ kind: 'ip' }, '198.51.100.9'],
    [{ kind: 'header', name: 'X-TENANT' }, 'acme'],
    [{ kind: 'header', name: 'X-None' }, ''],
    [{ kind: 'cookie', name: 'session' }, 's-7'],
    [{ kind: 'cookie', name: 'b' }, '2'],
    [{ kind: 'cookie', name: 'none' }, ''],
  ];
  for (const [by, expected] of rows) {
    test(`by ${by.kind} ${'name' in by ? by.name : ''}: ${JSON.stringify(expected)}`, async t => {
      const { schedule, service, attempt } = aSchedule({ balance: { policy: 'hash', by, strict: false } });
      const acquire = t.mock.method(service, 'acquire');

      await schedule(aQuestionFor(service, { request }), attempt, () => Promise.resolve(REPLY));

      assert.equal(acquire.mock.calls[0]?.arguments[0].affinity, expected);
    });
  }

  test('is nothing where no policy asks', async t => {
    const { schedule, service, attempt } = aSchedule();
    const acquire = t.mock.method(service, 'acquire');

    await schedule(aQuestionFor(service, { request }), attempt, () => Promise.resolve(REPLY));

    assert.equal(acquire.mock.calls[0]?.arguments[0].affinity, '');
  });
});
