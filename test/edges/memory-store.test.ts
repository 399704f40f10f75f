import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CacheEntry } from '../../gateway/domain/sharing/cache-entries.ts';
import { createMemoryStore } from '../../gateway/edges/memory-store.ts';

const entry = (body: Buffer | string, fields: readonly string[] = []): CacheEntry => ({
  status: 200,
  fields,
  body: Buffer.from(body),
  addedTag: undefined,
  freshness: { bornMs: 0, lifetimeMs: 1, staleIfErrorMs: 0, mayBeStale: true },
  target: '/',
  requestedMs: 0,
});

const LARGE = 1024 * 1024;

describe('the store in memory', () => {
  test('gives what it keeps, in the place of what was there', () => {
    const store = createMemoryStore({ entriesMax: 2, bytesMax: LARGE });
    store.set('a', entry('1'));
    store.set('a', entry('2'));

    assert.equal(store.get('a')?.body.toString(), '2');
    assert.equal(store.clear(), 1);
    assert.equal(store.get('a'), undefined);
  });

  test('lets go of the least recently used beyond its entries', () => {
    const store = createMemoryStore({ entriesMax: 2, bytesMax: LARGE });
    store.set('a', entry('1'));
    store.set('b', entry('2'));
    store.get('a');
    store.set('c', entry('3'));

    assert.deepEqual(
      ['a', 'b', 'c'].map(key => store.get(key)?.body.toString()),
      ['1', undefined, '3'],
    );
  });

  test('lets go of the least recently used beyond its bytes, and counts fields and itself among them', () => {
    const store = createMemoryStore({ entriesMax: 1_000, bytesMax: 10_000 });
    for (let i = 0; i < 100; i++) store.set(String(i), entry(Buffer.alloc(400)));
    assert.equal(store.clear(), 8);

    for (let i = 0; i < 100; i++) store.set(String(i), entry('', ['X-A', 'x'.repeat(1_300)]));
    assert.equal(store.clear(), 4);
  });

  test('does not take what is larger than all its room, and does not keep what stood in its place', () => {
    const store = createMemoryStore({ entriesMax: 10, bytesMax: 2_000 });
    store.set('a', entry('1'));
    store.set('b', entry('2'));

    assert.equal(store.set('a', entry(Buffer.alloc(2_000))), false);
    assert.equal(store.get('a'), undefined);
    assert.notEqual(store.get('b'), undefined);
  });

  test('keeps a short body without the block that it was a slice of', () => {
    const store = createMemoryStore({ entriesMax: 10, bytesMax: LARGE });
    const block = Buffer.alloc(65_536, 'x');
    store.set('a', { ...entry(''), body: block.subarray(100, 103) });
    const kept = store.get('a')?.body;

    assert.equal(kept?.toString(), 'xxx');
    assert.equal(kept.buffer.byteLength, 3);
  });

  test('keeps a body that stands alone as it is: a hit copies nothing', () => {
    const store = createMemoryStore({ entriesMax: 10, bytesMax: LARGE });
    const body = Buffer.alloc(65_536);
    store.set('a', { ...entry(''), body });

    assert.equal(store.get('a')?.body, body);
  });

  test('reports each that is gone, however it went', () => {
    const gone: string[] = [];
    const store = createMemoryStore({
      entriesMax: 2,
      bytesMax: LARGE,
      onGone: (key, { body }) => gone.push(`${key}${body.toString()}`),
    });
    for (const [key, body] of [
      ['a', '1'],
      ['a', '2'],
      ['b', '3'],
      ['c', '4'],
    ] as const)
      store.set(key, entry(body));
    store.delete('b');
    store.clear();

    assert.deepEqual(gone, ['a1', 'a2', 'b3', 'c4']);
  });
});
