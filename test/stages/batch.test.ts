import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Deadlines, type Timed } from '../../gateway/domain/deadlines.ts';
import { GatewayError, type FailureCode } from '../../gateway/domain/errors.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type { BatchPolicy, RoutePolicy } from '../../gateway/domain/route.ts';
import { bodyTextOf } from '../../gateway/domain/sharing/batch/answer-form.ts';
import { BatchingStates } from '../../gateway/domain/sharing/batch/batching-states.ts';
import { readRows } from '../../gateway/domain/sharing/batch/rows.ts';
import { createSubjects, subjectName, type Subject } from '../../gateway/domain/sharing/batch/subject.ts';
import type { Answer, SendUpstream, UpstreamRequestOptions, Via } from '../../gateway/domain/upstream.ts';
import type { RouteProof } from '../../gateway/stages/batch-proof.ts';
import type { Answered } from '../../gateway/stages/batch-recheck.ts';
import { createBatch } from '../../gateway/stages/batch.ts';
import { aBatchRoute } from '../support/batching.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aBatchPolicy } from '../support/sharing.ts';

/** An upstream request that waits for R, until the test lets it through. */
interface SentBatch {
  readonly options: UpstreamRequestOptions;
  /** What waited has left. */
  leftFor: FailureCode | undefined;
  endsMs: number;
  /** A permit is there: what R is sent, as text. */
  readonly depart: () => string;
  readonly answer: (answer: {
    readonly text?: string;
    readonly status?: number;
    readonly fields?: readonly string[];
  }) => void;
  readonly fail: (failure: GatewayError) => void;
  /** Departs, and is answered as a good model would: each row of `x` with twice as much; a row of -1 is an error of R. */
  readonly serve: () => string;
}

interface CallTraits {
  readonly caller?: string;
  readonly target?: string;
  readonly group?: string;
  /** What keeps it with an instance. */
  readonly affinity?: string;
  readonly keepLate?: (answer: Answer) => void;
  readonly budgetMs?: number;
}

interface Called {
  outcome: string | undefined;
  via: Via | undefined;
  readonly hangUp: () => void;
  readonly extend: (endsMs: number) => void;
  readonly isSent: () => boolean;
}

interface Traits {
  readonly batch?: Partial<BatchPolicy>;
  readonly policy?: Partial<RoutePolicy>;
  /** Whether the model has shown that rows may travel together. */
  readonly isProven?: boolean;
  /** Whether rows as those of the test have been compared often enough. */
  readonly isTrusted?: boolean;
}

const FORM = { kind: 'members', members: [{ name: '".pred"', value: 'unboxed' }] } as const;

/** Compares rows of every shape that the tests use, as often as it takes. */
function trust(subject: Subject, format: 'array' | 'columns'): void {
  const known = subject.trustOf('1');
  const ones = Array.from({ length: 60 }, (_, i) => [
    `{"x":${i - 5}}`,
    `{"x":${i}.5}`,
    `{"y":${i}}`,
    `{"x":${i},"y":1}`,
  ]);
  const texts = ['{"x":"NA"}', `{"x":${'1'.repeat(150)}}`];
  for (let times = 0; times < 16; times++) {
    for (const record of [...ones.flat(), ...texts]) {
      const rows = readRows(Buffer.from(format === 'array' ? `[${record}]` : record), format, 64);
      if (rows !== undefined) known?.agreed(rows);
    }
  }
}

function prove(subject: Subject, isTrusted: boolean, format: 'array' | 'columns'): void {
  subject.judge('1', { kind: 'proven', form: FORM, fields: '', rowsMax: 64 }, 0);
  if (isTrusted) trust(subject, format);
}

