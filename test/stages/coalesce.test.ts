import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import type { Complete } from '../../gateway/domain/call.ts';
import { Deadlines } from '../../gateway/domain/deadlines.ts';
import { GatewayError, type FailureCode } from '../../gateway/domain/errors.ts';
import { RouteCaches } from '../../gateway/domain/sharing/cache-entries.ts';
import { SharedCall } from '../../gateway/domain/sharing/shared-call.ts';
import type { Answer, UpstreamRequest, UpstreamRequestOptions, Via } from '../../gateway/domain/upstream.ts';
import { sha256 } from '../../gateway/edges/digest.ts';
import { createMemoryStore } from '../../gateway/edges/memory-store.ts';
import { createCache } from '../../gateway/stages/cache.ts';
import { createCoalesce } from '../../gateway/stages/coalesce.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aCachePolicy, aCompleteCall, aSharing, aSharingRoute, Outcomes } from '../support/sharing.ts';

const VIA: Via = { instance: 'fuel-1', version: '1', attempts: 2, queueMs: 0, connectMs: 1, firstByteMs: 3 };
const saying = (text: string, fields: string[] = [], via = VIA): Answer => ({
  ...{ status: 200, fields, via },
  body: Buffer.from(text),
});
const failure = (code: FailureCode) => new GatewayError(code, 'of the test');

interface CallTraits {
  readonly path?: string;
  readonly timeoutMs?: number;
  readonly fields?: readonly string[];
  readonly caller?: string;
}

/** What was put to R. */
interface Put extends UpstreamRequest {
  readonly options: UpstreamRequestOptions;
  readonly leftFor: FailureCode | undefined;
  readonly endsMs: number;
}

interface Setting {
  readonly coalesce?: boolean;
  readonly cached?: boolean;
  /** What R does before the asking returns. */
  readonly atOnce?: (options: UpstreamRequestOptions, number: number) => void;
  readonly onBegin?: (call: Complete) => void;
}

/** A coalesce stage before an R that answers when the test says so. */
function aCoalescing({ coalesce = true, cached = false, atOnce, onBegin }: Setting = {}) {
  const clock = manualClock();
  const [deadlines, back] = [new Deadlines(clock), new Outcomes()];
  const stage = createCoalesce({ clock });
  const caches = new RouteCaches({ createStore: createMemoryStore, clock });
  const cache = createCache({ caches, clock, digest: sha256 });
  const sharing = aSharing({ coalesce, cache: cached ? aCachePolicy() : undefined });
  const route = aSharingRoute(sharing);
  caches.adopt([route]);
  const puts: Put[] = [];
  const send = (_: SharedCall, options: UpstreamRequestOptions): UpstreamRequest => {
    const put = {
      ...{ ...VIA, options, leftFor: undefined as FailureCode | undefined, endsMs: options.endsMs, isSent: false },
      leave: ({ code }: GatewayError) => void (put.leftFor = code),
      extend: (endsMs: number) => void (put.endsMs = endsMs),
    };
    puts.push(put);
    atOnce?.(options, puts.length);
    return put;
  };
  const begin = ({ path = '/a', timeoutMs = 1_000, fields = [], caller = 'alice' }: CallTraits = {}): Complete => {
    const call = aCompleteCall(route, { request: { path, fields }, caller: { id: caller }, clock, back, deadlines });
    call.arm(timeoutMs);
    onBegin?.(call);
    const shared = new SharedCall(call, sharing, sha256);
    const stored = cache(shared);
    if (stored === undefined) stage(shared, send);
    else back.answered(call, stored);
    return call;
  };
  const at = (i: number) => puts[i] ?? assert.fail(`R was not asked ${i + 1} times`);
  const textOf = (call: Complete): string | undefined => {
    const outcome = back.of(call);
    if (outcome instanceof GatewayError) return outcome.code;
    return Buffer.isBuffer(outcome?.body) ? outcome.body.toString() : outcome && 'a stream';
  };
  return {
    ...{ begin, clock, deadlines, puts, at, textOf, caches, route },
    outcomeOf: (call: Complete) => back.of(call),
    answer: (i: number, answer: Answer) => at(i).options.waiting.answered(answer),
    fail: (i: number, code: FailureCode, via = VIA) => at(i).options.waiting.failed(failure(code), via),
    cacheStatusOf: (call: Complete): string | undefined => {
      const outcome = back.of(call);
      if (outcome === undefined || outcome instanceof GatewayError) return undefined;
      return outcome.fields[outcome.fields.indexOf('Cache-Status') + 1];
    },
  };
}

