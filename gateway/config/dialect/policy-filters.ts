import { parseStatus } from '../../domain/http/http-status.ts';
import type { RetryReason } from '../../domain/route.ts';
import { RoutePolicyKeys } from '../schema/route-policy.ts';
import type { FilterDefinition, MadeFilter, Part } from './part.ts';

const RETRY_FIELDS = ['retries', 'statuses', 'methods'];
const BACK_OFF_FIELDS = [
  ...['backoff.firstBackoff', 'backoff.maxBackoff', 'backoff.factor', 'backoff.basedOnPreviousValue'],
  ...['jitter.randomFactor', 'timeout'],
];

/** Filters that are keys of the route's policy here, by name. */
export const POLICY_FILTERS: readonly (readonly [string, FilterDefinition])[] = [
  [
    'CircuitBreaker',
    {
      shape: 'fields',
      fields: ['name', 'fallbackUri'],
      required: 0,
      named: ['statusCodes', 'resumeWithoutError', 'routeId'],
      manual:
        'Changes nothing: instances that fail are ejected (`services: { NAME: { outlier } }`), and `check` says so.',
      example: 'CircuitBreaker=backend',
      make: circuitBreakerOf,
    },
  ],
  [
    'Retry',
    {
      shape: 'fields',
      fields: [...RETRY_FIELDS, ...BACK_OFF_FIELDS],
      required: 0,
      named: ['series', 'exceptions', 'backoff', 'jitter'],
      manual: 'The route’s `retry`: so many retries of failures of transport and of 5xx, and of the statuses named.',
      example: 'Retry=3, BAD_GATEWAY, GET',
      make: retryOf,
    },
  ],
];

function circuitBreakerOf(part: Part): MadeFilter | undefined {
  const fallback = part.one('fallbackUri');
  if (fallback !== undefined) {
    const hint = 'leave `fallbackUri` out: a failure is answered as problem+json with its `code`';
    part.complain('there is no fallback here', { hint, piece: fallback });
    return undefined;
  }
  const hint = 'write `services: { NAME: { outlier: { failures: 5 } } }` where its defaults do not fit';
  part.complain('changes nothing: ejection of failing instances replaces it', { severity: 'warning', hint });
  return { filter: { name: 'CircuitBreaker', text: part.written.text } };
}

const TRANSPORT: readonly RetryReason[] = ['connect-failure', 'connection-lost', 'attempt-timeout'];

const SERIES: ReadonlyMap<string, number> = new Map([
  ['CLIENT_ERROR', 400],
  ['SERVER_ERROR', 500],
]);

/** As in Spring: three retries, of failures of transport and of every 5xx, even where statuses are named beside. */
function retryOf(part: Part): MadeFilter | undefined {
  const retries = part.one('retries') ?? '3';
  const statuses = statusesOf(part);
  if (!/^\d{1,4}$/.test(retries)) part.complain('retries must be a whole number', { piece: retries });
  if (!/^\d{1,4}$/.test(retries) || statuses === undefined) return undefined;
  warnOfMethods(part);
  warnOfBackOff(part);
  const attempts = Math.min(Number(retries) + 1, ATTEMPTS_MAX);
  if (attempts <= Number(retries)) {
    part.complain('nine retries are made at most', { severity: 'warning', piece: retries });
  }
  const on = [...TRANSPORT, ...new Set([...seriesOf(part), ...statuses])];
  const retry = { ...RoutePolicyKeys.shape.retry.parse({}), attempts, on };
  return { filter: { name: 'Retry', text: part.written.text }, policy: { retry } };
}

const ATTEMPTS_MAX = 10;

function listed(part: Part, field: string): string[] {
  return part
    .all(field)
    .flatMap(text => text.split(','))
    .map(text => text.trim())
    .filter(text => text !== '');
}

function statusesOf(part: Part): number[] | undefined {
  const written = listed(part, 'statuses');
  const statuses = written.map(text => parseStatus(text) ?? 0);
  const wrong = written.find((_, i) => (statuses[i] ?? 0) < 400);
  if (wrong === undefined) return statuses;
  part.complain('statuses are those of failures, by number or name', { hint: 'for example BAD_GATEWAY', piece: wrong });
  return undefined;
}

function seriesOf(part: Part): number[] {
  const written = part.all('series').length === 0 ? ['SERVER_ERROR'] : listed(part, 'series');
  return written.flatMap(name => {
    const first = SERIES.get(name.toUpperCase());
    return first === undefined ? [] : Array.from({ length: 100 }, (_, i) => first + i);
  });
}

/** Whether a method may be repeated is not the filter's to say. */
function warnOfMethods(part: Part): void {
  const unsafe = listed(part, 'methods').find(method => ['POST', 'PATCH'].includes(method.toUpperCase()));
  if (unsafe === undefined) return;
  part.complain(`${unsafe} is repeated only where calling twice does no harm`, {
    severity: 'warning',
    hint: 'write `pure: true` on the route if it does none',
    piece: unsafe,
  });
}

function warnOfBackOff(part: Part): void {
  const written = ['backoff', 'jitter', ...BACK_OFF_FIELDS].find(field => part.one(field) !== undefined);
  if (written === undefined) return;
  part.complain('how long is waited between attempts is the gateway’s own matter', { severity: 'warning' });
}
