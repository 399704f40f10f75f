import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { GatewayError } from '../../gateway/domain/errors.ts';
import type { Answer, Attempt, Question } from '../../gateway/domain/exchange.ts';
import type { SendBounds, Sending, Settled, UpstreamAnswer, UpstreamRequest } from '../../gateway/domain/ports.ts';
import type { Finding } from '../../gateway/domain/service.ts';
import { createForward } from '../../gateway/stages/forward.ts';
import { aQuestionFor, anEntry, aService } from '../support/builders.ts';
import type { RequestTraits } from '../support/requests.ts';

const JSON_FIELDS = ['Content-Type', 'application/json'];
const PLAIN_FIELDS = ['Content-Type', 'text/plain; charset=UTF-8'];
const OK: UpstreamAnswer = { status: 200, rawHeaders: JSON_FIELDS, body: Buffer.from('[1]') };

/** A promise that the test settles. */
function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** The stage before a transport that answers when the test says so. */
async function aForward({ keep, ...traits }: RequestTraits & Pick<Question, 'keep'> = {}) {
  const at = aService({ entries: [anEntry('a', { version: '1.2.0' })] });
  const answered = deferred<UpstreamAnswer>();
  const settled = deferred<Settled>();
  const sent: { request: UpstreamRequest; bounds: SendBounds }[] = [];
  let discards = 0;
  const transport = {
    send(request: UpstreamRequest, bounds: SendBounds): Sending {
      sent.push({ request, bounds });
      return {
        answer: answered.promise,
        settled: settled.promise,
        timings: { connectMs: 0.2, firstByteMs: 2.4 },
        discard: () => (discards += 1),
      };
    },
    forget: () => undefined,
    close: () => Promise.resolve(),
  };
  const findings: Finding[] = [];
  const { service } = at;
  const reporting = {
    ...service,
    name: service.name,
    policy: service.policy,
    report: (_: unknown, finding: Finding) => {
      assert.equal(service.view().permits.inUse, 1, 'told before the place is given back');
      findings.push(finding);
    },
  };
  const controller = new AbortController();
  const statuses: number[] = [];
  const attempt: Attempt = {
    number: 1,
    signal: controller.signal,
    tried: [],
    placed: () => undefined,
    answered: status => statuses.push(status),
  };
  const permit = await at.take();
  const question = { ...aQuestionFor(reporting, traits), keep };
  const forward = createForward({ transport, clock: at.clock, observe: event => at.events.push(event) });
  const inUse = async () => {
    await setImmediate();
    return service.view().permits;
  };

  return {
    ...at,
    question,
    permit,
    sent,
    findings,
    statuses,
    inUse,
    forward: () => forward(question, attempt, permit),
    leave: (reason: GatewayError) => controller.abort(reason),
    answer: answered.resolve,
    fail: answered.reject,
    settle: settled.resolve,
    discards: () => discards,
    outcomes: () => findings.map(({ outcome }) => outcome),
  };
}

