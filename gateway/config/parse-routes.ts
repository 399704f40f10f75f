import type { z } from 'zod';
import { readPart, type PartKind, type WrittenPart } from './dialect/written-part.ts';
import { heeding, warnOfLiteralSecrets } from './parse.ts';
import type { Complain, Complaint, KeyPath, Problem } from './problem.ts';
import { resolveData, resolveText, withoutExtensions, type Resolved, type Surroundings } from './references.ts';
import { laterOf } from './schema/later.ts';
import { RoutePolicyKeys } from './schema/route-policy.ts';
import { DialectKeys, NOT_IN_DEFAULTS, RoutesFileShape } from './schema/routes.ts';
import { Service } from './schema/service.ts';
import { isSpring, readSpring, type Section } from './spring.ts';
import { keysOf, unknownKeyWords, validate } from './validate.ts';
import { readYaml } from './yaml-file.ts';

type PolicyShape = typeof RoutePolicyKeys.shape;

/** What a route, or `defaults`, says of its policy: only the keys that are written, each understood. */
export type WrittenPolicy = { readonly [K in keyof PolicyShape]?: z.output<PolicyShape[K]> };

/** What a service's entry says. */
export type WrittenService = Readonly<z.output<typeof Service>>;

/** A route as it is written. */
export interface WrittenRoute {
  readonly path: KeyPath;
  readonly id: string | undefined;
  /** Undefined after a complaint. */
  readonly uri: string | undefined;
  readonly order: number;
  readonly isEnabled: boolean;
  readonly predicates: readonly WrittenPart[];
  readonly filters: readonly WrittenPart[];
  readonly policy: WrittenPolicy;
}

/** What routes.yaml says: data that may travel to another thread. */
export interface RoutesData {
  readonly defaults: WrittenPolicy;
  readonly defaultFilters: readonly WrittenPart[];
  readonly services: ReadonlyMap<string, WrittenService>;
  readonly routes: readonly WrittenRoute[];
  /** Values of the dialect with references, and what they became when they were judged. */
  readonly resolved: ReadonlyMap<string, string>;
}

/** routes.yaml, read: its shape is judged, its meaning not yet. `compileRoutes` does the rest, and reports all at once. */
export interface RoutesFile extends RoutesData {
  readonly name: string;
  readonly problems: readonly Problem[];
  /** Values that came from outside the file, never to be shown. */
  readonly secrets: readonly string[];
  locate(complaint: Parameters<Complain>[0]): Problem;
  /** Replaces the references in one value of the dialect. */
  readonly resolve: (text: string, complain: (message: string, hint?: string) => void) => string | undefined;
}

/** Within the dialect's texts a reference is replaced after they are cut into values: what it holds cannot change the cut. */
const DIALECT_KEYS: ReadonlySet<string> = new Set(['predicates', 'filters', 'default-filters', 'defaultFilters']);

interface Reading {
  readonly complain: Complain;
  readonly referred: Resolved['referred'];
}

type Sections = Omit<RoutesData, 'resolved'>;

/** Reads routes.yaml, or a file written for Spring Cloud Gateway. */
export function parseRoutes(text: string, surroundings: Surroundings): RoutesFile {
  const yaml = readYaml(text, surroundings.file);
  const problems = [...yaml.problems];
  const complain: Complain = complaint => problems.push(yaml.locate(complaint));
  // Mostly a save that has only just begun: `make-routes > routes.yaml` empties the file first and fills it later.
  if (yaml.value === null) complain({ path: [], message: 'the file is empty', hint: NO_ROUTES_HINT });
  const resolved = resolveData(withoutExtensions(yaml.value ?? {}), surroundings, {
    complain,
    except: DIALECT_KEYS,
  });
  warnOfLiteralSecrets(resolved, complain);
  const reading = { complain: heeding(resolved, complain), referred: resolved.referred };
  const secrets = [...resolved.secrets];
  const replaced = new Map<string, string>();
  return {
    name: surroundings.file,
    problems,
    secrets,
    resolved: replaced,
    ...(yaml.value === undefined || yaml.value === null ? NO_SECTIONS : sectionsOf(resolved.value, reading)),
    locate: complaint => yaml.locate(complaint),
    resolve(part, complainOfPart) {
      const value = resolveText(part, surroundings, complainOfPart);
      if (value === undefined || value.text === part) return value?.text;
      secrets.push(...value.held);
      replaced.set(part, value.text);
      return value.text;
    },
  };
}

