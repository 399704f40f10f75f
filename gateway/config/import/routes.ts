import type { Node } from 'yaml';
import type { Properties } from '../placeholders.ts';
import type { Complaint, Problem } from '../problem.ts';
import { withPropertiesAsDefaults, type Portable } from '../references.ts';
import { isMap, type Section } from '../spring-keys.ts';
import { Comments, flowText, type Original } from './commented-yaml.ts';
import { wayOf, type Way } from './ways.ts';

type Fields = Record<string, unknown>;

/** routes.yaml while it is made. */
export interface RoutesDraft {
  /** The keys of the file; the lists and maps below are its values. */
  readonly root: Fields;
  readonly routes: Fields[];
  readonly defaults: Fields;
  readonly comments: Comments;
  readonly originals: Map<object, Node>;
}

interface Sections {
  readonly routes: Section | undefined;
  readonly defaultFilters: Section | undefined;
  readonly services: Fields;
  readonly defaults: Fields;
}

interface Around {
  readonly properties: Properties;
  readonly original: Original;
  readonly hasIdentity: boolean;
}

/** The routes as they are written, with what other files of ours say otherwise said otherwise. */
export function draftRoutes(sections: Sections, around: Around): RoutesDraft {
  const comments = new Comments();
  const [defaults, defaultFilters] = [
    { ...sections.defaults },
    itemsOf(sections.defaultFilters).map(({ value }) => value),
  ];
  const routes: Fields[] = [];
  const root: Fields = { defaults, 'default-filters': defaultFilters, services: sections.services, routes };
  const draft: RoutesDraft = { root, routes, defaults, comments, originals: new Map() };
  const isWithheld = sayOtherwise(
    { filters: defaultFilters, into: defaults, map: root, key: 'default-filters' },
    draft,
    around,
  );
  const list = sections.routes && around.original.at(sections.routes.path);
  if (list !== undefined) draft.originals.set(routes, list);
  for (const { value, path } of itemsOf(sections.routes)) {
    if (!isMap(value)) {
      comments.add(root, 'routes', `Less: what is no route is left out: ${flowText(value)}`);
      continue;
    }
    const route: Fields = {};
    routes.push(route);
    const node = around.original.at(path);
    if (node !== undefined) draft.originals.set(route, node);
    fill(route, value, { draft, around });
    if (isWithheld) withhold(route, draft, 'a default filter that it needs is left out');
  }
  return draft;
}

function itemsOf(section: Section | undefined): Section[] {
  const { value, path = [] } = section ?? {};
  return Array.isArray(value) ? value.map((item: unknown, i) => ({ value: item, path: [...path, i] })) : [];
}

interface Filling {
  readonly draft: RoutesDraft;
  readonly around: Around;
}

/** One route; its keys in the order in which they were written. */
function fill(route: Fields, written: Readonly<Fields>, { draft, around }: Filling): void {
  for (const [key, value] of Object.entries(written)) {
    route[key] = portable(value, {
      placeholders: around.properties,
      kept: key === 'filters' ? namesOfGroups(value) : new Set(),
      unknown: name => draft.comments.add(route, key, `\${${name}} stands in no file: the environment must have it.`),
    });
  }
  const { filters } = route;
  if (!Array.isArray(filters)) return;
  if (sayOtherwise({ filters, into: route, map: route, key: 'filters' }, draft, around)) {
    withhold(route, draft, 'a filter that it needs is left out');
  }
  if (String(route['uri']) === 'no://op' && filters.some(filter => nameOf(filter) === 'RedirectTo'))
    route['uri'] = 'lb://nowhere';
}

function nameOf(filter: unknown): unknown {
  return isMap(filter) ? filter['name'] : String(filter).split('=')[0];
}

/** Every text within, with the properties of the file it leaves as defaults. */
function portable(value: unknown, how: Portable): unknown {
  if (typeof value === 'string') return value.includes('${') ? withPropertiesAsDefaults(value, how) : value;
  if (Array.isArray(value)) return value.map(item => portable(item, how));
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, portable(item, how)]));
}

