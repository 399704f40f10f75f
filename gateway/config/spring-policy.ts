import type { Complain, KeyPath } from './problem.ts';
import { durationMs } from './units.ts';
import { isMap, kebab, textsOf, type Section, type SpringEntry } from './spring-keys.ts';
import { unknownKeyWords, validate } from './validate.ts';
import { RoutePolicyKeys, type WrittenPolicy } from './schema/route-policy.ts';

type Cors = NonNullable<WrittenPolicy['cors']>;

/** What settings for all routes become: keys of `defaults`, and how long connecting may take. */
export interface SpringDefaults {
  readonly policy: WrittenPolicy;
  readonly connectTimeoutMs: number | undefined;
}

/** Reads the settings that keys of ours stand for; of those that stand twice the later wins. */
export function springDefaults(settings: readonly SpringEntry[], complain: Complain): SpringDefaults {
  let connectTimeoutMs: number | undefined;
  let policy: WrittenPolicy = {};
  const configurations = new Map<string, Section>();
  for (const { key, ...section } of settings) {
    if (key === 'httpclient.connect-timeout') connectTimeoutMs = timeoutMsOf(section, complain) ?? connectTimeoutMs;
    else if (key === 'httpclient.response-timeout') policy = { ...policy, ...timeoutOf(section, complain) };
    else
      for (const [pattern, found] of patternsOf(section, complain))
        configurations.set(pattern, merged(configurations.get(pattern), found));
  }
  for (const [pattern, section] of configurations) {
    if (pattern === '/**') policy = { ...policy, ...corsOf(section, complain) };
    else complain(narrowCors(pattern, section));
  }
  return { policy, connectTimeoutMs };
}

/** `cors-configurations`, by what they are for: `[/**]` is written in brackets, so that its dots are none. */
function patternsOf({ value, path }: Section, complain: Complain): [string, Section][] {
  if (isMap(value)) {
    return Object.entries(value).map(([key, item]) => [
      key.replace(/^\[(.*)\]$/, '$1'),
      { value: item, path: [...path, key] },
    ]);
  }
  if (value !== null)
    complain({ path, message: 'must be a map of path patterns', hint: "write '[/**]': with what is allowed below it" });
  return [];
}

/** As in Spring: a map of a later document adds to one before. */
function merged(before: Section | undefined, { value, path }: Section): Section {
  if (!isMap(before?.value) || !isMap(value)) return { value, path };
  return { value: { ...before.value, ...value }, path };
}

/** One for a part of the paths must not become one for all. */
function narrowCors(pattern: string, { path }: Section): Parameters<Complain>[0] {
  return {
    path,
    message: `is for ${pattern} alone, and \`globalcors\` becomes \`defaults: { cors }\` for all routes`,
    hint: "take it out, and write `cors: { origins: ['https://app.example.org'] }` on each route that it is for",
    isAboutKey: true,
  };
}

/** A `response-timeout` as the route's `timeout`; a negative one is none. */
export function timeoutOf(section: Section, complain: Complain): WrittenPolicy {
  const ms = timeoutMsOf(section, complain);
  if (ms === undefined) return {};
  if (ms > 0) return { timeout: Math.min(ms, DAY_MS) };
  complain({
    path: section.path,
    severity: 'warning',
    message: 'a call without a bound is given a day',
    hint: 'a long answer that arrives as it is made is `stream: true`',
  });
  return { timeout: DAY_MS };
}

const DAY_MS = 86_400_000;

/** Milliseconds, `5s` or `PT5S`, as Spring reads a duration; undefined after a complaint. */
export function timeoutMsOf({ value, path }: Section, complain: Complain): number | undefined {
  const text = typeof value === 'string' || typeof value === 'number' ? String(value).trim() : '';
  const ms = /^-?\d{1,12}$/.test(text) ? Number(text) : (durationMs(text) ?? isoMs(text));
  if (ms === undefined) complain({ path, message: 'must be a duration', hint: 'write 200 (milliseconds), 5s or 1m' });
  return ms;
}

function isoMs(text: string): number | undefined {
  const found = /^PT(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})(\.\d{1,3})?S)?$/i.exec(text);
  if (found === null || text.length < 4) return undefined;
  const [hours = 0, minutes = 0, seconds = 0] = found.slice(1, 4).map(part => Number(part));
  return ((hours || 0) * 60 + (minutes || 0)) * 60_000 + (seconds || 0) * 1_000 + Number(found[4] ?? 0) * 1_000;
}

