import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createDeadline, type Deadline } from '../../gateway/domain/deadline.ts';
import { GatewayError } from '../../gateway/domain/errors.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type { Answer, Ask, Question } from '../../gateway/domain/exchange.ts';
import { blankNotes, type Notes } from '../../gateway/domain/notes.ts';
import { sharedQuestion } from '../../gateway/domain/question.ts';
import type { BatchPolicy, RoutePolicy } from '../../gateway/domain/route.ts';
import { bodyTextOf } from '../../gateway/domain/sharing/batch/answer-form.ts';
import type { RouteProof } from '../../gateway/domain/sharing/proof/batch-prover.ts';
import { createSubjects, subjectName, type Subject } from '../../gateway/domain/sharing/batch/batch-subject.ts';
import type { Shared } from '../../gateway/domain/sharing/shared.ts';
import { createGather } from '../../gateway/stages/gather.ts';
import { aServicePolicy } from '../support/builders.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aComplete } from '../support/requests.ts';
import { aBatchPolicy, aSharing } from '../support/sharing.ts';

/** A question that waits for R, until the test lets it through. */
interface Waiting {
  readonly question: Question;
  /** An instance is free: what R is sent, as text. */
  readonly depart: () => string;
  readonly answer: (answer: Partial<Answer> & { readonly text?: string }) => void;
  readonly fail: (error: Error) => void;
  /** Departs, and is answered as a good model would: each row of `x` with twice as much; a row of -1 is an error of R. */
  readonly serve: () => string;
}

interface CallTraits {
  readonly caller?: string;
  readonly target?: string;
  readonly group?: string;
  /** What keeps it with an instance. */
  readonly affinity?: string;
  readonly keep?: (answer: Answer) => void;
  readonly budgetMs?: number;
}

interface Called {
  readonly outcome: Promise<string>;
  readonly deadline: Deadline;
  readonly notes: Notes;
}

interface Traits {
  readonly batch?: Partial<BatchPolicy>;
  readonly policy?: Partial<RoutePolicy>;
  /** Whether the model has shown that rows may travel together. */
  readonly isProven?: boolean;
}

/** A route that batches, calls to it, and an R that the test plays. */
function aBatchingRoute({ batch = {}, policy = {}, isProven = true }: Traits = {}) {
  const clock = manualClock();
  const events: GatewayEvent[] = [];
  const waiting: Waiting[] = [];
  const considered: RouteProof[] = [];
  const sharing = aSharing({ batch: aBatchPolicy(batch) });
  const { route: bare, ...rest } = aComplete({ policy: { isPure: true, sharing, ...policy } });
  /** How many calls a caller has in the service's queue beside. */
  const inLine = new Map<string, number>();
  const waitingOf = (callerId: string) => inLine.get(callerId) ?? 0;
  const route = { ...bare, service: { ...bare.service, versions: '1', policy: aServicePolicy(), waitingOf } };
  const subjects = createSubjects();
  const subject: Subject = subjects.of(
    subjectName('fuel', { target: '/predict', host: undefined }, ['json', sharing.batch?.rows ?? 'array']),
  );
  const form = { kind: 'members', members: [{ name: '".pred"', value: 'unboxed' }] } as const;
  if (isProven) subject.judge('1', { kind: 'proven', form, fields: '' }, 0);
  const prover = { consider: (wanted: RouteProof) => void considered.push(wanted), close: () => undefined };
  const gather = createGather({ clock, observe: event => events.push(event), subjects, prover });

  const ask: Ask = question =>
    new Promise((resolve, reject) => {
      question.deadline.signal.addEventListener('abort', () => reject(question.deadline.signal.reason as Error));
      const depart = () => question.message().body.toString();
      const answer: Waiting['answer'] = ({ text = '', ...traits }) => {
        Object.assign(question.notes, {
          attempts: 1,
          instance: 'fuel-1',
          version: '1',
          queueMs: 3,
          connectMs: 1,
          firstByteMs: 2,
        });
        resolve({ kind: 'answer', status: 200, rawHeaders: [], body: Buffer.from(text), ...traits });
      };
      const fail = (error: Error) => reject(error);
      const serve = () => {
        const sent = depart();
        answer(predicted(sent));
        return sent;
      };
      waiting.push({ question, depart, answer, fail, serve });
    });

  const call = (
    body: string,
    { caller = 'alice', target = '/predict', group = '', affinity = '', keep, budgetMs = 30_000 }: CallTraits = {},
  ): Called => {
    const deadline = createDeadline(clock);
    deadline.arm(budgetMs);
    const notes = blankNotes(clock.nowMs());
    const content = Buffer.from(body);
    const complete = {
      ...rest,
      method: 'POST',
      route,
      deadline,
      notes,
      content,
      caller: { ...rest.caller, id: caller },
    };
    const message = { method: 'POST', target, host: undefined, rawHeaders: [], body: content };
    const shared: Shared = { complete, sharing, message, group: `${target}${group}`, key: body };
    const question = { ...sharedQuestion(shared, { deadline, notes, keep }), affinity };
    const outcome = gather(shared, question, ask).then(
      answer => `${answer.status} ${bodyTextOf(answer)}`,
      (error: unknown) => (error instanceof GatewayError ? error.code : String(error)),
    );
    return { outcome, deadline, notes };
  };
  const told = (kind: GatewayEvent['kind']) => events.filter(event => event.kind === kind);
  /** Serves until nobody waits; what R was sent. */
  const serveAll = async () => {
    const sent: string[] = [];
    for (const { question, serve } of waiting) {
      if (!question.deadline.signal.aborted) sent.push(serve());
      await setImmediate(); // more may wait by now
    }
    return sent;
  };
  return { clock, subject, waiting, inLine, considered, call, told, serveAll };
}