const NO_SECTIONS: Sections = { defaults: {}, defaultFilters: [], services: new Map(), routes: [] };

function sectionsOf(root: unknown, reading: Reading): Sections {
  const { complain } = reading;
  if (!isMap(root)) {
    complain({ path: [], message: 'must be a map of keys', hint: 'for example `routes: []`' });
    return NO_SECTIONS;
  }
  const wrong: Complaint[] = [];
  const { routes, defaultFilters } = findSections(root, complaint => {
    if (complaint.severity !== 'warning') wrong.push(complaint);
    complain(complaint);
  });
  // Mostly a slip: all routes commented out, or cut off by an editor. Serving none is said on purpose.
  if (wrong.length === 0 && (routes.value === undefined || routes.value === null)) {
    complain({ path: routes.path, message: 'no routes are written', hint: NO_ROUTES_HINT, isAboutKey: true });
  }
  return {
    defaults: readDefaults({ value: root['defaults'], path: ['defaults'] }, reading),
    defaultFilters: readParts(defaultFilters, 'filter', complain),
    services: readServices({ value: root['services'], path: ['services'] }, reading),
    routes: listOf(routes, complain).flatMap(item => readRoute(item, reading) ?? []),
  };
}

const NO_ROUTES_HINT = 'for a gateway without routes write `routes: []`';

function findSections(
  root: Readonly<Record<string, unknown>>,
  complain: Complain,
): { routes: Section; defaultFilters: Section } {
  const filtersKey = 'defaultFilters' in root ? 'defaultFilters' : 'default-filters';
  const own = {
    routes: { value: root['routes'], path: ['routes'] },
    defaultFilters: { value: root[filtersKey], path: [filtersKey] },
  };
  if (!isSpring(root)) {
    complainOfUnknown(root, complain);
    return own;
  }
  const springs = readSpring(root, complain);
  for (const key of ['routes', 'defaultFilters'] as const) {
    if (springs[key] === undefined || own[key].value === undefined) continue;
    complain({ path: own[key].path, message: 'stand here, and under `spring:` too', isAboutKey: true });
  }
  return { routes: springs.routes ?? own.routes, defaultFilters: springs.defaultFilters ?? own.defaultFilters };
}

