import { parseShortcut } from '../dialect/written-part.ts';
import { FILTERS } from '../dialect/filters.ts';
import { keyOfBean, limitOfBucket } from '../dialect/sharing-filters.ts';
import { OUR_WAY } from '../schema/dialect-names.ts';
import { entriesUnder, isMap } from '../spring-keys.ts';
import { durationText } from '../units.ts';

/** What a filter of Spring's becomes where it cannot stay a filter. */
export interface Way {
  /** What means less. */
  readonly less: string;
  /** The keys of a route that take its place. */
  readonly keys?: Readonly<Record<string, unknown>>;
  /** True: without it a route may let in, or give away, what it must not, so that it is not served until it is mended. */
  readonly isNeeded?: boolean;
}

/** A filter as it is written: its name, and its values by field. */
interface Written {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** How the filter is said here; undefined where it is said as there. */
export function wayOf(filter: unknown, around: { readonly hasIdentity: boolean }): Way | undefined {
  const written = writtenOf(filter);
  if (written === undefined) return undefined;
  const own = WAYS.get(written.name);
  if (own !== undefined) return own(written, around);
  const { name } = written;
  const way = OUR_WAY.get(name);
  if (way !== undefined) return { less: `there is no ${name} here: ${way}`, isNeeded: true };
  if (FILTERS.has(name)) return undefined;
  return { less: `${name} is a filter of your own, and there is none here`, isNeeded: true };
}

/** Fields of a shortcut of the filters that have a way of their own. */
const FIELDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['CircuitBreaker', ['name', 'fallbackUri']],
  ['LocalResponseCache', ['timeToLive', 'size']],
]);

function writtenOf(filter: unknown): Written | undefined {
  if (isMap(filter)) {
    const { name, args } = filter;
    return typeof name === 'string' ? { name, args: isMap(args) ? args : {} } : undefined;
  }
  const shortcut = typeof filter === 'string' ? parseShortcut(filter) : undefined;
  if (shortcut === undefined || 'problem' in shortcut) return undefined;
  const fields = FIELDS.get(shortcut.name) ?? [];
  return {
    name: shortcut.name,
    args: Object.fromEntries(shortcut.pieces.map((text, i) => [fields[i] ?? `${i}`, text])),
  };
}

type MakeWay = (written: Written, around: { readonly hasIdentity: boolean }) => Way;

const WAYS: ReadonlyMap<string, MakeWay> = new Map<string, MakeWay>([
  [
    'CacheRequestBody',
    () => ({ less: 'bodies are taken in once, up to `body: { max }`, and every filter may do without' }),
  ],
  ['FallbackHeaders', () => ({ less: 'failures are problem+json with a `code`; no fallback is told of them' })],
  ['SaveSession', () => ({ less: 'the gateway keeps no sessions' })],
  ['CircuitBreaker', circuitBreakerWay],
  ['LocalResponseCache', localResponseCacheWay],
  ['RequestRateLimiter', rateLimiterWay],
  ['TokenRelay', tokenRelayWay],
]);

function circuitBreakerWay({ args }: Written): Way {
  const ejection = 'instances that fail are ejected instead (`services: { NAME: { outlier } }`)';
  const fallback = args['fallbackUri'] ?? args['fallback-uri'];
  const lost = fallback === undefined ? '' : '; there is no fallback: a failure is answered as problem+json';
  return { less: `${ejection}${lost}` };
}

function tokenRelayWay(_written: Written, { hasIdentity }: { readonly hasIdentity: boolean }): Way {
  const less = 'no caller is logged in and no token exchanged: the caller’s own `Authorization` is passed on';
  return hasIdentity ? { less, keys: { auth: { forwardToken: true } } } : { less };
}

function localResponseCacheWay({ args }: Written): Way {
  const ttl = durationText((secondsOf(args['timeToLive'] ?? args['time-to-live']) ?? 300) * 1_000);
  const less = 'answers are kept by what R is sent, for this time; `varyBy` says what else tells requests apart';
  return { less, keys: { cache: { ttl, methods: ['GET'] } } };
}

/** `30s`, `5m`, `1h`, or a number of seconds, as people write it there. */
function secondsOf(written: unknown): number | undefined {
  const found = /^(\d{1,6})(s|m|h|d)?$/.exec(textIn(written));
  const unit = { s: 1, m: 60, h: 3_600, d: 86_400 }[found?.[2] ?? 's'];
  return found === null || unit === undefined || Number(found[1]) === 0 ? undefined : Number(found[1]) * unit;
}

/** The limit that lets through what the bucket did. */
function rateLimiterWay({ args }: Written): Way {
  const given = Object.fromEntries(entriesUnder(args, ['redis-rate-limiter']).map(({ key, value }) => [key, value]));
  const rate = wholeOf(given['replenish-rate']);
  const cost = wholeOf(given['requested-tokens']) ?? 1;
  if (rate === undefined) {
    return { less: 'how much is let through stands in no `replenishRate`: write `limits: [{ rate: 10, per: 1s }]`' };
  }
  const burst = Math.max(wholeOf(given['burst-capacity']) ?? 1, cost);
  const resolver = textIn(args['key-resolver'] ?? args['keyResolver']);
  const by = keyOfBean(resolver);
  const limit = limitOfBucket({ rate, burst, cost }, by);
  const whom =
    resolver === '' || by === 'ip' || /user|principal/i.test(resolver) ? '' : `; \`by\` is a guess for ${resolver}`;
  return {
    less: `each gateway counts for itself, unless gateway.yaml has a \`redis\`${whom}`,
    keys: { limits: [limit] },
  };
}

/** A number, or what a placeholder has for a default. */
function wholeOf(written: unknown): number | undefined {
  const text = textIn(written).replace(/^\$\{[\w.-]+:([^{}]*)\}$/, '$1');
  return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : undefined;
}

function textIn(written: unknown): string {
  return typeof written === 'string' || typeof written === 'number' ? String(written) : '';
}