const X_ROW = /"x":(-?\d+)/g;

function predicted(body: string): { readonly status: number; readonly text: string } {
  const values = [...body.matchAll(X_ROW)].map(([, x]) => Number(x));
  if (values.includes(-1)) return { status: 500, text: '{"error":"500 - Internal server error"}' };
  const answers = values.map(x => x * 2);
  return { status: 200, text: `{".pred":${answers.length === 1 ? String(answers[0]) : JSON.stringify(answers)}}` };
}

const rows = (...values: number[]) => `[${values.map(x => `{"x":${x}}`).join(',')}]`;
const all = (calls: readonly Called[]) => Promise.all(calls.map(({ outcome }) => outcome));

/** The first occupies R, so that those who come next wait together. */
function at<T>(items: readonly T[], i: number): T {
  const item = items[i];
  assert.ok(item !== undefined, `nothing waits at ${i}`);
  return item;
}

describe('calls that wait', () => {
  test('travel as one, and each gets its own answers', async () => {
    const { call, waiting, told } = aBatchingRoute();
    const calls = [call(rows(1)), call(rows(2, 3)), call(rows(4))];

    const sent = at(waiting, 0).serve();

    assert.equal(sent, rows(1, 2, 3, 4));
    assert.deepEqual(await all(calls), ['200 {".pred":2}', '200 {".pred":[4,6]}', '200 {".pred":8}']);
    assert.deepEqual([waiting.length, told('batch')], [1, [{ kind: 'batch', service: 'fuel', rows: 4 }]]);
  });

  test('are all told of the one exchange, each with its own time in the queue', async () => {
    const { call, waiting, clock } = aBatchingRoute();
    const first = call(rows(1));
    clock.advance(2);
    const second = call(rows(2));
    clock.advance(1);
    at(waiting, 0).serve();
    await all([first, second]);

    for (const { notes } of [first, second]) {
      assert.deepEqual(
        [notes.attempts, notes.instance, notes.version, notes.connectMs, notes.firstByteMs],
        [1, 'fuel-1', '1', 1, 2],
      );
    }
    assert.deepEqual([first.notes.queueMs, second.notes.queueMs], [3, 1]);
  });

  test('join nobody who has departed: the next batch is another', async () => {
    const { call, waiting } = aBatchingRoute();
    const first = call(rows(1));
    at(waiting, 0).depart();
    const second = call(rows(2));

    at(waiting, 0).serve();
    at(waiting, 1).serve();

    assert.deepEqual(await all([first, second]), ['200 {".pred":2}', '200 {".pred":4}']);
  });

  test('travel alone as they came, whatever R answers', async () => {
    const { call, waiting } = aBatchingRoute();
    const body = ' [ {"x":1.50} ] ';
    const { outcome } = call(body);

    assert.equal(at(waiting, 0).depart(), body);
    at(waiting, 0).answer({ status: 422, text: 'no' });

    assert.equal(await outcome, '422 no');
  });

  test('are no more than `sizeMax` rows; one more opens the next batch', async () => {
    const { call, waiting } = aBatchingRoute({ batch: { sizeMax: 3 } });
    const calls = [call(rows(1, 2)), call(rows(3)), call(rows(4)), call(rows(5, 6, 7))];

    const sent = waiting.map(({ serve }) => serve());

    assert.deepEqual(sent, [rows(1, 2, 3), rows(4), rows(5, 6, 7)]);
    await all(calls);
  });

  test('go alone with more rows than `sizeMax`', async () => {
    const { call, waiting } = aBatchingRoute({ batch: { sizeMax: 2 } });
    const calls = [call(rows(1)), call(rows(2, 3, 4)), call(rows(5))];

    assert.deepEqual(
      waiting.map(({ serve }) => serve()),
      [rows(1, 5), rows(2, 3, 4)],
    );
    await all(calls);
  });

  test('are together no larger than one body may be', () => {
    const { call, waiting } = aBatchingRoute({ policy: { bodyBytesMax: 2 * rows(1).length } });
    for (let x = 1; x <= 3; x++) call(rows(x));

    assert.deepEqual(
      waiting.map(({ depart }) => depart()),
      [rows(1, 2), rows(3)],
    );
  });

  test('are kept apart where R would see more than their rows differ', () => {
    const { call, waiting } = aBatchingRoute();
    for (const [body, group] of [
      [rows(1), 'a'],
      [rows(2), 'b'],
      ['[{"x":1.5}]', 'a'],
      ['[{"x":"NA"}]', 'a'],
      ['[{"y":1}]', 'a'],
      ['[{"x":1,"y":1}]', 'a'],
      ['no rows', 'a'],
      [rows(3), 'a'],
    ] as const) {
      call(body, { group });
    }

    assert.deepEqual(
      waiting.map(({ depart }) => depart()),
      [rows(1, 3), rows(2), '[{"x":1.5}]', '[{"x":"NA"}]', '[{"y":1}]', '[{"x":1,"y":1}]', 'no rows'],
    );
  });

  test('are kept apart where the balance sends them to different instances', () => {
    const { call, waiting } = aBatchingRoute();
    for (const [x, affinity] of [
      [1, 'alice'],
      [2, 'bob'],
      [3, 'alice'],
    ] as const) {
      call(rows(x), { affinity });
    }

    assert.deepEqual(
      waiting.map(({ question, depart }) => `${question.affinity} ${depart()}`),
      [`alice ${rows(1, 3)}`, `bob ${rows(2)}`],
    );
  });

  test('wait for others only as long as `waitMax`, and no longer than until it is full', () => {
    const { call, waiting, clock } = aBatchingRoute({ batch: { waitMsMax: 10, sizeMax: 2 } });
    call(rows(1));
    assert.equal(waiting.length, 0);
    call(rows(2));
    assert.equal(waiting.length, 1, 'full');
    call(rows(3));
    clock.advance(9);
    assert.equal(waiting.length, 1);
    clock.advance(1);
    assert.equal(waiting.length, 2, 'the time is over');
    assert.equal(clock.alarms, 3, 'of the callers themselves');
  });

  test('are sent as columns where the route says so', async () => {
    const { call, waiting } = aBatchingRoute({ batch: { rows: 'columns' } });
    const calls = [call('{"x":1}'), call('{"x":[2,3]}')];

    assert.equal(at(waiting, 0).depart(), '{"x":[1,2,3]}');
    at(waiting, 0).answer({ text: '{".pred":[2,4,6]}' });

    assert.deepEqual(await all(calls), ['200 {".pred":2}', '200 {".pred":[4,6]}']);
  });
});

