import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { Deadlines } from '../../gateway/domain/deadlines.ts';
import { GatewayError, type FailureCode } from '../../gateway/domain/errors.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type {
  Instance,
  Finding,
  Permit,
  PermitRequest,
  Service,
  AffinityKey,
  BalanceSpec,
} from '../../gateway/domain/service.ts';
import type { Filter, RetryPolicy, Route, RoutePolicy } from '../../gateway/domain/route.ts';
import type {
  Answer,
  Exchange,
  ExchangeBounds,
  ExchangeEnd,
  ExchangeListener,
  UpstreamAnswer,
  UpstreamMessage,
  UpstreamRequestOptions,
  Via,
} from '../../gateway/domain/upstream.ts';
import { createAttempt, requestOf } from '../../gateway/stages/attempt.ts';
import { anInstance, aServicePolicy, scripted } from '../support/service-at-work.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aComplete, aRoute, type RequestTraits } from '../support/requests.ts';

const JSON_FIELDS = ['Content-Type', 'application/json'];
const PLAIN_FIELDS = ['Content-Type', 'text/plain; charset=UTF-8'];

const GENEROUS: RetryPolicy = {
  attempts: 3,
  attemptTimeoutMs: 10_000,
  repeatableTimeoutMs: 10_000,
  on: new Set(['connect-failure', 'connection-lost', 'attempt-timeout', 502, 503, 504]),
  budgetPercent: 20,
};

const ENDS = {
  CONNECT_FAILED: 'refused',
  CONNECTION_LOST: 'lost',
  UPSTREAM_FAULT: 'malformed',
  ATTEMPT_TIMEOUT: 'hung',
} as const;

/** What an exchange comes to: an answer of this status, a failure, or nothing yet. */
type Outcome = number | keyof typeof ENDS | UpstreamAnswer | undefined;

interface Traits {
  readonly method?: string;
  readonly policy?: Partial<RoutePolicy>;
  readonly retry?: Partial<RetryPolicy>;
  readonly balance?: BalanceSpec;
  readonly hasBudget?: boolean;
  readonly jitterMs?: number;
  readonly filters?: readonly Filter[];
  readonly request?: RequestTraits['request'];
  /** Of each exchange, in order. */
  readonly outcomes?: readonly Outcome[];
  /** Of each time a permit is asked for: by default there is one. */
  readonly permits?: readonly ('at-once' | 'later' | FailureCode)[];
  readonly options?: Partial<UpstreamRequestOptions>;
  /** The transport refuses what it is to send. */
  readonly unsendable?: boolean;
}

/** An exchange that the test ends. */
interface Sent extends Exchange {
  readonly origin: string;
  readonly message: UpstreamMessage;
  readonly bounds: ExchangeBounds;
  readonly discards: () => number;
  end(end: Exclude<Outcome, undefined>): void;
}