function complainOfUnknown(root: Readonly<Record<string, unknown>>, complain: Complain): void {
  const known = keysOf(RoutesFileShape);
  for (const key of Object.keys(root)) {
    if (!known.includes(key) && key !== 'defaultFilters') complain({ path: [key], ...unknownKeyWords(key, known) });
  }
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The items of a list, each with its place; nothing written is an empty list. */
function listOf({ value, path }: Section, complain: Complain): Section[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.map((item: unknown, i) => ({ value: item, path: [...path, i] }));
  complain({ path, message: 'must be a list' });
  return [];
}

/** The entries of a map, each with its place; nothing written is an empty map. */
function entriesOf({ value, path }: Section, complain: Complain): (Section & { key: string })[] {
  if (value === undefined || value === null) return [];
  if (isMap(value)) return Object.entries(value).map(([key, item]) => ({ key, value: item, path: [...path, key] }));
  complain({ path, message: 'must be a map of keys' });
  return [];
}

function readParts(section: Section, kind: PartKind, complain: Complain): WrittenPart[] {
  return listOf(section, complain).flatMap(({ value, path }) => readPart(value, kind, { path, complain }) ?? []);
}

function readServices(section: Section, { complain, referred }: Reading): Map<string, WrittenService> {
  const services = new Map<string, WrittenService>();
  for (const { key, value, path } of entriesOf(section, complain)) {
    const service = validate(Service, value ?? {}, { path, complain, referred });
    if (service !== undefined) services.set(key, service);
  }
  return services;
}

function readDefaults(section: Section, reading: Reading): WrittenPolicy {
  return readPolicy(entriesOf(section, reading.complain), reading, key => {
    if (!NOT_IN_DEFAULTS.includes(key)) return unknownKeyWords(key, keysOf(RoutePolicyKeys));
    const hint = `the key \`${key}\` is written on each route`;
    return { message: `${key} belongs to each route`, hint, isAboutKey: true };
  });
}

type Entry = Section & { readonly key: string };
type UnknownWords = (key: string) => ReturnType<typeof unknownKeyWords>;

/** Each key by itself, so that what is wrong with one does not hide what is wrong with another. */
function readPolicy(entries: readonly Entry[], { complain, referred }: Reading, unknown: UnknownWords): WrittenPolicy {
  const shape: Readonly<Record<string, z.ZodType>> = RoutePolicyKeys.shape;
  const policy: Record<string, unknown> = {};
  for (const { key, value, path } of entries) {
    const schema = Object.hasOwn(shape, key) ? shape[key] : undefined;
    // A known key without a value is as good as no key.
    if (schema !== undefined && value !== null) policy[key] = validate(schema, value, { path, complain, referred });
    if (schema !== undefined) continue;
    const isLater = laterOf(RoutePolicyKeys)?.keys?.includes(key) === true;
    const words = isLater ? { message: `${key}: not yet supported`, isAboutKey: true } : unknown(key);
    complain({ path, ...words });
  }
  return Object.fromEntries(Object.entries(policy).filter(([, value]) => value !== undefined));
}

function readRoute({ value, path }: Section, reading: Reading): WrittenRoute | undefined {
  const { complain, referred } = reading;
  if (!isMap(value)) {
    complain({ path, message: 'must be a map of keys', hint: 'for example `{ id: fuel, uri: lb://fuel }`' });
    return undefined;
  }
  const known = [...keysOf(DialectKeys), ...keysOf(RoutePolicyKeys)];
  const entries = entriesOf({ value, path }, complain);
  const { id, uri, order, enabled } = DialectKeys.shape;
  const read = <S extends z.ZodType>(key: string, schema: S) =>
    validate(schema, value[key] ?? undefined, { path: [...path, key], complain, referred });
  warnOfMetadata({ value: value['metadata'], path: [...path, 'metadata'] }, complain);
  return {
    path,
    id: read('id', id),
    uri: read('uri', uri),
    order: read('order', order) ?? 0,
    isEnabled: read('enabled', enabled) ?? true,
    predicates: readParts({ value: value['predicates'], path: [...path, 'predicates'] }, 'predicate', complain),
    filters: readParts({ value: value['filters'], path: [...path, 'filters'] }, 'filter', complain),
    policy: readPolicy(
      entries.filter(({ key }) => !NOT_IN_DEFAULTS.includes(key)),
      reading,
      key => unknownKeyWords(key, known),
    ),
  };
}

/** Metadata that Spring heeds, and what to write for it: silence would change what a route does. */
const METADATA_WAY: ReadonlyMap<string, string> = new Map([
  ['response-timeout', 'write `timeout` on the route'],
  ['connect-timeout', 'write `services: { NAME: { connection: { connectTimeout } } }`'],
  ['cors', 'write `cors` on the route'],
]);

function warnOfMetadata(section: Section, complain: Complain): void {
  for (const { key, path } of entriesOf(section, complain)) {
    const hint = METADATA_WAY.get(key);
    if (hint !== undefined)
      complain({ path, severity: 'warning', message: `metadata ${key} is not heeded`, hint, isAboutKey: true });
  }
}