describe('whoever leaves', () => {
  test('before the batch departs is not in it', async () => {
    const { call, waiting } = aBatchingRoute();
    const calls = [call(rows(1)), call(rows(2)), call(rows(3))];
    at(calls, 0).deadline.hangUp();

    assert.equal(at(waiting, 0).serve(), rows(2, 3));
    assert.deepEqual(await all(calls), ['CALLER_GONE', '200 {".pred":4}', '200 {".pred":6}']);
  });

  test('after it has departed costs the others nothing, and their answer can still be remembered', async () => {
    const kept: string[] = [];
    const { call, waiting } = aBatchingRoute();
    const calls = [call(rows(1), { keep: answer => kept.push(bodyTextOf(answer) ?? '') }), call(rows(2))];
    at(waiting, 0).depart();
    at(calls, 0).deadline.hangUp();
    at(waiting, 0).serve();

    assert.deepEqual(await all(calls), ['CALLER_GONE', '200 {".pred":4}']);
    assert.deepEqual(kept, ['{".pred":2}']);
  });

  test('last ends the batch; what R answers all the same is remembered for each who would', async () => {
    const kept: string[] = [];
    const keep = (answer: Answer) => kept.push(bodyTextOf(answer) ?? '');
    const { call, waiting } = aBatchingRoute();
    const calls = [call(rows(1), { keep, budgetMs: 10 }), call(rows(2)), call(rows(3), { keep })];
    const { question, depart } = at(waiting, 0);
    depart();
    for (const { deadline } of calls) deadline.hangUp();

    assert.equal((question.deadline.signal.reason as GatewayError).code, 'CALLER_GONE');
    question.notes.version = '1';
    question.keep?.({ kind: 'answer', status: 200, rawHeaders: [], body: Buffer.from('{".pred":[2,4,6]}') });
    assert.deepEqual([await all(calls), kept], [Array(3).fill('CALLER_GONE'), ['{".pred":2}', '{".pred":6}']]);
  });

  test('last before it departs takes it out of the queue, and a newcomer opens another', async () => {
    const { call, waiting, clock } = aBatchingRoute({ batch: { waitMsMax: 10 } });
    const gone = call(rows(1));
    gone.deadline.hangUp();
    const next = call(rows(2));
    clock.advance(10);

    assert.equal(at(waiting, 0).serve(), rows(2));
    assert.deepEqual([await gone.outcome, await next.outcome, waiting.length], ['CALLER_GONE', '200 {".pred":4}', 1]);
  });

  test('since their time is over is told so, while the batch has the time of the most patient', async () => {
    const { call, waiting, clock } = aBatchingRoute();
    const calls = [call(rows(1), { budgetMs: 100 }), call(rows(2), { budgetMs: 500 })];
    const { question } = at(waiting, 0);
    assert.equal(question.deadline.remainingMs(), 500);
    at(waiting, 0).depart();
    clock.advance(100);

    assert.equal(question.deadline.signal.aborted, false);
    clock.advance(400);
    assert.deepEqual(await all(calls), ['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED']);
    assert.equal(question.deadline.signal.aborted, true);
  });
});