/** A request put to a service that gives permits as told, before a transport that answers as told. */
function anAttempt(traits: Traits = {}) {
  const { method = 'GET', retry, policy, outcomes = [], permits = [], hasBudget = true } = traits;
  const clock = manualClock();
  const deadlines = new Deadlines(clock);
  const events: GatewayEvent[] = [];
  const exchanges: Sent[] = [];
  const findings: Finding[] = [];
  const requested: { request: PermitRequest; tried: readonly Instance[] }[] = [];
  const held = { inUse: 0, abandoned: 0, proved: 0 };
  const left: PermitRequest[] = [];
  const budgets: number[] = [];

  const aPermit = (number: number): Permit => {
    held.inUse += 1;
    let isHeld = true;
    let isAbandoned = false;
    const permit = {
      instance: anInstance({ id: `r-${number}`, origin: `http://r-${number}.test:8000`, version: '1.2.0' }),
      isAhead: false,
      sinceMs: clock.nowMs(),
      hasBegun: false,
      begin: () => (permit.hasBegun = true),
      abandon: () => ((isAbandoned = true), (held.abandoned += 1)),
      prove: () => (held.proved += 1),
      release() {
        assert.ok(isHeld, 'a permit is given back once');
        isHeld = false;
        held.inUse -= 1;
        if (isAbandoned) held.abandoned -= 1;
      },
    };
    return permit;
  };

  const service = {
    name: 'fuel',
    policy: aServicePolicy(traits.balance === undefined ? {} : { balance: traits.balance }),
    budget: { request: () => undefined, tryRetry: (percent: number) => (budgets.push(percent), hasBudget) },
    acquire(request: PermitRequest) {
      const how = permits[requested.length] ?? 'at-once';
      requested.push({ request, tried: request.tried });
      if (how === 'at-once') return aPermit(requested.length);
      if (how === 'later') return undefined;
      throw new GatewayError(how, how);
    },
    leave: (request: PermitRequest) => left.push(request),
    report(_: Instance, finding: Finding) {
      assert.ok(held.inUse > 0, 'told before the permit is given back');
      findings.push(finding);
    },
  } as unknown as Service; // nothing else of it is asked

  const transport = {
    send(
      origin: string,
      message: UpstreamMessage,
      { bounds, listener }: { bounds: ExchangeBounds; listener: ExchangeListener },
    ) {
      if (traits.unsendable === true) throw new GatewayError('INTERNAL', 'unsendable');
      let discards = 0;
      const sent: Sent = {
        origin,
        message,
        bounds,
        listener,
        sentMs: clock.nowMs(),
        firstByteMs: clock.nowMs() + 2.4,
        discard: () => (discards += 1),
        discards: () => discards,
        end: outcome => sent.listener.onEnd(toEnd(outcome)),
      };
      exchanges.push(sent);
      const outcome = outcomes[exchanges.length - 1];
      if (outcome !== undefined) queueMicrotask(() => sent.end(outcome)); // never from within `send`
      return sent;
    },
    forget: () => undefined,
    close: () => Promise.resolve(),
  };

  const random = scripted(traits.jitterMs ?? 0);
  const attempt = createAttempt({ transport, clock, random, deadlines, observe: event => events.push(event) });
  const route: Route = {
    ...aRoute({ policy: { ...policy, retry: { ...GENEROUS, ...retry } }, filters: traits.filters ?? [] }),
    service,
  };
  const call = aComplete({ request: { method, ...traits.request }, route, clock });
  call.arm(30_000);
  const ends: { answer?: Answer; code?: string; via?: Via }[] = [];
  const waiting = {
    answered: (answer: Answer) => void ends.push({ answer }),
    failed: (failure: GatewayError, via: Via) => void ends.push({ code: failure.code, via }),
  };
  const send = () => attempt({ ...requestOf(call), waiting, ...traits.options });

  /** How it ends, with every wait cut short. */
  async function end(): Promise<number | string> {
    for (let turn = 0; ends.length === 0 && turn < 50; turn++) {
      await Promise.resolve();
      clock.advance(turn < 10 ? 0 : 50);
    }
    const [{ answer, code } = assert.fail('it never ended')] = ends;
    return answer?.status ?? code ?? assert.fail();
  }

  return {
    call,
    send,
    end,
    ends,
    exchanges,
    findings,
    requested,
    held,
    left,
    budgets,
    events,
    clock,
    deadlines,
    permit: aPermit,
  };
}

function toEnd(outcome: Exclude<Outcome, undefined>): ExchangeEnd {
  if (typeof outcome === 'string') {
    return { kind: ENDS[outcome], failure: new GatewayError(outcome, outcome) };
  }
  if (typeof outcome === 'object') return { kind: 'answered', answer: outcome };
  return { kind: 'answered', answer: anAnswer(outcome) };
}

function anAnswer(
  status = 200,
  body: UpstreamAnswer['body'] = Buffer.from('[1]'),
  fields = JSON_FIELDS,
): UpstreamAnswer {
  return { status, fields: [...fields], body };
}

const outcomesOf = ({ findings }: { findings: readonly Finding[] }) => findings.map(({ outcome }) => outcome);

