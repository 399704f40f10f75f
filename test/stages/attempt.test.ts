import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createDeadline } from '../../gateway/domain/deadline.ts';
import { GatewayError, type FailureCode } from '../../gateway/domain/errors.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type { Answer, Attempt } from '../../gateway/domain/exchange.ts';
import type { RetryPolicy } from '../../gateway/domain/route.ts';
import type { Service } from '../../gateway/domain/service.ts';
import { createAttempt } from '../../gateway/stages/attempt.ts';
import { aQuestionFor, anInstance, instances, scripted } from '../support/builders.ts';
import { manualClock } from '../support/manual-clock.ts';

/** What an attempt comes to: an answer of this status, or a failure. */
type Outcome = number | FailureCode;

interface Traits {
  readonly method?: string;
  readonly isPure?: boolean;
  readonly retry?: Partial<RetryPolicy>;
  readonly hasBudget?: boolean;
  /** A failure with `?` in front happens before a place was found. */
  readonly outcomes: readonly (Outcome | '?QUEUE_TIMEOUT' | '?SERVICE_UNAVAILABLE')[];
  readonly jitterMs?: number;
}

const GENEROUS: RetryPolicy = {
  attempts: 3,
  attemptTimeoutMs: 10_000,
  repeatableTimeoutMs: 10_000,
  on: new Set(['connect-failure', 'connection-lost', 'attempt-timeout', 502, 503, 504]),
  budgetPercent: 20,
};

const answer = (status: number, body: Answer['body'] = Buffer.from('R')): Answer => ({
  kind: 'answer',
  status,
  rawHeaders: [],
  body,
});

/** The stage with a service that has a budget, and attempts that end as told, each at another instance. */
function anAttempt({ method = 'GET', isPure = false, retry, hasBudget = true, outcomes, jitterMs = 0 }: Traits) {
  const clock = manualClock();
  const events: GatewayEvent[] = [];
  const attempts: Attempt[] = [];
  const asked: number[] = [];
  const budget = { request: () => undefined, tryRetry: (percent: number) => (asked.push(percent), hasBudget) };
  const policy = { balance: { policy: 'least-loaded' } };
  const service = { name: 'fuel', policy, budget } as unknown as Service; // nothing else of it is asked
  const deadline = createDeadline(clock);
  deadline.arm(30_000);
  const question = aQuestionFor(service, {
    policy: { isPure, retry: { ...GENEROUS, ...retry } },
    request: { method, deadline },
  });
  const attempt = createAttempt({ clock, random: scripted(jitterMs), observe: event => events.push(event) });
  const all = instances(5);

  const next = (current: Attempt): Promise<Answer> => {
    const outcome = outcomes[attempts.length] ?? 200;
    attempts.push(current);
    if (typeof outcome === 'string' && outcome.startsWith('?')) {
      return Promise.reject(new GatewayError(outcome.slice(1) as FailureCode, outcome));
    }
    current.placed(all[attempts.length - 1] ?? anInstance());
    if (typeof outcome === 'string') return Promise.reject(new GatewayError(outcome as FailureCode, outcome));
    current.answered(outcome);
    return Promise.resolve(answer(outcome));
  };

  return { attempt, question, next, attempts, events, clock, asked };
}

/** How it ends for the caller, with every wait cut short. */
async function endOf({ attempt, question, next, clock }: ReturnType<typeof anAttempt>): Promise<Outcome> {
  const ends: Outcome[] = [];
  void attempt(question, next)
    .then(reply => reply.status)
    .catch((error: unknown) => (error as GatewayError).code)
    .then(end => ends.push(end));
  while (ends.length === 0) {
    await setImmediate();
    clock.advance(250);
  }
  return ends[0] ?? assert.fail('it never ended');
}

