import { parseStatus } from '../../domain/http/http-status.ts';
import { redirectTo, setStatus } from '../../domain/routing/reply-filters.ts';
import { FIELD_FILTERS } from './field-filters.ts';
import {
  flagOf,
  sizeOf,
  type FilterDefinition,
  type MadeFilter,
  type Part,
  regexOf,
  replacementOf,
  templateOf,
} from './part.ts';
import { SHARING_FILTERS } from './sharing-filters.ts';
import type { RetryReason, Filter } from '../../domain/route.ts';
import { RoutePolicyKeys } from '../schema/route-policy.ts';
import {
  addRequestParameter,
  prefixPath,
  removeRequestParameter,
  rewritePath,
  rewriteRequestParameter,
  setPath,
  stripPrefix,
} from '../../domain/routing/request-filters.ts';
import type { Template } from '../../domain/routing/template.ts';

/** Filters that change path and query, by name. */
const TARGET_FILTERS: readonly (readonly [string, FilterDefinition])[] = [
  [
    'AddRequestParameter',
    {
      shape: 'fields',
      fields: ['name', 'value'],
      required: 2,
      manual: 'Adds a parameter to the query, as it is written here: encoded.',
      example: 'AddRequestParameter=red, blue',
      make: parameterOf,
    },
  ],
  [
    'PrefixPath',
    {
      shape: 'fields',
      fields: ['prefix'],
      required: 1,
      manual: 'Puts this before the path; once a request.',
      example: 'PrefixPath=/v1',
      make: part => withTemplate(part, 'prefix', prefixPath),
    },
  ],
  [
    'RemoveRequestParameter',
    {
      shape: 'fields',
      fields: ['name'],
      required: 1,
      manual: 'Takes a parameter out of the query.',
      example: 'RemoveRequestParameter=red',
      make: part => ({ filter: removeRequestParameter(part.written.text, part.one('name') ?? '') }),
    },
  ],
  [
    'RewritePath',
    {
      shape: 'fields',
      fields: ['regexp', 'replacement'],
      required: 2,
      manual:
        'Replaces what the regex finds in the path, encoded as it is sent (docs/paths.md); `$\\{name}` stands for a group.',
      example: 'RewritePath=/api/?(?<rest>.*), /$\\{rest}',
      make: rewriteOf,
    },
  ],
  [
    'RewriteRequestParameter',
    {
      shape: 'fields',
      fields: ['name', 'replacement'],
      required: 2,
      manual: 'Gives a parameter that is in the query another value, as it is written here: encoded.',
      example: 'RewriteRequestParameter=campaign, fall2023',
      make: otherValueOf,
    },
  ],
  [
    'SetPath',
    {
      shape: 'fields',
      fields: ['template'],
      required: 1,
      manual: 'Puts this in place of the path; `{name}` stands for what Path or Host captured.',
      example: 'SetPath=/{model}/predict',
      make: part => withTemplate(part, 'template', setPath),
    },
  ],
  [
    'StripPrefix',
    {
      shape: 'fields',
      fields: ['parts'],
      required: 0,
      manual: 'Drops so many parts from the start of the path; one where no number is given.',
      example: 'StripPrefix=2',
      make: stripPrefixOf,
    },
  ],
];