describe('a request put to R', () => {
  test('is sent before `attempt` returns where a permit is free, and answered as R answered', async () => {
    const at = anAttempt({ outcomes: [200] });

    const request = at.send();

    assert.equal(at.exchanges.length, 1);
    assert.equal(await at.end(), 200);
    const [{ answer }] = at.ends as [{ answer: Answer }];
    assert.deepEqual(answer, {
      ...{ status: 200, fields: [...JSON_FIELDS, 'Via', '1.1 penstock'], body: Buffer.from('[1]') },
      via: request,
    });
    assert.deepEqual(at.held, { inUse: 0, abandoned: 0, proved: 0 });
    assert.equal(at.deadlines.size, 0, 'nothing of it is timed any more');
  });

  test('carries who answered it, and how long that took', async () => {
    const at = anAttempt({ outcomes: [200] });

    const { instance, version, attempts, queueMs, connectMs, firstByteMs } = at.send();
    await at.end();

    assert.deepEqual([instance, version, attempts, queueMs], ['r-1', '1.2.0', 1, 0]);
    const [{ answer }] = at.ends as [{ answer: Answer }];
    assert.deepEqual([connectMs, firstByteMs], [null, null], 'not known before');
    assert.deepEqual([answer.via?.connectMs, answer.via?.firstByteMs], [0, 2.4]);
  });

  test('is what was composed, within the bounds of service and route', () => {
    const at = anAttempt({ policy: { answerBytesMax: 77 }, request: { query: 'x=1' } });

    at.send();

    const [sent = assert.fail()] = at.exchanges;
    assert.deepEqual([sent.origin, sent.message.target], ['http://r-1.test:8000', '/api/fuel/predict?x=1']);
    assert.deepEqual(sent.bounds, {
      ...{ reuse: 'auto', connectTimeoutMs: 1_000, tls: undefined, hangMsMax: 120_000, bufferBytesMax: 77 },
    });
  });

  test('is reported by its call’s own event, and only what is shared by one of its own', async () => {
    for (const isShared of [false, true]) {
      const at = anAttempt({ outcomes: [200], options: { isShared } });
      const request = at.send();
      at.clock.advance(3);
      await at.end();

      const facts = { outcome: 'ok', status: 200, durationMs: 3, queueMs: 0 };
      assert.deepEqual(request.last, isShared ? undefined : facts);
      const event = { kind: 'attempt', service: 'fuel', instance: 'r-1', ...facts };
      assert.deepEqual(at.events, isShared ? [event] : []);
    }
  });

  test('waits for its permit, and says how long', async () => {
    const at = anAttempt({ permits: ['later'], outcomes: [200] });
    const request = at.send();
    at.clock.advance(250);

    const [{ request: queued } = assert.fail()] = at.requested;
    queued.onPermit(at.permit(9));

    assert.equal(request.queueMs, 250);
    assert.equal(request.instance, 'r-9');
    assert.equal(await at.end(), 200);
  });

  test('says of each attempt how long it waited, and of all together', () => {
    const retry = { attempts: 2, on: new Set(['connect-failure' as const]) };
    const at = anAttempt({ permits: ['later', 'later'], retry });
    const request = at.send();
    at.clock.advance(100);
    at.requested[0]?.request.onPermit(at.permit(1));
    at.exchanges[0]?.end('CONNECT_FAILED'); // retried at once: the test's jitter is 0
    at.clock.advance(30);
    at.requested[1]?.request.onPermit(at.permit(2));
    at.exchanges[1]?.end(200);

    const reported = at.events.flatMap(event => (event.kind === 'attempt' ? [event.queueMs] : []));
    assert.deepEqual([reported, request.last?.queueMs, request.queueMs], [[100], 30, 130]);
  });

  test('fails what waits where that makes a mistake of its answer, and lets the connection go on', () => {
    const failed: string[] = [];
    const waiting = {
      answered: () => {
        throw new TypeError('a mistake');
      },
      failed: ({ code }: GatewayError) => void failed.push(code),
    };
    const at = anAttempt({ options: { waiting } });
    at.send();

    at.exchanges[0]?.end(200);

    assert.deepEqual(failed, ['INTERNAL']);
    assert.equal(at.held.inUse, 0);
  });

  test('reports a mistake made of an answer that nothing waits for, and gives its permit back', () => {
    const keepLate = () => {
      throw new TypeError('a mistake');
    };
    const at = anAttempt({ options: { keepLate } });
    at.send().leave(new GatewayError('CALLER_GONE', 'gone'));

    at.exchanges[0]?.end(200);

    assert.equal(at.held.inUse, 0);
    assert.ok(at.events.some(({ kind }) => kind === 'internal-error'));
  });

  test('gives its permit back where it cannot be composed', async () => {
    const at = anAttempt({
      options: {
        message: () => {
          throw new GatewayError('BAD_REQUEST', 'unfit');
        },
      },
    });

    at.send();

    assert.equal(await at.end(), 'BAD_REQUEST');
    assert.equal(at.held.inUse, 0);
  });

  test('gives its permit back where the transport will not send it', async () => {
    const at = anAttempt({ unsendable: true });

    at.send();

    assert.equal(await at.end(), 'INTERNAL');
    assert.deepEqual(at.held, { inUse: 0, abandoned: 0, proved: 0 });
    assert.equal(at.deadlines.size, 0);
  });
});

