import type { RouteSpec } from '../domain/route.ts';
import { idsOf } from './compile.ts';
import { FILTERS } from './dialect/filters.ts';
import { PREDICATES } from './dialect/predicates.ts';
import type { WrittenPart } from './dialect/written-part.ts';
import { flowText } from './import/commented-yaml.ts';
import { resolvedKey, type RoutesFile } from './parse-routes.ts';
import type { KeyPath } from './problem.ts';
import { isSecretName, REDACTED, Secret } from './secret.ts';
import { shadowedRoutes } from './shadowed.ts';
import { isMap } from './spring-keys.ts';
import type { WrittenRoute } from './written-route.ts';
import { readDocuments } from './yaml-file.ts';

/** One thing that is otherwise: a key, and what it says, null where it is not written. */
export interface Change {
  readonly key: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** A route as an overview shows it. */
interface Shown {
  readonly route: string;
  readonly uri: string;
  readonly predicates: readonly string[];
}

/** What a change of routes.yaml means. */
export interface RoutesDiff {
  readonly added: readonly Shown[];
  readonly removed: readonly Shown[];
  readonly changed: readonly { readonly route: string; readonly changes: readonly Change[] }[];
  /** Routes that are tried in another order than before, and after which; null: first of all. */
  readonly moved: readonly { readonly route: string; readonly after: string | null }[];
  /** Routes that could be reached before, or are new, and cannot be: those named answer in their place. */
  readonly shadowed: readonly { readonly route: string; readonly by: readonly string[] }[];
  /** What changes for every route that does not say it itself. */
  readonly defaults: readonly (Change & { readonly routes: readonly string[] })[];
  readonly defaultFilters: readonly Change[];
  readonly services: readonly { readonly service: string; readonly changes: readonly Change[] }[];
}

/** A routes file without an error. */
export interface SoundRoutes {
  readonly file: RoutesFile;
  readonly text: string;
  /** In the order in which they are tried. */
  readonly specs: readonly RouteSpec[];
}

/** What the second file means otherwise than the first. What is only written otherwise is no change. */
export function diffRoutes(before: SoundRoutes, after: SoundRoutes): RoutesDiff {
  const [old, now] = [sideOf(before), sideOf(after)];
  const common = [...now.routes.keys()].filter(id => old.routes.has(id));
  const pairs = common.map(id => ({ id, old: { side: old, id }, now: { side: now, id } }));
  const known = new Set(shadowedIds(before).map(({ route }) => route));
  return {
    added: [...now.routes].filter(([id]) => !old.routes.has(id)).map(([id, route]) => shownOf(id, route)),
    removed: [...old.routes].filter(([id]) => !now.routes.has(id)).map(([id, route]) => shownOf(id, route)),
    changed: pairs
      .map(pair => ({ route: pair.id, changes: changesOf(pair.old, pair.now) }))
      .filter(({ changes }) => changes.length > 0),
    moved: movedOf(before.specs, after.specs),
    shadowed: shadowedIds(after).filter(({ route }) => !known.has(route)),
    defaults: defaultsChanges(old, now, common),
    defaultFilters: partChanges(
      'default-filters',
      [before.file, before.file.defaultFilters],
      [after.file, after.file.defaultFilters],
    ),
    services: servicesChanges(old, now),
  };
}

interface Side {
  readonly file: RoutesFile;
  readonly routes: ReadonlyMap<string, WrittenRoute>;
  /** What is written at a place. */
  readonly raw: (path: KeyPath) => unknown;
}

interface RouteOf {
  readonly side: Side;
  readonly id: string;
}

function sideOf({ file, text }: SoundRoutes): Side {
  const { values } = readDocuments(text, file.name);
  const ids = idsOf(file.routes, () => undefined);
  return {
    file,
    routes: new Map(file.routes.map((route, i) => [ids[i] ?? '', route])),
    raw: path => {
      const isNumbered = values.length > 1 && typeof path[0] === 'number';
      return valueAt(isNumbered ? values : values[0], path);
    },
  };
}

function valueAt(value: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (found, key) =>
      typeof found === 'object' && found !== null ? (found as Record<string | number, unknown>)[key] : undefined,
    value,
  );
}