describe('equal calls of a route that coalesces', () => {
  test('ask R once, and each gets the same body with a list of fields of its own', () => {
    const { begin, puts, answer, textOf, outcomeOf } = aCoalescing();

    const calls = [begin(), begin(), begin({ path: '/b' }), begin()];
    answer(0, saying('a', ['X-A', '1']));
    answer(1, saying('b'));

    assert.equal(puts.length, 2);
    assert.deepEqual(calls.map(textOf), ['a', 'a', 'b', 'a']);
    assert.deepEqual(
      calls.map(call => call.record.isCoalesced),
      [false, true, false, true],
    );
    const [first, second, , last] = calls.map(outcomeOf) as Answer[];
    assert.ok(first !== undefined && second !== undefined && last !== undefined);
    assert.ok(first.body === second.body && second.body === last.body);
    first.fields.push('X-B', '2');
    second.fields.pop();
    assert.deepEqual(last.fields, ['X-A', '1']);
  });

  test('ask each for itself where the route does not coalesce', () => {
    const { begin, puts, answer, textOf } = aCoalescing({ coalesce: false });

    const calls = [begin(), begin()];
    assert.deepEqual(
      calls.map(call => call.waitsFor),
      puts,
    );
    answer(1, saying('b'));
    answer(0, saying('a'));

    assert.deepEqual(calls.map(textOf), ['a', 'b']);
    assert.equal(calls[1]?.record.isCoalesced, false);
  });

  test('ask anew once the answer is there', () => {
    const { begin, puts, answer } = aCoalescing();
    begin();
    answer(0, saying('a'));

    begin();

    assert.equal(puts.length, 2);
  });

  test('share none that flies where the caller says no-cache, and let others share theirs', () => {
    const { begin, puts, answer, textOf } = aCoalescing();
    begin();
    const anew = begin({ fields: ['Cache-Control', 'max-age=0, No-Cache'] });
    const later = begin();

    answer(0, saying('a'));
    const last = begin();
    answer(1, saying('b'));

    assert.equal(puts.length, 2);
    assert.deepEqual([anew, later, last].map(textOf), ['b', 'b', 'b']);
  });

  test('wait by their own deadlines each, and R is asked as long as any waits', () => {
    const { begin, clock, at, deadlines, textOf } = aCoalescing();
    const short = begin({ timeoutMs: 100 });
    clock.advance(50);
    const long = begin({ timeoutMs: 400 });
    assert.deepEqual([at(0).options.endsMs, at(0).endsMs], [100, 450]);

    clock.advance(60);
    assert.deepEqual([textOf(short), textOf(long), at(0).leftFor], ['DEADLINE_EXCEEDED', undefined, undefined]);
    clock.advance(350);

    assert.deepEqual([textOf(long), at(0).leftFor], ['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED']);
    assert.equal(deadlines.size, 0);
  });

  test('leave R when the last has left, for its reason, and no call shares them then', () => {
    const { begin, puts, at, textOf } = aCoalescing();
    const calls = [begin(), begin()];

    calls[0]?.hangUp();
    assert.equal(at(0).leftFor, undefined);
    calls[1]?.hangUp();
    begin();

    assert.equal(at(0).leftFor, 'CALLER_GONE');
    assert.equal(puts.length, 2);
    assert.deepEqual(calls.map(textOf), ['CALLER_GONE', 'CALLER_GONE']);
  });

  test('are not taken along by what becomes of a flight of the same key that was left', () => {
    const { begin, puts, answer, fail, textOf } = aCoalescing();
    begin().hangUp();
    const next = begin();
    fail(0, 'CALLER_GONE');

    const other = begin();
    answer(1, saying('b'));

    assert.equal(puts.length, 2);
    assert.deepEqual([next, other].map(textOf), ['b', 'b']);
  });

  test('all get a failure', () => {
    const { begin, fail, textOf } = aCoalescing();
    const calls = [begin(), begin()];

    fail(0, 'CONNECTION_LOST');

    assert.deepEqual(calls.map(textOf), ['CONNECTION_LOST', 'CONNECTION_LOST']);
    assert.equal(calls[1]?.record.via, VIA);
  });

  for (const coalesce of [true, false]) {
    test(`are told though R answers before the asking returns, coalesced or not: ${coalesce}`, () => {
      const atOnce = ({ waiting }: UpstreamRequestOptions) => waiting.answered(saying('a'));
      const { begin, textOf, puts } = aCoalescing({ coalesce, atOnce });

      const calls = [begin(), begin()];

      assert.deepEqual(calls.map(textOf), ['a', 'a']);
      assert.equal(puts.length, 2);
      assert.equal(calls[0]?.waitsFor, undefined);
    });
  }

  test('leave R though the last leaves before the asking returns', () => {
    const [calls, atOnce]: [Complete[], () => void] = [[], () => calls[0]?.hangUp()];
    const { begin, at, textOf } = aCoalescing({ atOnce, onBegin: call => void calls.push(call) });

    const call = begin();

    assert.deepEqual([textOf(call), at(0).leftFor], ['CALLER_GONE', 'CALLER_GONE']);
  });

  test('get what the asking throws, and the next asks anew', () => {
    const atOnce = (_: UpstreamRequestOptions, number: number) => {
      if (number === 1) throw failure('SERVICE_UNAVAILABLE');
    };
    const { begin, answer, textOf } = aCoalescing({ atOnce });

    const refused = begin();
    const next = begin();
    answer(1, saying('a'));

    assert.deepEqual([refused, next].map(textOf), ['SERVICE_UNAVAILABLE', 'a']);
  });
});