/** A route that batches, calls to it, and an R that the test plays. */
function aBatchingRoute({ batch = {}, policy = {}, isProven = true, isTrusted = true }: Traits = {}) {
  const clock = manualClock();
  const deadlines = new Deadlines(clock);
  const events: GatewayEvent[] = [];
  const waiting: SentBatch[] = [];
  const considered: RouteProof[] = [];
  const alone: Answered[] = [];
  const together: Answered[] = [];
  /** How many calls a caller has in the service's queue beside. */
  const inQueue = new Map<string, number>();
  const route = aBatchRoute({
    ...{ batch: aBatchPolicy(batch), policy, waitingOf: callerId => inQueue.get(callerId) ?? 0 },
  });
  const { sharing } = route.policy;
  const format = sharing.batch?.rows ?? 'array';
  const subjects = createSubjects();
  const subject = subjects.of(subjectName('fuel', { target: '/predict', host: undefined }, ['json', format]));
  if (isProven) prove(subject, isTrusted, format);
  const states = new BatchingStates({ routes: () => [route], subjects, clock });

  const send: SendUpstream = options => {
    const via: Via = { instance: 'fuel-1', version: '1', attempts: 1, queueMs: 3, connectMs: 1, firstByteMs: 2 };
    const depart = () => options.message().body.toString();
    const answer: SentBatch['answer'] = ({ text = '', status = 200, fields = [] }) => {
      const given = { status, fields: [...fields], body: Buffer.from(text), via };
      if (requested.leftFor === undefined) options.waiting.answered(given);
      else options.keepLate?.(given);
    };
    const serve = () => {
      const sent = depart();
      answer(predicted(sent));
      return sent;
    };
    const requested: SentBatch = {
      ...{ options, leftFor: undefined, endsMs: options.endsMs, depart, answer, serve },
      fail: failure => options.waiting.failed(failure, via),
    };
    waiting.push(requested);
    return {
      ...via,
      isSent: false,
      leave: ({ code }) => {
        requested.leftFor = code;
      },
      extend: endsMs => {
        requested.endsMs = Math.max(requested.endsMs, endsMs);
      },
    };
  };
  const batchOf = createBatch({
    ...{ send: send, subjects, states, deadlines, clock, observe: event => events.push(event) },
    prover: { consider: wanted => considered.push(wanted) },
    rechecks: { answeredAlone: call => alone.push(call), answeredTogether: call => together.push(call) },
  });

  const call = (
    body: string,
    { caller = 'alice', target = '/predict', group = '', affinity = '', keepLate, budgetMs = 30_000 }: CallTraits = {},
  ): Called => {
    const message = { method: 'POST', target, host: undefined, fields: [], body: Buffer.from(body) };
    const ended = (outcome: string, via?: Via) => {
      called.outcome ??= outcome;
      called.via ??= via;
      deadlines.remove(timed);
    };
    const leave = (code: FailureCode) => {
      ended(code);
      request.leave(new GatewayError(code, 'of the test'));
    };
    const timed: Timed = {
      endsMs: clock.nowMs() + budgetMs,
      watchedAt: -1,
      onTimeOver: () => leave('DEADLINE_EXCEEDED'),
    };
    const called: Called = {
      ...{ outcome: undefined, via: undefined, hangUp: () => leave('CALLER_GONE') },
      extend: endsMs => request.extend(endsMs),
      isSent: () => request.isSent,
    };
    deadlines.add(timed);
    const request = batchOf(
      { sharing, message, group: `${target}${group}` },
      {
        ...{ id: 'request-1', route, method: 'POST', callerId: caller, affinity, endsMs: timed.endsMs, isShared: true },
        ...{ message: () => message, keepLate },
        waiting: {
          answered: answer => ended(`${answer.status} ${bodyTextOf(answer)}`, answer.via ?? undefined),
          failed: (failure, via) => ended(failure.code, via),
        },
      },
    );
    return called;
  };
  const reported = (kind: GatewayEvent['kind']) => events.filter(event => event.kind === kind);
  /** Serves until nothing waits; what R was sent. */
  const serveAll = () => {
    const sent: string[] = [];
    for (const { leftFor, serve } of waiting.slice(served)) {
      served += 1;
      if (leftFor === undefined) sent.push(serve());
    }
    return waiting.length > served ? [...sent, ...serveRest()] : sent;
  };
  let served = 0;
  const serveRest = (): string[] => serveAll();
  const isOn = () => states.read().get('fuel');
  return { clock, subject, waiting, inQueue, considered, alone, together, call, reported, serveAll, isOn };
}

const X_ROW = /"x":(-?\d+)/g;

function predicted(body: string): { readonly status: number; readonly text: string } {
  const values = [...body.matchAll(X_ROW)].map(([, x]) => Number(x));
  if (values.includes(-1)) return { status: 500, text: '{"error":"500 - Internal server error"}' };
  const answers = values.map(x => x * 2);
  return { status: 200, text: `{".pred":${answers.length === 1 ? String(answers[0]) : JSON.stringify(answers)}}` };
}