function shownOf(route: string, { uri = '', predicates }: WrittenRoute): Shown {
  return { route, uri, predicates: predicates.map(({ text }) => text) };
}

function shadowedIds({ specs }: SoundRoutes): { route: string; by: readonly string[] }[] {
  return shadowedRoutes(specs).map(({ position, by }) => ({ route: specs[position]?.id ?? '', by }));
}

function changesOf(old: RouteOf, now: RouteOf): Change[] {
  const [a, b] = [old.side.routes.get(old.id), now.side.routes.get(now.id)];
  if (a === undefined || b === undefined) return [];
  return [
    ...plainChange('uri', a.uri ?? null, b.uri ?? null),
    ...plainChange('order', String(a.order), String(b.order)),
    ...plainChange('enabled', String(a.isEnabled), String(b.isEnabled)),
    ...partChanges('predicates', [old.side.file, a.predicates], [now.side.file, b.predicates]),
    ...partChanges('filters', [old.side.file, a.filters], [now.side.file, b.filters]),
    ...policyChanges(old, now),
  ];
}

function plainChange(key: string, before: string | null, after: string | null): Change[] {
  return before === after ? [] : [{ key, before, after }];
}

type Parts = readonly [file: RoutesFile, parts: readonly WrittenPart[]];

/** Parts that went and came; where they are the same in another order, the whole lists. */
function partChanges(key: string, [oldFile, before]: Parts, [newFile, after]: Parts): Change[] {
  const [old, now] = [before.map(part => meaningOf(part, oldFile)), after.map(part => meaningOf(part, newFile))];
  if (JSON.stringify(old) === JSON.stringify(now)) return [];
  const gone = before.filter((_, i) => !now.includes(old[i] ?? '')).map(({ text }) => text);
  const come = after.filter((_, i) => !old.includes(now[i] ?? '')).map(({ text }) => text);
  if (gone.length + come.length === 0) {
    return [
      { key, before: before.map(({ text }) => text).join(' · '), after: after.map(({ text }) => text).join(' · ') },
    ];
  }
  return [
    ...gone.map(text => ({ key, before: text, after: null })),
    ...come.map(text => ({ key, before: null, after: text })),
  ];
}

/** What a part says, whichever form it has, with its references filled in. */
function meaningOf({ name, values }: WrittenPart, { resolved }: RoutesFile): string {
  const { shape, fields = [] } = PREDICATES.get(name) ?? FILTERS.get(name) ?? {};
  const filled = values.map(({ key, text }, i): [string, string] => [
    shape === 'list' ? '' : (key ?? fields[i] ?? ''),
    resolved.get(resolvedKey(text, undefined)) ?? text,
  ]);
  return JSON.stringify([name, shape === 'list' ? filled : filled.toSorted(([a], [b]) => (a < b ? -1 : 1))]);
}

/** Keys that the route itself has, in one of the files at least. */
function policyChanges(old: RouteOf, now: RouteOf): Change[] {
  const [a, b] = [old.side.routes.get(old.id), now.side.routes.get(now.id)];
  const keys = new Set([...Object.keys(a?.policy ?? {}), ...Object.keys(b?.policy ?? {})]);
  return [...keys].flatMap(key => {
    const [before, after] = [effective(old, key), effective(now, key)];
    return before.meaning === after.meaning ? [] : [{ key, before: before.text, after: after.text }];
  });
}

interface Effective {
  readonly meaning: string;
  readonly text: string | null;
}

function effective({ side, id }: RouteOf, key: string): Effective {
  const route = side.routes.get(id);
  const own = (route?.policy as Record<string, unknown> | undefined)?.[key];
  if (own === undefined) return defaultOf(side, key);
  return { meaning: meaning(own), text: textOf(side.raw([...(route?.path ?? []), key]), own) };
}

