import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { GatewayError, type FailureCode } from '../../gateway/domain/errors.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type { Answer, Question } from '../../gateway/domain/exchange.ts';
import { fieldOf, fieldsOf } from '../../gateway/domain/http/fields.ts';
import type { CachePolicy } from '../../gateway/domain/route.ts';
import { createMemories } from '../../gateway/domain/sharing/cache/memories.ts';
import type { Keep, Shared } from '../../gateway/domain/sharing/shared.ts';
import { sha256 } from '../../gateway/edges/digest.ts';
import { createMemoryStore } from '../../gateway/edges/memory-store.ts';
import { createNoteWrite, createRemember } from '../../gateway/stages/remember.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aCachePolicy, aShared, aSharing } from '../support/sharing.ts';

const good = (
  body = '[1]',
  rawHeaders: readonly string[] = ['Content-Type', 'application/json'],
  status = 200,
): Answer => ({
  kind: 'answer',
  status,
  rawHeaders,
  body: Buffer.from(body),
});

interface Asked {
  readonly method?: string;
  readonly path?: string;
  /** `Cache-Control`. */
  readonly wish?: string;
}

/** A route that remembers, before an R that answers what it is told to, in order, and then the last again. */
function aRemembering(policy: Partial<CachePolicy> = {}, ...answers: (Answer | GatewayError)[]) {
  const clock = manualClock();
  const events: GatewayEvent[] = [];
  const memories = createMemories({ createStore: createMemoryStore, clock });
  const sharing = aSharing({ cache: aCachePolicy(policy) });
  const remember = createRemember({ memories, clock, digest: sha256, observe: event => events.push(event) });
  const { route } = aShared(sharing).complete;
  memories.adopt([route]);
  const keeps: (Keep | undefined)[] = [];

  const shared = ({ method = 'GET', path = '/predict', wish }: Asked = {}): Shared => {
    const rawHeaders = wish === undefined ? [] : ['Cache-Control', wish];
    const made = aShared(sharing, { request: { method, path, rawHeaders } });
    return { ...made, complete: { ...made.complete, route } };
  };
  const put = async (keep: Keep | undefined): Promise<Answer> => {
    keeps.push(keep);
    const answer = answers[Math.min(keeps.length, answers.length) - 1] ?? good();
    if (answer instanceof GatewayError) throw answer;
    const own = { ...answer };
    keep?.(own);
    return own;
  };
  return {
    ...{ clock, events, memories, remember, shared, put, route },
    /** What a request is answered, its `Cache-Status` and body alone. */
    async ask(asked?: Asked) {
      const answer = await remember(shared(asked), put);
      const status = fieldOf(answer.rawHeaders, 'cache-status')?.replace('Penstock; ', '');
      return { answer, status, text: (answer.body as Buffer).toString() };
    },
    get asked() {
      return keeps.length;
    },
    results: () => events.flatMap(event => (event.kind === 'cache' ? [event.result] : [])),
  };
}

const failure = (code: FailureCode) => new GatewayError(code, 'of the test');

