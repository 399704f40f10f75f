import type { WrittenPart } from './dialect/written-part.ts';
import { parseRouteUri } from './route-uri.ts';
import type { Complain, Complaint, KeyPath, Problem } from './problem.ts';
import {
  resolveData,
  resolveText,
  unsaid,
  warnOfLiteralSecrets,
  withoutExtensions,
  type Surroundings,
} from './references.ts';
import type { Properties } from './placeholders.ts';
import { RoutesFileShape } from './schema/routes.ts';
import { Service } from './schema/service.ts';
import { isForeign, isOurService, isSpring, readSpring, warnOfRest } from './spring.ts';
import { isMap, type Section, type SpringEntry } from './spring-keys.ts';
import { springDefaults } from './spring-policy.ts';
import { documentsInForce, unknownProfile, type SourceDocument } from './spring-profiles.ts';
import { keysOf, unknownKeyWords } from './validate.ts';
import {
  listOf,
  readDefaults,
  type Reading,
  readParts,
  readRoute,
  readServices,
  type WrittenRoute,
  type WrittenService,
} from './written-route.ts';
import { readDocuments, type YamlDocuments } from './yaml-file.ts';
import type { WrittenPolicy } from './schema/route-policy.ts';

/** What routes.yaml says: data that may travel to another thread. */
export interface RoutesData {
  readonly defaults: WrittenPolicy;
  readonly defaultFilters: readonly WrittenPart[];
  readonly services: ReadonlyMap<string, WrittenService>;
  readonly routes: readonly WrittenRoute[];
  /** Values of the dialect with references, and what they became when they were judged. */
  readonly resolved: ReadonlyMap<string, string>;
}

/** Replaces the references in one value of the dialect; `kept` are names that stand for something else in it. */
export type ResolveValue = (
  text: string,
  complain: (message: string, hint?: string) => void,
  kept?: ReadonlySet<string>,
) => string | undefined;

/** routes.yaml, read: its shape is judged, its meaning not yet. `compileRoutes` does the rest, and reports all at once. */
export interface RoutesFile extends RoutesData {
  readonly name: string;
  readonly problems: readonly Problem[];
  /** Values that came from outside the file, never to be shown. */
  readonly secrets: readonly string[];
  /** Routes that a later document replaces: judged, and not in force. */
  readonly replaced: readonly WrittenRoute[];
  locate(complaint: Complaint): Problem;
  readonly resolve: ResolveValue;
}

/** Where a value with references is kept, by what it stands for. */
export function resolvedKey(text: string, kept: ReadonlySet<string> | undefined): string {
  return kept === undefined || kept.size === 0 ? text : `${[...kept].join()} ${text}`;
}

/** Within the dialect's texts a reference is replaced after they are cut into values: what it holds cannot change the cut. */
const DIALECT_KEYS = ['predicates', 'filters', 'default-filters', 'defaultFilters'];

/** Reads routes.yaml, or a file written for Spring Cloud Gateway, with the documents for these profiles. */
export function parseRoutes(text: string, surroundings: Surroundings, profiles: readonly string[] = []): RoutesFile {
  const yaml = readDocuments(text, surroundings.file);
  const problems = [...yaml.problems];
  const locate = (complaint: Complaint) => yaml.locate({ ...complaint, path: placed(complaint.path, yaml) });
  const complain: Complain = complaint => problems.push(locate(complaint));
  const sources = sourcesOf(yaml, { profiles, complain, problems });
  const placeholders = { variables: surroundings.variables, roots: sources.documents.map(({ root }) => root) };
  const resolver = createResolver({ surroundings, complain, placeholders });
  const sections = sectionsOf(sources, resolver);
  const secrets = [...resolver.secrets];
  const replaced = new Map<string, string>();
  return {
    name: surroundings.file,
    problems,
    secrets,
    resolved: replaced,
    ...sections,
    locate,
    resolve(part, complainOfPart, kept) {
      const value = resolveText(part, { surroundings, complain: complainOfPart, placeholders, kept });
      if (value === undefined || value.text === part) return value?.text;
      secrets.push(...value.held);
      replaced.set(resolvedKey(part, kept), value.text);
      return value.text;
    },
  };
}

/** A path that begins with a key of ours, in the document of a Spring file that has it. */
function placed(path: KeyPath, { values }: YamlDocuments): KeyPath {
  const [key] = path;
  if (typeof key !== 'string' || values.length === 1 || !values.some(isSpring)) return path;
  const number = values.findLastIndex(value => isMap(value) && Object.hasOwn(value, key));
  return number === -1 ? path : [number, ...path];
}

/** The documents in force, and whether they were written for Spring Cloud Gateway. */
interface Sources {
  readonly isSprings: boolean;
  readonly documents: readonly SourceDocument[];
}

interface Reported {
  readonly profiles: readonly string[];
  readonly complain: Complain;
  readonly problems: Problem[];
}

const NO_ROUTES_HINT = 'for a gateway without routes write `routes: []`';

