import type { Filter } from '../route.ts';

interface Redirect {
  readonly status: number;
  readonly url: string;
  /** Whether the request's query is added to the URL's own. */
  readonly includeRequestParams: boolean;
}

/** Sends the caller elsewhere; the instance is not asked. */
export function redirectTo(text: string, { status, url, includeRequestParams }: Redirect): Filter {
  return {
    name: 'RedirectTo',
    text,
    onBehalf: ({ query }) => ({
      status,
      fields: ['Location', includeRequestParams ? withQuery(url, query) : url],
      body: Buffer.alloc(0),
      via: null,
    }),
  };
}

function withQuery(url: string, query: string): string {
  if (query === '') return url;
  const [address = '', ...fragment] = url.split('#');
  const separator = address.includes('?') ? '&' : '?';
  return [`${address}${separator}${query}`, ...fragment].join('#');
}
