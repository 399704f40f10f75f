import { LRUCache } from 'lru-cache';
import type { CacheEntry, CreateCacheStore } from '../domain/sharing/cache-entries.ts';

/** What an entry takes beside its texts and its body, as measured: objects, pointers, the lists of the store. */
const ENTRY_BYTES = 750;

/** A field's two pointers and the heads of its two texts. */
const FIELD_BYTES = 48;

/** A store of answers in this process's memory. */
export const createMemoryStore: CreateCacheStore = ({ entriesMax, bytesMax, onGone }) => {
  const entries = new LRUCache<string, CacheEntry>({
    max: entriesMax,
    maxSize: bytesMax,
    sizeCalculation: sizeOf,
    ...(onGone && { dispose: (entry, key) => onGone(key, entry) }),
  });

  return {
    get: key => entries.get(key),
    set(key, entry) {
      entries.set(key, { ...entry, body: ownOf(entry.body) });
      return entries.has(key);
    },
    delete(key) {
      entries.delete(key);
    },
    clear() {
      const { size } = entries;
      entries.clear();
      return size;
    },
  };
};

function sizeOf({ fields, body, target }: CacheEntry, key: string): number {
  let size = ENTRY_BYTES + key.length + target.length + body.length;
  for (const text of fields) size += FIELD_BYTES / 2 + text.length;
  return size;
}

/** A short body is a slice of a block that Node shares out: kept as it is, it would keep the whole block. */
function ownOf(body: Buffer): Buffer {
  if (body.buffer.byteLength === body.length) return body;
  const own = Buffer.allocUnsafeSlow(body.length);
  body.copy(own);
  return own;
}