describe('an attempt is repeated', () => {
  const rows: (Omit<Traits, 'outcomes'> & { name: string; first: Exclude<Outcome, undefined>; times: number })[] = [
    { name: 'GET, connection lost', first: 'CONNECTION_LOST', times: 2 },
    { name: 'GET, connect failed', first: 'CONNECT_FAILED', times: 2 },
    { name: 'GET, hung', first: 'ATTEMPT_TIMEOUT', times: 2 },
    { name: 'GET, no usable answer', first: 'UPSTREAM_FAULT', times: 2 },
    { name: 'GET, 503 of R', first: 503, times: 2 },
    { name: 'GET, 500 of R: the next would say the same', first: 500, times: 1 },
    { name: 'GET, 404 of R', first: 404, times: 1 },
    { name: 'PUT, connection lost', method: 'PUT', first: 'CONNECTION_LOST', times: 2 },
    { name: 'POST, connection lost: it may have acted', method: 'POST', first: 'CONNECTION_LOST', times: 1 },
    { name: 'POST, 503 of R', method: 'POST', first: 503, times: 1 },
    { name: 'POST, connect failed: nothing can have reached R', method: 'POST', first: 'CONNECT_FAILED', times: 2 },
    { name: 'PATCH, hung', method: 'PATCH', first: 'ATTEMPT_TIMEOUT', times: 1 },
    {
      name: 'pure POST, connection lost',
      method: 'POST',
      policy: { isPure: true },
      first: 'CONNECTION_LOST',
      times: 2,
    },
    { name: 'pure POST, 503 of R', method: 'POST', policy: { isPure: true }, first: 503, times: 2 },
    {
      name: 'GET, an event stream',
      first: anAnswer(200, Buffer.alloc(0), ['content-type', 'text/event-stream']),
      times: 1,
    },
    { name: 'GET, not asked for', retry: { on: new Set(['connect-failure']) }, first: 'CONNECTION_LOST', times: 1 },
    { name: 'GET, one attempt allowed', retry: { attempts: 1 }, first: 'CONNECTION_LOST', times: 1 },
    { name: 'GET, budget spent', hasBudget: false, first: 'CONNECTION_LOST', times: 1 },
  ];
  for (const { name, first, times, ...traits } of rows) {
    test(`${times === 2 ? 'yes' : 'no'}: ${name}`, async () => {
      const at = anAttempt({ ...traits, outcomes: [first, 200] });

      const request = at.send();
      const end = await at.end();

      assert.equal(at.exchanges.length, times);
      assert.equal(end, times === 2 ? 200 : typeof first === 'object' ? 'STREAM_NOT_ENABLED' : first);
      assert.equal(request.attempts, times);
      assert.deepEqual(
        at.events.map(({ kind }) => kind),
        times === 2 ? ['retry', 'attempt'] : [],
      );
      assert.equal(at.held.inUse, 0);
    });
  }
});

