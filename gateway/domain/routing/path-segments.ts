/** A path's parts between slashes. An empty part is a part: `/a//b` has three, `/a/` has two. */
export interface PathSegments {
  /** As they stand in the path. */
  readonly raw: readonly string[];
  /** With their percent-encoding undone, once: what is compared with patterns. */
  readonly text: readonly string[];
}

/**
 * Splits a path. Parts are compared decoded: a pattern is written as text.
 */
export function segmentsOf(path: string): PathSegments {
  const raw = path.startsWith('/') ? path.slice(1).split('/') : path.split('/');
  return { raw, text: path.includes('%') ? raw.map(decode) : raw };
}

/** A part with its percent-encoding undone; as it is where that yields no text. */
export function decode(part: string): string {
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // not UTF-8, or not encoding at all: it equals nothing but itself
  }
}
