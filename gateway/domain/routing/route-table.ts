import { segmentsOf, type PathPattern, type PathSegments } from './path-pattern.ts';
import type { Random } from '../clock.ts';
import type { RequestAttributes, Predicate, RouteSpec, Weight, WeightKey } from '../route.ts';
import { hash32 } from '../hash32.ts';
import { cookiesOf, fieldOf } from '../http/fields.ts';

/** The route that answers, and what its patterns captured. */
export interface FoundRoute<R extends RouteSpec> {
  readonly kind: 'route';
  readonly route: R;
  readonly variables: ReadonlyMap<string, string>;
}

/** Routes would answer but for the method; these are theirs. */
export interface WrongMethod<R extends RouteSpec> {
  readonly kind: 'method';
  readonly allow: readonly string[];
  /** The first of them. */
  readonly route: R;
}

/** The routes of one generation, in their order. It never changes. */
export interface RouteTable<R extends RouteSpec> {
  readonly routes: readonly R[];
  /**
   * The first route whose predicates all hold, as if they were asked one by one in order; undefined: none does. Of the
   * routes that share a weighted group chance draws one.
   */
  find(request: RequestAttributes, random?: Random): FoundRoute<R> | WrongMethod<R> | undefined;
}

/**
 * What is asked of a route that the index names. What routes have in common they share here: of thousands, a processor's
 * caches hold little, and each thing that is looked at costs a way to the memory.
 */
interface Entry<R> {
  readonly route: R;
  /** All but Method, which is kept apart for 405, and a Path of plain text, which the index decides. */
  readonly predicates: readonly Predicate[];
  readonly methods: RouteSpec['methods'];
  /** Of a route with a weight only the group it is drawn in says whether it answers. */
  readonly isDrawn: boolean;
}

/** The first of a group, where a route is looked up without chance. */
const NO_CHANCE: Random = { below: () => 0 };

const NO_PREDICATES: readonly Predicate[] = [];

const NO_VARIABLES: ReadonlyMap<string, string> = new Map();

/** A table of routes, given in the order in which they are tried. Its index of paths makes 10,000 cost about what 10 do. */
export function createRouteTable<R extends RouteSpec>(routes: readonly R[]): RouteTable<R> {
  return atOnce(routeTableSteps(routes));
}

/** The result of steps that are taken without a pause. */
export function atOnce<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same, step by step, so that other work goes on meanwhile. */
export function* routeTableSteps<R extends RouteSpec>(routes: readonly R[]): Generator<undefined, RouteTable<R>> {
  const share = createSharing();
  const index = createPathIndex();
  const entries: Entry<R>[] = [];
  for (const route of routes) {
    const isDecided = index.add(route.paths) && matchesPathOnce(route);
    const predicates = route.predicates.filter(({ name }) => !KEPT_APART.has(name) && !(isDecided && name === 'Path'));
    const methods = share(route.methods);
    const isDrawn = route.weight !== undefined;
    entries.push({ route, predicates: predicates.length === 0 ? NO_PREDICATES : predicates, methods, isDrawn });
    yield;
  }

  return {
    routes,
    find(request, random = NO_CHANCE) {
      let wrong: Wrong<R> | undefined;
      const candidates = index.candidates(segmentsOf(request.path));
      for (const position of inOrder(candidates)) {
        const entry = entries[position];
        const variables = entry && variablesOf(entry, request);
        if (entry === undefined || variables === undefined) continue;
        const { route, methods, isDrawn } = entry;
        if (isAmong(request.method, methods)) {
          if (!isDrawn) return { kind: 'route', route, variables };
          return findWeighted({ entries, candidates, request, random, drawn: new Map() });
        }
        wrong = withMethods(wrong, entry);
      }
      return wrong && wrongMethod(wrong);
    },
  };
}

interface Wrong<R> {
  readonly allow: Set<string>;
  readonly route: R;
}

function withMethods<R extends RouteSpec>(wrong: Wrong<R> | undefined, { route, methods = [] }: Entry<R>): Wrong<R> {
  const known = wrong ?? { allow: new Set(), route };
  for (const method of methods) known.allow.add(method);
  return known;
}

function wrongMethod<R extends RouteSpec>({ allow, route }: Wrong<R>): WrongMethod<R> {
  return { kind: 'method', allow: withHead(allow), route };
}