describe('what the caller gets', () => {
  test('is the last answer as R gave it, when retries are used up', async () => {
    const at = anAttempt({ outcomes: [503, 502, 504, 200] });
    at.send();

    assert.equal(await at.end(), 504);
    assert.equal(at.exchanges.length, 3);
  });

  test('is the answer before, when the retry found no instance', async () => {
    const at = anAttempt({ outcomes: [503], permits: ['at-once', 'QUEUE_TIMEOUT'] });
    at.send();

    assert.equal(await at.end(), 503);
  });

  test('is the failure before, when the retry found no instance', async () => {
    const at = anAttempt({ outcomes: ['CONNECTION_LOST'], permits: ['at-once', 'SERVICE_UNAVAILABLE'] });
    at.send();

    assert.equal(await at.end(), 'CONNECTION_LOST');
  });

  test('is the queue’s refusal, when there was nothing before', async () => {
    const at = anAttempt({ permits: ['QUEUE_TIMEOUT'] });
    const request = at.send();

    assert.equal(await at.end(), 'QUEUE_TIMEOUT');
    assert.equal(request.attempts, 0);
  });

  test('is the answer before, when the deadline ends a retry', async () => {
    const at = anAttempt({ outcomes: [503], permits: ['at-once', 'later'] });
    const request = at.send();
    await Promise.resolve();
    at.clock.advance(50);

    request.leave(new GatewayError('DEADLINE_EXCEEDED', 'late'));

    assert.equal(await at.end(), 503);
    assert.equal(at.left.length, 1);
  });

  test('is no third loss: the request may be what breaks instances', async () => {
    const at = anAttempt({ retry: { attempts: 5 }, outcomes: ['CONNECTION_LOST', 'CONNECTION_LOST', 200] });
    at.send();

    assert.equal(await at.end(), 'CONNECTION_LOST');
    assert.equal(at.exchanges.length, 2);
  });

  test('is an answer whose body is still to come, whatever its status', async () => {
    const at = anAttempt({ outcomes: [] });
    at.send();
    const [sent = assert.fail()] = at.exchanges;

    sent.listener.onStream(anAnswer(503, Readable.from(['R'])));

    assert.equal(await at.end(), 503);
    assert.equal(at.exchanges.length, 1);
  });

  test('is INTERNAL, not a retry, when the gateway made a mistake', async () => {
    const at = anAttempt({
      options: {
        message: () => {
          throw new TypeError('a mistake');
        },
      },
    });
    at.send();

    assert.equal(await at.end(), 'INTERNAL');
    assert.equal(at.requested.length, 1);
  });
});

describe('a retry', () => {
  test('goes on with the instances that failed in mind, and is told', async () => {
    const at = anAttempt({ outcomes: ['CONNECTION_LOST', 503, 200] });
    at.send();

    await at.end();

    assert.deepEqual(
      at.requested.map(({ tried }) => tried.map(({ id }) => id)),
      [[], ['r-1'], ['r-1', 'r-2']],
    );
    const retries = at.events.filter(({ kind }) => kind === 'retry');
    assert.deepEqual(retries, [
      { kind: 'retry', service: 'fuel', reason: 'connection-lost', requestId: 'request-1', instance: 'r-1' },
      { kind: 'retry', service: 'fuel', reason: '503', requestId: 'request-1', instance: 'r-2' },
    ]);
    assert.deepEqual(at.budgets, [20, 20]);
  });

  test('waits as long as chance says', async () => {
    const at = anAttempt({ outcomes: ['CONNECT_FAILED', 200], jitterMs: 20 });
    at.send();
    await Promise.resolve();

    at.clock.advance(19);
    assert.equal(at.exchanges.length, 1);
    at.clock.advance(6);

    assert.equal(at.exchanges.length, 2);
    assert.equal(await at.end(), 200);
  });

  test('is not begun when the caller leaves meanwhile', async () => {
    const at = anAttempt({ outcomes: ['CONNECT_FAILED', 200], jitterMs: 20 });
    const request = at.send();
    await Promise.resolve();

    request.leave(new GatewayError('CALLER_GONE', 'gone'));
    at.clock.advance(1_000);

    assert.deepEqual([at.exchanges.length, at.ends.length], [1, 0]);
  });

  test('is not waited for beyond the deadline: the failure is told at once', async () => {
    const at = anAttempt({ outcomes: ['CONNECT_FAILED', 200], jitterMs: 20, options: { endsMs: 10 } });
    at.send();

    assert.equal(await at.end(), 'CONNECT_FAILED');
    assert.equal(at.exchanges.length, 1);
  });
});

