import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import type { Complete } from '../../gateway/domain/call.ts';
import { GatewayError, type FailureCode } from '../../gateway/domain/errors.ts';
import { fieldOf, fieldsOf } from '../../gateway/domain/http/fields.ts';
import type { CachePolicy } from '../../gateway/domain/route.ts';
import { RouteCaches } from '../../gateway/domain/sharing/cache-entries.ts';
import { SharedCall } from '../../gateway/domain/sharing/shared-call.ts';
import type { Answer, Via } from '../../gateway/domain/upstream.ts';
import { sha256 } from '../../gateway/edges/digest.ts';
import { createMemoryStore } from '../../gateway/edges/memory-store.ts';
import { createCache, createNoteWrite } from '../../gateway/stages/cache.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aCachePolicy, aCompleteCall, aSharing, aSharingRoute } from '../support/sharing.ts';

const VIA: Via = { instance: 'fuel-1', version: null, attempts: 1, queueMs: 0, connectMs: 1, firstByteMs: 2 };

const good = (body = '[1]', fields: string[] = ['Content-Type', 'application/json'], status = 200): Answer => ({
  ...{ status, fields, via: VIA },
  body: Buffer.from(body),
});

interface Requested {
  readonly method?: string;
  readonly path?: string;
  /** `Cache-Control`. */
  readonly saying?: string;
}

/** A route with a cache, before an R that answers what it is told to, in order, and then the last again. */
function aCache(policy: Partial<CachePolicy> = {}, ...answers: (Answer | GatewayError)[]) {
  const clock = manualClock();
  const caches = new RouteCaches({ createStore: createMemoryStore, clock });
  const cache = createCache({ caches, clock, digest: sha256 });
  const sharing = aSharing({ cache: aCachePolicy(policy) });
  const route = aSharingRoute(sharing);
  caches.adopt([route]);
  const calls: Complete[] = [];
  let requested = 0;

  const aCall = ({ method = 'GET', path = '/predict', saying }: Requested = {}): Complete => {
    const call = aCompleteCall(route, {
      request: { method, path, fields: saying === undefined ? [] : ['Cache-Control', saying] },
      clock,
    });
    calls.push(call);
    return call;
  };
  /** A call looks into the cache; where that has nothing for it, it waits for R. */
  const begin = (requested?: Requested) => {
    const call = aCall(requested);
    return { call, hit: cache(new SharedCall(call, sharing, sha256)) };
  };
  const finish = ({ lookup }: Complete, given: Answer | GatewayError): Answer => {
    if (!(given instanceof GatewayError)) {
      const own = { ...given, fields: [...given.fields] };
      return lookup?.answered(own) ?? own;
    }
    const instead = lookup?.failed(given);
    if (instead === undefined) throw given;
    return instead;
  };
  return {
    ...{ clock, caches, route, aCall, begin, finish },
    /** What a call is answered, its `Cache-Status` and body. */
    send(traits?: Requested) {
      const { call, hit } = begin(traits);
      if (hit === undefined) requested += 1;
      const answer = hit ?? finish(call, answers[Math.min(requested, answers.length) - 1] ?? good());
      const status = fieldOf(answer.fields, 'cache-status')?.replace('Penstock; ', '');
      return { call, answer, status, text: (answer.body as Buffer).toString() };
    },
    get requested() {
      return requested;
    },
    results: () => calls.flatMap(call => call.record.cache ?? []),
  };
}

const failure = (code: FailureCode) => new GatewayError(code, 'of the test');
const pick = ({ status, text }: { readonly status: string | undefined; readonly text: string }) => [status, text];

