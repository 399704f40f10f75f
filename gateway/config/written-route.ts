import type { z } from 'zod';
import { readPart, type PartKind, type WrittenPart } from './dialect/written-part.ts';
import type { Complain, KeyPath } from './problem.ts';
import { laterOf } from './schema/later.ts';
import { DialectKeys, NOT_IN_DEFAULTS } from './schema/routes.ts';
import { Service } from './schema/service.ts';
import { isMap, type Section } from './spring-keys.ts';
import { corsOf, timeoutMsOf, timeoutOf } from './spring-policy.ts';
import { complainOfGap, keysOf, unknownKeyWords, validate } from './validate.ts';
import { RoutePolicyKeys, type WrittenPolicy } from './schema/route-policy.ts';

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
  /** From its metadata, as Spring has it there; it is the service's here. */
  readonly connectTimeoutMs: number | undefined;
}

/** What reading a part of the file needs. */
export interface Reading {
  readonly complain: Complain;
  /** Paths, as `JSON.stringify` writes them, of values that came from a reference. */
  readonly referred: ReadonlySet<string>;
  /** Paths of values whose reference leads nowhere: said already. */
  readonly failed: ReadonlySet<string>;
  /** A section with its references replaced; Spring's placeholders too, where they are wanted. */
  readonly resolve: (section: Section, wanted?: 'placeholders') => Section;
}

/** The items of a list, each with its place; nothing written is an empty list. */
export function listOf({ value, path }: Section, complain: Complain): Section[] {
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

/** The predicates or filters of a list, each as it is written. */
export function readParts(section: Section, kind: PartKind, complain: Complain): WrittenPart[] {
  return listOf(section, complain).flatMap(({ value, path }) => readPart(value, kind, { path, complain }) ?? []);
}

/** Every entry of `services`; a later one replaces one of the same name. */
export function readServices(
  sections: readonly Section[],
  { complain, referred }: Reading,
): Map<string, WrittenService> {
  const services = new Map<string, WrittenService>();
  for (const { key, value, path } of sections.flatMap(section => entriesOf(section, complain))) {
    const service = validate(Service, value ?? {}, { path, complain, referred });
    if (service !== undefined) services.set(key, service);
  }
  return services;
}

/** What `defaults` says; a later key replaces an earlier one. */
export function readDefaults(sections: readonly Section[], reading: Reading): WrittenPolicy {
  const entries = sections.flatMap(section => entriesOf(section, reading.complain));
  return readPolicy(entries, reading, key => {
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
    if (schema !== undefined) complainOfGap(path, value, complain);
    // Another known key without a value is as good as no key.
    if (schema !== undefined && value !== null) policy[key] = validate(schema, value, { path, complain, referred });
    if (schema !== undefined) continue;
    const isLater = laterOf(RoutePolicyKeys)?.keys?.includes(key) === true;
    const words = isLater ? { message: `${key}: not yet supported`, isAboutKey: true } : unknown(key);
    complain({ path, ...words });
  }
  return Object.fromEntries(Object.entries(policy).filter(([, value]) => value !== undefined));
}

/** A route, as far as it can be read; undefined, after a complaint, where it is none. */
export function readRoute({ value, path }: Section, reading: Reading): WrittenRoute | undefined {
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
  complainOfGap([...path, 'predicates'], value['predicates'], complain);
  const metadata = readMetadata({ value: value['metadata'], path: [...path, 'metadata'] }, reading);
  return {
    path,
    id: read('id', id),
    uri: reading.failed.has(JSON.stringify([...path, 'uri'])) ? undefined : read('uri', uri),
    order: read('order', order) ?? 0,
    isEnabled: read('enabled', enabled) ?? true,
    predicates: readParts({ value: value['predicates'], path: [...path, 'predicates'] }, 'predicate', complain),
    filters: readParts({ value: value['filters'], path: [...path, 'filters'] }, 'filter', complain),
    policy: {
      ...metadata.policy,
      ...readPolicy(
        entries.filter(({ key }) => !NOT_IN_DEFAULTS.includes(key)),
        reading,
        key => unknownKeyWords(key, known),
      ),
    },
    connectTimeoutMs: metadata.connectTimeoutMs,
  };
}

/** The rest is for others, and whatever stands in it is theirs. */
const READ_METADATA = ['response-timeout', 'connect-timeout', 'cors'];

/** What Spring reads of a route's metadata; our own keys beside it win. */
function readMetadata(
  section: Section,
  { complain, resolve }: Reading,
): { readonly policy: WrittenPolicy; readonly connectTimeoutMs: number | undefined } {
  let policy: WrittenPolicy = {};
  let connectTimeoutMs: number | undefined;
  for (const { key, ...written } of entriesOf(section, complain)) {
    if (!READ_METADATA.includes(key)) continue;
    const entry = resolve(written, 'placeholders');
    if (key === 'response-timeout') policy = { ...policy, ...timeoutOf(entry, complain) };
    else if (key === 'cors') policy = { ...policy, ...corsOf(entry, complain) };
    else connectTimeoutMs = timeoutMsOf(entry, complain);
  }
  return { policy, connectTimeoutMs };
}