const rows = (...values: number[]) => `[${values.map(x => `{"x":${x}}`).join(',')}]`;
const all = (calls: readonly Called[]) => calls.map(({ outcome }) => outcome);

/** The item at `i`, which must be there. */
function at<T>(items: readonly T[], i: number): T {
  const item = items[i];
  assert.ok(item !== undefined, `nothing waits at ${i}`);
  return item;
}

describe('calls that wait', () => {
  test('travel as one, and each gets its own answers', () => {
    const { call, waiting, reported } = aBatchingRoute();
    const calls = [call(rows(1)), call(rows(2, 3)), call(rows(4))];

    const sent = at(waiting, 0).serve();

    assert.equal(sent, rows(1, 2, 3, 4));
    assert.deepEqual(all(calls), ['200 {".pred":2}', '200 {".pred":[4,6]}', '200 {".pred":8}']);
    assert.deepEqual([waiting.length, reported('batch')], [1, [{ kind: 'batch', service: 'fuel', rows: 4 }]]);
  });

  test('are all told the end of the one exchange, each with its own time in the queue', () => {
    const { call, waiting, clock } = aBatchingRoute();
    const first = call(rows(1));
    clock.advance(2);
    const second = call(rows(2));
    clock.advance(1);
    at(waiting, 0).serve();

    for (const { via } of [first, second]) {
      assert.deepEqual(
        [via?.attempts, via?.instance, via?.version, via?.connectMs, via?.firstByteMs],
        [1, 'fuel-1', '1', 1, 2],
      );
    }
    assert.deepEqual([first.via?.queueMs, second.via?.queueMs], [3, 1]);
  });

  test('join no batch that has departed: the next is another', () => {
    const { call, waiting } = aBatchingRoute();
    const first = call(rows(1));
    at(waiting, 0).depart();
    const second = call(rows(2));

    at(waiting, 0).serve();
    at(waiting, 1).serve();

    assert.deepEqual(all([first, second]), ['200 {".pred":2}', '200 {".pred":4}']);
  });

  test('travel alone as they came, whatever R answers', () => {
    const { call, waiting } = aBatchingRoute();
    const body = ' [ {"x":1.50} ] ';
    const called = call(body);

    assert.equal(at(waiting, 0).depart(), body);
    at(waiting, 0).answer({ status: 422, text: 'no' });

    assert.equal(called.outcome, '422 no');
  });

  test('are no more than `sizeMax` rows; one more opens the next batch', () => {
    const { call, waiting } = aBatchingRoute({ batch: { sizeMax: 3 } });
    call(rows(1, 2));
    call(rows(3));
    call(rows(4));
    call(rows(5, 6, 7));

    const sent = waiting.map(({ serve }) => serve());

    assert.deepEqual(sent, [rows(1, 2, 3), rows(4), rows(5, 6, 7)]);
  });

  test('go alone with more rows than `sizeMax`', () => {
    const { call, waiting } = aBatchingRoute({ batch: { sizeMax: 2 } });
    call(rows(1));
    call(rows(2, 3, 4));
    call(rows(5));

    assert.deepEqual(
      waiting.map(({ serve }) => serve()),
      [rows(1, 5), rows(2, 3, 4)],
    );
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
      waiting.map(({ options, depart }) => `${options.affinity} ${depart()}`),
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
    assert.equal(clock.alarms, 1, 'of the callers themselves');
  });

  test('are sent as columns where the route says so', () => {
    const { call, waiting } = aBatchingRoute({ batch: { rows: 'columns' } });
    const calls = [call('{"x":1}'), call('{"x":[2,3]}')];

    assert.equal(at(waiting, 0).depart(), '{"x":[1,2,3]}');
    at(waiting, 0).answer({ text: '{".pred":[2,4,6]}' });

    assert.deepEqual(all(calls), ['200 {".pred":2}', '200 {".pred":[4,6]}']);
  });
});