describe('a batch that fails', () => {
  test('is divided until the guilty call stands alone, and only that one fails, as R answers it alone', async () => {
    const { call, serveAll } = aBatchingRoute();
    const calls = [1, 2, 3, -1, 5, 6, 7, 8].map(x => call(rows(x)));

    const sent = await serveAll();

    const expected = [1, 2, 3, -1, 5, 6, 7, 8].map(x => `${predicted(rows(x)).status} ${predicted(rows(x)).text}`);
    assert.deepEqual(await all(calls), expected);
    assert.deepEqual(sent, [
      rows(1, 2, 3, -1, 5, 6, 7, 8),
      rows(1, 2, 3, -1),
      rows(5, 6, 7, 8),
      rows(1, 2),
      rows(3, -1),
      rows(3),
      rows(-1),
    ]);
  });

  for (const [what, answer] of [
    ['an answer for another number of rows', { text: '{".pred":[2]}' }],
    ['what is no JSON', { text: 'oops' }],
    ['another form than it has shown', { text: '[2,4]' }],
    ['a cookie, which is for one caller', { text: '{".pred":[2,4]}', rawHeaders: ['Set-Cookie', 'a=b'] }],
    ['a field that may be about one of them', { text: '{".pred":[2,4]}', rawHeaders: ['Warning', '199 - "row 2"'] }],
    ['another status', { text: '{".pred":[2,4]}', status: 203 }],
  ] as const) {
    test(`since R gives ${what}, is asked again in parts`, async () => {
      const { call, waiting } = aBatchingRoute();
      const calls = [call(rows(1)), call(rows(2))];
      at(waiting, 0).depart();
      at(waiting, 0).answer(answer);
      await setImmediate();
      for (const i of [1, 2]) at(waiting, i).serve();

      assert.deepEqual(await all(calls), ['200 {".pred":2}', '200 {".pred":4}']);
    });
  }

  test('since it broke an instance, is asked one by one: halves would break more', async () => {
    const { call, waiting } = aBatchingRoute();
    const calls = [1, 2, 3, 4].map(x => call(rows(x)));
    at(waiting, 0).depart();
    at(waiting, 0).fail(new GatewayError('CONNECTION_LOST', 'R died'));
    await setImmediate();

    assert.deepEqual(
      waiting.slice(1).map(({ depart }) => depart()),
      [1, 2, 3, 4].map(x => rows(x)),
    );
    at(waiting, 2).fail(new GatewayError('CONNECTION_LOST', 'R died again'));
    for (const i of [1, 3, 4]) at(waiting, i).serve();
    assert.deepEqual(await all(calls), ['200 {".pred":2}', 'CONNECTION_LOST', '200 {".pred":6}', '200 {".pred":8}']);
  });

  test('since nothing took it, fails for all: dividing it would help nobody', async () => {
    const { call, waiting } = aBatchingRoute();
    const calls = [call(rows(1)), call(rows(2))];
    at(waiting, 0).fail(new GatewayError('SERVICE_UNAVAILABLE', 'none'));

    assert.deepEqual([await all(calls), waiting.length], [Array(2).fill('SERVICE_UNAVAILABLE'), 1]);
  });

  test('since one waited too long, is put again for those who did not', async () => {
    const { call, waiting, clock } = aBatchingRoute();
    const first = call(rows(1));
    clock.advance(4_000);
    const second = call(rows(2));
    clock.advance(1_000);
    at(waiting, 0).fail(new GatewayError('QUEUE_TIMEOUT', 'waited'));
    await setImmediate();

    assert.equal(at(waiting, 1).serve(), rows(2));
    assert.deepEqual(await all([first, second]), ['QUEUE_TIMEOUT', '200 {".pred":4}']);
  });

  test('since its first caller has too many waiting, is put again for the others', async () => {
    const { call, waiting } = aBatchingRoute();
    const calls = [call(rows(1)), call(rows(2), { caller: 'bob' })];
    at(waiting, 0).fail(new GatewayError('QUEUE_FULL', 'full'));
    await setImmediate();

    assert.equal(at(waiting, 1).question.callerId, 'bob');
    at(waiting, 1).serve();
    assert.deepEqual(await all(calls), ['QUEUE_FULL', '200 {".pred":4}']);
  });

  test('again and again by the calls of one makes those travel singly, and nobody else’s', async () => {
    const { call, serveAll, waiting, told, clock } = aBatchingRoute();
    for (let i = 0; i < 8; i++) {
      const calls = [call(rows(1)), call(rows(-1), { caller: 'mallory' }), call(rows(2), { caller: 'bob' })];
      await serveAll();
      await all(calls);
    }
    assert.deepEqual(told('batching'), []);
    assert.deepEqual(told('notice'), [
      {
        kind: 'notice',
        level: 'warn',
        text: 'batches keep failing by the calls of some: those travel singly for 30 s',
        about: { route: 'fuel', callers: 'mallory' },
      },
    ]);

    const before = waiting.length;
    const calls = [call(rows(1)), call(rows(-1), { caller: 'mallory' }), call(rows(2), { caller: 'bob' })];
    assert.deepEqual(
      waiting.slice(before).map(({ serve }) => serve()),
      [rows(1, 2), rows(-1)],
    );
    await all(calls);
    clock.advance(30_000);
    const together = [call(rows(1)), call(rows(2), { caller: 'mallory' })];
    assert.equal((await serveAll()).at(-1), rows(1, 2));
    await all(together);
  });

  test('again and again, an instance each, by the calls of one makes those travel singly', async () => {
    const { call, waiting, told } = aBatchingRoute();
    for (let i = 0; i < 8; i++) {
      const from = waiting.length;
      const calls = [call(rows(1)), call(rows(-2), { caller: 'mallory' })];
      at(waiting, from).depart();
      at(waiting, from).fail(new GatewayError('CONNECTION_LOST', 'R died'));
      await setImmediate();
      at(waiting, from + 2).depart();
      at(waiting, from + 2).fail(new GatewayError('CONNECTION_LOST', 'R died again'));
      at(waiting, from + 1).serve();
      await all(calls);
    }

    assert.deepEqual([told('batching').length, told('notice').length], [0, 1]);
  });

  test('again and again makes calls travel singly for a while, and says so', async () => {
    const { call, serveAll, waiting, told, clock } = aBatchingRoute();
    const failOnce = async () => {
      const calls = [call(rows(1)), call(rows(-1))];
      await serveAll();
      await all(calls);
    };
    for (let i = 0; i < 8; i++) await failOnce();
    assert.equal(told('batching').length, 1);
    assert.deepEqual(told('batching')[0], {
      kind: 'batching',
      route: 'fuel',
      isOn: false,
      reason: 'batches keep failing: calls travel singly for 30 s',
    });

    const before = waiting.length;
    const singly = [call(rows(1)), call(rows(2))];
    assert.equal(waiting.length - before, 2);
    await serveAll();
    await all(singly);

    clock.advance(30_000);
    const together = [call(rows(1)), call(rows(2))];
    assert.equal((await serveAll()).at(-1), rows(1, 2));
    await all(together);
    assert.deepEqual(told('batching').at(-1), {
      kind: 'batching',
      route: 'fuel',
      isOn: true,
      reason: 'a batch went well again',
    });
  });
});