describe('a refusal by the queue', () => {
  test('of the first is asked again for those it wrongs, once, and once for all of them', () => {
    const { begin, puts, at, answer, fail, textOf } = aCoalescing();
    const calls = ['alice', 'bob', 'alice', 'carol'].map(caller => begin({ caller }));
    fail(0, 'QUEUE_FULL');
    assert.deepEqual([puts.length, at(1).options.callerId], [2, 'bob']);
    answer(1, saying('a'));

    assert.deepEqual(calls.map(textOf), ['QUEUE_FULL', 'a', 'QUEUE_FULL', 'a']);
    const [dave, erin] = ['dave', 'erin'].map(caller => begin({ caller }));
    assert.ok(dave !== undefined && erin !== undefined);
    fail(2, 'QUEUE_FULL');
    assert.deepEqual([dave, erin].map(textOf), ['QUEUE_FULL', undefined]);
    fail(3, 'QUEUE_FULL');
    assert.equal(textOf(erin), 'QUEUE_FULL');
    assert.equal(puts.length, 4);
  });

  test('that comes at once asks no more than once again, however many it wrongs', () => {
    const atOnce = (_: UpstreamRequestOptions, number: number) => {
      if (number > 1) throw failure('QUEUE_FULL');
    };
    const { begin, puts, fail, textOf } = aCoalescing({ atOnce });
    const calls = ['alice', 'bob', 'carol', 'dave'].map(caller => begin({ caller }));

    fail(0, 'QUEUE_FULL');

    assert.equal(puts.length, 2);
    assert.deepEqual(calls.map(textOf), Array<string>(4).fill('QUEUE_FULL'));
  });

  test('wrongs the calls that have not waited as long as the first, and not the first', () => {
    const { begin, clock, puts, answer, fail, textOf } = aCoalescing();
    const first = begin();
    clock.advance(400);
    const second = begin();
    clock.advance(100);
    fail(0, 'QUEUE_TIMEOUT');
    answer(1, saying('a'));

    const refusedAtOnce = begin();
    fail(2, 'QUEUE_TIMEOUT');

    assert.deepEqual([first, second, refusedAtOnce].map(textOf), ['QUEUE_TIMEOUT', 'a', 'QUEUE_TIMEOUT']);
    assert.equal(puts.length, 3);
  });

  test('leads those it wrongs into the flight of one who would not share the first', () => {
    const { begin, puts, answer, fail, textOf } = aCoalescing();
    begin();
    const second = begin({ caller: 'bob' });
    const anew = begin({ caller: 'carol', fields: ['Cache-Control', 'no-cache'] });
    fail(0, 'QUEUE_FULL');
    answer(1, saying('b'));

    assert.deepEqual([second, anew].map(textOf), ['b', 'b']);
    assert.equal(puts.length, 2);
  });
});

describe('what the access record says of a flight', () => {
  test('is the same for all, but of the queue what each shared of it', () => {
    const { begin, clock, answer, outcomeOf } = aCoalescing();
    const first = begin();
    clock.advance(30);
    const second = begin();
    clock.advance(70);
    const third = begin();

    answer(0, saying('a', [], { ...VIA, queueMs: 100 }));

    for (const call of [first, second, third]) {
      const { attempts, instance, version, connectMs, firstByteMs } = call.record.via ?? assert.fail();
      assert.deepEqual([attempts, instance, version, connectMs, firstByteMs], [2, 'fuel-1', '1', 1, 3]);
      assert.equal((outcomeOf(call) as Answer).via, call.record.via);
    }
    assert.deepEqual(
      [first, second, third].map(call => call.record.via?.queueMs),
      [100, 70, 0],
    );
  });

  test('has the time in the queue of both where it was asked again', () => {
    const { begin, clock, answer, fail } = aCoalescing();
    begin();
    clock.advance(30);
    const second = begin({ caller: 'bob' });
    clock.advance(70);
    fail(0, 'QUEUE_FULL', { ...VIA, queueMs: 100 });

    answer(1, saying('a', [], { ...VIA, queueMs: 5 }));

    assert.equal(second.record.via?.queueMs, 75);
  });
});

