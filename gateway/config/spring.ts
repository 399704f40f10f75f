import type { Complain } from './problem.ts';
import { keysOf } from './validate.ts';
import { RoutePolicyKeys } from './schema/route-policy.ts';
import { Service } from './schema/service.ts';
import { entriesUnder, isMap, kebab, type Section, type SpringEntry } from './spring-keys.ts';
import type { SourceDocument } from './spring-profiles.ts';
import { judgeSettings } from './spring-settings.ts';

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

/** Tells of what is other software's, by its names; `silent` holds for those that are not told of. */
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
