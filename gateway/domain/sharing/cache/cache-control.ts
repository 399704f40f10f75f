import { fieldOf, fieldsOf, type RawFields } from '../../http/fields.ts';

/** What a `Cache-Control` says: names in lower case; the value of a directive that has none is empty. */
export type Directives = ReadonlyMap<string, string>;

/** Of several directives of one name the first counts (RFC 9111 §4.2.1). */
export function directivesOf(fields: RawFields): Directives {
  if (fieldOf(fields, 'cache-control') === undefined) return NOTHING_SAID;
  const said = new Map<string, string>();
  for (const [, name = '', quoted, plain] of fieldsOf(fields, 'cache-control').join(',').matchAll(DIRECTIVE)) {
    const lowerName = name.toLowerCase();
    if (!said.has(lowerName)) said.set(lowerName, quoted ?? plain ?? '');
  }
  return said;
}

const NOTHING_SAID: Directives = new Map();

/** A value may be quoted where the grammar has a token, and the other way round (RFC 9111 §5.2). */
const DIRECTIVE = /([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/g;

/** More seconds than any cache lives (RFC 9111 §1.2.2). */
const SECONDS_MAX = 2 ** 31;

/** A directive's seconds, as milliseconds; undefined: it was not said; `unreadable` where what was said is no number. */
export function millisecondsOf(said: Directives, name: string, unreadable: number): number | undefined {
  const value = said.get(name);
  if (value === undefined) return undefined;
  return /^\d+$/.test(value) ? Math.min(Number(value), SECONDS_MAX) * 1000 : unreadable;
}

/** What a caller wishes of a cache (RFC 9111 §5.2.1). */
export interface Wish {
  /** Nothing is to be remembered of this request; then nothing remembered answers it either. */
  readonly isNoStore: boolean;
  /** R is to be asked. */
  readonly isNoCache: boolean;
  /** R is not to be asked. */
  readonly isOnlyIfCached: boolean;
  /** Infinity: any age. */
  readonly ageMsMax: number;
  /** For so long from now an answer must still be fresh. */
  readonly freshMsMin: number;
  /** An answer may be past its time by so much. */
  readonly staleMsMax: number;
}

const NO_WISH: Wish = {
  isNoStore: false,
  isNoCache: false,
  isOnlyIfCached: false,
  ageMsMax: Infinity,
  freshMsMin: 0,
  staleMsMax: 0,
};

/** What a request's `Cache-Control` wishes. */
export function wishOf(fields: RawFields): Wish {
  const said = directivesOf(fields);
  if (said.size === 0) return NO_WISH;
  return {
    isNoStore: said.has('no-store') || said.has('private'), // which a request need not heed; but whoever says it means it
    isNoCache: said.has('no-cache'),
    isOnlyIfCached: said.has('only-if-cached'),
    ageMsMax: millisecondsOf(said, 'max-age', 0) ?? Infinity,
    freshMsMin: millisecondsOf(said, 'min-fresh', 0) ?? 0,
    staleMsMax: said.get('max-stale') === '' ? Infinity : (millisecondsOf(said, 'max-stale', 0) ?? 0),
  };
}
