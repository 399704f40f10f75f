import { RoutePolicyKeys } from '../schema/route-policy.ts';
import { durationMs, durationText } from '../units.ts';
import { sizeOf, type FilterDefinition, type MadeFilter, type Part } from './part.ts';

const BUCKET = ['replenishRate', 'burstCapacity', 'requestedTokens'].map(name => `redisRateLimiter.${name}`);
const EMPTY_KEY = ['denyEmptyKey', 'emptyKeyStatus'];

/** Filters of Spring's that are `limits` and `cache` of a route here, by name. */
export const SHARING_FILTERS: readonly (readonly [string, FilterDefinition])[] = [
  [
    'LocalResponseCache',
    {
      shape: 'fields',
      fields: ['timeToLive', 'size'],
      required: 0,
      manual: 'The route’s `cache`, for GET: answers are kept so long (5m), and so many bytes of them.',
      example: 'LocalResponseCache=30m, 500MB',
      make: cacheOf,
    },
  ],
  [
    'RequestRateLimiter',
    {
      shape: 'fields',
      fields: [],
      required: 0,
      named: [...BUCKET, 'keyResolver', 'rateLimiter', 'statusCode', ...EMPTY_KEY, 'routeId'],
      manual: 'One of the route’s `limits`: a bucket that fills evenly, at which no call waits.',
      example:
        '{ name: RequestRateLimiter, args: { redis-rate-limiter.replenishRate: 10, redis-rate-limiter.burstCapacity: 20 } }',
      make: limitOf,
    },
  ],
];

function cacheOf(part: Part): MadeFilter | undefined {
  const written = part.one('timeToLive') ?? '5m';
  const ttlMs = durationMs(/^\d+$/.test(written) ? `${written}ms` : written);
  if (ttlMs === undefined || ttlMs === 0) {
    part.complain('timeToLive must be a duration', { hint: 'write 250ms, 5s, 2m or 1h', piece: written });
    return undefined;
  }
  const bytes = part.one('size') === undefined ? undefined : sizeOf(part, 'size', 0);
  const bytesMax = bytes === undefined ? {} : { bytesMax: `${bytes}B` };
  const read = RoutePolicyKeys.shape.cache.safeParse({ ttl: durationText(ttlMs), methods: ['GET'], ...bytesMax });
  if (!read.success) {
    for (const { path, message } of read.error.issues) {
      const field = path.at(-1) === 'ttl' ? 'timeToLive' : 'size';
      part.complain(`${field} ${message}`, { piece: part.one(field) });
    }
    return undefined;
  }
  return { filter: { name: 'LocalResponseCache', text: part.written.text }, policy: { cache: read.data } };
}

/** A bucket as Spring's is written: so many tokens a second, so many at most, so many for a call. */
export interface Bucket {
  readonly rate: number;
  readonly burst: number;
  readonly cost: number;
}

/** The limit that lets through what a bucket does; undefined: it never holds enough for a call. */
export function limitOfBucket(
  { rate, burst, cost }: Bucket,
  by: string,
): Readonly<Record<string, unknown>> | undefined {
  const calls = Math.floor(burst / cost);
  if (calls < 1) return undefined;
  const common = divisorOf(rate, cost);
  const per = durationText((cost / common) * 1_000);
  return { rate: rate / common, per, by, excess: 'queue', burst: calls, waitMax: '0s' };
}

function divisorOf(a: number, b: number): number {
  return b === 0 ? a : divisorOf(b, a % b);
}

function limitOf(part: Part): MadeFilter | undefined {
  const bucket = bucketOf(part);
  if (bucket === undefined) return undefined;
  const limiter = part.one('rateLimiter');
  const resolver = part.one('keyResolver') ?? OF_CALLERS;
  const written = limitOfBucket(bucket, keyOfBean(resolver));
  if (written === undefined) {
    const message = `lets no call pass: one takes ${bucket.cost} tokens, and the bucket holds ${bucket.burst}`;
    part.complain(message, { hint: 'write a `burstCapacity` of `requestedTokens` at least' });
    return undefined;
  }
  const bean = limiter ?? (resolver === OF_CALLERS ? undefined : resolver);
  if (bean !== undefined) {
    const message = `what the bean ${bean} ${limiter === undefined ? 'counts by' : 'lets through'} stands in Java, not in this file`;
    const entry = Object.entries(written).map(([key, value]) => `${key}: ${String(value)}`);
    part.complain(message, {
      hint: `write \`limits: [{ ${entry.join(', ')} }]\` on the route, beside \`filters\``,
      piece: bean,
    });
    return undefined;
  }
  warnOfAnswers(part);
  const limits = RoutePolicyKeys.shape.limits.parse([written]);
  return { filter: { name: 'RequestRateLimiter', text: part.written.text }, policy: { limits } };
}

/** Spring's own, and what it takes where none is named: the caller's name. */
const OF_CALLERS = '#{@principalNameKeyResolver}';

/** By what a bean counts, as far as its name tells. */
export function keyOfBean(resolver: string): 'ip' | 'caller' {
  return /\bip|[a-z]Ip(?![a-z])|[Aa]ddr|[Hh]ost|[Rr]emote/.test(resolver) ? 'ip' : 'caller';
}

function bucketOf(part: Part): Bucket | undefined {
  const [rate, burst, cost] = BUCKET.map(field => part.one(field));
  if (rate === undefined) {
    part.complain('`redis-rate-limiter.replenishRate` is missing', {
      hint: 'write `limits: [{ rate: 10, per: 1s }]` on the route, beside `filters`',
    });
    return undefined;
  }
  const wrong = [rate, burst, cost].find(text => text !== undefined && !/^[1-9]\d{0,5}$/.test(text));
  if (wrong === undefined) return { rate: Number(rate), burst: Number(burst ?? 1), cost: Number(cost ?? 1) };
  part.complain('tokens are counted in whole numbers, from 1 to 999999', { piece: wrong });
  return undefined;
}

function warnOfAnswers(part: Part): void {
  const status = part.one('statusCode');
  if (status !== undefined && !/^(?:429|TOO_MANY_REQUESTS)$/i.test(status)) {
    part.complain('callers are told 429, and nothing else', { severity: 'warning', piece: status });
  }
  const empty = EMPTY_KEY.map(field => part.one(field)).find(text => text !== undefined);
  if (empty === undefined) return;
  part.complain('no key is ever empty: a caller without a name is counted by address', {
    severity: 'warning',
    piece: empty,
  });
}
