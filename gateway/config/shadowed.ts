import type { RouteSpec } from '../domain/route.ts';
import { createPathIndex, isAmong } from '../domain/routing/route-table.ts';

/** A route that no request can reach, and the routes before it that answer in its place. */
export interface Shadowed {
  readonly position: number;
  readonly by: readonly string[];
}

/** Of so many earlier routes that might, the first are looked at: a warning must not delay a reload. */
const LOOKED_AT_MAX = 200;

/**
 * The routes, given in the order in which they are tried, that can never answer, since earlier ones answer all that they
 * would. What cannot be told for sure is not said: two regexes that mean the same are two.
 */
export function shadowedRoutes(routes: readonly RouteSpec[]): Shadowed[] {
  const index = createPathIndex();
  return routes.flatMap((route, position) => {
    const by = new Set<string>();
    const isCovered = alternativesOf(route).every(path => {
      const found = candidatesOf(path, index, position).find(at => covers(routes[at], route, path));
      const earlier = found === undefined ? undefined : routes[found];
      if (earlier !== undefined) by.add(earlier.id);
      return earlier !== undefined;
    });
    index.add(route.paths);
    return isCovered ? [{ position, by: [...by] }] : [];
  });
}

/** A route answers for each of its paths; undefined stands for any. */
function alternativesOf({ paths }: RouteSpec): readonly (string | undefined)[] {
  return paths.length === 0 ? [undefined] : paths.map(({ text }) => text);
}

/** No text of a path: only what takes any text meets it. */
const NOT_LITERAL = '\u0000';

type Index = ReturnType<typeof createPathIndex>;

function candidatesOf(path: string | undefined, index: Index, position: number): number[] {
  const text = path === undefined ? [] : partsOf(path).parts.map(part => (isLiteral(part) ? part : NOT_LITERAL));
  const lists = index.candidates({ raw: text, text });
  return [...new Set(lists.flat())]
    .filter(at => at < position)
    .sort((a, b) => a - b)
    .slice(0, LOOKED_AT_MAX);
}

function covers(earlier: RouteSpec | undefined, route: RouteSpec, path: string | undefined): boolean {
  if (earlier === undefined || earlier.weight !== undefined) return false;
  const { paths, methods, predicates } = earlier;
  const texts = new Set(route.predicates.map(({ text }) => text));
  const others = predicates.filter(({ name }) => name !== 'Path' && name !== 'Method');
  if (!others.every(({ text }) => texts.has(text))) return false;
  if (methods !== undefined && route.methods?.every(method => isAmong(method, methods)) !== true) return false;
  if (predicates.filter(({ name }) => name === 'Path').length > 1) return false;
  return paths.length === 0 || (path !== undefined && paths.some(({ text }) => coversPath(text, path)));
}

interface Parts {
  readonly parts: readonly string[];
  readonly rest: 'none' | 'first' | 'last';
}

/** A pattern's parts; braces hold no slash that is looked at here, since what they hold is compared as it is. */
function partsOf(pattern: string): Parts {
  const all = (pattern.startsWith('/') ? pattern.slice(1) : pattern).split('/');
  const isRest = (part: string | undefined) => part === '**' || part?.startsWith('{*') === true;
  if (isRest(all.at(-1))) return { parts: all.slice(0, -1), rest: 'last' };
  return isRest(all[0]) ? { parts: all.slice(1), rest: 'first' } : { parts: all, rest: 'none' };
}

function coversPath(pattern: string, path: string): boolean {
  if (pattern === path) return true;
  const [wide, narrow] = [partsOf(pattern), partsOf(path)];
  if (wide.rest === 'last' && wide.parts.length === 0) return true;
  if (wide.rest === 'first' || narrow.rest === 'first') return false;
  const isLongEnough =
    wide.rest === 'last'
      ? narrow.parts.length >= wide.parts.length
      : narrow.rest === 'none' && narrow.parts.length === wide.parts.length;
  return isLongEnough && wide.parts.every((part, i) => coversPart(part, narrow.parts[i] ?? '', { wide, narrow, i }));
}

/** `*` may stand for nothing where nothing follows, and `{name}` never does. */
function coversPart(part: string, other: string, at: { wide: Parts; narrow: Parts; i: number }): boolean {
  if (part === other) return part !== '*' || at.wide.rest === at.narrow.rest;
  if (!isOpen(part)) return false;
  const isEnd = ({ parts, rest }: Parts) => rest === 'none' && at.i === parts.length - 1;
  const mayBeEmpty = other === '' || (other === '*' && isEnd(at.narrow));
  return !mayBeEmpty || (part === '*' && isEnd(at.wide));
}

function isOpen(part: string): boolean {
  return part === '*' || /^\{[A-Za-z_$][\w$-]*\}$/.test(part);
}

function isLiteral(part: string): boolean {
  return !/[{}*?]/.test(part);
}
