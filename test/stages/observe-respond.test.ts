import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { GatewayError } from '../../gateway/domain/errors.ts';
import type { GatewayEvent, RequestEvent } from '../../gateway/domain/events.ts';
import type { Answer, Received, Reply } from '../../gateway/domain/exchange.ts';
import { createObserve } from '../../gateway/stages/observe.ts';
import { createReceive } from '../../gateway/stages/receive.ts';
import { createRespond } from '../../gateway/stages/respond.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aMatched, anAdmitted } from '../support/requests.ts';

function anObserver() {
  const events: GatewayEvent[] = [];
  const clock = manualClock();
  const stage = createObserve({ clock, observe: event => events.push(event) });
  const line = (): RequestEvent | undefined => events.find(event => event.kind === 'request');
  return { events, clock, line, observe: (received: Received, next: () => Promise<Reply>) => stage(received, next) };
}

const respondTo = (received: Received, next: () => Promise<Reply>, events: GatewayEvent[] = []) =>
  createRespond({ observe: event => events.push(event) })(received, next) as Promise<Answer>;

const anAnswer = (body: Buffer | Readable = Buffer.from('ok')): Answer => ({
  kind: 'answer',
  status: 200,
  rawHeaders: [],
  body,
});

describe('observe', () => {
  test('tells that a request began, and once, in full, how it went', async () => {
    const { events, clock, line, observe } = anObserver();
    const received = anAdmitted();
    Object.assign(received.notes, { attempts: 2, instance: 'fuel-9101', queueMs: 3, bytesIn: 24 });

    await observe(received, () => {
      clock.advance(7);
      return Promise.resolve(anAnswer());
    });

    assert.deepEqual(
      events.map(event => event.kind),
      ['request-began', 'request'],
    );
    assert.deepEqual(line(), {
      kind: 'request',
      id: 'request-1',
      caller: '192.0.2.7',
      method: 'GET',
      path: '/api/fuel/predict',
      route: 'fuel',
      service: 'fuel',
      instance: 'fuel-9101',
      version: null,
      status: 200,
      code: null,
      attempts: 2,
      queueMs: 3,
      connectMs: null,
      firstByteMs: null,
      totalMs: 7,
      bytesIn: 24,
      bytesOut: 2,
    });
  });

  test('waits for the end of a body that is a stream', async () => {
    const { line, observe } = anObserver();
    const body = Readable.from([Buffer.from('a')]);

    await observe(aMatched(), () => Promise.resolve(anAnswer(body)));
    assert.equal(line(), undefined);
    const closed = new Promise(resolve => body.once('close', resolve));
    body.resume();
    await closed;

    assert.equal(line()?.code, null);
  });

  test('says how a body broke off', async () => {
    const { line, observe } = anObserver();
    const body = new Readable({ read: () => undefined });
    body.on('error', () => undefined);

    await observe(aMatched(), () => Promise.resolve(anAnswer(body)));
    const closed = new Promise(resolve => body.once('close', resolve));
    body.destroy(new GatewayError('CONNECTION_LOST', 'gone'));
    await closed;

    assert.equal(line()?.code, 'CONNECTION_LOST');
  });

  test('waits for the end of what was handed over', async () => {
    const { line, observe } = anObserver();
    let end: () => void = () => undefined;
    const ended = new Promise<void>(resolve => {
      end = resolve;
    });

    await observe(aMatched(), () => Promise.resolve({ kind: 'handed-over', status: 101, ended }));
    assert.equal(line(), undefined);
    end();
    await ended;

    assert.equal(line()?.status, 101);
  });

  test('tells of a failure that nobody answered, too', async () => {
    const { line, observe } = anObserver();

    await assert.rejects(
      observe(aMatched(), () => Promise.reject(new TypeError('oops'))),
      { message: 'oops' },
    );

    assert.deepEqual({ status: line()?.status, code: line()?.code }, { status: 500, code: 'INTERNAL' });
  });
});

describe('respond', () => {
  test('turns a failure into its problem, with the fields it brings', async () => {
    const received = aMatched();
    const failure = new GatewayError('QUEUE_FULL', 'ours', { retryAfterMs: 1_500, fields: ['X-Why', 'full'] });

    const { status, rawHeaders, body } = await respondTo(received, () => Promise.reject(failure));

    assert.equal(status, 503);
    assert.equal((JSON.parse(String(body as Buffer)) as { code: string }).code, 'QUEUE_FULL');
    assert.deepEqual(rawHeaders.slice(-6), ['X-Why', 'full', 'Retry-After', '2', 'X-Request-Id', 'request-1']);
    assert.equal(received.notes.code, 'QUEUE_FULL');
  });

  test('says nothing of our insides to the caller, and all of it to us', async () => {
    const events: GatewayEvent[] = [];
    const mistake = new TypeError('secret');

    const { status, body } = await respondTo(aMatched(), () => Promise.reject(mistake), events);

    assert.equal(status, 500);
    assert.ok(Buffer.isBuffer(body));
    assert.doesNotMatch(body.toString(), /secret/);
    assert.deepEqual(events, [{ kind: 'internal-error', where: 'flow', error: mistake, requestId: 'request-1' }]);
  });

  test('answers what the edge refuses without asking anybody', async () => {
    const refusal = new GatewayError('DRAINING', 'draining');

    const { status } = await respondTo(aMatched({ request: { refusal } }), () => assert.fail('asked'));

    assert.equal(status, 503);
  });
});

describe('receive', () => {
  test('takes the body in up to the route’s bound', async () => {
    const asked: number[] = [];
    const body = {
      length: 5,
      read: (bytesMax: number) => {
        asked.push(bytesMax);
        return Promise.resolve(Buffer.from('hello'));
      },
    };
    const admitted = anAdmitted({ request: { body }, policy: { bodyBytesMax: 77 } });

    const complete = await createReceive()(admitted);

    assert.equal(String(complete.content), 'hello');
    assert.equal(complete.notes.bytesIn, 5);
    assert.deepEqual(asked, [77]);
  });

  test('asks for nothing where there is no body', async () => {
    const body = { length: 0, read: () => assert.fail('read') };

    assert.equal((await createReceive()(anAdmitted({ request: { body } }))).content.length, 0);
  });

  test('refuses an upgrade, naming the key that would carry it', async () => {
    await assert.rejects(createReceive()(anAdmitted({ request: { isUpgrade: true } })), {
      code: 'STREAM_NOT_ENABLED',
      detail: /`stream: true`/,
    });
  });
});