describe('forward', () => {
  test('brings R’s answer, and gives the place back when R is done', async () => {
    const at = await aForward();
    const reply = at.forward();
    at.clock.advance(3);

    at.answer(OK);
    at.settle('answered');

    assert.deepEqual(await reply, { kind: 'answer', status: 200, rawHeaders: JSON_FIELDS, body: OK.body });
    assert.deepEqual(await at.inUse(), { inUse: 0, abandoned: 0 });
    const [{ request, ...finding } = assert.fail()] = at.findings;
    assert.deepEqual(finding, { callerId: '192.0.2.7', outcome: 'ok', durationMs: 3 });
    assert.equal(typeof request, 'object');
    assert.deepEqual(at.told('attempt'), [
      { kind: 'attempt', service: 'fuel', instance: 'a', outcome: 'ok', durationMs: 3 },
    ]);
    assert.deepEqual(at.statuses, [200]);
  });

  test('sends what was composed, within the bounds of service and route', async () => {
    const at = await aForward({ policy: { answerBytesMax: 77 }, request: { query: 'x=1' } });
    void at.forward();

    const [{ request, bounds } = assert.fail('nothing was sent')] = at.sent;
    assert.equal(request.origin, 'http://a.test:8000');
    assert.equal(request.target, '/api/fuel/predict?x=1');
    assert.deepEqual(bounds, { reuse: false, connectTimeoutMs: 1_000, hangMsMax: 120_000, bufferBytesMax: 77 });
  });

  test('notes where it went and how long that took', async () => {
    const at = await aForward();
    const reply = at.forward();
    at.answer(OK);
    await reply;

    const { instance, version, connectMs, firstByteMs } = at.question.notes;
    assert.deepEqual([instance, version, connectMs, firstByteMs], ['a', '1.2.0', 0.2, 2.4]);
  });

  test('keeps the place until the exchange has settled', async () => {
    const at = await aForward();
    const reply = at.forward();
    at.answer({ ...OK, body: Readable.from(['long']) });
    await reply;

    assert.equal((await at.inUse()).inUse, 1);
    assert.deepEqual(at.outcomes(), []);
    at.clock.advance(9_000); // the reader is slow, not R
    at.settle('answered');

    assert.equal((await at.inUse()).inUse, 0);
    assert.deepEqual([at.findings[0]?.outcome, at.findings[0]?.durationMs], ['ok', 0]);
  });

  test('tells of an answer that broke off after its head', async () => {
    const at = await aForward();
    const reply = at.forward();
    at.answer({ ...OK, body: Readable.from(['long']) });
    await reply;

    at.settle('lost');

    assert.equal((await at.inUse()).inUse, 0);
    assert.deepEqual(at.outcomes(), ['lost']);
  });

  test('is one more who waits for nothing when the place settles before the answer is looked at', async () => {
    const at = await aForward();
    const reply = at.forward();

    at.settle('answered');
    at.answer(OK);

    await reply;
    assert.deepEqual(await at.inUse(), { inUse: 0, abandoned: 0 });
    assert.deepEqual(at.outcomes(), ['ok']);
  });

  test('sends nothing for a caller who has left already', async () => {
    const at = await aForward();
    at.leave(new GatewayError('CALLER_GONE', 'gone'));

    await assert.rejects(at.forward(), { code: 'CALLER_GONE' });
    assert.equal(at.sent.length, 0);
    assert.equal(at.permit.hasBegun, false);
  });

  test('leaves the answer as the instance gave it, whatever filters the route has', async () => {
    const onReply = (draft: { fields: string[] }) => draft.fields.push('X-Filtered', 'yes');
    const at = await aForward({ filters: [{ name: 'AddResponseHeader', text: '', onReply }] });
    const reply = at.forward();
    at.answer(OK);

    const { status, rawHeaders } = await reply;
    assert.deepEqual([status, rawHeaders], [200, JSON_FIELDS]);
    assert.deepEqual(at.statuses, [200]);
  });

  test('keeps a good answer that comes when nobody waits any more, where somebody would have it', async () => {
    const kept: Answer[] = [];
    const at = await aForward({ keep: answer => kept.push(answer) });
    const reply = at.forward();
    at.leave(new GatewayError('CALLER_GONE', 'gone'));
    await assert.rejects(reply, { code: 'CALLER_GONE' });

    at.answer(OK);
    await setImmediate();

    assert.equal(at.discards(), 0);
    assert.deepEqual(kept, [{ kind: 'answer', ...OK }]);
  });

  test('keeps no answer that says the instance failed', async () => {
    const kept: Answer[] = [];
    const at = await aForward({ keep: answer => kept.push(answer) });
    const reply = at.forward();
    at.leave(new GatewayError('CALLER_GONE', 'gone'));
    await assert.rejects(reply, { code: 'CALLER_GONE' });

    at.answer({ status: 500, rawHeaders: PLAIN_FIELDS, body: Buffer.from('An exception occurred.') });
    await setImmediate();

    assert.deepEqual(kept, []);
  });
});

describe('a failed exchange', () => {
  const rows: [Settled, string, 'CONNECT_FAILED' | 'CONNECTION_LOST' | 'UPSTREAM_FAULT' | 'ATTEMPT_TIMEOUT'][] = [
    ['refused', 'refused', 'CONNECT_FAILED'],
    ['connect-timeout', 'connect-timeout', 'CONNECT_FAILED'],
    ['lost', 'lost', 'CONNECTION_LOST'],
    ['malformed', 'fault', 'UPSTREAM_FAULT'],
    ['hung', 'hung', 'ATTEMPT_TIMEOUT'],
    ['abandoned', 'abandoned', 'CONNECT_FAILED'],
  ];
  for (const [settled, outcome, code] of rows) {
    test(`that was ${settled} is told as ${outcome}`, async () => {
      const at = await aForward();
      const reply = at.forward();
      at.fail(new GatewayError(code, settled));
      at.settle(settled);

      await assert.rejects(reply, { code });
      assert.deepEqual(await at.inUse(), { inUse: 0, abandoned: 0 });
      assert.deepEqual(at.outcomes(), [outcome]);
    });
  }
});

