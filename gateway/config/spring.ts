import type { Complain, Complaint } from './problem.ts';
import { keysOf } from './validate.ts';
import { RoutePolicyKeys } from './schema/route-policy.ts';
import { Service } from './schema/service.ts';
import { entriesUnder, isMap, kebab, type Section, type SpringEntry } from './spring-keys.ts';
import type { SourceDocument } from './spring-profiles.ts';
import { nearestOf } from './nearest.ts';

/** What a file for Spring Cloud Gateway says, beside what it has of our own keys. */
export interface SpringSections {
  /** Of each document that has some. The last is in force, as in Spring: a list of a later document replaces one before. */
  readonly routes: readonly Section[];
  readonly defaultFilters: readonly Section[];
  /** Settings that keys of ours stand for. */
  readonly settings: readonly SpringEntry[];
}

const NEW_PREFIX = ['spring', 'cloud', 'gateway', 'server', 'webflux'];
const OLD_PREFIX = ['spring', 'cloud', 'gateway'];

/** Keys that are Penstock's, and may stand beside `spring:`. */
const OUR_KEYS: ReadonlySet<string> = new Set(['defaults', 'services', 'routes', 'default-filters']);

/** True for a file written for Spring Cloud Gateway. */
export function isSpring(root: unknown): boolean {
  return isMap(root) && Object.keys(root).some(key => key === 'spring' || key.startsWith('spring.'));
}

/**
 * What the documents of a Spring file say, under the prefix of today or of before 4.3. Below the prefix everything is
 * checked; what else is in such a file is other software's (`warnOfRest`).
 */
export function readSpring(documents: readonly SourceDocument[], complain: Complain): SpringSections {
  const found = documents.map(document => foundIn(document));
  const listed = (key: string) => found.flatMap(entries => only(entries, key, complain));
  return {
    routes: listed('routes'),
    defaultFilters: listed('default-filters'),
    settings: judgeSettings(
      found.flat().filter(({ key }) => key !== 'routes' && key !== 'default-filters'),
      complain,
    ),
  };
}

function foundIn({ root, at }: SourceDocument): SpringEntry[] {
  const old = entriesUnder(root, OLD_PREFIX, at).flatMap(entry => (isNew(entry.key) ? [] : withoutNew(entry)));
  return [...entriesUnder(root, NEW_PREFIX, at), ...old];
}

/** The old prefix is the beginning of the new one. */
function isNew(key: string): boolean {
  return key === 'server.webflux' || key.startsWith('server.webflux.');
}

function withoutNew(entry: SpringEntry): SpringEntry[] {
  if (entry.key !== 'server' || !isMap(entry.value)) return [entry];
  return Object.entries(entry.value)
    .map(([key, value]) => ({ key: `server.${kebab(key)}`, value, path: [...entry.path, key] }))
    .filter(({ key }) => !isNew(key));
}

function only(found: readonly SpringEntry[], key: string, complain: Complain): SpringEntry[] {
  const [first, second] = found.filter(entry => entry.key === key);
  if (second !== undefined)
    complain({ path: second.path, message: `${key} stand here a second time`, isAboutKey: true });
  return first === undefined ? [] : [first];
}

/** True for what stands under a key of ours, but was not written for us: files have properties of any name. */
export function isForeign(key: string, value: unknown): boolean {
  if (key === 'routes' || key === 'default-filters') return value !== null && !Array.isArray(value);
  if (key === 'services') return isMap(value) && !Object.values(value).some(isOurService);
  return isMap(value) && !hasKeyOf(RoutePolicyKeys, value);
}

/** True for a service's entry that was written for us: it has a key that services have. */
export function isOurService(entry: unknown): boolean {
  return entry === null || (isMap(entry) && hasKeyOf(Service, entry));
}

function hasKeyOf(schema: Parameters<typeof keysOf>[0], value: object): boolean {
  const known = keysOf(schema);
  return Object.keys(value).some(key => known.includes(key));
}