function withTemplate(
  part: Part,
  field: string,
  create: (text: string, template: Template) => Filter,
): MadeFilter | undefined {
  const text = part.one(field) ?? '';
  if (!text.startsWith('/')) part.complain(`${field} must start with /`, { piece: text });
  const odd = /[?#\s]/.exec(text)?.[0];
  if (odd !== undefined) part.complain(`${field} is a path: no query, fragment or space`, { piece: text });
  const template = templateOf(part, text);
  const isSound = text.startsWith('/') && odd === undefined && template !== undefined;
  return isSound ? { filter: create(part.written.text, template) } : undefined;
}

function parameterOf(part: Part): MadeFilter | undefined {
  const [name = '', text = ''] = [part.one('name'), part.one('value')];
  const isSound = [name, text].every(piece => isEncoded(part, piece));
  const value = templateOf(part, text);
  return isSound && value ? { filter: addRequestParameter(part.written.text, { name, value }) } : undefined;
}

function otherValueOf(part: Part): MadeFilter | undefined {
  const [name = '', value = ''] = [part.one('name'), part.one('replacement')];
  if (!isEncoded(part, value)) return undefined;
  return { filter: rewriteRequestParameter(part.written.text, { name, value }) };
}

function isEncoded(part: Part, piece: string): boolean {
  if (/^[!$%&'()*+,./0-9:;=?@A-Z_a-z{}~-]*$/.test(piece)) return true;
  part.complain('must be written as it stands in a URL, percent-encoded', { piece });
  return false;
}

function rewriteOf(part: Part): MadeFilter | undefined {
  const regex = regexOf(part, 'regexp');
  if (regex === undefined) return undefined;
  const replacement = replacementOf(part, regex);
  if (replacement === undefined) return undefined;
  if (replacement.some(piece => typeof piece === 'string' && /[#\s]/.test(piece))) {
    part.complain('replacement is a path: no fragment or space', { piece: part.one('replacement') });
    return undefined;
  }
  return { filter: rewritePath(part.written.text, { regex, replacement }) };
}

function stripPrefixOf(part: Part): MadeFilter | undefined {
  const text = part.one('parts') ?? '1';
  if (/^\d{1,3}$/.test(text)) return { filter: stripPrefix(part.written.text, Number(text)) };
  part.complain('parts must be a whole number', { piece: text });
  return undefined;
}

const RETRY_FIELDS = ['retries', 'statuses', 'methods'];
const BACK_OFF_FIELDS = [
  ...['backoff.firstBackoff', 'backoff.maxBackoff', 'backoff.factor', 'backoff.basedOnPreviousValue'],
  ...['jitter.randomFactor', 'timeout'],
];

/** Filters that are keys of the route's policy here, by name. */
const POLICY_FILTERS: readonly (readonly [string, FilterDefinition])[] = [
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

/** Filters that answer, refuse or change the status, by name. */
const ANSWER_FILTERS: readonly (readonly [string, FilterDefinition])[] = [
  [
    'RedirectTo',
    {
      shape: 'fields',
      fields: ['status', 'url', 'includeRequestParams'],
      required: 2,
      manual: 'Answers with a redirect instead of asking the instance.',
      example: 'RedirectTo=302, https://example.org/',
      make: redirectOf,
    },
  ],
  [
    'RequestSize',
    {
      shape: 'fields',
      fields: ['maxSize'],
      required: 0,
      manual: 'Refuses a larger body with BODY_TOO_LARGE; the bytes that come are counted, not those announced.',
      example: 'RequestSize=5MB',
      make: requestSizeOf,
    },
  ],
  [
    'SetStatus',
    {
      shape: 'fields',
      fields: ['status'],
      required: 1,
      manual: 'Answers with this status instead of the instance’s.',
      example: 'SetStatus=202',
      make: setStatusOf,
    },
  ],
];

/** The filters there are, by name, in the order of the alphabet. */
export const FILTERS: ReadonlyMap<string, FilterDefinition> = new Map(
  [...FIELD_FILTERS, ...TARGET_FILTERS, ...ANSWER_FILTERS, ...POLICY_FILTERS, ...SHARING_FILTERS].sort(([a], [b]) =>
    a < b ? -1 : 1,
  ),
);

function redirectOf(part: Part): MadeFilter | undefined {
  const [statusText = '', url = ''] = [part.one('status'), part.one('url')];
  const status = redirectStatusOf(statusText);
  if (status === undefined) part.complain('status must be one of 300 to 399 that redirects', { piece: statusText });
  const isUrl = /^(?:https?:\/\/|\/)[!-~]*$/.test(url) && URL.canParse(url, 'http://example.org');
  if (!isUrl)
    part.complain('url must be a URL, percent-encoded', { hint: 'for example https://example.org/', piece: url });
  const includeRequestParams = flagOf(part, 'includeRequestParams', false);
  if (status === undefined || !isUrl) return undefined;
  return { filter: redirectTo(part.written.text, { status, url, includeRequestParams }) };
}

function redirectStatusOf(text: string): number | undefined {
  const status = parseStatus(text) ?? 0;
  return status >= 300 && status <= 399 && status !== 304 ? status : undefined;
}

/** Spring's default where none is given: 5,000,000 bytes. */
function requestSizeOf(part: Part): MadeFilter | undefined {
  const bytesMax = sizeOf(part, 'maxSize', 5_000_000);
  if (bytesMax === undefined) return undefined;
  const { text, path } = part.written;
  return { filter: { name: 'RequestSize', text }, requestSize: { bytesMax, path } };
}

function setStatusOf(part: Part): MadeFilter | undefined {
  const text = part.one('status') ?? '';
  const status = parseStatus(text);
  if (status !== undefined) return { filter: setStatus(part.written.text, status) };
  part.complain('status must be a number from 200 to 599, or a name such as NOT_FOUND', { piece: text });
  return undefined;
}