/** A file is one document; only one for Spring may be several. */
function sourcesOf({ values, second }: YamlDocuments, { profiles, complain, problems }: Reported): Sources {
  const isSprings = values.some(isSpring);
  if (second !== undefined && isSprings) {
    const documents = values.flatMap((root, i) => (isMap(root) ? [{ root, at: [i] }] : []));
    return { isSprings, documents: documentsInForce(documents, profiles, complain) };
  }
  if (second !== undefined) problems.push(second);
  const [value] = values;
  // Mostly a save that has only just begun: `make-routes > routes.yaml` empties the file first and fills it later.
  if (value === null) complain({ path: [], message: 'the file is empty', hint: NO_ROUTES_HINT });
  else if (value !== undefined && !isMap(value)) complain({ path: [], ...NO_MAP });
  const documents = isMap(value) ? [{ root: value, at: [] }] : [];
  if (isSprings) return { isSprings, documents: documentsInForce(documents, profiles, complain) };
  for (const profile of profiles) complain(unknownProfile(profile, []));
  return { isSprings, documents };
}

const NO_MAP = { message: 'must be a map of keys', hint: 'for example `routes: []`' };

interface Resolver extends Reading {
  readonly secrets: readonly string[];
}

interface ResolverParts {
  readonly surroundings: Surroundings;
  readonly complain: Complain;
  readonly placeholders: Properties;
}

function createResolver({ surroundings, complain, placeholders }: ResolverParts): Resolver {
  const [referred, failed] = [new Set<string>(), new Set<string>()];
  const secrets: string[] = [];
  return {
    complain: unsaid({ failed }, complain),
    referred,
    failed,
    secrets,
    resolve({ value, path }, wanted) {
      const filled = wanted === undefined ? {} : { placeholders };
      const resolved = resolveData(value, surroundings, { complain, except: NOT_HERE, at: path, ...filled });
      for (const key of resolved.referred) referred.add(key);
      for (const key of resolved.failed) failed.add(key);
      secrets.push(...resolved.secrets);
      return { value: resolved.value, path };
    },
  };
}

/** Resolved later, or read by others. */
const NOT_HERE: ReadonlySet<string> = new Set([...DIALECT_KEYS, 'metadata']);

type Sections = Omit<RoutesData, 'resolved'> & Pick<RoutesFile, 'replaced'>;

function sectionsOf(sources: Sources, resolver: Resolver): Sections {
  const found = sources.isSprings ? springSections(sources, resolver) : ownSections(sources, resolver);
  const { complain } = resolver;
  const services = found.services.map(section => resolver.resolve(section));
  for (const { value, path } of services) {
    warnOfLiteralSecrets({ ...resolver, value: { services: value } }, complain, path.slice(0, -1));
  }
  const { policy, connectTimeoutMs } = springDefaults(found.settings, complain);
  const [routes = NO_SECTION, ...replaced] = found.routes.toReversed();
  for (const { path } of replaced) complain({ path, ...REPLACED, severity: 'warning', isAboutKey: true });
  const [defaultFilters = NO_SECTION] = found.defaultFilters.toReversed();
  const read = readRoutes(routes, resolver);
  return {
    defaults: {
      ...policy,
      ...readDefaults(
        found.defaults.map(section => resolver.resolve(section)),
        resolver,
      ),
    },
    defaultFilters: readParts(defaultFilters, 'filter', complain),
    services: withConnectTimeouts(read, { services, resolver, connectTimeoutMs }),
    routes: read,
    replaced: replaced.flatMap(section => readRoutes(section, { ...resolver, complain: asWarnings(complain) })),
  };
}

const NO_SECTION: Section = { value: undefined, path: [] };
const REPLACED = {
  message: 'a later document replaces these',
  hint: 'as in Spring, a list is taken whole from the last',
};

/** What is not in force may be wrong without harm. */
export function asWarnings(complain: Complain): Complain {
  return complaint => complain({ ...complaint, severity: 'warning' });
}

function readRoutes(section: Section, resolver: Resolver): WrittenRoute[] {
  const { value, path } = resolver.resolve(section, 'placeholders');
  return listOf({ value, path }, resolver.complain).flatMap(item => readRoute(item, resolver) ?? []);
}

/** Where the parts of the file stand; of several the last wins. */
interface FoundSections {
  readonly routes: readonly Section[];
  readonly defaultFilters: readonly Section[];
  readonly defaults: readonly Section[];
  readonly services: readonly Section[];
  readonly settings: readonly SpringEntry[];
}

function ownSections({ documents }: Sources, { complain }: Resolver): FoundSections {
  const [document] = documents;
  if (document === undefined) return { routes: [], defaultFilters: [], defaults: [], services: [], settings: [] };
  const { root } = document;
  const isSound = complainOfUnknown(root, complain);
  const [routes] = ownOf(document, 'routes');
  if (isSound && (routes?.value === undefined || routes.value === null)) complain(NO_ROUTES);
  return { ...ownKeys([document]), routes: routes === undefined ? [] : [routes], settings: [] };
}

// Mostly a slip: all routes commented out, or cut off by an editor. Serving none is said on purpose.
const NO_ROUTES: Complaint = {
  path: ['routes'],
  message: 'no routes are written',
  hint: NO_ROUTES_HINT,
  isAboutKey: true,
};