/** The groups that filters name in their own expressions are no placeholders. */
function namesOfGroups(value: unknown): ReadonlySet<string> {
  const found = JSON.stringify(value ?? null).matchAll(/\(\?<([A-Za-z][A-Za-z0-9]*)>/g);
  return new Set([...found].map(([, name = '']) => name));
}

interface Filtering {
  /** Loses those that are said otherwise. */
  readonly filters: unknown[];
  /** Gets the keys that take their place. */
  readonly into: Fields;
  readonly map: Fields;
  readonly key: string;
}

/** True where a filter had to go without which nothing may be served. */
function sayOtherwise({ filters, into, map, key }: Filtering, { comments }: RoutesDraft, around: Around): boolean {
  let isWithheld = false;
  for (const filter of [...filters]) {
    const way = wayOf(filter, around);
    if (way === undefined) continue;
    filters.splice(filters.indexOf(filter), 1);
    isWithheld ||= way.isNeeded === true;
    const becomes = Object.keys(way.keys ?? {}).map(each => `becomes \`${each}\``);
    comments.add(map, key, `Less: ${textOf(filter)} ${becomes[0] ?? 'is left out'}: ${way.less}.`);
    addKeys(way, into, text => comments.add(map, key, text));
  }
  return isWithheld;
}

/** What the file says itself stands. */
function addKeys({ keys = {} }: Way, into: Fields, say: (text: string) => void): void {
  for (const [key, value] of Object.entries(keys)) {
    if (key in into) say(`Less: \`${key}\` stood here already, and was left as it is.`);
    else into[key] = value;
  }
}

/** A part as it was written, on one line. */
function textOf(part: unknown): string {
  return typeof part === 'string' ? part : flowText(part);
}

/** A route that would let in more than it did, or give away more, waits for its operator. */
export function withhold(route: Fields, { comments }: Pick<RoutesDraft, 'comments'>, why: string): void {
  if (comments.of(route, 'enabled').length > 0) return;
  route['enabled'] = false;
  comments.add(route, 'enabled', `Less: switched off, since ${why}; take this line out when that is mended.`);
}

/** A problem's place in a draft. */
interface Place {
  readonly map: Fields;
  readonly key: string;
  /** Of a list under the key. */
  readonly index: number | undefined;
}

/** Takes out, or puts right, what the problems are about; false where nothing more can be done. */
export function mend(problems: readonly Problem[], draft: RoutesDraft): boolean {
  const cuts = new Map<string, { readonly place: Place; readonly problem: Problem }>();
  for (const problem of problems) {
    const place = placeOf(problem.path, draft);
    const key = place && `${draft.routes.indexOf(place.map)} ${place.key} ${place.index ?? ''}`;
    if (place !== undefined && key !== undefined && !cuts.has(key) && !isAwaited(place, draft))
      cuts.set(key, { place, problem });
  }
  // From the end, so that what was told of earlier places stays true.
  const inTurn = [...cuts.values()].sort((a, b) => (b.place.index ?? 0) - (a.place.index ?? 0));
  for (const { place, problem } of inTurn) cut(place, problem, draft);
  return inTurn.length > 0;
}

function placeOf(path: string, { root, routes }: RoutesDraft): Place | undefined {
  const [, at, key, index] = /^routes\[(\d+)\](?:\.([\w-]+))?(?:\[(\d+)\])?/.exec(path) ?? [];
  const route = at === undefined ? undefined : routes[Number(at)];
  if (route !== undefined) {
    return key === undefined ? undefined : { map: route, key, index: index === undefined ? undefined : Number(index) };
  }
  const filter = /^default-filters\[(\d+)\]/.exec(path)?.[1];
  return filter === undefined ? undefined : { map: root, key: 'default-filters', index: Number(filter) };
}

/** What only the environment lacks is no fault of the file's. */
function isAwaited({ map, key, index }: Place, { comments }: RoutesDraft): boolean {
  const value = index === undefined ? map[key] : (map[key] as unknown[])[index];
  const names = [...textOf(value ?? '').matchAll(/\$\{([^{}:]+)\}/g)].map(([, name = '']) => `\${${name}} `);
  return comments.of(map, key).some(line => names.some(name => line.startsWith(name)));
}

function cut({ map, key, index }: Place, { message, hint }: Complaint | Problem, draft: RoutesDraft): void {
  const { comments, root, routes } = draft;
  const list = map[key];
  const said = `${message}${hint === undefined ? '' : ` (${hint})`}`;
  const shown = textOf(index === undefined ? map[key] : (list as unknown[])[index]);
  if (key === 'id') {
    map['id'] = `${shown}-${routes.indexOf(map) + 1}`;
    comments.add(map, 'id', `Was ${shown}: ${said}.`);
    return;
  }
  comments.add(map, key, `Less: ${index === undefined ? `${key}: ` : ''}${shown} is left out: ${said}.`);
  if (Array.isArray(list) && index !== undefined) {
    list.splice(index, 1);
    for (const route of map === root ? routes : [map]) withhold(route, draft, `something of its ${key} is left out`);
  } else if (key === 'uri') {
    map['uri'] = 'lb://nowhere';
    withhold(map, draft, 'it leads nowhere');
  } else {
    comments.add(map, '', `Less: ${key}: ${shown} is left out: ${said}.`);
    Reflect.deleteProperty(map, key);
  }
}

/** What can be said of a part that stays, and means less than it did. */
export function tellLess(problems: readonly Problem[], draft: RoutesDraft): void {
  for (const { path, message, hint } of problems) {
    const place = placeOf(path, draft);
    if (place?.index === undefined) continue;
    draft.comments.add(place.map, place.key, `Less: ${message}${hint === undefined ? '' : ` (${hint})`}.`);
  }
}
