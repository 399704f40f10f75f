import type { Node } from 'yaml';
import type { Properties } from '../placeholders.ts';
import type { Complaint, Problem } from '../problem.ts';
import { withPropertiesAsDefaults, type Portable } from '../references.ts';
import { isMap, type Section, entriesUnder } from '../spring-keys.ts';
import { Comments, flowText, type Original } from './commented-yaml.ts';
import { parseShortcut } from '../dialect/written-part.ts';
import { FILTERS } from '../dialect/filters.ts';
import { keyOfBean, limitOfBucket } from '../dialect/sharing-filters.ts';
import { OUR_WAY } from '../schema/dialect-names.ts';
import { durationText } from '../units.ts';

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
  // From the end, so that what was said of earlier places stays true.
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
export function commentLosses(problems: readonly Problem[], draft: RoutesDraft): void {
  for (const { path, message, hint } of problems) {
    const place = placeOf(path, draft);
    if (place?.index === undefined) continue;
    draft.comments.add(place.map, place.key, `Less: ${message}${hint === undefined ? '' : ` (${hint})`}.`);
  }
}

/** What a filter of Spring's becomes where it cannot stay a filter. */
interface Way {
  /** What means less. */
  readonly less: string;
  /** The keys of a route that take its place. */
  readonly keys?: Readonly<Record<string, unknown>>;
  /** True: without it a route may let in, or give away, what it must not, so that it is not served until it is mended. */
  readonly isNeeded?: boolean;
}

/** A filter as it is written: its name, and its values by field. */
interface Written {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** How the filter is said here; undefined where it is said as there. */
function wayOf(filter: unknown, around: { readonly hasIdentity: boolean }): Way | undefined {
  const written = writtenOf(filter);
  if (written === undefined) return undefined;
  const own = WAYS.get(written.name);
  if (own !== undefined) return own(written, around);
  const { name } = written;
  const way = OUR_WAY.get(name);
  if (way !== undefined) return { less: `there is no ${name} here: ${way}`, isNeeded: true };
  if (FILTERS.has(name)) return undefined;
  return { less: `${name} is a filter of your own, and there is none here`, isNeeded: true };
}

/** Fields of a shortcut of the filters that have a way of their own. */
const FIELDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['CircuitBreaker', ['name', 'fallbackUri']],
  ['LocalResponseCache', ['timeToLive', 'size']],
]);

function writtenOf(filter: unknown): Written | undefined {
  if (isMap(filter)) {
    const { name, args } = filter;
    return typeof name === 'string' ? { name, args: isMap(args) ? args : {} } : undefined;
  }
  const shortcut = typeof filter === 'string' ? parseShortcut(filter) : undefined;
  if (shortcut === undefined || 'problem' in shortcut) return undefined;
  const fields = FIELDS.get(shortcut.name) ?? [];
  return {
    name: shortcut.name,
    args: Object.fromEntries(shortcut.pieces.map((text, i) => [fields[i] ?? `${i}`, text])),
  };
}

type MakeWay = (written: Written, around: { readonly hasIdentity: boolean }) => Way;

const WAYS: ReadonlyMap<string, MakeWay> = new Map<string, MakeWay>([
  [
    'CacheRequestBody',
    () => ({ less: 'bodies are taken in once, up to `body: { max }`, and every filter may do without' }),
  ],
  ['FallbackHeaders', () => ({ less: 'failures are problem+json with a `code`; no fallback learns of them' })],
  ['SaveSession', () => ({ less: 'the gateway keeps no sessions' })],
  ['CircuitBreaker', circuitBreakerWay],
  ['LocalResponseCache', localResponseCacheWay],
  ['RequestRateLimiter', rateLimiterWay],
  ['TokenRelay', tokenRelayWay],
]);

function circuitBreakerWay({ args }: Written): Way {
  const ejection = 'instances that fail are ejected instead (`services: { NAME: { outlier } }`)';
  const fallback = args['fallbackUri'] ?? args['fallback-uri'];
  const lost = fallback === undefined ? '' : '; there is no fallback: a failure is answered as problem+json';
  return { less: `${ejection}${lost}` };
}

function tokenRelayWay(_written: Written, { hasIdentity }: { readonly hasIdentity: boolean }): Way {
  const less = 'no caller is logged in and no token exchanged: the caller’s own `Authorization` is passed on';
  return hasIdentity ? { less, keys: { auth: { forwardToken: true } } } : { less };
}

function localResponseCacheWay({ args }: Written): Way {
  const ttl = durationText((secondsOf(args['timeToLive'] ?? args['time-to-live']) ?? 300) * 1_000);
  const less = 'answers are kept by what R is sent, for this time; `varyBy` says what else tells requests apart';
  return { less, keys: { cache: { ttl, methods: ['GET'] } } };
}

/** `30s`, `5m`, `1h`, or a number of seconds, as people write it there. */
function secondsOf(written: unknown): number | undefined {
  const found = /^(\d{1,6})(s|m|h|d)?$/.exec(textIn(written));
  const unit = { s: 1, m: 60, h: 3_600, d: 86_400 }[found?.[2] ?? 's'];
  return found === null || unit === undefined || Number(found[1]) === 0 ? undefined : Number(found[1]) * unit;
}

/** The limit that lets through what the bucket did. */
function rateLimiterWay({ args }: Written): Way {
  const given = Object.fromEntries(entriesUnder(args, ['redis-rate-limiter']).map(({ key, value }) => [key, value]));
  const rate = wholeOf(given['replenish-rate']);
  const cost = wholeOf(given['requested-tokens']) ?? 1;
  if (rate === undefined) {
    return { less: 'how much is let through stands in no `replenishRate`: write `limits: [{ rate: 10, per: 1s }]`' };
  }
  const burst = Math.max(wholeOf(given['burst-capacity']) ?? 1, cost);
  const resolver = textIn(args['key-resolver'] ?? args['keyResolver']);
  const by = keyOfBean(resolver);
  const limit = limitOfBucket({ rate, burst, cost }, by);
  const whom =
    resolver === '' || by === 'ip' || /user|principal/i.test(resolver) ? '' : `; \`by\` is a guess for ${resolver}`;
  return {
    less: `each gateway counts for itself, unless gateway.yaml has a \`redis\`${whom}`,
    keys: { limits: [limit] },
  };
}

/** A number, or what a placeholder has for a default. */
function wholeOf(written: unknown): number | undefined {
  const text = textIn(written).replace(/^\$\{[\w.-]+:([^{}]*)\}$/, '$1');
  return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : undefined;
}

function textIn(written: unknown): string {
  return typeof written === 'string' || typeof written === 'number' ? String(written) : '';
}