/** Reports what is other software's, by its names; `silent` holds for those that are not reported. */
export function warnOfRest(documents: readonly SourceDocument[], complain: Complain, silent?: RegExp): void {
  const found = documents.flatMap(document => foreignIn(document)).filter(({ name }) => silent?.test(name) !== true);
  const [first] = found;
  if (first === undefined) return;
  complain({
    path: first.path,
    severity: 'warning',
    message: `ignored, as the settings of other software: ${[...new Set(found.map(({ name }) => name))].join(', ')}`,
    isAboutKey: true,
  });
}

interface Foreign extends Pick<Section, 'path'> {
  readonly name: string;
}

function foreignIn({ root, at }: SourceDocument): Foreign[] {
  const others = Object.entries(root)
    .filter(([key, value]) => !key.startsWith('x-') && (OUR_KEYS.has(key) ? isForeign(key, value) : !isPrefixed(key)))
    .map(([key]) => ({ name: key, path: [...at, key] }));
  const services = isMap(root['services']) && !isForeign('services', root['services']) ? root['services'] : {};
  const foreignServices = Object.entries(services)
    .filter(([, entry]) => !isOurService(entry))
    .map(([name]) => ({ name: `services.${name}`, path: [...at, 'services', name] }));
  return [...others, ...foreignServices, ...otherSpringKeys(root, at)];
}

function isPrefixed(key: string): boolean {
  return key === 'spring' || key.startsWith('spring.cloud.gateway') || key === 'spring.cloud' || isOfProfiles(key);
}

function isOfProfiles(key: string): boolean {
  return key === 'spring.profiles' || key.startsWith('spring.profiles.') || key.startsWith('spring.config.activate');
}

/** What else stands under `spring:` and `spring.cloud:`. */
function otherSpringKeys(root: SourceDocument['root'], at: SourceDocument['at']): Foreign[] {
  return [...entriesUnder(root, ['spring'], at), ...entriesUnder(root, ['spring', 'cloud'], at)]
    .map(({ path }) => ({ name: path.slice(at.length).join('.'), path }))
    .filter(({ name }) => name !== 'spring.cloud' && !name.startsWith('spring.cloud.gateway') && !isOfProfiles(name))
    .filter(({ name }, i, all) => all.findIndex(other => other.name === name) === i);
}

/**
 * What becomes of a setting of Spring's beside its routes.
 *
 *   taken  a key of ours says the same, and is set to it
 *   idle   it changes nothing here, and is told in one warning
 *   wrong  it would mean less here: an error that says what to write
 */
type Verdict = { readonly kind: 'taken' | 'idle' } | { readonly kind: 'wrong'; readonly way: string };

const TAKEN: Verdict = { kind: 'taken' };
const IDLE: Verdict = { kind: 'idle' };

const wrong = (way: string): Verdict => ({ kind: 'wrong', way });

const LOCATOR_ROUTE =
  "`- { id: NAME, uri: 'lb://NAME', predicates: ['Path=/NAME/**'], filters: ['RewritePath=/NAME/?(?<remaining>.*), /$\\{remaining}'] }`";

const SERVLET = wrong('routes of the Servlet gateway have filters of their own; write them under `routes:`');

