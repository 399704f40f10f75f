import { LRUCache } from 'lru-cache';
import type { CreateAnswerStore } from '../domain/ports.ts';
import type { Remembered } from '../domain/sharing/cache/remembered.ts';

/** What an entry takes beside its texts and its body, as measured: objects, pointers, the lists of the store. */
const ENTRY_BYTES = 750;

/** A field's two pointers and the heads of its two texts. */
const FIELD_BYTES = 48;

/** A store of answers in this process's memory. */
export const createMemoryStore: CreateAnswerStore = ({ entriesMax, bytesMax, onGone }) => {
  const entries = new LRUCache<string, Remembered>({
    max: entriesMax,
    maxSize: bytesMax,
    sizeCalculation: sizeOf,
    ...(onGone && { dispose: (remembered, key) => onGone(key, remembered) }),
  });

  return {
    find: key => entries.get(key),
    keep(key, remembered) {
      entries.set(key, { ...remembered, body: ownOf(remembered.body) });
      return entries.has(key);
    },
    forget(key) {
      entries.delete(key);
    },
    clear() {
      const { size } = entries;
      entries.clear();
      return size;
    },
  };
};

function sizeOf({ rawHeaders, body, target }: Remembered, key: string): number {
  let size = ENTRY_BYTES + key.length + target.length + body.length;
  for (const text of rawHeaders) size += FIELD_BYTES / 2 + text.length;
  return size;
}

/** A short body is a slice of a block that Node shares out: kept as it is, it would keep the whole block. */
function ownOf(body: Buffer): Buffer {
  if (body.buffer.byteLength === body.length) return body;
  const own = Buffer.allocUnsafeSlow(body.length);
  body.copy(own);
  return own;
}