describe('a route with a cache', () => {
  test('asks R once, and answers what it has stored with age, tag and status', () => {
    const run = aCache();

    const first = run.send();
    run.clock.advance(2_500);
    const second = run.send();

    assert.equal(run.requested, 1);
    const tag = fieldOf(first.answer.fields, 'etag');
    assert.match(tag ?? '', /^"[\w-]{43}"$/);
    assert.deepEqual([first.status, first.text], ['fwd=uri-miss; stored', '[1]']);
    assert.deepEqual([second.status, second.text], ['hit; ttl=57', '[1]']);
    assert.deepEqual(
      [first, second].map(({ answer }) => fieldOf(answer.fields, 'age')),
      [undefined, '2'],
    );
    assert.deepEqual(
      [first, second].map(({ answer }) => answer.via),
      [VIA, null],
    );
    assert.equal(fieldOf(second.answer.fields, 'etag'), tag);
    assert.deepEqual(run.results(), ['miss', 'hit']);
  });

  test('gives each caller a list of fields of its own', () => {
    const run = aCache();
    run.send().answer.fields.push('X-Filtered', 'first');
    run.send().answer.fields.push('X-Filtered', 'second');

    assert.equal(fieldOf(run.send().answer.fields, 'x-filtered'), undefined);
  });

  test('keeps R’s own tag, and puts its status after those of caches behind', () => {
    const fields = ['ETag', 'W/"7"', 'Age', '50', 'Cache-Status', 'Other; hit'];
    const run = aCache({}, good('[1]', fields));
    run.send();

    const { answer } = run.send();

    assert.deepEqual(fieldsOf(answer.fields, 'etag'), ['W/"7"']);
    assert.deepEqual(fieldsOf(answer.fields, 'age'), ['0']);
    assert.deepEqual(fieldsOf(answer.fields, 'cache-status'), ['Other; hit', 'Penstock; hit; ttl=60']);
  });

  test('gives an answer without a body no tag', () => {
    const run = aCache({}, good('', [], 204));
    run.send();

    const { answer, status } = run.send();

    assert.deepEqual([answer.status, status, fieldOf(answer.fields, 'etag')], [204, 'hit; ttl=60', undefined]);
  });

  test('asks again when the time is over', () => {
    const run = aCache({}, good('[1]'), good('[2]'));
    run.send();
    run.clock.advance(60_000);

    assert.deepEqual(pick(run.send()), ['fwd=stale; stored', '[2]']);
    assert.deepEqual(pick(run.send()), ['hit; ttl=60', '[2]']);
    assert.equal(run.requested, 2);
    assert.deepEqual(run.results(), ['miss', 'miss', 'hit']);
  });

  test('tells apart what has another key', () => {
    const run = aCache();

    run.send({ path: '/a' });

    assert.equal(run.send({ path: '/b' }).status, 'fwd=uri-miss; stored');
  });

  test('has nothing to do with methods that it does not store', () => {
    const run = aCache({ methods: new Set(['GET']) });

    const { status } = run.send({ method: 'POST' });

    assert.equal(status, undefined);
    assert.deepEqual(run.results(), []);
  });

  for (const [name, answer] of [
    ['fails', good('', [], 500)],
    ['is not found', good('', [], 404)],
    ['is for one caller', good('[1]', ['Set-Cookie', 'a=b'])],
    ['is not to be stored', good('[1]', ['Cache-Control', 'no-store'])],
    ['is larger than the room', good('x'.repeat(2_000))],
  ] as const) {
    test(`does not store an answer that ${name}`, () => {
      const run = aCache({ bytesMax: 1_500 }, answer);

      assert.equal(run.send().status, 'fwd=uri-miss');
      assert.equal(run.send().status, 'fwd=uri-miss');
      assert.equal(run.requested, 2);
    });
  }

  test('passes a body on that still comes, and stores nothing of it', () => {
    const body = new Readable({ read: () => undefined });
    const run = aCache({}, { ...good(), body });

    const { answer, status } = run.send();

    assert.equal(answer.body, body);
    assert.equal(body.destroyed, false);
    assert.equal(status, 'fwd=uri-miss');
    body.destroy();
  });

  test('stores an answer that comes when its caller is gone', () => {
    const run = aCache();
    const { call } = run.begin();
    const keepLate = call.lookup?.keepLate;
    assert.throws(() => run.finish(call, failure('CALLER_GONE')), { code: 'CALLER_GONE' });

    keepLate?.(good('[late]'));

    assert.deepEqual(pick(run.send()), ['hit; ttl=60', '[late]']);
  });

  test('says what it made of a call that fails, too', () => {
    const run = aCache({}, failure('QUEUE_FULL'));
    const { call } = run.begin();

    assert.throws(() => run.finish(call, failure('QUEUE_FULL')), { code: 'QUEUE_FULL' });

    assert.deepEqual(call.replyFields, ['Cache-Status', 'Penstock; fwd=uri-miss']);
    assert.deepEqual(run.results(), ['miss']);
  });

  test('is asked on the way back once: what fails after it has spoken is not its business', () => {
    const run = aCache();

    const { call } = run.send();

    assert.equal(call.lookup, undefined);
  });
});