describe('an answer that is shared', () => {
  test('is stored once, and each is told that, with the same tag', () => {
    const { begin, answer, outcomeOf, cacheStatusOf } = aCoalescing({ cached: true });
    const refusing = begin({ fields: ['Cache-Control', 'no-store'] });
    const [first, second] = [begin(), begin()];

    answer(0, saying('a'));

    const calls = [refusing, first, second];
    for (const call of calls) (call.lookup ?? assert.fail()).answered(outcomeOf(call) as Answer);
    assert.deepEqual(calls.map(cacheStatusOf), [
      'Penstock; fwd=bypass; stored; collapsed',
      'Penstock; fwd=uri-miss; stored',
      'Penstock; fwd=uri-miss; stored; collapsed',
    ]);
    const tags = calls.map(call => (outcomeOf(call) as Answer).fields.slice(0, 2).join());
    assert.deepEqual(new Set(tags).size, 1);
    assert.match(tags[0] ?? '', /^ETag,"/);
  });

  test('is stored as asked for when R was asked, by a call that came later', () => {
    const { begin, clock, answer, caches, route, textOf, outcomeOf } = aCoalescing({ cached: true });
    const refusing = begin({ fields: ['Cache-Control', 'no-store'] });
    clock.advance(5);
    caches.purge(route.id);
    clock.advance(5);
    const later = begin();

    answer(0, saying('a'));
    later.lookup?.answered(outcomeOf(later) as Answer);

    assert.equal(textOf(refusing), 'a');
    assert.equal(textOf(begin()), undefined, 'asked for before the purge, it must not be stored after it');
  });

  test('is stored even when all have left', () => {
    const { begin, at, textOf, cacheStatusOf } = aCoalescing({ cached: true });
    begin({ fields: ['Cache-Control', 'no-store'] }).hangUp();
    assert.equal(at(0).options.keepLate, undefined);
    begin().hangUp();

    at(1).options.keepLate?.(saying('late'));

    const next = begin();
    assert.deepEqual([textOf(next), cacheStatusOf(next)], ['late', 'Penstock; hit; ttl=60']);
  });

  test('that comes late is as old as the asking', () => {
    const { begin, at, clock, caches, route, textOf } = aCoalescing({ cached: true });
    const first = begin({ fields: ['Cache-Control', 'no-store'] });
    clock.advance(5);
    caches.purge(route.id);
    clock.advance(5);
    begin().hangUp();
    first.hangUp();

    at(0).options.keepLate?.(saying('late'));

    assert.equal(textOf(begin()), undefined);
  });

  test('serves one alone where R says that it depends on more than it was told', () => {
    const { begin, puts, answer, textOf } = aCoalescing({ cached: true });
    const calls = [begin(), begin(), begin()];
    answer(0, saying('a', ['Vary', '*']));
    answer(1, saying('b'));
    answer(2, saying('c', ['Set-Cookie', 'a=b']));

    assert.deepEqual(calls.map(textOf), ['a', 'b', 'c']);
    assert.equal(puts.length, 3);
  });

  test('goes to the first alone where its body is a stream; the others ask for themselves, once', () => {
    const { begin, puts, at, answer, fail, textOf } = aCoalescing({ cached: true });
    const [first, second] = [begin(), begin({ timeoutMs: 700, caller: 'bob' })];
    const body = new Readable({ read: () => undefined });

    answer(0, { ...saying(''), body });
    assert.equal(textOf(first), 'a stream');
    assert.equal(body.destroyed, false);
    assert.deepEqual([puts.length, at(1).options.endsMs, at(1).options.callerId], [2, 700, 'bob']);
    fail(1, 'QUEUE_FULL');

    assert.equal(textOf(second), 'QUEUE_FULL');
    assert.equal(puts.length, 2);
    body.destroy();
  });

  test('is let go where it is a stream and no call is left to read it', () => {
    const { begin, answer } = aCoalescing();
    const body = new Readable({ read: () => undefined });
    begin().hangUp();

    answer(0, { ...saying(''), body });

    assert.equal(body.destroyed, true);
  });
});
