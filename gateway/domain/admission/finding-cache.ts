import type { Finding } from './scheme.ts';

interface Entry {
  readonly finding: Finding;
  readonly endsMs: number;
  /** By what it was found, where that may cease to count. */
  readonly by?: unknown;
}

/** What was found of credentials, by a keyed hash of each, until it ends: in bounded room. */
export interface FindingCache {
  find(digest: string, wallMs: number): Finding | undefined;
  keep(digest: string, entry: Entry): void;
  /** Forgets all that was found by what ceases to count. */
  forgetWhere(isGone: (by: unknown) => boolean): void;
  readonly size: number;
}

/**
 * Keeps up to `entriesMax` findings, those asked for lately.
 *
 * Two halves: newcomers and what is asked for again stand in the younger one; when it is full, the older one is
 * forgotten whole. So a lookup moves nothing on its way, and no timer is needed to forget.
 */
export function createFindingCache(entriesMax: number): FindingCache {
  const halfMax = Math.max(1, Math.floor(entriesMax / 2));
  let younger = new Map<string, Entry>();
  let older = new Map<string, Entry>();

  function keep(digest: string, entry: Entry): void {
    if (younger.size >= halfMax) {
      older = younger;
      younger = new Map();
    }
    older.delete(digest);
    younger.set(digest, entry);
  }

  return {
    keep,
    find(digest, wallMs) {
      const entry = younger.get(digest) ?? older.get(digest);
      if (entry === undefined) return undefined;
      if (wallMs >= entry.endsMs) {
        younger.delete(digest);
        older.delete(digest);
        return undefined;
      }
      if (!younger.has(digest)) keep(digest, entry);
      return entry.finding;
    },
    forgetWhere(isGone) {
      for (const half of [younger, older]) {
        for (const [digest, { by }] of half) if (isGone(by)) half.delete(digest);
      }
    },
    get size() {
      return younger.size + older.size;
    },
  };
}