describe('a route that remembers', () => {
  test('asks R once, and answers from memory with age, tag and status', async () => {
    const run = aRemembering();

    const first = await run.ask();
    run.clock.advance(2_500);
    const second = await run.ask();

    assert.equal(run.asked, 1);
    const tag = fieldOf(first.answer.rawHeaders, 'etag');
    assert.match(tag ?? '', /^"[\w-]{43}"$/);
    assert.deepEqual([first.status, first.text], ['fwd=uri-miss; stored', '[1]']);
    assert.deepEqual([second.status, second.text], ['hit; ttl=57', '[1]']);
    assert.deepEqual(
      [fieldOf(first.answer.rawHeaders, 'age'), fieldOf(second.answer.rawHeaders, 'age')],
      [undefined, '2'],
    );
    assert.equal(fieldOf(second.answer.rawHeaders, 'etag'), tag);
    assert.deepEqual(run.results(), ['miss', 'hit']);
  });

  test('keeps R’s own tag, and puts its status after those of caches behind', async () => {
    const fields = ['ETag', 'W/"7"', 'Age', '50', 'Cache-Status', 'Other; hit'];
    const run = aRemembering({}, good('[1]', fields));
    await run.ask();

    const { answer } = await run.ask();

    assert.deepEqual(fieldsOf(answer.rawHeaders, 'etag'), ['W/"7"']);
    assert.deepEqual(fieldsOf(answer.rawHeaders, 'age'), ['0']);
    assert.deepEqual(fieldsOf(answer.rawHeaders, 'cache-status'), ['Other; hit', 'Penstock; hit; ttl=60']);
  });

  test('gives an answer without a body no tag', async () => {
    const run = aRemembering({}, good('', [], 204));
    await run.ask();

    const { answer, status } = await run.ask();

    assert.deepEqual([answer.status, status, fieldOf(answer.rawHeaders, 'etag')], [204, 'hit; ttl=60', undefined]);
  });

  test('asks again when the time is over', async () => {
    const run = aRemembering({}, good('[1]'), good('[2]'));
    await run.ask();
    run.clock.advance(60_000);

    assert.deepEqual(pick(await run.ask()), ['fwd=stale; stored', '[2]']);
    assert.deepEqual(pick(await run.ask()), ['hit; ttl=60', '[2]']);
    assert.equal(run.asked, 2);
    assert.deepEqual(run.results(), ['miss', 'miss', 'hit']);
  });

  test('tells apart what has another key', async () => {
    const run = aRemembering();

    await run.ask({ path: '/a' });

    assert.equal((await run.ask({ path: '/b' })).status, 'fwd=uri-miss; stored');
  });

  test('has nothing to do with methods that it does not remember', async () => {
    const run = aRemembering({ methods: new Set(['GET']) });

    const { status } = await run.ask({ method: 'POST' });

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
    test(`does not remember an answer that ${name}`, async () => {
      const run = aRemembering({ bytesMax: 1_500 }, answer);

      assert.equal((await run.ask()).status, 'fwd=uri-miss');
      assert.equal((await run.ask()).status, 'fwd=uri-miss');
      assert.equal(run.asked, 2);
    });
  }

  test('passes a body on that still comes, and keeps nothing of it', async () => {
    const body = new Readable({ read: () => undefined });
    const run = aRemembering({}, { ...good(), body });

    const answer = await run.remember(run.shared(), run.put);

    assert.equal(answer.body, body);
    assert.equal(body.destroyed, false);
    assert.equal(fieldOf(answer.rawHeaders, 'cache-status'), 'Penstock; fwd=uri-miss');
    body.destroy();
  });

  test('keeps an answer that comes when its caller is gone', async () => {
    const run = aRemembering();
    let late: Keep | undefined;
    const gone = run.remember(run.shared(), keep => {
      late = keep;
      return Promise.reject(failure('CALLER_GONE'));
    });
    await assert.rejects(gone, { code: 'CALLER_GONE' });

    late?.(good('[late]'));

    assert.deepEqual(pick(await run.ask()), ['hit; ttl=60', '[late]']);
  });

  test('tells those who shared the asking that they did, and gives them the same tag', async () => {
    const run = aRemembering();
    const answer = good();
    const [first, second] = await Promise.all([
      run.remember(run.shared(), async keep => {
        await setImmediate();
        keep?.(answer);
        return answer;
      }),
      run.remember(run.shared(), async () => {
        await setImmediate();
        return answer;
      }),
    ]);

    assert.equal(fieldOf(first.rawHeaders, 'cache-status'), 'Penstock; fwd=uri-miss; stored');
    assert.equal(fieldOf(second.rawHeaders, 'cache-status'), 'Penstock; fwd=uri-miss; stored; collapsed');
    assert.equal(fieldOf(second.rawHeaders, 'etag'), fieldOf(first.rawHeaders, 'etag'));
  });

  test('says what it made of a request that fails, too', async () => {
    const run = aRemembering({}, failure('QUEUE_FULL'));
    const shared = run.shared();

    await assert.rejects(run.remember(shared, run.put), { code: 'QUEUE_FULL' });

    assert.deepEqual(shared.complete.notes.owedFields, ['Cache-Status', 'Penstock; fwd=uri-miss']);
    assert.deepEqual(run.results(), ['miss']);
  });
});

describe('a caller’s wish', () => {
  for (const [wish, expected] of [
    ['no-cache', ['fwd=request; stored', '[2]']],
    ['max-age=4', ['fwd=request; stored', '[2]']],
    ['min-fresh=56', ['fwd=request; stored', '[2]']],
    ['no-store', ['fwd=bypass', '[2]']],
  ] as const) {
    test(`goes to R past an answer that is fresh: ${wish}`, async () => {
      const run = aRemembering({}, good('[1]'), good('[2]'));
      await run.ask();
      run.clock.advance(5_000);

      assert.deepEqual(pick(await run.ask({ wish })), expected);
      assert.deepEqual(pick(await run.ask()), wish === 'no-store' ? ['hit; ttl=55', '[1]'] : ['hit; ttl=60', '[2]']);
      assert.deepEqual(run.results(), ['miss', 'bypass', 'hit']);
    });
  }

  test('is refused where it would have a remembered answer or none', async () => {
    const run = aRemembering();

    await assert.rejects(run.ask({ wish: 'only-if-cached' }), {
      code: 'NOT_CACHED',
      status: 504,
      fields: ['Cache-Status', 'Penstock; detail=only-if-cached'],
    });
    assert.equal(run.asked, 0);
    await run.ask();
    assert.equal((await run.ask({ wish: 'only-if-cached' })).status, 'hit; ttl=60');
  });

  test('may take an answer past its time, which is told by a time below zero', async () => {
    const run = aRemembering();
    await run.ask();
    run.clock.advance(62_500);

    const { status, answer } = await run.ask({ wish: 'max-stale=5' });

    assert.deepEqual([status, fieldOf(answer.rawHeaders, 'age')], ['hit; ttl=-3', '62']);
  });

  test('for a new answer makes the old one forgotten where the new one may not be kept', async () => {
    const run = aRemembering({}, good('[1]'), good('[2]', ['Cache-Control', 'no-store']), good('[3]'));
    await run.ask();
    await run.ask({ wish: 'no-cache' });

    assert.deepEqual(pick(await run.ask()), ['fwd=uri-miss; stored', '[3]']);
  });

  test('does not remember for one version what another may have answered while it waited', async () => {
    const run = aRemembering();
    const setVersions = (versions: string) => Object.assign(run.route.service, { versions });
    setVersions('1');
    await run.remember(run.shared(), keep => {
      setVersions('2');
      return run.put(keep);
    });
    setVersions('1'); // the new one is taken back

    assert.deepEqual(pick(await run.ask()), ['fwd=uri-miss; stored', '[1]']);
  });
});

describe('an answer past its time', () => {
  const STALE: Partial<CachePolicy> = { ttlMs: 10_000, staleIfErrorMs: 20_000 };

  for (const [name, end, told] of [
    ['answers with an error', good('oh', [], 500), 'fwd-status=500'],
    ['says that it is unavailable', good('', [], 503), 'fwd-status=503'],
    ['takes no connection', failure('CONNECT_FAILED'), 'detail=CONNECT_FAILED'],
    ['is not there', failure('SERVICE_UNAVAILABLE'), 'detail=SERVICE_UNAVAILABLE'],
    ['has too long a queue', failure('QUEUE_FULL'), 'detail=QUEUE_FULL'],
    ['does not answer in time', failure('DEADLINE_EXCEEDED'), 'detail=DEADLINE_EXCEEDED'],
  ] as const) {
    test(`serves where R ${name}`, async () => {
      const run = aRemembering(STALE, good('[1]'), end);
      await run.ask();
      run.clock.advance(15_000);

      const { status, text, answer } = await run.ask();

      assert.deepEqual([status, text, answer.status], [`fwd=stale; ttl=-5; ${told}`, '[1]', 200]);
      assert.equal(fieldOf(answer.rawHeaders, 'age'), '15');
      assert.deepEqual(run.results(), ['miss', 'stale']);
    });
  }

  for (const [name, end] of [
    ['the caller is gone', failure('CALLER_GONE')],
    ['the gateway is at fault', failure('INTERNAL')],
    ['the request is', failure('BAD_REQUEST')],
  ] as const) {
    test(`does not hide that ${name}`, async () => {
      const run = aRemembering(STALE, good('[1]'), end);
      await run.ask();
      run.clock.advance(15_000);

      await assert.rejects(run.ask(), { code: end.code });
    });
  }

  test('does not hide what R says of the request', async () => {
    const run = aRemembering(STALE, good('[1]'), good('gone', [], 404));
    await run.ask();
    run.clock.advance(15_000);

    assert.deepEqual(pick(await run.ask()), ['fwd=stale', 'gone']);
  });

  test('serves no longer than the route says, and never against R’s word', async () => {
    for (const [fields, ms] of [
      [[], 30_000],
      [['Cache-Control', 'must-revalidate'], 15_000],
    ] as const) {
      const run = aRemembering(STALE, good('[1]', fields), failure('CONNECT_FAILED'));
      await run.ask();
      run.clock.advance(ms);

      await assert.rejects(run.ask(), { code: 'CONNECT_FAILED' });
      assert.deepEqual(run.results(), ['miss', 'miss']);
    }
  });

  test('lets go of the body of the error that it stands for', async () => {
    const body = new Readable({ read: () => undefined });
    const run = aRemembering(STALE, good('[1]'), { ...good('', [], 500), body });
    await run.ask();
    run.clock.advance(15_000);

    assert.equal((await run.ask()).text, '[1]');
    assert.equal(body.destroyed, true);
  });

  test('is not given when it was purged while R was asked', async () => {
    const run = aRemembering(STALE, good('[1]'));
    await run.ask();
    run.clock.advance(15_000);

    const answered = run.remember(run.shared(), () => {
      run.memories.purge(run.route.id);
      return Promise.reject(failure('CONNECT_FAILED'));
    });

    await assert.rejects(answered, { code: 'CONNECT_FAILED' });
  });
});

describe('a route that follows HTTP', () => {
  const HTTP: Partial<CachePolicy> = { ttlMs: 'http', methods: new Set(['GET', 'HEAD']) };
  const FRESH = ['Cache-Control', 'max-age=60'];

  test('remembers what R says how long, and nothing else', async () => {
    const run = aRemembering(HTTP, good('[1]', FRESH), good('[2]', []));

    assert.equal((await run.ask({ path: '/a' })).status, 'fwd=uri-miss; stored');
    assert.equal((await run.ask({ path: '/b' })).status, 'fwd=uri-miss');
    assert.equal((await run.ask({ path: '/a' })).status, 'hit; ttl=60');
  });

  test('forgets what is written to, by a request that shares or by one that does not', async () => {
    const run = aRemembering(HTTP, good('[1]', FRESH));
    const note = createNoteWrite(run);
    const message = () => ({ method: 'PUT', target: '/b', host: undefined, rawHeaders: [], body: Buffer.alloc(0) });
    const question = { method: 'PUT', route: run.route, message } as unknown as Question;
    for (const path of ['/a', '/b', '/c']) await run.ask({ path });

    await run.ask({ method: 'POST', path: '/a' });
    note(question, good());
    run.clock.advance(1);

    const statuses = ['/a', '/b', '/c'].map(async path => (await run.ask({ path })).status);
    assert.deepEqual(await Promise.all(statuses), ['fwd=uri-miss; stored', 'fwd=uri-miss; stored', 'hit; ttl=59']);
  });

  test('forgets nothing for a write that failed, or for a read', async () => {
    const run = aRemembering(HTTP, good('[1]', FRESH), good('', [], 404), good('[1]', FRESH));
    const note = createNoteWrite(run);
    const message = () => ({ method: 'OPTIONS', target: '/a', host: undefined, rawHeaders: [], body: Buffer.alloc(0) });
    await run.ask({ path: '/a' });
    await run.ask({ method: 'POST', path: '/a' });
    note({ method: 'OPTIONS', route: run.route, message } as unknown as Question, good());

    assert.equal((await run.ask({ path: '/a' })).status, 'hit; ttl=60');
  });
});

function pick({ status, text }: { readonly status: string | undefined; readonly text: string }) {
  return [status, text];
}