/** The same where a route of a group has come up, which answers only where it is drawn. */
function findWeighted<R extends RouteSpec>(weighing: Weighing<R>): FoundRoute<R> | WrongMethod<R> | undefined {
  const { entries, candidates, request } = weighing;
  let wrong: Wrong<R> | undefined;
  for (const position of inOrder(candidates)) {
    const entry = entries[position];
    const variables = entry && variablesOf(entry, request);
    if (entry === undefined || variables === undefined) continue;
    const { route, methods } = entry;
    if (!isAmong(request.method, methods)) wrong = withMethods(wrong, entry);
    else if (route.weight === undefined || drawnOf(route.weight.group, weighing) === route)
      return { kind: 'route', route, variables };
  }
  return wrong && wrongMethod(wrong);
}

/** Predicates that are not asked with the others: Method, for 405, and Weight, which chooses among routes. */
const KEPT_APART: ReadonlySet<string> = new Set(['Method', 'Weight']);

interface Weighing<R extends RouteSpec> {
  readonly entries: readonly Entry<R>[];
  readonly candidates: readonly (readonly number[])[];
  readonly request: RequestAttributes;
  readonly random: Random;
  /** By group; once a request, as Spring draws too. */
  readonly drawn: Map<string, R | undefined>;
}

/** The route of a group that is drawn among those whose other predicates hold. */
function drawnOf<R extends RouteSpec>(group: string, weighing: Weighing<R>): R | undefined {
  const { entries, candidates, request, random, drawn } = weighing;
  if (drawn.has(group)) return drawn.get(group);
  const members: (R & { readonly weight: Weight })[] = [];
  for (const position of inOrder(candidates)) {
    const entry = entries[position];
    if (entry === undefined || !isMember(entry.route, group) || !isAmong(request.method, entry.methods)) continue;
    if (variablesOf(entry, request) !== undefined) members.push(entry.route);
  }
  const member = drawMember(members, request, random);
  drawn.set(group, member);
  return member;
}

function isMember<R extends RouteSpec>(route: R, group: string): route is R & { readonly weight: Weight } {
  return route.weight?.group === group;
}

/** Gives equal lists of methods as one. */
function createSharing(): (methods: RouteSpec['methods']) => RouteSpec['methods'] {
  const known = new Map<string, RouteSpec['methods']>();
  return methods => {
    if (methods === undefined) return undefined;
    const key = methods.join();
    const first = known.get(key) ?? methods;
    known.set(key, first);
    return first;
  };
}

function matchesPathOnce({ paths, predicates }: RouteSpec): boolean {
  return paths.length === 1 && predicates.filter(({ name }) => name === 'Path').length === 1;
}

/** What the patterns captured; undefined when a predicate does not hold. */
function variablesOf<R>({ predicates }: Entry<R>, request: RequestAttributes): ReadonlyMap<string, string> | undefined {
  if (predicates.length === 0) return NO_VARIABLES;
  const variables = new Map<string, string>();
  for (const predicate of predicates) {
    if (!predicate.holds(request, variables)) return undefined;
  }
  return variables;
}

/** True when a request with this method may use a route with these; undefined methods are any. */
export function isAmong(method: string, methods: readonly string[] | undefined): boolean {
  if (methods === undefined || methods.includes(method)) return true;
  return method === 'HEAD' && methods.includes('GET');
}

/** HEAD goes wherever GET does. */
function withHead(allow: ReadonlySet<string>): readonly string[] {
  return [...allow].flatMap(method => (method === 'GET' && !allow.has('HEAD') ? ['GET', 'HEAD'] : [method]));
}

/** The positions of several ascending lists, each once, ascending; taken one by one, because the first mostly matches. */
function inOrder(lists: readonly (readonly number[])[]): Iterable<number> {
  const [first] = lists;
  return first !== undefined && lists.length === 1 ? first : merged(lists);
}

function* merged(lists: readonly (readonly number[])[]): Iterable<number> {
  const heads = lists.map(() => 0);
  for (let least = leastOf(lists, heads); least !== Infinity; least = leastOf(lists, heads)) {
    yield least;
    for (const [i, list] of lists.entries()) if (list[heads[i] ?? 0] === least) heads[i] = (heads[i] ?? 0) + 1;
  }
}

function leastOf(lists: readonly (readonly number[])[], heads: readonly number[]): number {
  let least = Infinity;
  for (const [i, list] of lists.entries()) least = Math.min(least, list[heads[i] ?? 0] ?? Infinity);
  return least;
}

/** Finds, for a path, which of many patterns can match it, at a cost that hardly grows with their number. */
export interface PathIndex {
  /** Lists of positions, each ascending; together they hold every position that can match, and few that cannot. */
  candidates(path: PathSegments): readonly (readonly number[])[];
}

/** One place in the tree of path parts. Most are leaves: what they do not have, they have no object for. */
interface Node {
  byText: Map<string, Node> | undefined;
  /** For a part that is anything but plain text. */
  any: Node | undefined;
  /** Positions of patterns that end here, and of those that take whatever follows. */
  ending: number[] | undefined;
  open: number[] | undefined;
}

