import { appendField, fieldsOf, hasField, removeField, setField } from '../http/fields.ts';
import type { Filter } from '../route.ts';
import type { Regex } from './regex.ts';
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

/** Which lines of a field stay where it stands several times. */
export type DedupeStrategy = 'RETAIN_FIRST' | 'RETAIN_LAST' | 'RETAIN_UNIQUE';

/** Leaves of each of these fields one line, or each value once. */
export function dedupeResponseHeader(
  text: string,
  { names, strategy }: { readonly names: readonly string[]; readonly strategy: DedupeStrategy },
): Filter {
  return {
    name: 'DedupeResponseHeader',
    text,
    onReply({ fields }) {
      for (const name of names) {
        const lines = fieldsOf(fields, name.toLowerCase());
        if (lines.length > 1) setLines(fields, name, retained(lines, strategy));
      }
    },
  };
}

function retained(lines: readonly string[], strategy: DedupeStrategy): readonly string[] {
  if (strategy === 'RETAIN_UNIQUE') return [...new Set(lines)];
  return strategy === 'RETAIN_FIRST' ? lines.slice(0, 1) : lines.slice(-1);
}

function setLines(fields: string[], name: string, lines: readonly string[]): void {
  removeField(fields, name.toLowerCase());
  for (const line of lines) appendField(fields, name, line);
}

interface RewriteArgs {
  readonly name: string;
  readonly regex: Regex;
  readonly replacement: readonly (string | number)[];
}

/** Replaces what the regex finds in each line of a field of the reply. */
export function rewriteResponseHeader(text: string, { name, regex, replacement }: RewriteArgs): Filter {
  const lowerName = name.toLowerCase();
  return {
    name: 'RewriteResponseHeader',
    text,
    onReply({ fields }) {
      const lines = fieldsOf(fields, lowerName);
      if (lines.length === 0) return;
      setLines(
        fields,
        name,
        lines.map(line => regex.replaceAll(line, replacement)),
      );
    },
  };
}

/** When the version in a location's path is taken out. */
type StripVersion = 'AS_IN_REQUEST' | 'NEVER_STRIP' | 'ALWAYS_STRIP';

interface LocationArgs {
  readonly stripVersion: StripVersion;
  readonly name: string;
  /** What stands for the host; undefined: what the caller called it. */
  readonly host: string | undefined;
  /** Which schemes a location may have to be changed; undefined: http, https, ftp and ftps. */
  readonly protocols: Regex | undefined;
}

const VERSION = /\/v\d+\//;

/** Puts the host that the caller knows in place of the instance's, and takes out a version that the caller did not ask for. */
export function rewriteLocationResponseHeader(text: string, args: LocationArgs): Filter {
  const { stripVersion, name, protocols } = args;
  const lowerName = name.toLowerCase();
  return {
    name: 'RewriteLocationResponseHeader',
    text,
    onReply({ fields }, { host, path }) {
      const [location] = fieldsOf(fields, lowerName);
      if (location === undefined) return;
      const isStripped =
        stripVersion === 'ALWAYS_STRIP' || (stripVersion === 'AS_IN_REQUEST' && !/^\/v\d+\//.test(path));
      const moved = withHost(location, args.host ?? host, protocols);
      setField(fields, name, isStripped ? moved.replace(VERSION, '/') : moved);
    },
  };
}

function withHost(location: string, host: string, protocols: Regex | undefined): string {
  const at = location.indexOf('://');
  const scheme = location.slice(0, Math.max(0, at));
  const isMeant = protocols === undefined ? /^(?:http|ftp)s?$/.test(scheme) : protocols.matches(scheme);
  const end = location.indexOf('/', at + 3);
  if (at < 1 || !isMeant || host === '' || end <= at + 3) return location;
  return location.slice(0, at + 3) + host + location.slice(end);
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