/** The settings there are, those within another before it; what stands below one of them is judged with it. */
const SETTINGS: readonly (readonly [key: string, verdict: Verdict | ((value: unknown) => Verdict)])[] = [
  ['globalcors.cors-configurations', TAKEN],
  ['globalcors.add-to-simple-url-handler-mapping', IDLE],
  ['httpclient.response-timeout', TAKEN],
  ['httpclient.connect-timeout', TAKEN],
  ['httpclient.proxy', wrong('leave it out: instances are called without a proxy between')],
  ['httpclient', IDLE],
  [
    'discovery.locator.enabled',
    value =>
      isOn(value) ? wrong(`leave it out, and write under \`routes:\` for each service ${LOCATOR_ROUTE}`) : IDLE,
  ],
  ['discovery', IDLE],
  [
    'loadbalancer.use404',
    value => (isOn(value) ? wrong('leave it out: no instance is 503 SERVICE_UNAVAILABLE here') : IDLE),
  ],
  ['loadbalancer', IDLE],
  ['filter.secure-headers', wrong('leave it out, and write `SetResponseHeader=NAME, VALUE` under `default-filters`')],
  ['filter', IDLE],
  ['default-filter', wrong('the key is `default-filters`')],
  ['trusted-proxies', wrong('leave it out, and write `listen: { trustedProxies: [10.0.0.0/8] }` in gateway.yaml')],
  ['set-status', wrong('leave it out: the original status is not kept')],
  ['server.webmvc', SERVLET],
  ['mvc', SERVLET],
  ...['enabled', 'fail-on-route-definition-error', 'forwarded', 'global-filter', 'handler-mapping', 'httpserver'].map(
    key => [key, IDLE] as const,
  ),
  ...['metrics', 'observability', 'predicate', 'redis-rate-limiter', 'restrictive-property-accessor'].map(
    key => [key, IDLE] as const,
  ),
  ...['route-refresh-listener', 'streaming-media-types', 'x-forwarded'].map(key => [key, IDLE] as const),
];

/** Where the same is said here, of settings that are told to change nothing. */
const OUR_WAY: readonly (readonly [key: string, way: string])[] = [
  ['httpclient.pool', '`services: { NAME: { concurrency, connection } }`'],
  ['httpclient.ssl', '`services: { NAME: { tls } }`'],
  ['redis-rate-limiter', '`limits` on a route'],
  ['filter.local-response-cache', '`cache` on a route'],
];

function isOn(value: unknown): boolean {
  return value === true || value === 'true';
}

/** The settings that keys of ours stand for; the others are reported, each error at its place. */
function judgeSettings(found: readonly SpringEntry[], complain: Complain): SpringEntry[] {
  const taken: SpringEntry[] = [];
  const idle: SpringEntry[] = [];
  for (const entry of found) judge(entry, { taken, idle, complain });
  const [first] = idle;
  if (first !== undefined) complain({ ...idleWords(idle), path: first.path, severity: 'warning', isAboutKey: true });
  return taken;
}

interface Judging {
  readonly taken: SpringEntry[];
  readonly idle: SpringEntry[];
  readonly complain: Complain;
}

function judge(entry: SpringEntry, judging: Judging): void {
  const { key, value, path } = entry;
  const known = SETTINGS.find(([name]) => key === name || key.startsWith(`${name}.`));
  const isParent = SETTINGS.some(([name]) => name.startsWith(`${key}.`));
  if (isParent && (isMap(value) || value === null)) {
    for (const [name, item] of Object.entries(value ?? {})) {
      judge({ key: `${key}.${kebab(name)}`, value: item, path: [...path, name] }, judging);
    }
    return;
  }
  if (known === undefined) {
    judging.complain({ path, ...unknownWords(key), isAboutKey: true });
    return;
  }
  const verdict = typeof known[1] === 'function' ? known[1](value) : known[1];
  if (verdict.kind === 'wrong') {
    const message = `\`${key}${isOn(value) ? ': true' : ''}\` is not a setting of this gateway`;
    judging.complain({ path, message, hint: verdict.way, isAboutKey: true });
  } else judging[verdict.kind].push(entry);
}

function unknownWords(key: string): Pick<Complaint, 'message' | 'hint'> {
  const nearest = nearestOf(key, ['routes', 'default-filters', ...SETTINGS.map(([name]) => name)]);
  const hint = nearest === undefined ? 'leave it out: Spring Cloud Gateway has none' : `did you mean \`${nearest}\`?`;
  return { message: `unknown key \`${key}\``, hint };
}

function idleWords(idle: readonly SpringEntry[]): Pick<Complaint, 'message' | 'hint'> {
  const keys = idle.map(({ key }) => key);
  const ways = OUR_WAY.filter(([name]) => keys.some(key => key === name || key.startsWith(`${name}.`)));
  return {
    message: `changes nothing here: ${[...new Set(keys)].join(', ')}`,
    hint: ways.length === 0 ? undefined : `the same is said by ${ways.map(([, way]) => way).join(', ')}`,
  };
}