describe('an answer', () => {
  const plain = (text: string) => ({ status: 500, rawHeaders: PLAIN_FIELDS, body: Buffer.from(text) });
  const rows: [string, UpstreamAnswer, string, string | number][] = [
    ['500 of R’s code is R’s own', { ...OK, status: 500 }, 'ok', 500],
    ['plain 500 of R’s code is R’s own', plain('my model failed'), 'ok', 500],
    [
      'plain 500 of httpuv, interrupted, is the instance’s fault',
      plain('An exception occurred.'),
      'fault',
      'UPSTREAM_FAULT',
    ],
    ['plain 500 of httpuv, in error, is the instance’s fault', plain('ERROR: boom'), 'fault', 'UPSTREAM_FAULT'],
    ['status that the service counts is passed on', { ...OK, status: 503 }, 'status', 503],
    ['status that is none is the instance’s fault', { ...OK, status: 777 }, 'fault', 'UPSTREAM_FAULT'],
    ['upgrade is a stream', { ...OK, status: 101 }, 'ok', 'STREAM_NOT_ENABLED'],
  ];
  for (const [name, answer, outcome, end] of rows) {
    test(`with a ${name}`, async () => {
      const at = await aForward();
      const reply = at.forward();
      at.answer(answer);
      at.settle('answered');

      const got = await reply.then(
        ({ status }) => status,
        (error: unknown) => (error as GatewayError).code,
      );
      assert.equal(got, end);
      await at.inUse();
      assert.deepEqual(at.outcomes(), [outcome]);
    });
  }

  test('that is an event stream is refused, naming the key, and not read', async () => {
    const at = await aForward({ routeId: 'ticks' });
    const body = new Readable({ read: () => undefined });
    const reply = at.forward();
    at.answer({ status: 200, rawHeaders: ['content-type', 'text/event-stream; charset=utf-8'], body });

    await assert.rejects(reply, { code: 'STREAM_NOT_ENABLED', detail: /`stream: true` on the route "ticks"/ });
    assert.equal(body.destroyed, true);
  });
});

describe('who leaves before R has answered', () => {
  const gone = new GatewayError('CALLER_GONE', 'gone');

  test('waits no longer, but the place stays taken until R is done, which proves it alive', async t => {
    const at = await aForward();
    const prove = t.mock.method(at.permit, 'prove');
    const reply = at.forward();

    at.leave(gone);

    await assert.rejects(reply, { code: 'CALLER_GONE' });
    assert.deepEqual(await at.inUse(), { inUse: 1, abandoned: 1 });
    assert.equal(at.discards(), 1);
    assert.deepEqual(at.outcomes(), ['abandoned']);
    at.answer(OK);
    at.settle('answered');
    assert.deepEqual(await at.inUse(), { inUse: 0, abandoned: 0 });
    assert.equal(at.told('attempt').length, 1);
    assert.equal(at.findings.length, 1);
    assert.equal(prove.mock.callCount(), 1);
  });

  test('does not keep what still comes', async () => {
    const at = await aForward();
    const reply = at.forward();
    at.leave(gone);
    await assert.rejects(reply);
    const body = new Readable({ read: () => undefined });

    at.answer({ ...OK, body });
    await setImmediate();

    assert.equal(body.destroyed, true);
  });

  test('is a failure of the instance when the attempt’s time was over', async () => {
    const at = await aForward();
    const reply = at.forward();

    at.leave(new GatewayError('ATTEMPT_TIMEOUT', 'late'));

    await assert.rejects(reply, { code: 'ATTEMPT_TIMEOUT' });
    assert.deepEqual(at.outcomes(), ['timeout']);
  });

  for (const [heldMs, outcome] of [
    [15_000, 'timeout'],
    [14_999, 'abandoned'],
  ] as const) {
    test(`is ${outcome} when the instance had ${heldMs} ms of a deadline of 30 s`, async () => {
      const at = await aForward();
      const reply = at.forward();
      at.clock.advance(heldMs);

      at.leave(new GatewayError('DEADLINE_EXCEEDED', 'late'));

      await assert.rejects(reply, { code: 'DEADLINE_EXCEEDED' });
      assert.deepEqual(at.outcomes(), [outcome]);
    });
  }

  for (const settled of ['hung', 'lost'] as const) {
    test(`is followed by the news that the instance was ${settled}`, async t => {
      const at = await aForward();
      const prove = t.mock.method(at.permit, 'prove');
      const reply = at.forward();
      at.leave(gone);
      await assert.rejects(reply);

      at.fail(new GatewayError('CONNECTION_LOST', settled));
      at.settle(settled);

      assert.deepEqual(await at.inUse(), { inUse: 0, abandoned: 0 });
      assert.deepEqual(at.outcomes(), ['abandoned', settled]);
      assert.equal(at.told('attempt').length, 1);
      assert.equal(prove.mock.callCount(), 0);
    });
  }
});