function ownKeys(
  documents: readonly SourceDocument[],
): Pick<FoundSections, 'defaultFilters' | 'defaults' | 'services'> {
  return {
    defaultFilters: documents.flatMap(each => [...ownOf(each, 'default-filters'), ...ownOf(each, 'defaultFilters')]),
    defaults: documents.flatMap(each => ownOf(each, 'defaults')),
    services: documents.flatMap(each => ownOf(each, 'services')),
  };
}

function ownOf({ root, at }: SourceDocument, key: string): Section[] {
  return key in root ? [{ value: root[key], path: [...at, key] }] : [];
}

function springSections({ documents }: Sources, resolver: Resolver): FoundSections {
  const wrong: Complaint[] = [];
  const complain: Complain = complaint => {
    if (complaint.severity !== 'warning') wrong.push(complaint);
    resolver.complain(complaint);
  };
  const springs = readSpring(documents, complain);
  warnOfRest(documents, complain);
  const own = ownKeys(documents.map(ours));
  const routes = documents.map(ours).flatMap(each => ownOf(each, 'routes'));
  const all = [...springs.routes, ...notTwice(routes, springs.routes, complain)];
  const isNone = all.every(({ value }) => value === undefined || value === null);
  if (wrong.length === 0 && isNone) complain({ ...NO_ROUTES, path: all[0]?.path ?? ['routes'] });
  return {
    ...own,
    routes: all.toSorted((a, b) => documentOf(a) - documentOf(b)),
    defaultFilters: [...springs.defaultFilters, ...notTwice(own.defaultFilters, springs.defaultFilters, complain)],
    settings: springs.settings.map(entry => ({ key: entry.key, ...resolver.resolve(entry, 'placeholders') })),
  };
}

function documentOf({ path: [first] }: Section): number {
  return typeof first === 'number' ? first : 0;
}

/** A document without what stands under keys of ours, but was written for others. */
function ours({ root, at }: SourceDocument): SourceDocument {
  const kept = Object.entries(root).filter(([key, value]) => !isForeign(key, value));
  const services = Object.fromEntries(kept)['services'];
  const own = isMap(services) ? Object.entries(services).filter(([, entry]) => isOurService(entry)) : [];
  return {
    root: { ...Object.fromEntries(kept), ...(isMap(services) ? { services: Object.fromEntries(own) } : {}) },
    at,
  };
}

/** Our own sections, but for those that the same document has under Spring's prefix as well. */
function notTwice(own: readonly Section[], springs: readonly Section[], complain: Complain): Section[] {
  return own.filter(section => {
    if (!springs.some(each => documentOf(each) === documentOf(section))) return true;
    complain({ path: section.path, message: 'stand here, and under `spring:` too', isAboutKey: true });
    return false;
  });
}

/** False, after complaints, where the file has a key that it cannot have. */
function complainOfUnknown(root: Readonly<Record<string, unknown>>, complain: Complain): boolean {
  const known = keysOf(RoutesFileShape);
  const keys = Object.keys(withoutExtensions(root) as object);
  const unknown = keys.filter(key => !known.includes(key) && key !== 'defaultFilters');
  for (const key of unknown) complain({ path: [key], ...unknownKeyWords(key, known) });
  return unknown.length === 0;
}

interface ConnectParts {
  readonly services: readonly Section[];
  readonly resolver: Resolver;
  /** For all; undefined: as long as usual. */
  readonly connectTimeoutMs: number | undefined;
}

/** Services with the time for connecting that Spring has on a route, or for all, where their own entry says none. */
function withConnectTimeouts(
  routes: readonly WrittenRoute[],
  { services: written, resolver, connectTimeoutMs }: ConnectParts,
): Map<string, WrittenService> {
  const services = readServices(written, resolver);
  const decided = new Map<string, number>();
  for (const { uri = '', path, connectTimeoutMs: own } of routes) {
    const target = parseRouteUri(uri);
    const ms = own ?? connectTimeoutMs;
    if ('problem' in target || ms === undefined || saysConnectTimeout(target.serviceName, written)) continue;
    const { serviceName } = target;
    const known = decided.get(serviceName) ?? ms;
    decided.set(serviceName, known);
    if (known !== ms)
      resolver.complain({ ...notTheRoutes(serviceName), path: [...path, 'metadata', 'connect-timeout'] });
    const service = services.get(serviceName) ?? Service.parse({});
    services.set(serviceName, { ...service, connection: { ...service.connection, connectTimeout: known } });
  }
  return services;
}

function saysConnectTimeout(name: string, services: readonly Section[]): boolean {
  return services.some(({ value }) => {
    const service = isMap(value) ? value[name] : undefined;
    return isMap(service) && isMap(service['connection']) && 'connectTimeout' in service['connection'];
  });
}

function notTheRoutes(name: string): Omit<Complaint, 'path'> {
  return {
    severity: 'warning',
    message: `connecting takes as long for all routes to ${name}: what the first of them says holds`,
    hint: `write \`services: { ${name}: { connection: { connectTimeout } } }\``,
    isAboutKey: true,
  };
}
