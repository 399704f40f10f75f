import { nearestOf } from './nearest.ts';
import type { Complain, KeyPath } from './problem.ts';

/** A part of the file, and where it stands. */
export interface Section {
  readonly value: unknown;
  readonly path: KeyPath;
}

/** What a file for Spring Cloud Gateway says of routes. */
export interface SpringSections {
  readonly routes: Section | undefined;
  readonly defaultFilters: Section | undefined;
}

const NEW_PREFIX = ['spring', 'cloud', 'gateway', 'server', 'webflux'];
const OLD_PREFIX = ['spring', 'cloud', 'gateway'];

/** Keys that are Penstock's, and may stand beside `spring:`. */
const OUR_KEYS: ReadonlySet<string> = new Set(['defaults', 'services', 'routes', 'default-filters']);

/** Settings of Spring's below the prefix, and how the same is had here. */
const OUR_WAY: readonly (readonly [key: string, way: string])[] = [
  ['globalcors', 'write `cors` on a route, or under `defaults:` for all'],
  ['httpclient.connect-timeout', 'write `services: { NAME: { connection: { connectTimeout } } }`'],
  ['httpclient.response-timeout', 'write `timeout` on a route, or under `defaults:` for all'],
  ['httpclient.pool', 'write `services: { NAME: { concurrency, connection: { reuse } } }`'],
  ['httpclient.ssl', 'TLS towards instances is not yet supported'],
  ['httpclient', 'how instances are called stands under `services:`'],
  ['discovery', 'write a route for each service, with `uri: lb://NAME`'],
  ['trusted-proxies', 'write `listen: { trustedProxies }` in gateway.yaml'],
  ['x-forwarded', 'leave it out: the gateway sets X-Forwarded-*'],
  ['forwarded', 'leave it out: the gateway sets X-Forwarded-*'],
  ['loadbalancer', 'leave it out: no instance is 503 SERVICE_UNAVAILABLE'],
  ['redis-rate-limiter', 'write `limits` on a route'],
  ['filter', 'write the filter with its `args` on a route, or under `default-filters`'],
  ['default-filter', 'the key is `default-filters`'],
  ['fail-on-route-definition-error', 'leave it out: a file with an error changes nothing'],
  ['metrics', 'leave it out: /metrics is always there'],
  ['observability', 'leave it out: /metrics is always there'],
  ['set-status', 'the original status is not kept'],
  ['server.webmvc', 'routes of the Servlet gateway have filters of their own; write them under `routes:`'],
  ['mvc', 'routes of the Servlet gateway have filters of their own; write them under `routes:`'],
];

/** True for a file written for Spring Cloud Gateway. */
export function isSpring(root: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(root).some(key => key === 'spring' || key.startsWith('spring.'));
}

/**
 * The routes of a Spring file, under the prefix of today or of before 4.3. Below the prefix everything is checked; what
 * else is in such a file is other software's, and ignored with one warning.
 */
export function readSpring(root: Readonly<Record<string, unknown>>, complain: Complain): SpringSections {
  const found = [...entriesUnder(root, NEW_PREFIX), ...entriesUnder(root, OLD_PREFIX).filter(({ key }) => !isNew(key))];
  const routes = only(found, 'routes', complain);
  const defaultFilters = only(found, 'default-filters', complain);
  for (const { key, path } of found) {
    if (key !== 'routes' && key !== 'default-filters' && key !== 'enabled')
      complain({ path, ...words(key), isAboutKey: true });
  }
  warnOfRest(root, complain);
  return { routes, defaultFilters };
}

interface Entry extends Section {
  /** What follows the prefix, in kebab case and dots. */
  readonly key: string;
}

/** The keys below a prefix, whichever of its dots are written as dots and which as nesting. */
function entriesUnder(value: unknown, prefix: readonly string[], path: KeyPath = []): Entry[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const here = [...path, key];
    if (prefix.length === 0) return [{ key: kebab(key), value: item as unknown, path: here }];
    const parts = key.split('.');
    if (!parts.every((part, i) => i >= prefix.length || part === prefix[i])) return [];
    if (parts.length <= prefix.length) return entriesUnder(item, prefix.slice(parts.length), here);
    return [{ key: kebab(parts.slice(prefix.length).join('.')), value: item as unknown, path: here }];
  });
}

function kebab(key: string): string {
  return key.replaceAll(/(?<=[a-z0-9])[A-Z]/g, letter => `-${letter.toLowerCase()}`);
}

/** The old prefix is the beginning of the new one. */
function isNew(key: string): boolean {
  return key === 'server' || key.startsWith('server.webflux');
}

function only(found: readonly Entry[], key: string, complain: Complain): Entry | undefined {
  const [first, second] = found.filter(entry => entry.key === key);
  if (second !== undefined)
    complain({ path: second.path, message: `${key} stand here a second time`, isAboutKey: true });
  return first;
}

function words(key: string): { message: string; hint: string | undefined } {
  const way = OUR_WAY.find(([known]) => key === known || key.startsWith(`${known}.`))?.[1];
  const nearest = nearestOf(key, ['routes', 'default-filters']);
  return {
    message: way === undefined ? `unknown key \`${key}\`` : `\`${key}\` is not a setting of this gateway`,
    hint: way ?? (nearest === undefined ? undefined : `did you mean \`${nearest}\`?`),
  };
}

function warnOfRest(root: Readonly<Record<string, unknown>>, complain: Complain): void {
  const others = [...Object.keys(root).filter(key => !OUR_KEYS.has(key) && !isPrefixed(key)), ...otherSpringKeys(root)];
  const [first] = others;
  if (first === undefined) return;
  complain({
    path: [first.split('.')[0] ?? first],
    severity: 'warning',
    message: `ignored, as the settings of other software: ${others.join(', ')}`,
    isAboutKey: true,
  });
}

function isPrefixed(key: string): boolean {
  return key === 'spring' || key.startsWith('spring.cloud.gateway') || key === 'spring.cloud';
}

/** What else stands under `spring:` and `spring.cloud:`. */
function otherSpringKeys(root: Readonly<Record<string, unknown>>): string[] {
  return [...entriesUnder(root, ['spring']), ...entriesUnder(root, ['spring', 'cloud'])]
    .map(({ path }) => path.join('.'))
    .filter(key => key !== 'spring.cloud' && !key.startsWith('spring.cloud.gateway'))
    .filter((key, i, all) => all.indexOf(key) === i);
}
