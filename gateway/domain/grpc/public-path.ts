import { encodeSegment } from '../http/normal-path.ts';
import type { RequestDraft, RouteSpec } from '../route.ts';
import type { PathPattern } from '../routing/path-pattern.ts';
import { isAmong } from '../routing/route-table.ts';
import type { HttpRule } from './http-rule.ts';
import { fillPath, type TemplatePart } from './path-template.ts';

/** The path by which a caller of REST asks for one of the service's own. */
export type PublicPath = (path: string) => string;

/**
 * How callers of the route ask by REST for what a rule names; undefined: they cannot, by path or by method.
 *
 * The path of `google.api.http` is callers' where the route answers it as it stands; else it is the service's own, and
 * callers write what the route's filters make that of: `/api/fuel/predict`, say, of which `StripPrefix=2` leaves `/predict`.
 */
export function publicPathOf(spec: RouteSpec, { method, path: template }: HttpRule): PublicPath | undefined {
  if (!isAmong(method, spec.methods)) return undefined;
  const path = fillPath(template, field => sampleOf(template.parts, field));
  if (path === undefined) return undefined;
  if (isAnswered(spec, path)) return same;
  for (const prefix of prefixesOf(spec)) {
    if (isAnswered(spec, prefix + path) && upstreamPathOf(spec, prefix + path) === path) return own => prefix + own;
  }
  if (template.variables.length > 0) return undefined;
  const whole = spec.paths.map(pattern => literally(pattern, 'none')).find(each => upstreamPathOf(spec, each) === path);
  return whole === undefined || !isAnswered(spec, whole) ? undefined : () => whole;
}

const same: PublicPath = path => path;

/** A value that fits a variable. */
function sampleOf(parts: readonly TemplatePart[], field: string): string {
  for (const part of parts) {
    if (part.kind === 'variable' && part.field === field)
      return part.segments.map(each => each.replace(/\*+/, 'x')).join('/');
  }
  return '';
}

/** The literal beginnings of patterns that take whatever follows. */
function prefixesOf({ paths }: RouteSpec): string[] {
  return paths.map(pattern => literally(pattern, 'last')).filter(prefix => prefix !== '');
}

/** A pattern of plain text that ends so, as a path; empty where it is none. */
function literally({ segments, rest }: PathPattern, end: PathPattern['rest']): string {
  const literals = segments.flatMap(({ literal }) => literal ?? []);
  const isPlain = rest === end && literals.length === segments.length;
  return isPlain ? literals.map(literal => `/${encodeSegment(literal)}`).join('') : '';
}

function isAnswered({ predicates }: RouteSpec, path: string): boolean {
  const paths = predicates.filter(({ name }) => name === 'Path');
  return paths.every(predicate => predicate.holds({ ...CALLED, path }, new Map()));
}

function upstreamPathOf({ filters }: RouteSpec, path: string): string {
  const draft: RequestDraft = { path, query: '', fields: [], host: undefined, isPrefixed: false };
  for (const { onRequest, isOfPath } of filters) {
    if (isOfPath === true)
      onRequest?.(draft, { ...CALLED, path, id: '', scheme: 'http', variables: new Map(), caller: undefined });
  }
  return draft.path;
}

const CALLED = { method: 'POST', query: '', fields: [], host: '', peerAddress: '', callerAddress: '', wallMs: 0 };