function defaultOf({ file, raw }: Side, key: string): Effective {
  const value = (file.defaults as Record<string, unknown>)[key];
  return value === undefined
    ? { meaning: '', text: null }
    : { meaning: meaning(value), text: textOf(raw(['defaults', key]), value) };
}

/** As it is written; where it came of something else, as it was understood. Secrets stay out. */
function textOf(raw: unknown, understood: unknown): string {
  return flowText(withoutSecrets(raw ?? JSON.parse(JSON.stringify(understood))));
}

function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (!isMap(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      isSecretName(key) && typeof item === 'string' ? REDACTED : withoutSecrets(item),
    ]),
  );
}

/** Two values of one meaning have one text, and two secrets two. */
function meaning(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, item: unknown) {
    const own = this[key]; // before its own toJSON
    return own instanceof Secret ? own.reveal() : item;
  });
}

function defaultsChanges(old: Side, now: Side, common: readonly string[]): RoutesDiff['defaults'] {
  const keys = new Set([...Object.keys(old.file.defaults), ...Object.keys(now.file.defaults)]);
  return [...keys].flatMap(key => {
    const [before, after] = [defaultOf(old, key), defaultOf(now, key)];
    if (before.meaning === after.meaning) return [];
    const isOwn = (side: Side, id: string) => key in (side.routes.get(id)?.policy ?? {});
    const routes = common.filter(id => !isOwn(old, id) && !isOwn(now, id));
    return [{ key, before: before.text, after: after.text, routes }];
  });
}

function servicesChanges(old: Side, now: Side): RoutesDiff['services'] {
  const names = new Set([...old.file.services.keys(), ...now.file.services.keys()]);
  return [...names]
    .map(service => ({ service, changes: serviceChanges(service, old, now) }))
    .filter(({ changes }) => changes.length > 0);
}

function serviceChanges(name: string, old: Side, now: Side): Change[] {
  const sides = [old, now].map(({ file, raw }) => ({
    value: Object.fromEntries(Object.entries(file.services.get(name) ?? {})),
    raw: (key: string) => raw(['services', name, key]),
  }));
  const [before, after] = sides;
  const keys = new Set(sides.flatMap(({ value }) => Object.keys(value)));
  return [...keys].flatMap(key => {
    const [a, b] = [before?.raw(key), after?.raw(key)];
    const isSame = meaning(before?.value[key] ?? null) === meaning(after?.value[key] ?? null);
    if (isSame || (a === undefined && b === undefined)) return [];
    const text = (value: unknown) => (value === undefined ? null : isSecretName(key) ? REDACTED : textOf(value, null));
    return [{ key, before: text(a), after: text(b) }];
  });
}

/** Of the routes in both, the fewest that must have moved to bring one order to the other. */
function movedOf(before: readonly RouteSpec[], after: readonly RouteSpec[]): RoutesDiff['moved'] {
  const places = new Map(before.map(({ id }, i) => [id, i]));
  const common = after.map(({ id }) => id).filter(id => places.has(id));
  const kept = longestAscending(common.map(id => places.get(id) ?? 0));
  return common.flatMap((route, i) => (kept.has(i) ? [] : [{ route, after: common[i - 1] ?? null }]));
}

/** The indexes of a longest ascending part of the numbers. */
function longestAscending(numbers: readonly number[]): ReadonlySet<number> {
  const ends: number[] = []; // of a part of each length, the index of its smallest last number
  const before = numbers.map((number, i) => {
    const at = ends.findIndex(end => (numbers[end] ?? 0) >= number);
    const length = at === -1 ? ends.length : at;
    ends[length] = i;
    return ends[length - 1];
  });
  const kept = new Set<number>();
  for (let i = ends.at(-1); i !== undefined; i = before[i]) kept.add(i);
  return kept;
}