describe('a caller who leaves', () => {
  test('before the batch departs is not in it', () => {
    const { call, waiting } = aBatchingRoute();
    const calls = [call(rows(1)), call(rows(2)), call(rows(3))];
    at(calls, 0).hangUp();

    assert.equal(at(waiting, 0).serve(), rows(2, 3));
    assert.deepEqual(all(calls), ['CALLER_GONE', '200 {".pred":4}', '200 {".pred":6}']);
  });

  test('after it has departed costs the others nothing, and their answer can still be stored', () => {
    const kept: string[] = [];
    const { call, waiting } = aBatchingRoute();
    const calls = [call(rows(1), { keepLate: answer => kept.push(bodyTextOf(answer) ?? '') }), call(rows(2))];
    at(waiting, 0).depart();
    at(calls, 0).hangUp();
    at(waiting, 0).serve();

    assert.deepEqual(all(calls), ['CALLER_GONE', '200 {".pred":4}']);
    assert.deepEqual(kept, ['{".pred":2}']);
  });

  test('last ends the batch; what R answers all the same is stored for each call with a cache', () => {
    const kept: string[] = [];
    const keepLate = (answer: Answer) => kept.push(bodyTextOf(answer) ?? '');
    const { call, waiting } = aBatchingRoute();
    const calls = [call(rows(1), { keepLate, budgetMs: 10 }), call(rows(2)), call(rows(3), { keepLate })];
    const requested = at(waiting, 0);
    requested.depart();
    for (const { hangUp } of calls) hangUp();

    assert.equal(requested.leftFor, 'CALLER_GONE');
    requested.answer({ text: '{".pred":[2,4,6]}' });
    assert.deepEqual([all(calls), kept], [Array(3).fill('CALLER_GONE'), ['{".pred":2}', '{".pred":6}']]);
  });

  test('last before it departs takes it out of the queue, and a newcomer opens another', () => {
    const { call, waiting, clock } = aBatchingRoute({ batch: { waitMsMax: 10 } });
    const gone = call(rows(1));
    gone.hangUp();
    const next = call(rows(2));
    clock.advance(10);

    assert.equal(at(waiting, 0).serve(), rows(2));
    assert.deepEqual([gone.outcome, next.outcome, waiting.length], ['CALLER_GONE', '200 {".pred":4}', 1]);
  });

  test('since their time is over is told so, while the batch has the time of the most patient', () => {
    const { call, waiting, clock } = aBatchingRoute();
    const calls = [call(rows(1), { budgetMs: 100 }), call(rows(2), { budgetMs: 500 })];
    const requested = at(waiting, 0);
    assert.equal(requested.endsMs, 500);
    requested.depart();
    clock.advance(100);

    assert.equal(requested.leftFor, undefined);
    clock.advance(400);
    assert.deepEqual(all(calls), ['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED']);
    assert.equal(requested.leftFor, 'DEADLINE_EXCEEDED');
  });
});

