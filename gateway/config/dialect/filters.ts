import { parseStatus } from '../../domain/http/http-status.ts';
import { redirectTo, setStatus } from '../../domain/routing/reply-filters.ts';
import { FIELD_FILTERS } from './field-filters.ts';
import { flagOf, sizeOf, type FilterDefinition, type MadeFilter, type Part } from './part.ts';
import { POLICY_FILTERS } from './policy-filters.ts';
import { SHARING_FILTERS } from './sharing-filters.ts';
import { TARGET_FILTERS } from './target-filters.ts';

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