describe('what a caller says to caches', () => {
  for (const [saying, expected] of [
    ['no-cache', ['fwd=request; stored', '[2]']],
    ['max-age=4', ['fwd=request; stored', '[2]']],
    ['min-fresh=56', ['fwd=request; stored', '[2]']],
    ['no-store', ['fwd=bypass', '[2]']],
  ] as const) {
    test(`has R asked past an answer that is fresh: ${saying}`, () => {
      const run = aCache({}, good('[1]'), good('[2]'));
      run.send();
      run.clock.advance(5_000);

      assert.deepEqual(pick(run.send({ saying })), expected);
      assert.deepEqual(pick(run.send()), saying === 'no-store' ? ['hit; ttl=55', '[1]'] : ['hit; ttl=60', '[2]']);
      assert.deepEqual(run.results(), ['miss', 'bypass', 'hit']);
    });
  }

  test('is refused where it would have a stored answer or none', () => {
    const run = aCache();

    assert.throws(() => run.send({ saying: 'only-if-cached' }), {
      code: 'NOT_CACHED',
      status: 504,
      fields: ['Cache-Status', 'Penstock; detail=only-if-cached'],
    });
    assert.deepEqual(run.results(), ['miss']);
    assert.equal(run.aCall({ saying: 'only-if-cached' }).lookup, undefined, 'so that nothing stale serves instead');
    run.send();
    assert.equal(run.send({ saying: 'only-if-cached' }).status, 'hit; ttl=60');
  });

  test('may take an answer past its time, which is told by a time below zero', () => {
    const run = aCache();
    run.send();
    run.clock.advance(62_500);

    const { status, answer } = run.send({ saying: 'max-stale=5' });

    assert.deepEqual([status, fieldOf(answer.fields, 'age')], ['hit; ttl=-3', '62']);
  });

  test('for a new answer deletes the old one where the new one may not be stored', () => {
    const run = aCache({}, good('[1]'), good('[2]', ['Cache-Control', 'no-store']), good('[3]'));
    run.send();
    run.send({ saying: 'no-cache' });

    assert.deepEqual(pick(run.send()), ['fwd=uri-miss; stored', '[3]']);
  });
});

describe('the versions of a model', () => {
  test('part answers: for one nothing is stored that another may have answered while the call waited', () => {
    const run = aCache();
    const setVersions = (versions: string) => Object.assign(run.route.service, { versions });
    setVersions('1');
    const { call } = run.begin();
    setVersions('2');
    run.finish(call, good('[2]'));
    setVersions('1'); // the new one is taken back

    assert.deepEqual(pick(run.send()), ['fwd=uri-miss; stored', '[1]']);
  });
});