describe('an attempt’s time', () => {
  const short = { attempts: 1, attemptTimeoutMs: 20_000, repeatableTimeoutMs: 1_000 };

  for (const [method, timeoutMs] of [
    ['GET', 1_000],
    ['POST', 20_000],
  ] as const) {
    test(`is ${timeoutMs} ms for ${method} where what may be repeated gets 1000 ms and the rest 20000 ms`, () => {
      const at = anAttempt({ method, retry: short });
      at.send();

      at.clock.advance(timeoutMs - 1);
      assert.equal(at.ends.length, 0);
      at.clock.advance(1);

      assert.equal(at.ends[0]?.code, 'ATTEMPT_TIMEOUT');
      assert.deepEqual(outcomesOf(at), ['timeout']);
      assert.deepEqual(at.held, { inUse: 1, abandoned: 1, proved: 0 });
    });
  }

  test('does not begin in the queue', () => {
    const at = anAttempt({ retry: short, permits: ['later'] });
    at.send();

    at.clock.advance(29_000);

    assert.deepEqual(at.ends, []);
  });

  test('is not watched where the call’s own ends sooner, but of what others may make last', () => {
    for (const isShared of [false, true]) {
      const at = anAttempt({
        retry: { attemptTimeoutMs: 60_000, repeatableTimeoutMs: 60_000 },
        options: { isShared },
      });
      at.send();

      assert.equal(at.deadlines.size, isShared ? 1 : 0, 'the call’s own stands elsewhere');
    }
  });
});

describe('an answer', () => {
  const plain = (text: string) => anAnswer(500, Buffer.from(text), PLAIN_FIELDS);
  const rows: [string, UpstreamAnswer, string, string | number][] = [
    ['500 of R’s code is R’s own', anAnswer(500), 'ok', 500],
    ['plain 500 is R’s own', plain('my model failed'), 'ok', 500],
    ['plain 500 in httpuv’s words may be a model’s', plain('ERROR: column wt is missing'), 'ok', 500],
    ['plain 500 in httpuv’s other words, too', plain('An exception occurred.'), 'ok', 500],
    ['status that the service counts is passed on', anAnswer(503), 'status', 503],
    ['status that is none is the instance’s fault', anAnswer(777), 'fault', 'UPSTREAM_FAULT'],
    ['upgrade is a stream', anAnswer(101), 'ok', 'STREAM_NOT_ENABLED'],
  ];
  for (const [name, answer, outcome, expected] of rows) {
    test(`with a ${name}`, async () => {
      const at = anAttempt({ outcomes: [answer], retry: { attempts: 1 } });
      at.send();

      assert.equal(await at.end(), expected);
      assert.deepEqual(outcomesOf(at), [outcome]);
    });
  }

  test('that is an event stream is refused, naming the key, and not read', async () => {
    const at = anAttempt();
    const body = new Readable({ read: () => undefined });
    at.send();

    at.exchanges[0]?.listener.onStream(anAnswer(200, body, ['content-type', 'text/event-stream; charset=utf-8']));

    assert.equal(await at.end(), 'STREAM_NOT_ENABLED');
    assert.equal(body.destroyed, true);
  });

  test('whose body is still to come keeps the permit until that is over', async () => {
    const at = anAttempt();
    at.send();
    const [sent = assert.fail()] = at.exchanges;
    const answer = anAnswer(200, Readable.from(['long']));
    sent.listener.onStream(answer);
    assert.equal(await at.end(), 200);
    assert.deepEqual([at.held.inUse, at.findings.length], [1, 0]);

    at.clock.advance(9_000); // the reader is slow, not R
    sent.end(answer);

    assert.equal(at.held.inUse, 0);
    assert.deepEqual([at.findings[0]?.outcome, at.findings[0]?.durationMs], ['ok', 0]);
    assert.equal(at.ends.length, 1);
  });

  test('that broke off after its head is reported as lost', async () => {
    const at = anAttempt();
    at.send();
    const [sent = assert.fail()] = at.exchanges;
    sent.listener.onStream(anAnswer(200, Readable.from(['long'])));
    await at.end();

    sent.end('CONNECTION_LOST');

    assert.equal(at.held.inUse, 0);
    assert.deepEqual(outcomesOf(at), ['lost']);
    assert.equal(at.ends.length, 1);
  });
});

