import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import type { BodyReader, Call, Complete } from '../../gateway/domain/call.ts';
import { GatewayError } from '../../gateway/domain/errors.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type { Answer } from '../../gateway/domain/upstream.ts';
import { createObserve } from '../../gateway/stages/observe.ts';
import { unpack } from '../../gateway/edges/zlib.ts';
import { createReceive } from '../../gateway/stages/receive.ts';
import { createRespond } from '../../gateway/stages/respond.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aMatched, anAdmitted, endOf, type RequestTraits } from '../support/requests.ts';

/** The stage, a call, and what the edge was given for it. */
function aResponder(traits: RequestTraits = {}) {
  const events: GatewayEvent[] = [];
  const sent: Answer[] = [];
  const wire = {
    send: (_: Call, answer: Answer) => sent.push(answer),
    interim: () => undefined,
    destroy: () => undefined,
  };
  const call = aMatched({ ...traits, request: { wire, ...traits.request } });
  return { respond: createRespond({ observe: event => events.push(event) }), call, events, sent };
}

describe('observe', () => {
  test('tells once, in full, how a call went', () => {
    const clock = manualClock();
    const events: GatewayEvent[] = [];
    const call = anAdmitted({ clock });
    const attempt = { outcome: 'ok', status: 200, durationMs: 4, queueMs: 3 } as const;
    const via = { instance: 'fuel-9101', version: null, attempts: 2, queueMs: 3, connectMs: null, firstByteMs: 1 };
    Object.assign(call.record, { status: 200, bytesIn: 24, bytesOut: 2, via: { ...via, last: attempt } });
    clock.advance(7);

    createObserve({ clock, audit: { note: () => undefined }, observe: event => events.push(event) })(call);

    assert.deepEqual(events, [
      {
        kind: 'request',
        id: 'request-1',
        caller: '192.0.2.7',
        protocol: undefined,
        method: 'GET',
        path: '/api/fuel/predict',
        route: 'fuel',
        service: 'fuel',
        status: 200,
        code: null,
        ...via,
        totalMs: 7,
        bytesIn: 24,
        bytesOut: 2,
        cache: null,
        isCoalesced: false,
        attempt,
      },
    ]);
  });
});

describe('respond', () => {
  test('gives the edge the answer with what every reply carries, and the edge alone', () => {
    const { respond, call, sent } = aResponder();
    const answer = { status: 201, fields: ['X-A', '1', 'x-request-id', 'of-R'], body: Buffer.from('ok'), via: null };

    respond.answer(call, answer);

    assert.deepEqual(sent, [{ ...answer, fields: ['X-A', '1', 'X-Request-Id', 'request-1'] }]);
    assert.deepEqual([call.isReplied, call.record.status, call.record.code], [true, 201, null]);
  });

  test('replies once: a second answer is let go', () => {
    const { respond, call, sent } = aResponder();
    const body = new Readable({ read: () => undefined });
    respond.failure(call, new GatewayError('DEADLINE_EXCEEDED', 'late'));

    respond.answer(call, { status: 200, fields: [], body, via: null });

    assert.deepEqual([sent.length, body.destroyed], [1, true]);
  });

  test('turns a failure into its problem, with the fields it brings', () => {
    const { respond, call, sent } = aResponder();

    respond.failure(call, new GatewayError('QUEUE_FULL', 'ours', { retryAfterMs: 1_500, fields: ['X-Why', 'full'] }));

    const [{ status, fields, body } = assert.fail()] = sent;
    assert.equal(status, 503);
    assert.equal((JSON.parse(String(body as Buffer)) as { code: string }).code, 'QUEUE_FULL');
    assert.deepEqual(fields.slice(-6), ['X-Why', 'full', 'Retry-After', '2', 'X-Request-Id', 'request-1']);
    assert.equal(call.record.code, 'QUEUE_FULL');
  });

  test('says nothing of our insides to the caller, and all of it to us', () => {
    const { respond, call, sent, events } = aResponder();
    const mistake = new TypeError('secret');

    respond.failure(call, new GatewayError('INTERNAL', 'unexpected error', { cause: mistake }));

    const [{ status, body } = assert.fail()] = sent;
    assert.equal(status, 500);
    assert.ok(Buffer.isBuffer(body));
    assert.doesNotMatch(body.toString(), /secret/);
    assert.deepEqual(events, [{ kind: 'internal-error', where: 'flow', error: mistake, requestId: 'request-1' }]);
  });
});

describe('receive', () => {
  test('takes the body in up to the route’s bound', () => {
    const requested: number[] = [];
    const received: Complete[] = [];
    const body = {
      length: 5,
      read(bytesMax: number, reader: BodyReader) {
        requested.push(bytesMax);
        reader.onBody(Buffer.from('hello'));
      },
      leave: () => undefined,
    };

    createReceive({ unpack })(anAdmitted({ request: { body }, policy: { bodyBytesMax: 77 } }), call =>
      received.push(call),
    );

    assert.deepEqual(
      received.map(({ content, record }) => [String(content), record.bytesIn]),
      [['hello', 5]],
    );
    assert.deepEqual(requested, [77]);
  });

  test('asks for nothing where there is no body', () => {
    const body = { length: 0, read: () => assert.fail('read'), leave: () => undefined };
    let content: Buffer | undefined;

    createReceive({ unpack })(anAdmitted({ request: { body } }), call => (content = call.content));

    assert.equal(content?.length, 0);
  });

  test('lets go of a body when the call ends before it is there', () => {
    let isLeft = false;
    const body = { length: 5, read: () => undefined, leave: () => (isLeft = true) };
    const call = anAdmitted({ request: { body } });
    createReceive({ unpack })(call, () => assert.fail('it is not there'));

    call.hangUp();
    call.onBody(Buffer.from('late'));

    assert.ok(isLeft);
    assert.equal(endOf(call).failure?.code, 'CALLER_GONE');
  });

  test('refuses an upgrade, naming the key that would carry it', () => {
    const call = anAdmitted({ request: { isUpgrade: true } });

    assert.throws(() => createReceive({ unpack })(call, () => assert.fail('taken in')), {
      code: 'STREAM_NOT_ENABLED',
      detail: /`stream: true`/,
    });
  });
});