describe('an attempt is repeated', () => {
  const rows: (Omit<Traits, 'outcomes'> & { name: string; first: Outcome; times: number })[] = [
    { name: 'GET, connection lost', first: 'CONNECTION_LOST', times: 2 },
    { name: 'GET, connect failed', first: 'CONNECT_FAILED', times: 2 },
    { name: 'GET, attempt timeout', first: 'ATTEMPT_TIMEOUT', times: 2 },
    { name: 'GET, no usable answer', first: 'UPSTREAM_FAULT', times: 2 },
    { name: 'GET, 503 of R', first: 503, times: 2 },
    { name: 'GET, 500 of R: the next would say the same', first: 500, times: 1 },
    { name: 'GET, 404 of R', first: 404, times: 1 },
    { name: 'PUT, connection lost', method: 'PUT', first: 'CONNECTION_LOST', times: 2 },
    { name: 'POST, connection lost: it may have acted', method: 'POST', first: 'CONNECTION_LOST', times: 1 },
    { name: 'POST, 503 of R', method: 'POST', first: 503, times: 1 },
    { name: 'POST, connect failed: nothing can have reached R', method: 'POST', first: 'CONNECT_FAILED', times: 2 },
    { name: 'PATCH, attempt timeout', method: 'PATCH', first: 'ATTEMPT_TIMEOUT', times: 1 },
    { name: 'pure POST, connection lost', method: 'POST', isPure: true, first: 'CONNECTION_LOST', times: 2 },
    { name: 'pure POST, 503 of R', method: 'POST', isPure: true, first: 503, times: 2 },
    { name: 'GET, refused by the queue', first: 'QUEUE_FULL', times: 1 },
    { name: 'GET, caller gone', first: 'CALLER_GONE', times: 1 },
    { name: 'GET, deadline', first: 'DEADLINE_EXCEEDED', times: 1 },
    { name: 'GET, stream not enabled', first: 'STREAM_NOT_ENABLED', times: 1 },
    { name: 'GET, not asked for', retry: { on: new Set(['connect-failure']) }, first: 'CONNECTION_LOST', times: 1 },
    { name: 'GET, one attempt allowed', retry: { attempts: 1 }, first: 'CONNECTION_LOST', times: 1 },
    { name: 'GET, budget spent', hasBudget: false, first: 'CONNECTION_LOST', times: 1 },
  ];
  for (const { name, first, times, ...traits } of rows) {
    test(`${times === 2 ? 'yes' : 'no'}: ${name}`, async () => {
      const at = anAttempt({ ...traits, outcomes: [first, 200] });

      const end = await endOf(at);

      assert.equal(at.attempts.length, times);
      assert.equal(end, times === 2 ? 200 : first);
      assert.equal(at.question.notes.attempts, times);
      assert.equal(at.events.length, times - 1);
    });
  }
});

describe('what the caller gets', () => {
  test('is the last answer as R gave it, when retries are used up', async () => {
    const at = anAttempt({ outcomes: [503, 502, 504, 200] });

    assert.equal(await endOf(at), 504);
    assert.equal(at.attempts.length, 3);
  });

  test('is the answer before, when the retry found no place', async () => {
    assert.equal(await endOf(anAttempt({ outcomes: [503, '?QUEUE_TIMEOUT'] })), 503);
  });

  test('is the failure before, when the retry found no place', async () => {
    assert.equal(await endOf(anAttempt({ outcomes: ['CONNECTION_LOST', '?SERVICE_UNAVAILABLE'] })), 'CONNECTION_LOST');
  });

  test('is the queue’s refusal, when there was nothing before', async () => {
    const at = anAttempt({ outcomes: ['?QUEUE_TIMEOUT'] });

    assert.equal(await endOf(at), 'QUEUE_TIMEOUT');
    assert.equal(at.question.notes.attempts, 0);
  });

  test('is no third loss: the request may be what breaks instances', async () => {
    const at = anAttempt({ retry: { attempts: 5 }, outcomes: ['CONNECTION_LOST', 'CONNECTION_LOST', 200] });

    assert.equal(await endOf(at), 'CONNECTION_LOST');
    assert.equal(at.attempts.length, 2);
  });

  test('is an answer that is still a stream, whatever its status', async () => {
    const at = anAttempt({ outcomes: [] });
    const { Readable } = await import('node:stream');
    let times = 0;

    const reply = await at.attempt(at.question, current => {
      times += 1;
      current.placed(anInstance());
      current.answered(503);
      return Promise.resolve(answer(503, Readable.from(['R'])));
    });

    assert.equal(reply.status, 503);
    assert.equal(times, 1);
  });

  test('is INTERNAL, not a retry, when the gateway made a mistake', async () => {
    const at = anAttempt({ outcomes: [] });

    await assert.rejects(
      at.attempt(at.question, () => Promise.reject(new TypeError('a mistake'))),
      { code: 'INTERNAL' },
    );
  });
});