describe('what leaves before R has answered', () => {
  const gone = new GatewayError('CALLER_GONE', 'gone');

  test('waits no longer, but the permit is held until R is done, which proves it alive', () => {
    const at = anAttempt();
    const request = at.send();
    const [sent = assert.fail()] = at.exchanges;

    request.leave(gone);

    assert.deepEqual(at.held, { inUse: 1, abandoned: 1, proved: 0 });
    assert.equal(sent.discards(), 1);
    assert.deepEqual(outcomesOf(at), ['abandoned']);
    sent.end(200);
    assert.deepEqual(at.held, { inUse: 0, abandoned: 0, proved: 1 });
    assert.equal(at.findings.length, 1);
    assert.deepEqual(at.ends, []);
  });

  test('leaves the queue', () => {
    const at = anAttempt({ permits: ['later'] });
    const request = at.send();
    at.clock.advance(40);

    request.leave(gone);

    assert.equal(at.left.length, 1);
    assert.deepEqual([request.queueMs, at.exchanges.length], [40, 0]);
  });

  test('does not keep a body that still comes', () => {
    const at = anAttempt();
    at.send().leave(gone);
    const body = new Readable({ read: () => undefined });

    at.exchanges[0]?.listener.onStream(anAnswer(200, body));

    assert.equal(body.destroyed, true);
  });

  test('leaves a good answer to what would keep it, and no other', () => {
    for (const [status, expected] of [
      [200, 1],
      [503, 0],
    ] as const) {
      const kept: Answer[] = [];
      const at = anAttempt({ options: { keepLate: answer => kept.push(answer) } });
      at.send().leave(gone);
      const [sent = assert.fail()] = at.exchanges;

      sent.end(status);

      assert.equal(sent.discards(), 0);
      assert.equal(kept.length, expected);
      assert.equal(at.held.inUse, 0);
    }
  });

  for (const [heldMs, outcome] of [
    [15_000, 'timeout'],
    [14_999, 'abandoned'],
  ] as const) {
    test(`is ${outcome} when the instance had ${heldMs} ms of a deadline of 30 s`, () => {
      const at = anAttempt({ retry: { repeatableTimeoutMs: 30_000 } });
      const request = at.send();
      at.clock.advance(heldMs);

      request.leave(new GatewayError('DEADLINE_EXCEEDED', 'late'));

      assert.deepEqual(outcomesOf(at), [outcome]);
    });
  }

  for (const code of ['ATTEMPT_TIMEOUT', 'CONNECTION_LOST'] as const) {
    test(`is followed by the news that the instance was ${ENDS[code]}`, () => {
      const at = anAttempt();
      at.send().leave(gone);

      at.exchanges[0]?.end(code);

      assert.equal(at.held.inUse, 0);
      assert.deepEqual(outcomesOf(at), ['abandoned', ENDS[code]]);
      assert.equal(at.held.proved, 0);
    });
  }
});

describe('what keeps a call with an instance', () => {
  const request = {
    callerAddress: '198.51.100.9',
    fields: ['X-Tenant', 'acme', 'Cookie', 'a=1; session=s-7', 'Cookie', 'b=2; q="7"'],
  };
  const rows: [AffinityKey, string][] = [
    [{ kind: 'caller' }, '192.0.2.7'],
    [{ kind: 'ip' }, '198.51.100.9'],
    [{ kind: 'header', name: 'X-TENANT' }, 'acme'],
    [{ kind: 'header', name: 'X-None' }, ''],
    [{ kind: 'cookie', name: 'session' }, 's-7'],
    [{ kind: 'cookie', name: 'b' }, '2'],
    [{ kind: 'cookie', name: 'q' }, '7'],
    [{ kind: 'cookie', name: 'none' }, ''],
  ];
  for (const [by, expected] of rows) {
    test(`by ${by.kind} ${'name' in by ? by.name : ''}: ${JSON.stringify(expected)}`, () => {
      const at = anAttempt({ balance: { policy: 'hash', by, strict: false }, request });

      at.send();

      assert.equal(at.requested[0]?.request.affinity, expected);
    });
  }

  test('is nothing where no policy asks', () => {
    const at = anAttempt({ request });

    at.send();

    assert.equal(at.requested[0]?.request.affinity, '');
  });
});
