import type { AnswerStore, CreateAnswerStore } from '../../ports.ts';
import type { CachePolicy } from '../../route.ts';
import { createLatelyWritten } from './lately-written.ts';
import type { Remembered } from './remembered.ts';

/** What one route remembers. */
export interface Memory {
  find(key: string): Remembered | undefined;
  /** False: it is too large, was forgotten before it could be kept, or what was asked for later has come sooner. */
  keep(key: string, remembered: Remembered): boolean;
  forget(key: string): void;
  /** Forgets all, what is still under way as well, and says how many answers went. */
  purge(nowMs: number): number;
  /** Something wrote to this target: forgets what R answered for it (RFC 9111 §4.4). */
  written(target: string, nowMs: number): void;
}

/** A route's memory, empty, in the room that its policy gives it. */
export function createMemory({ entriesMax, bytesMax, ttlMs }: CachePolicy, createStore: CreateAnswerStore): Memory {
  const keys = ttlMs === 'http' ? createTargetIndex() : undefined; // elsewhere nobody asks by target
  const store: AnswerStore = createStore({ entriesMax, bytesMax, onGone: keys?.remove });
  const written = createLatelyWritten();
  let purgedMs = -Infinity;

  return {
    find: key => store.find(key),
    keep(key, remembered) {
      const { askedMs, target } = remembered;
      if (purgedMs >= askedMs || written.isSince(target, askedMs)) return false;
      if ((store.find(key)?.askedMs ?? -Infinity) > askedMs) return false;
      if (!store.keep(key, remembered)) return false;
      keys?.add(key, remembered);
      return true;
    },
    forget: key => store.forget(key),
    purge(nowMs) {
      purgedMs = nowMs;
      return store.clear();
    },
    written(target, nowMs) {
      written.note(target, nowMs);
      for (const key of keys?.of(target) ?? []) store.forget(key);
    },
  };
}

/** Which keys stand for what R was asked; as many as the store has entries. */
function createTargetIndex() {
  const keysOf = new Map<string, Set<string>>();
  return {
    of: (target: string): string[] => [...(keysOf.get(target) ?? [])],
    add: (key: string, { target }: Remembered): void => {
      const keys = keysOf.get(target);
      if (keys === undefined) keysOf.set(target, new Set([key]));
      else keys.add(key);
    },
    remove: (key: string, { target }: Remembered): void => {
      const keys = keysOf.get(target);
      keys?.delete(key);
      if (keys?.size === 0) keysOf.delete(target);
    },
  };
}
