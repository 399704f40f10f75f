import { listOf, type RawFields } from './fields.ts';

/** How much a caller would like an answer of a type: by quality, then by how closely it is named, then by place. */
export interface Liking {
  /** From 0 to 1; 0: not at all. */
  readonly quality: number;
  /** 2 by its own name, 1 by its kind (`text/*`), 0 as any. */
  readonly nearness: number;
  /** Of its range in the list. */
  readonly place: number;
}

/** Ranges that are looked at; what a caller writes beyond them says nothing. */
const RANGES_MAX = 32;

const ANYTHING: Liking = { quality: 1, nearness: 0, place: 0 };
const NOTHING: Liking = { quality: 0, nearness: 0, place: RANGES_MAX };

/** A number from 0 to 1 with three places at most. */
const QUALITY = /^q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/i;

/** What `Accept` says of a type in lower case, by the range that names it most closely (RFC 9110 §12.5.1). */
export function likingOf(type: string, fields: RawFields): Liking {
  const ranges = listOf(fields, 'accept').slice(0, RANGES_MAX);
  if (ranges.length === 0) return ANYTHING;
  const [kind = ''] = type.split('/', 1);
  let liking: Liking | undefined;
  ranges.forEach((range, place) => {
    const [name = '', ...parameters] = range.split(';').map(part => part.trim().toLowerCase());
    const nearness = [`*/*`, `${kind}/*`, type].indexOf(name);
    if (nearness < 0 || (liking !== undefined && nearness <= liking.nearness)) return;
    liking = { quality: qualityOf(parameters), nearness, place };
  });
  return liking ?? NOTHING;
}

/** What is no quality is none. */
function qualityOf(parameters: readonly string[]): number {
  const written = parameters.find(parameter => /^q\s*=/.test(parameter));
  return written === undefined ? 1 : Number(QUALITY.exec(written)?.[1] ?? 0);
}

/** True where the one is liked better than the other. */
export function isPreferred(one: Liking, other: Liking): boolean {
  if (one.quality !== other.quality || one.quality === 0) return one.quality > other.quality;
  return one.nearness === other.nearness ? one.place < other.place : one.nearness > other.nearness;
}