describe('a batch is no longer than the time of those in it allows', () => {
  /** A model that takes 10 ms for each row. */
  async function aSlowModel() {
    const route = aBatchingRoute({
      policy: {
        retry: { attempts: 1, attemptTimeoutMs: 60_000, repeatableTimeoutMs: 60_000, on: new Set(), budgetPercent: 20 },
      },
    });
    for (let i = 0; i < 6; i++) {
      const calls = [call(i), call(i)];
      route.clock.advance(0);
      at(route.waiting, i).depart();
      route.clock.advance(20);
      at(route.waiting, i).answer({ text: '{".pred":[2,4]}' });
      await all(calls);
    }
    function call(x: number) {
      return route.call(rows(x));
    }
    return route;
  }

  test('who has little time left is not put behind others', async () => {
    const { call, waiting } = await aSlowModel();
    const from = waiting.length;
    call(rows(1, 2));
    call(rows(3), { budgetMs: 50 });
    call(rows(4));

    assert.deepEqual(
      waiting.slice(from).map(({ depart }) => depart()),
      [rows(1, 2, 4), rows(3)],
    );
  });

  test('who will be late, or has been, keeps nobody else from travelling together', async () => {
    const { call, waiting, clock } = await aSlowModel();
    const from = waiting.length;
    call(rows(1));
    call(rows(2), { budgetMs: 60 });
    call(rows(3), { budgetMs: 69 });
    clock.advance(50);
    for (const x of [4, 5]) call(rows(x));
    clock.advance(10);

    assert.equal(at(waiting, from).depart(), rows(1, 3, 4, 5));
    assert.equal(waiting.length, from + 1);
  });

  test('whose time has become short in the queue travels with as many as it allows; the others take the next place', async () => {
    const { call, waiting, clock } = await aSlowModel();
    const from = waiting.length;
    for (let x = 1; x <= 4; x++) call(rows(x), { budgetMs: 100 });
    clock.advance(50);

    assert.equal(at(waiting, from).depart(), rows(1, 2));
    assert.equal(at(waiting, from + 1).depart(), rows(3, 4));
  });
});

