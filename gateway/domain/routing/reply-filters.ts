import { appendField, fieldsOf, hasField, removeField, setField } from '../http/fields.ts';
import type { Filter } from '../route.ts';
import type { Template } from './template.ts';

interface FieldArgs {
  readonly name: string;
  readonly value: Template;
}

/** Adds one more line of a field to the reply; where it must not be doubled, only when there is none with something in it. */
export function addResponseHeader(text: string, args: FieldArgs & { readonly mayRepeat: boolean }): Filter {
  const { name, value, mayRepeat } = args;
  const lowerName = name.toLowerCase();
  return {
    name: 'AddResponseHeader',
    text,
    onReply({ fields }, { variables }) {
      const isThere = () => fieldsOf(fields, lowerName).some(line => line.trim() !== '');
      if (mayRepeat) appendField(fields, name, value.expand(variables));
      else if (!isThere()) setField(fields, name, value.expand(variables));
    },
  };
}

/** Leaves exactly one line of a field in the reply. */
export function setResponseHeader(text: string, { name, value }: FieldArgs): Filter {
  return {
    name: 'SetResponseHeader',
    text,
    onReply: ({ fields }, { variables }) => setField(fields, name, value.expand(variables)),
  };
}

/** Removes a field from the reply. */
export function removeResponseHeader(text: string, name: string): Filter {
  const lowerName = name.toLowerCase();
  return { name: 'RemoveResponseHeader', text, onReply: ({ fields }) => removeField(fields, lowerName) };
}

/** Answers with another status than the instance's; the rest of the reply stays. */
export function setStatus(text: string, status: number): Filter {
  return {
    name: 'SetStatus',
    text,
    onReply: draft => {
      draft.status = status;
    },
  };
}

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

const DEFAULTS: readonly (readonly [name: string, value: string])[] = [
  ['X-Xss-Protection', '1 ; mode=block'],
  ['Strict-Transport-Security', 'max-age=631138519'],
  ['X-Frame-Options', 'DENY'],
  ['X-Content-Type-Options', 'nosniff'],
  ['Referrer-Policy', 'no-referrer'],
  [
    'Content-Security-Policy',
    "default-src 'self' https:; font-src 'self' https: data:; img-src 'self' https: data:; object-src 'none'; script-src https:; style-src 'self' https: 'unsafe-inline'",
  ],
  ['X-Download-Options', 'noopen'],
  ['X-Permitted-Cross-Domain-Policies', 'none'],
];

/** Browsers' features, none of which an answer of a model needs. */
const FEATURES = [
  ...['accelerometer', 'ambient-light-sensor', 'autoplay', 'battery', 'camera', 'cross-origin-isolated'],
  ...['display-capture', 'document-domain', 'encrypted-media', 'execution-while-not-rendered'],
  ...['execution-while-out-of-viewport', 'fullscreen', 'geolocation', 'gyroscope', 'keyboard-map', 'magnetometer'],
  ...['microphone', 'midi', 'navigation-override', 'payment', 'picture-in-picture', 'publickey-credentials-get'],
  ...['screen-wake-lock', 'sync-xhr', 'usb', 'web-share', 'xr-spatial-tracking'],
];

const OPT_IN: readonly (readonly [string, string])[] = [
  ['Permissions-Policy', FEATURES.map(feature => `${feature}=()`).join(', ')],
];

/** The names, in lower case, that may be enabled or disabled. */
export const SECURE_HEADER_NAMES: readonly string[] = [...DEFAULTS, ...OPT_IN].map(([name]) => name.toLowerCase());

interface Choice {
  /** Names in lower case. */
  readonly enable: readonly string[];
  readonly disable: readonly string[];
}

/** Adds to the reply the fields that keep browsers careful, each only where the instance did not send it. */
export function secureHeaders(text: string, { enable, disable }: Choice): Filter {
  const chosen = [...DEFAULTS, ...OPT_IN.filter(([name]) => enable.includes(name.toLowerCase()))]
    .map(([name, value]) => ({ name, lowerName: name.toLowerCase(), value }))
    .filter(({ lowerName }) => !disable.includes(lowerName));
  return {
    name: 'SecureHeaders',
    text,
    onReply({ fields }) {
      for (const { name, lowerName, value } of chosen) {
        if (!hasField(fields, lowerName)) fields.push(name, value);
      }
    },
  };
}