describe('a batch that fails', () => {
  test('is divided until the guilty call stands alone, and only that one fails, as R answers it alone', () => {
    const { call, serveAll } = aBatchingRoute();
    const calls = [1, 2, 3, -1, 5, 6, 7, 8].map(x => call(rows(x)));

    const sent = serveAll();

    const expected = [1, 2, 3, -1, 5, 6, 7, 8].map(x => `${predicted(rows(x)).status} ${predicted(rows(x)).text}`);
    assert.deepEqual(all(calls), expected);
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
    ['a cookie, which is for one caller', { text: '{".pred":[2,4]}', fields: ['Set-Cookie', 'a=b'] }],
    ['a field that may be about one of them', { text: '{".pred":[2,4]}', fields: ['Warning', '199 - "row 2"'] }],
    ['another status', { text: '{".pred":[2,4]}', status: 203 }],
  ] as const) {
    test(`since R gives ${what}, is asked again in parts`, () => {
      const { call, waiting } = aBatchingRoute();
      const calls = [call(rows(1)), call(rows(2))];
      at(waiting, 0).depart();
      at(waiting, 0).answer(answer);
      for (const i of [1, 2]) at(waiting, i).serve();

      assert.deepEqual(all(calls), ['200 {".pred":2}', '200 {".pred":4}']);
    });
  }

  test('since it broke an instance, is asked one by one: halves would break more', () => {
    const { call, waiting } = aBatchingRoute();
    const calls = [1, 2, 3, 4].map(x => call(rows(x)));
    at(waiting, 0).depart();
    at(waiting, 0).fail(new GatewayError('CONNECTION_LOST', 'R died'));

    assert.deepEqual(
      waiting.slice(1).map(({ depart }) => depart()),
      [1, 2, 3, 4].map(x => rows(x)),
    );
    at(waiting, 2).fail(new GatewayError('CONNECTION_LOST', 'R died again'));
    for (const i of [1, 3, 4]) at(waiting, i).serve();
    assert.deepEqual(all(calls), ['200 {".pred":2}', 'CONNECTION_LOST', '200 {".pred":6}', '200 {".pred":8}']);
  });

  test('since the model took none of its rows, is divided as one that is answered so', () => {
    const { call, waiting } = aBatchingRoute();
    const calls = [1, 2, 3, 4].map(x => call(rows(x)));
    for (const i of [0, 1, 3]) {
      at(waiting, i).depart();
      at(waiting, i).fail(new GatewayError('MODEL_FAILED', 'no such level'));
    }
    for (const i of [2, 4]) at(waiting, i).serve();

    assert.deepEqual(all(calls), ['MODEL_FAILED', '200 {".pred":4}', '200 {".pred":6}', '200 {".pred":8}']);
  });

  test('since nothing took it, fails for all: dividing it would help no call', () => {
    const { call, waiting } = aBatchingRoute();
    const calls = [call(rows(1)), call(rows(2))];
    at(waiting, 0).fail(new GatewayError('SERVICE_UNAVAILABLE', 'none'));

    assert.deepEqual([all(calls), waiting.length], [Array(2).fill('SERVICE_UNAVAILABLE'), 1]);
  });

  test('since one waited too long, is put again for the others', () => {
    const { call, waiting, clock } = aBatchingRoute();
    const first = call(rows(1));
    clock.advance(4_000);
    const second = call(rows(2));
    clock.advance(1_000);
    at(waiting, 0).fail(new GatewayError('QUEUE_TIMEOUT', 'waited'));

    assert.equal(at(waiting, 1).serve(), rows(2));
    assert.deepEqual(all([first, second]), ['QUEUE_TIMEOUT', '200 {".pred":4}']);
  });

  test('since its first caller has too many waiting, is put again for the others', () => {
    const { call, waiting } = aBatchingRoute();
    const calls = [call(rows(1)), call(rows(2), { caller: 'bob' })];
    at(waiting, 0).fail(new GatewayError('QUEUE_FULL', 'full'));

    assert.equal(at(waiting, 1).options.callerId, 'bob');
    at(waiting, 1).serve();
    assert.deepEqual(all(calls), ['QUEUE_FULL', '200 {".pred":4}']);
  });

  test('again and again by the calls of one makes those travel singly, and no other’s', () => {
    const { call, serveAll, waiting, reported, clock } = aBatchingRoute();
    for (let i = 0; i < 8; i++) {
      call(rows(1));
      call(rows(-1), { caller: 'mallory' });
      call(rows(2), { caller: 'bob' });
      serveAll();
    }
    assert.deepEqual(reported('batching'), []);
    assert.deepEqual(reported('notice'), [
      {
        kind: 'notice',
        level: 'warn',
        text: 'batches keep failing by the calls of some: those travel singly for 30 s',
        about: { route: 'fuel', callers: 'mallory' },
      },
    ]);

    const before = waiting.length;
    call(rows(1));
    call(rows(-1), { caller: 'mallory' });
    call(rows(2), { caller: 'bob' });
    assert.deepEqual(
      waiting.slice(before).map(({ serve }) => serve()),
      [rows(1, 2), rows(-1)],
    );
    clock.advance(30_000);
    call(rows(1));
    call(rows(2), { caller: 'mallory' });
    assert.equal(serveAll().at(-1), rows(1, 2));
  });

  test('again and again, an instance each, by the calls of one makes those travel singly', () => {
    const { call, waiting, reported } = aBatchingRoute();
    for (let i = 0; i < 8; i++) {
      const from = waiting.length;
      call(rows(1));
      call(rows(-2), { caller: 'mallory' });
      at(waiting, from).depart();
      at(waiting, from).fail(new GatewayError('CONNECTION_LOST', 'R died'));
      at(waiting, from + 2).depart();
      at(waiting, from + 2).fail(new GatewayError('CONNECTION_LOST', 'R died again'));
      at(waiting, from + 1).serve();
    }

    assert.deepEqual([reported('batching').length, reported('notice').length], [0, 1]);
  });

  test('again and again makes calls travel singly for a while, and says so', () => {
    const { call, serveAll, waiting, reported, clock } = aBatchingRoute();
    const failOnce = () => {
      call(rows(1));
      call(rows(-1));
      serveAll();
    };
    for (let i = 0; i < 8; i++) failOnce();
    assert.equal(reported('batching').length, 1);
    assert.deepEqual(reported('batching')[0], {
      kind: 'batching',
      route: 'fuel',
      isOn: false,
      reason: 'batches keep failing: calls travel singly for 30 s',
    });

    const before = waiting.length;
    call(rows(1));
    call(rows(2));
    assert.equal(waiting.length - before, 2);
    serveAll();

    clock.advance(30_000);
    call(rows(1));
    call(rows(2));
    assert.equal(serveAll().at(-1), rows(1, 2));
    assert.deepEqual(reported('batching').at(-1), {
      kind: 'batching',
      route: 'fuel',
      isOn: true,
      reason: 'a batch went well again',
    });
  });
});