describe('a caller with many calls', () => {
  test('fills batches of their own, and others need not wait behind them', () => {
    const { call, waiting } = aBatchingRoute({ batch: { sizeMax: 2 } });
    for (let x = 1; x <= 9; x++) call(rows(x), { caller: 'mallory' });
    call(rows(10), { caller: 'bob' });
    call(rows(11), { caller: 'carol' });
    call(rows(12), { caller: 'mallory' });

    assert.deepEqual(
      waiting.map(({ question, depart }) => `${question.callerId} ${depart()}`),
      [
        ...[rows(1, 2), rows(3, 4), rows(5, 6), rows(7, 8), rows(9, 12)].map(body => `mallory ${body}`),
        `bob ${rows(10, 11)}`,
      ],
    );
  });
});

describe('a call that fits no open batch', () => {
  test('by its own size travels alone, and others go on joining', () => {
    const { call, waiting } = aBatchingRoute({ batch: { sizeMax: 8 }, policy: { bodyBytesMax: 200 } });
    const long = `[{"x":${'1'.repeat(150)}}]`;
    for (const body of [rows(1), rows(1, 2, 3, 4, 5, 6, 7, 8), rows(2), long, rows(3)]) call(body);

    assert.deepEqual(
      waiting.map(({ depart }) => depart()),
      [rows(1, 2, 3), rows(1, 2, 3, 4, 5, 6, 7, 8), long],
    );
  });

  test('since its caller has others in line begins one for itself: others would wait for those, too', () => {
    const { call, waiting, inLine } = aBatchingRoute();
    inLine.set('mallory', 50);
    call(rows(1), { caller: 'mallory' });
    call(rows(2), { caller: 'bob' });
    call(rows(3), { caller: 'mallory' });
    inLine.set('bob', 1); // the batch itself
    call(rows(4), { caller: 'bob' });
    call(rows(5), { caller: 'carol' });

    assert.deepEqual(
      waiting.map(({ question, depart }) => `${question.callerId} ${depart()}`),
      [`mallory ${rows(1, 3)}`, `bob ${rows(2, 4, 5)}`],
    );
  });
});

describe('a model that has shown nothing yet', () => {
  test('is asked for each call alone, and in the background for a proof', async () => {
    const { call, serveAll, considered } = aBatchingRoute({ isProven: false });
    const calls = [call(rows(1)), call(rows(2))];

    assert.deepEqual(await serveAll(), [rows(1), rows(2)]);
    await all(calls);
    assert.deepEqual(
      [considered.length, considered[0]?.message.target, considered[0]?.format],
      [2, '/predict', 'array'],
    );
    assert.equal(considered[0]?.subject.rowsSeen().length, 2);
  });

  test('or that rows together get other answers, is asked for each alone, and for no proof', async () => {
    const { call, subject, serveAll, considered } = aBatchingRoute({ isProven: false });
    subject.judge('1', { kind: 'refuted', reason: 'no' }, 0);
    const calls = [call(rows(1)), call(rows(2))];

    assert.deepEqual([await serveAll(), considered], [[rows(1), rows(2)], []]);
    await all(calls);
  });
});