describe('a retry', () => {
  test('goes on with those who failed in mind, and is told', async () => {
    const at = anAttempt({ outcomes: ['CONNECTION_LOST', 503, 200] });

    await endOf(at);

    assert.deepEqual(
      at.attempts.map(({ number, tried }) => [number, tried.map(({ id }) => id)]),
      [
        [1, []],
        [2, ['r-1']],
        [3, ['r-1', 'r-2']],
      ],
    );
    assert.deepEqual(at.events, [
      { kind: 'retry', service: 'fuel', reason: 'connection-lost', requestId: 'request-1', instance: 'r-1' },
      { kind: 'retry', service: 'fuel', reason: '503', requestId: 'request-1', instance: 'r-2' },
    ]);
    assert.deepEqual(at.asked, [20, 20]);
  });

  test('waits as long as chance says', async () => {
    const at = anAttempt({ outcomes: ['CONNECT_FAILED', 200], jitterMs: 20 });
    const ending = at.attempt(at.question, at.next);
    await setImmediate();

    at.clock.advance(19);
    await setImmediate();
    assert.equal(at.attempts.length, 1);
    at.clock.advance(1);

    assert.equal((await ending).status, 200);
  });

  test('is not begun when the caller leaves meanwhile', async () => {
    const at = anAttempt({ outcomes: ['CONNECT_FAILED', 200], jitterMs: 20 });
    const ending = at.attempt(at.question, at.next);
    await setImmediate();

    at.question.deadline.hangUp();

    await assert.rejects(ending, { code: 'CALLER_GONE' });
    assert.equal(at.attempts.length, 1);
    assert.equal(at.clock.alarms, 0);
  });

  test('is not waited for beyond the deadline: the failure is told at once', async () => {
    const at = anAttempt({ outcomes: ['CONNECT_FAILED', 200], jitterMs: 20 });
    at.clock.advance(29_990);

    await assert.rejects(at.attempt(at.question, at.next), { code: 'CONNECT_FAILED' });
  });
});

describe('an attempt’s time', () => {
  /** Waits for the signal, placed or not. */
  const untilAborted = (isPlaced: boolean) => (current: Attempt) => {
    if (isPlaced) current.placed(anInstance());
    return new Promise<Answer>((_, reject) => {
      current.signal.addEventListener('abort', () => reject(current.signal.reason as Error));
    });
  };

  test('begins when a place is found, and ends the attempt', async () => {
    const at = anAttempt({ retry: { attempts: 1, attemptTimeoutMs: 1_000, repeatableTimeoutMs: 1_000 }, outcomes: [] });
    const refused = assert.rejects(at.attempt(at.question, untilAborted(true)), { code: 'ATTEMPT_TIMEOUT' });

    at.clock.advance(1_000);

    await refused;
    at.question.deadline.end();
    assert.equal(at.clock.alarms, 0);
  });

  for (const [method, timeoutMs] of [
    ['GET', 1_000],
    ['POST', 20_000],
  ] as const) {
    test(`is ${timeoutMs} ms for ${method} where what may be repeated gets 1000 ms and the rest 20000 ms`, async () => {
      const retry = { attempts: 1, attemptTimeoutMs: 20_000, repeatableTimeoutMs: 1_000 };
      const at = anAttempt({ method, retry, outcomes: [] });
      let isOver = false;
      const refused = assert.rejects(at.attempt(at.question, untilAborted(true)), { code: 'ATTEMPT_TIMEOUT' });
      void refused.then(() => (isOver = true));

      at.clock.advance(timeoutMs - 1);
      await setImmediate();
      assert.equal(isOver, false);
      at.clock.advance(1);

      await refused;
      at.question.deadline.end();
    });
  }

  test('does not begin in the queue', async () => {
    const at = anAttempt({ retry: { attempts: 1, attemptTimeoutMs: 1_000, repeatableTimeoutMs: 1_000 }, outcomes: [] });
    const refused = assert.rejects(at.attempt(at.question, untilAborted(false)), { code: 'DEADLINE_EXCEEDED' });

    at.clock.advance(30_000);

    await refused;
  });

  test('ends with the request’s', async () => {
    const at = anAttempt({ retry: { attemptTimeoutMs: 60_000, repeatableTimeoutMs: 60_000 }, outcomes: [] });
    const refused = assert.rejects(at.attempt(at.question, untilAborted(true)), { code: 'DEADLINE_EXCEEDED' });

    at.clock.advance(30_000);

    await refused;
  });

  test('ends when the caller leaves, and nothing listens any more', async () => {
    const at = anAttempt({ outcomes: [] });
    const refused = assert.rejects(at.attempt(at.question, untilAborted(true)), { code: 'CALLER_GONE' });

    at.question.deadline.hangUp();

    await refused;
    assert.equal(at.clock.alarms, 0);
  });
});