describe('a batch is no longer than the time of those in it allows', () => {
  /** A model that takes 10 ms for each row. */
  function aSlowModel() {
    const route = aBatchingRoute({
      policy: {
        retry: { attempts: 1, attemptTimeoutMs: 60_000, repeatableTimeoutMs: 60_000, on: new Set(), budgetPercent: 20 },
      },
    });
    for (let i = 0; i < 6; i++) {
      call(i);
      call(i);
      route.clock.advance(0);
      at(route.waiting, i).depart();
      route.clock.advance(20);
      at(route.waiting, i).answer({ text: '{".pred":[2,4]}' });
    }
    function call(x: number) {
      return route.call(rows(x));
    }
    return route;
  }

  test('who has little time left is not put behind others', () => {
    const { call, waiting } = aSlowModel();
    const from = waiting.length;
    call(rows(1, 2));
    call(rows(3), { budgetMs: 50 });
    call(rows(4));

    assert.deepEqual(
      waiting.slice(from).map(({ depart }) => depart()),
      [rows(1, 2, 4), rows(3)],
    );
  });

  test('which will be late, or has been, keeps no other from travelling together', () => {
    const { call, waiting, clock } = aSlowModel();
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

  test('whose time has become short in the queue travels with as many as it allows; the others take the next place', () => {
    const { call, waiting, clock } = aSlowModel();
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
      waiting.map(({ options, depart }) => `${options.callerId} ${depart()}`),
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
    const { call, waiting, inQueue } = aBatchingRoute();
    inQueue.set('mallory', 50);
    call(rows(1), { caller: 'mallory' });
    call(rows(2), { caller: 'bob' });
    call(rows(3), { caller: 'mallory' });
    inQueue.set('bob', 1); // the batch itself
    call(rows(4), { caller: 'bob' });
    call(rows(5), { caller: 'carol' });

    assert.deepEqual(
      waiting.map(({ options, depart }) => `${options.callerId} ${depart()}`),
      [`mallory ${rows(1, 3)}`, `bob ${rows(2, 4, 5)}`],
    );
  });
});

describe('a call that others share', () => {
  test('lasts as long as they need it to, and tells when it is too late to share it', () => {
    const { call, waiting } = aBatchingRoute();
    const [first] = [call(rows(1), { budgetMs: 100 }), call(rows(2), { budgetMs: 200 })];
    first.extend(700);

    assert.equal(at(waiting, 0).endsMs, 700);
    assert.equal(first.isSent(), false);
    at(waiting, 0).depart();
    assert.equal(first.isSent(), true);
  });
});

describe('a batch that one call makes a mistake of its caller', () => {
  for (const status of [400, 422]) {
    test(`is asked again so that only that caller hears ${status}, and others go on travelling together`, () => {
      const { call, waiting, isOn } = aBatchingRoute();
      const serveStrictly = () => {
        for (let i = served; i < waiting.length; i = ++served) {
          const sent = at(waiting, i).depart();
          const isWrong = sent.includes('"x":-1}');
          at(waiting, i).answer(isWrong ? { status, text: 'x must not be negative' } : predicted(sent));
        }
      };
      let served = 0;
      const outcomes: (string | undefined)[][] = [];
      for (let i = 0; i < 12; i++) {
        const calls = [call(rows(1)), call(rows(-1), { caller: 'mallory' }), call(rows(2), { caller: 'bob' })];
        serveStrictly();
        outcomes.push(all(calls));
      }

      for (const received of outcomes) {
        assert.deepEqual(received, ['200 {".pred":2}', `${status} x must not be negative`, '200 {".pred":4}']);
      }
      call(rows(5));
      call(rows(6), { caller: 'bob' });
      assert.equal(waiting.at(-1)?.depart(), rows(5, 6));
      assert.equal(isOn(), true);
    });
  }
});

describe('a model that has shown nothing yet', () => {
  test('is asked for each call alone, and in the background for a proof', () => {
    const { call, serveAll, considered, subject } = aBatchingRoute({ isProven: false });
    call(rows(1));
    call(rows(2));

    assert.deepEqual(serveAll(), [rows(1), rows(2)]);
    assert.deepEqual(
      [considered.length, considered[0]?.message.target, considered[0]?.policy.rows],
      [2, '/predict', 'array'],
    );
    assert.equal(subject.rowsSeen(), undefined, 'the rows of callers are none to prove by unless that is declared');
  });

  test('is proven with the rows of callers where they are declared to be independent, all of one group', () => {
    const { call, considered, subject } = aBatchingRoute({ isProven: false, batch: { rowsIndependent: true } });
    call(rows(1), { group: 'alice' });
    call(rows(2), { group: 'bob' });
    call(rows(3), { group: 'alice' });

    assert.equal(considered.length, 3);
    assert.equal(subject.rowsSeen()?.group, '/predictalice');
    assert.deepEqual(
      subject.rowsSeen()?.rows.map(({ pieces }) => pieces[0]),
      ['{"x":1}', '{"x":3}'],
    );
  });

  test('or that rows together get other answers, is asked for each alone, and for no proof', () => {
    const { call, subject, serveAll, considered } = aBatchingRoute({ isProven: false });
    subject.judge('1', { kind: 'refuted', reason: 'no' }, 0);
    call(rows(1));
    call(rows(2));

    assert.deepEqual([serveAll(), considered], [[rows(1), rows(2)], []]);
  });
});

describe('rows that have not been compared yet', () => {
  test('travel alone, and what R answers to them is compared', () => {
    const { call, serveAll, alone, together, isOn } = aBatchingRoute({ isTrusted: false });
    const calls = [call(rows(1)), call(rows(2))];

    assert.deepEqual(serveAll(), [rows(1), rows(2)]);
    assert.deepEqual(all(calls), ['200 {".pred":2}', '200 {".pred":4}']);
    assert.deepEqual(
      alone.map(({ text, version }) => `${version} ${text}`),
      ['1 {".pred":2}', '1 {".pred":4}'],
    );
    assert.deepEqual([together, isOn()], [[], false]);
  });

  test('are not compared where R does not answer well', () => {
    const { call, serveAll, alone } = aBatchingRoute({ isTrusted: false });
    call(rows(-1));
    serveAll();

    assert.deepEqual(alone, []);
  });

  for (const [what, body] of [
    ['of a shape not seen', '[{"z":1}]'],
    ['with a value missing where none was', '[{"x":1},{"x":null}]'],
    ['with a number that is longer than any', '[{"x":0.123456789}]'],
  ] as const) {
    test(`${what}, travel alone though others travel together`, () => {
      const { call, waiting } = aBatchingRoute();
      for (const each of [rows(1), body, rows(2)]) call(each);

      assert.deepEqual(
        waiting.map(({ depart }) => depart()),
        [rows(1, 2), body],
      );
    });
  }

  test('travel in no larger number than has been compared', () => {
    const { call, subject, waiting } = aBatchingRoute();
    const trust = subject.trustOf('1');
    assert.ok(trust);
    trust.rowsMax = 2;
    for (const x of [1, 2, 3]) call(rows(x));

    assert.deepEqual(
      waiting.map(({ depart }) => depart()),
      [rows(1, 2), rows(3)],
    );
  });

  test('after they have travelled together are handed on to be asked again alone, each with its own answer', () => {
    const { call, waiting, together } = aBatchingRoute();
    call(rows(1));
    call(rows(2, 3));
    at(waiting, 0).serve();

    assert.deepEqual(
      together.map(({ message, text }) => `${message.body.toString()} ${text}`),
      [`${rows(1)} {".pred":2}`, `${rows(2, 3)} {".pred":[4,6]}`],
    );
  });
});