/** Spring's names for what CORS allows, in kebab case, and the keys of ours that say the same. */
const CORS_KEYS = {
  'allowed-origins': 'origins',
  'allowed-origin-patterns': 'origins',
  'allowed-methods': 'methods',
  'allowed-headers': 'headers',
  'exposed-headers': 'expose',
  'allow-credentials': 'credentials',
  'max-age': 'maxAge',
} as const;

/** Says nothing here: networks are not told apart. */
const IDLE_CORS_KEY = 'allow-private-network';

/** A CORS configuration of Spring's as a route's `cors`; nothing, after a complaint, where it cannot be. */
export function corsOf({ value, path }: Section, complain: Complain): { readonly cors?: Cors } {
  if (!isMap(value)) {
    complain({
      path,
      message: 'must be a map of keys',
      hint: "for example `allowedOrigins: ['https://app.example.org']`",
    });
    return {};
  }
  const written = new Map(
    Object.entries(value).map(([key, item]) => [kebab(key), { value: item, path: [...path, key] }]),
  );
  const known = [...Object.keys(CORS_KEYS), IDLE_CORS_KEY];
  for (const [key, section] of written) {
    if (!known.includes(key)) complain({ path: section.path, ...unknownKeyWords(String(section.path.at(-1)), known) });
  }
  if (!areOriginsSound(written, complain)) return {};
  const cors = validate(RoutePolicyKeys.shape.cors, ours(written), {
    path,
    complain: ({ path: at, ...rest }) => complain({ ...rest, path: placeOf(at, path, written) }),
  });
  return cors === undefined ? {} : { cors };
}

type Written = ReadonlyMap<string, Section>;

/** What Spring takes where nothing is written: no header of the caller's, GET and HEAD, and a browser's own five seconds. */
function ours(written: Written): unknown {
  const texts = (key: string, otherwise: readonly string[] = []) =>
    written.has(key) ? textsOf(written.get(key)?.value) : otherwise;
  const maxAge = written.get('max-age')?.value ?? 5;
  return {
    origins: [...texts('allowed-origins'), ...texts('allowed-origin-patterns')].map(origin =>
      origin.replace(/\/$/, ''),
    ),
    methods: texts('allowed-methods', ['GET', 'HEAD']).map(method => method.toUpperCase()),
    headers: texts('allowed-headers'),
    expose: texts('exposed-headers'),
    credentials: hasCredentials(written),
    maxAge: isSeconds(maxAge) ? `${Math.min(Number(maxAge), 86_400)}s` : maxAge,
  };
}

function hasCredentials(written: Written): boolean {
  return [true, 'true'].includes(written.get('allow-credentials')?.value as boolean | string);
}

function isSeconds(value: unknown): value is number | string {
  return (typeof value === 'number' || typeof value === 'string') && /^\d{1,9}$/.test(String(value));
}

/** The key as it is written in the file. */
function placeOf(at: KeyPath, root: KeyPath, written: Written): KeyPath {
  const [key, ...rest] = at.slice(root.length);
  const names = Object.entries(CORS_KEYS).flatMap(([spring, own]) => (own === key ? [spring] : []));
  const section = names.map(name => written.get(name)).find(each => each !== undefined);
  return section === undefined ? root : [...section.path, ...(Array.isArray(section.value) ? rest : [])];
}

/** Origins are compared whole: what a pattern may match is an operator's to say. */
function areOriginsSound(written: Written, complain: Complain): boolean {
  const hint = "write each in full: `allowedOrigins: ['https://app.example.org', 'http://localhost:3000']`";
  const patterns = written.get('allowed-origin-patterns');
  const origins = written.get('allowed-origins');
  const isPattern = textsOf(patterns?.value).some(text => text !== '*' && text.includes('*'));
  if (patterns !== undefined && isPattern) {
    complain({ path: patterns.path, message: 'patterns of origins are not understood here', hint, isAboutKey: true });
    return false;
  }
  const open = [origins, patterns].find(section => textsOf(section?.value).includes('*'));
  if (open === undefined || !hasCredentials(written)) return true;
  complain({
    path: open.path,
    message: 'any origin with credentials would let every site act in its visitors’ name',
    hint: `${hint}; or \`allowCredentials: false\``,
    isAboutKey: true,
  });
  return false;
}
