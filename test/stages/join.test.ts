import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { createDeadline } from '../../gateway/domain/deadline.ts';
import { GatewayError } from '../../gateway/domain/errors.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type { Answer, Question } from '../../gateway/domain/exchange.ts';
import type { Keep } from '../../gateway/domain/sharing/shared.ts';
import { createJoin } from '../../gateway/stages/join.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aShared, aSharing } from '../support/sharing.ts';

const textOf = (answer: Answer | undefined) => (Buffer.isBuffer(answer?.body) ? answer.body.toString() : undefined);
const saying = (text: string, fields: readonly string[] = []): Answer => ({
  ...{ kind: 'answer', status: 200, rawHeaders: fields },
  body: Buffer.from(text),
});

interface Asking {
  readonly path?: string;
  readonly timeoutMs?: number;
  readonly fields?: readonly string[];
  readonly keep?: Keep;
  readonly hasLeft?: boolean;
  readonly caller?: string;
}

/** A join stage before an R that answers when the test says so. */
function aJoin({ coalesce = true } = {}) {
  const clock = manualClock();
  const events: GatewayEvent[] = [];
  const join = createJoin({ clock, observe: event => events.push(event) });
  const put: { question: Question; resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = [];
  const ask = (question: Question) =>
    new Promise<Answer>((resolve, reject) => {
      put.push({ question, resolve, reject });
      question.deadline.signal.addEventListener('abort', () => reject(question.deadline.signal.reason as Error));
    });
  const begin = ({
    path = '/a',
    timeoutMs = 1_000,
    fields = [],
    keep,
    hasLeft = false,
    caller = 'alice',
  }: Asking = {}) => {
    const deadline = createDeadline(clock);
    deadline.arm(timeoutMs);
    if (hasLeft) deadline.hangUp();
    const request = { path, deadline, rawHeaders: fields };
    const shared = aShared(aSharing({ coalesce }), { request });
    const { complete } = shared;
    Object.assign(complete, { caller: { ...complete.caller, id: caller } });
    Object.assign(complete.route.service.policy, { queueWaitMsMax: 500 });
    const answered = join(shared, keep, ask);
    answered.catch(() => undefined); // the test looks at it later
    return { answered, deadline, notes: shared.complete.notes };
  };
  const at = (i: number) => put[i] ?? assert.fail(`question ${i} was not put`);
  return { begin, clock, put, at, events };
}

describe('join', () => {
  test('puts one question for all who ask the same, and gives each the very same answer', async () => {
    const { begin, put, at, events } = aJoin();

    const asked = [begin(), begin(), begin({ path: '/b' }), begin()];
    at(0).resolve(saying('a'));
    at(1).resolve(saying('b'));
    const answers = await Promise.all(asked.map(({ answered }) => answered));

    assert.equal(put.length, 2);
    assert.ok(answers[0] === answers[1] && answers[1] === answers[3]);
    assert.equal(textOf(answers[2]), 'b');
    assert.deepEqual(events, [
      { kind: 'coalesced', route: 'fuel' },
      { kind: 'coalesced', route: 'fuel' },
    ]);
  });

  test('puts a question for each where the route does not coalesce', async () => {
    const { begin, put, at } = aJoin({ coalesce: false });

    const asked = [begin(), begin()];
    at(0).resolve(saying('a'));
    at(1).resolve(saying('b'));

    assert.deepEqual(await Promise.all(asked.map(async ({ answered }) => textOf(await answered))), ['a', 'b']);
    assert.equal(put[0]?.question.deadline, asked[0]?.deadline);
  });

  test('asks anew once the answer is there', async () => {
    const { begin, put, at } = aJoin();
    const first = begin();
    at(0).resolve(saying('a'));
    await first.answered;

    begin();

    assert.equal(put.length, 2);
  });

  test('lets one who says no-cache join none that flies, and others join theirs', async () => {
    const { begin, put, at } = aJoin();
    const first = begin();
    const anew = begin({ fields: ['Cache-Control', 'max-age=0, No-Cache'] });
    const later = begin();

    at(0).resolve(saying('a'));
    await first.answered;
    const last = begin();
    at(1).resolve(saying('b'));

    assert.equal(put.length, 2);
    assert.deepEqual(await Promise.all([anew, later, last].map(async ({ answered }) => textOf(await answered))), [
      ...['b', 'b', 'b'],
    ]);
  });

  test('lets each wait by their own deadline, and the question last as long as anybody waits', async () => {
    const { begin, clock, at } = aJoin();
    const short = begin({ timeoutMs: 100 });
    clock.advance(50);
    const long = begin({ timeoutMs: 400 });
    assert.equal(at(0).question.deadline.remainingMs(), 400);

    clock.advance(50);
    await assert.rejects(short.answered, { code: 'DEADLINE_EXCEEDED' });
    assert.equal(at(0).question.deadline.signal.aborted, false);
    clock.advance(350);

    await assert.rejects(long.answered, { code: 'DEADLINE_EXCEEDED' });
    assert.equal(at(0).question.deadline.signal.aborted, true);
    assert.equal(clock.alarms, 0);
  });

  test('ends the question when the last has left, for their reason, and lets nobody join it then', async () => {
    const { begin, put, at } = aJoin();
    const [first, second] = [begin(), begin()];

    first.deadline.hangUp();
    assert.equal(at(0).question.deadline.signal.aborted, false);
    second.deadline.hangUp();
    const reason: unknown = at(0).question.deadline.signal.reason;
    begin();

    assert.equal((reason as GatewayError).code, 'CALLER_GONE');
    assert.equal(put.length, 2);
    for (const { answered } of [first, second]) await assert.rejects(answered, { code: 'CALLER_GONE' });
  });

  test('does not let a flight that was left take another of the same key along', async () => {
    const { begin, put, at } = aJoin();
    begin().deadline.hangUp();
    const next = begin();
    await new Promise(setImmediate); // the failure of the first has come back by now

    const joined = begin();
    at(1).resolve(saying('b'));

    assert.equal(put.length, 2);
    assert.equal(await joined.answered, await next.answered);
  });

  test('puts nothing for one who has left already', async () => {
    const { begin, put } = aJoin();

    const { answered } = begin({ hasLeft: true });

    await assert.rejects(answered, { code: 'CALLER_GONE' });
    assert.equal(put.length, 0);
  });

  test('tells a failure to all', async () => {
    const { begin, at } = aJoin();
    const asked = [begin(), begin()];

    at(0).reject(new GatewayError('CONNECTION_LOST', 'gone'));

    for (const { answered } of asked) await assert.rejects(answered, { code: 'CONNECTION_LOST' });
  });

  test('asks once more for those whom the queue’s refusal of the first wrongs, and once for all of them', async () => {
    const { begin, put, at } = aJoin();
    const refused = begin();
    const others = ['bob', 'carol'].map(caller => begin({ caller }));
    at(0).reject(new GatewayError('QUEUE_FULL', 'too many of alice'));
    await assert.rejects(refused.answered, { code: 'QUEUE_FULL' });
    assert.deepEqual([put.length, at(1).question.callerId], [2, 'bob']);
    at(1).resolve(saying('a'));

    assert.deepEqual(await Promise.all(others.map(async ({ answered }) => textOf(await answered))), ['a', 'a']);
    const [dave, erin] = ['dave', 'erin'].map(caller => begin({ caller }));
    at(2).reject(new GatewayError('QUEUE_FULL', 'full'));
    await assert.rejects(dave?.answered ?? assert.fail(), { code: 'QUEUE_FULL' });
    at(3).reject(new GatewayError('QUEUE_FULL', 'full'));
    await assert.rejects(erin?.answered ?? assert.fail(), { code: 'QUEUE_FULL' });
    assert.equal(put.length, 4);
  });

  test('asks once more for those who have not waited as long as the first', async () => {
    const { begin, clock, put, at } = aJoin();
    const first = begin();
    clock.advance(400);
    const second = begin();
    clock.advance(100);
    at(0).reject(new GatewayError('QUEUE_TIMEOUT', 'waited'));
    await assert.rejects(first.answered, { code: 'QUEUE_TIMEOUT' });
    at(1).resolve(saying('a'));

    assert.deepEqual([textOf(await second.answered), put.length], ['a', 2]);
  });

  test('gives no one an answer that R says depends on more than it was told', async () => {
    const { begin, put, at } = aJoin();
    const asked = [begin(), begin()];
    at(0).resolve(saying('a', ['Vary', '*']));
    await asked[0]?.answered;
    at(1).resolve(saying('b'));

    assert.deepEqual([textOf(await asked[1]?.answered), put.length], ['b', 2]);
  });

  test('says when R was asked, to one who would remember the answer and came later', async () => {
    const { begin, clock, at } = aJoin();
    const times: unknown[] = [];
    clock.advance(5);
    begin();
    clock.advance(5);
    const later = begin({ keep: (_, askedMs) => times.push(askedMs) });
    at(0).resolve(saying('a'));
    await later.answered;

    assert.deepEqual(times, [clock.nowMs() - 5]);
  });

  test('notes for each what was noted of the question, and of the queue only what they shared', async () => {
    const { begin, clock, at } = aJoin();
    const first = begin();
    clock.advance(30);
    const second = begin();
    clock.advance(70);
    const third = begin();
    const { notes } = at(0).question;
    Object.assign(notes, {
      attempts: 2,
      instance: 'fuel-1',
      version: '1.0.0',
      queueMs: 100,
      connectMs: 1,
      firstByteMs: 3,
    });

    at(0).resolve(saying('a'));
    await Promise.all([first.answered, second.answered, third.answered]);

    for (const { notes: own } of [first, second, third]) {
      const { attempts, instance, version, connectMs, firstByteMs } = own;
      assert.deepEqual([attempts, instance, version, connectMs, firstByteMs], [2, 'fuel-1', '1.0.0', 1, 3]);
    }
    assert.deepEqual([first.notes.queueMs, second.notes.queueMs, third.notes.queueMs], [100, 70, 0]);
  });

  test('leaves no listener behind, however it ended', async () => {
    const { begin, at } = aJoin();
    const asked = [begin(), begin(), begin({ path: '/b' })];
    at(0).resolve(saying('a'));
    at(1).reject(new GatewayError('CONNECT_FAILED', 'no'));
    await Promise.allSettled(asked.map(({ answered }) => answered));

    for (const { deadline } of asked) assert.deepEqual(getEventListeners(deadline.signal, 'abort'), []);
  });
});

describe('an answer that is shared', () => {
  test('is kept once, by the first who would keep it, before anybody gets it', async () => {
    const { begin, at } = aJoin();
    const kept: string[] = [];
    const keepAs = (name: string) => (answer: Answer) => void kept.push(`${name} ${textOf(answer)}`);
    const first = begin();
    begin({ keep: keepAs('second') });
    begin({ keep: keepAs('third') });

    at(0).resolve(saying('a'));
    await first.answered;

    assert.deepEqual(kept, ['second a']);
  });

  test('is kept even when all have left, by way of the question', () => {
    const { begin, at } = aJoin();
    const kept: Answer[] = [];
    const { deadline } = begin({ keep: answer => void kept.push(answer) });

    deadline.hangUp();
    at(0).question.keep?.(saying('late'));

    assert.equal(kept.length, 1);
  });

  test('goes to one alone where its body is a stream; the others ask for themselves, and nobody keeps it', async () => {
    const { begin, put, at } = aJoin();
    const keep = () => assert.fail('a stream cannot be kept');
    const asked = [begin({ keep }), begin({ keep })];
    const body = new Readable({ read: () => undefined });

    at(0).resolve({ kind: 'answer', status: 200, rawHeaders: [], body });
    const first = await asked[0]?.answered;
    assert.equal(first?.body, body);
    assert.equal(put.length, 2);
    assert.equal(at(1).question.deadline, asked[1]?.deadline);
    at(1).reject(new GatewayError('QUEUE_FULL', 'full'));

    await assert.rejects(asked[1]?.answered ?? Promise.resolve(), { code: 'QUEUE_FULL' });
    body.destroy();
  });

  test('frees R of a stream that nobody is left to read', async () => {
    const { begin, put } = aJoin();
    const body = new Readable({ read: () => undefined });
    const { deadline, answered } = begin();
    put[0]?.resolve({ kind: 'answer', status: 200, rawHeaders: [], body });

    deadline.hangUp();
    await assert.rejects(answered, { code: 'CALLER_GONE' });
    await new Promise(setImmediate);

    assert.equal(body.destroyed, true);
  });
});