describe('an answer past its time', () => {
  const STALE: Partial<CachePolicy> = { ttlMs: 10_000, staleIfErrorMs: 20_000 };

  for (const [name, end, reported] of [
    ['answers with an error', good('oh', [], 500), 'fwd-status=500'],
    ['says that it is unavailable', good('', [], 503), 'fwd-status=503'],
    ['takes no connection', failure('CONNECT_FAILED'), 'detail=CONNECT_FAILED'],
    ['is not there', failure('SERVICE_UNAVAILABLE'), 'detail=SERVICE_UNAVAILABLE'],
    ['has too long a queue', failure('QUEUE_FULL'), 'detail=QUEUE_FULL'],
    ['does not answer in time', failure('DEADLINE_EXCEEDED'), 'detail=DEADLINE_EXCEEDED'],
  ] as const) {
    test(`serves where R ${name}`, () => {
      const run = aCache(STALE, good('[1]'), end);
      run.send();
      run.clock.advance(15_000);

      const { status, text, answer } = run.send();

      assert.deepEqual([status, text, answer.status], [`fwd=stale; ttl=-5; ${reported}`, '[1]', 200]);
      assert.equal(fieldOf(answer.fields, 'age'), '15');
      assert.deepEqual(run.results(), ['miss', 'stale']);
    });
  }

  for (const [name, end] of [
    ['the caller is gone', failure('CALLER_GONE')],
    ['the gateway is at fault', failure('INTERNAL')],
    ['the request is', failure('BAD_REQUEST')],
  ] as const) {
    test(`does not hide that ${name}`, () => {
      const run = aCache(STALE, good('[1]'), end);
      run.send();
      run.clock.advance(15_000);

      assert.throws(() => run.send(), { code: end.code });
    });
  }

  test('does not hide what R says of the request', () => {
    const run = aCache(STALE, good('[1]'), good('gone', [], 404));
    run.send();
    run.clock.advance(15_000);

    assert.deepEqual(pick(run.send()), ['fwd=stale', 'gone']);
  });

  test('serves no longer than the route says, and never against R’s word', () => {
    for (const [fields, ms] of [
      [[], 30_000],
      [['Cache-Control', 'must-revalidate'], 15_000],
    ] as const) {
      const run = aCache(STALE, good('[1]', [...fields]), failure('CONNECT_FAILED'));
      run.send();
      run.clock.advance(ms);

      assert.throws(() => run.send(), { code: 'CONNECT_FAILED' });
      assert.deepEqual(run.results(), ['miss', 'miss']);
    }
  });

  test('tells which instance failed it', () => {
    const run = aCache(STALE, good('[1]'), good('oh', [], 500));
    run.send();
    run.clock.advance(15_000);

    assert.equal(run.send().answer.via, VIA);
  });

  test('lets go of the body of the error that it stands for', () => {
    const body = new Readable({ read: () => undefined });
    const run = aCache(STALE, good('[1]'), { ...good('', [], 500), body });
    run.send();
    run.clock.advance(15_000);

    assert.equal(run.send().text, '[1]');
    assert.equal(body.destroyed, true);
  });

  test('is not given when it was purged while R was asked', () => {
    const run = aCache(STALE, good('[1]'));
    run.send();
    run.clock.advance(15_000);
    const { call } = run.begin();
    run.caches.purge(run.route.id);

    assert.throws(() => run.finish(call, failure('CONNECT_FAILED')), { code: 'CONNECT_FAILED' });
  });
});

describe('a route that follows HTTP', () => {
  const HTTP: Partial<CachePolicy> = { ttlMs: 'http', methods: new Set(['GET', 'HEAD']) };
  const FRESH = ['Cache-Control', 'max-age=60'];

  test('stores what R says how long, and nothing else', () => {
    const run = aCache(HTTP, good('[1]', FRESH), good('[2]', []));

    assert.equal(run.send({ path: '/a' }).status, 'fwd=uri-miss; stored');
    assert.equal(run.send({ path: '/b' }).status, 'fwd=uri-miss');
    assert.equal(run.send({ path: '/a' }).status, 'hit; ttl=60');
  });

  test('deletes what is written to', () => {
    const run = aCache(HTTP, good('[1]', FRESH));
    const noteWrite = createNoteWrite(run);
    for (const path of ['/a', '/b', '/c']) run.send({ path });

    noteWrite(run.aCall({ method: 'POST', path: '/a' }), 201);
    noteWrite(run.aCall({ method: 'PUT', path: '/b' }), 200);
    run.clock.advance(1);

    const statuses = ['/a', '/b', '/c'].map(path => run.send({ path }).status);
    assert.deepEqual(statuses, ['fwd=uri-miss; stored', 'fwd=uri-miss; stored', 'hit; ttl=59']);
  });

  test('deletes nothing for a write that failed, or for a read', () => {
    const run = aCache(HTTP, good('[1]', FRESH));
    const noteWrite = createNoteWrite(run);
    run.send({ path: '/a' });

    noteWrite(run.aCall({ method: 'POST', path: '/a' }), 404);
    noteWrite(run.aCall({ method: 'OPTIONS', path: '/a' }), 200);

    assert.equal(run.send({ path: '/a' }).status, 'hit; ttl=60');
  });

  test('deletes what is written to by a call that another route stores', () => {
    const run = aCache(HTTP, good('[1]', FRESH));
    const sharing = aSharing({ cache: aCachePolicy() });
    const posting = aSharingRoute(sharing, { id: 'posting' });
    run.caches.adopt([run.route, posting]);
    run.send({ path: '/a' });
    const call = aCompleteCall(posting, { request: { method: 'POST', path: '/a' }, clock: run.clock });
    const cache = createCache({ caches: run.caches, clock: run.clock, digest: sha256 });
    assert.equal(cache(new SharedCall(call, sharing, sha256)), undefined);

    run.finish(call, good('[2]'));
    run.clock.advance(1);

    assert.equal(run.send({ path: '/a' }).status, 'fwd=uri-miss; stored');
  });
});