/** An index that is still being filled. */
export interface GrowingPathIndex extends PathIndex {
  /**
   * The patterns at the next position; a position without patterns takes any path. True when the index names the position
   * for the paths that match the one pattern, and for no others: then no call need look at the pattern any more.
   */
  add(patterns: readonly PathPattern[]): boolean;
}

/** An index of patterns by position, empty at first. */
export function createPathIndex(): GrowingPathIndex {
  const root = createNode();
  let position = 0;
  return {
    add(patterns) {
      if (patterns.length === 0) root.open = added(root.open, position);
      for (const pattern of patterns) place(root, pattern, position);
      position += 1;
      return patterns.length === 1 && patterns.every(isPlain);
    },
    candidates(path) {
      const walk: Walk = { path, lists: NO_LISTS };
      collect(root, walk, 0);
      return walk.lists;
    },
  };
}

/** Plain text captures nothing, and is all that most routes ask of a path. */
function isPlain({ segments, rest, names }: PathPattern): boolean {
  return rest !== 'first' && names.length === 0 && segments.every(({ literal }) => literal !== undefined);
}

function createNode(): Node {
  return { byText: undefined, any: undefined, ending: undefined, open: undefined };
}

/** What holds a regex is looked at for any text. */
function place(root: Node, { segments, rest }: PathPattern, position: number): void {
  if (rest === 'first') {
    root.open = added(root.open, position);
    return;
  }
  let node = root;
  for (const { literal } of segments) node = literal === undefined ? anyOf(node) : byTextOf(node, literal);
  if (rest === 'last') node.open = added(node.open, position);
  else node.ending = added(node.ending, position);
}

/** A route whose patterns share a place stands there once. */
function added(list: number[] | undefined, position: number): number[] {
  if (list === undefined) return [position];
  if (list.at(-1) !== position) list.push(position);
  return list;
}

function anyOf(node: Node): Node {
  node.any ??= createNode();
  return node.any;
}

function byTextOf(node: Node, literal: string): Node {
  node.byText ??= new Map();
  const known = node.byText.get(literal);
  if (known !== undefined) return known;
  const made = createNode();
  node.byText.set(literal, made);
  return made;
}

/** One look at the index for one path. */
interface Walk {
  readonly path: PathSegments;
  /** Found so far: mostly one, so that a list of more is made only for more. */
  lists: readonly (readonly number[])[];
}

const NO_LISTS: Walk['lists'] = [];

function collect(node: Node, walk: Walk, depth: number): void {
  if (node.open !== undefined) take(walk, node.open);
  const text = walk.path.text[depth];
  if (text === undefined) {
    if (node.ending !== undefined) take(walk, node.ending);
    return;
  }
  const exact = node.byText?.get(text);
  if (exact !== undefined) collect(exact, walk, depth + 1);
  if (node.any !== undefined) collect(node.any, walk, depth + 1);
}

function take(walk: Walk, list: readonly number[]): void {
  walk.lists = walk.lists.length === 0 ? [list] : [...walk.lists, list];
}

interface Member {
  readonly id: string;
  readonly weight: Weight;
}

/**
 * One of a group's routes, as often as its weight says; undefined where all weights are 0.
 *
 * With `by` the choice is made by rendezvous hashing: a caller keeps its side while the weights stand, and where they
 * change only as many callers change sides as must. A request without the cookie or header is drawn for by itself.
 */
function drawMember<M extends Member>(
  members: readonly M[],
  request: RequestAttributes,
  random: Random,
): M | undefined {
  const [first] = members;
  const key = first?.weight.by === undefined ? undefined : keyOf(first.weight.by, request);
  return key === undefined ? drawn(members, random) : ranked(members, key);
}

function keyOf(by: WeightKey, { fields, callerAddress }: RequestAttributes): string | undefined {
  if (by.kind === 'ip') return callerAddress;
  const value = by.kind === 'header' ? fieldOf(fields, by.name) : cookiesOf(fields, by.name)[0];
  return value === '' ? undefined : value;
}

function drawn<M extends Member>(members: readonly M[], random: Random): M | undefined {
  let left = random.below(members.reduce((sum, { weight }) => sum + weight.weight, 0));
  return members.find(({ weight }) => (left -= weight.weight) < 0);
}

function ranked<M extends Member>(members: readonly M[], key: string): M | undefined {
  let best: { readonly member: M; readonly score: number } | undefined;
  for (const member of members) {
    const share = (hash32(`${member.id} ${key}`) + 0.5) / 2 ** 32;
    const score = -member.weight.weight / Math.log(share);
    if (score > (best?.score ?? 0)) best = { member, score };
  }
  return best?.member;
}
