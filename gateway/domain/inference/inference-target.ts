import type { RequestAttributes, RouteSpec } from '../route.ts';

/** What is asked by the Open Inference Protocol: of the server, or of a model. */
export type InferenceTarget =
  | { readonly kind: 'server' | 'live' | 'ready' }
  | {
      readonly kind: 'metadata' | 'model-ready' | 'infer';
      readonly model: string;
      /** Undefined: whichever runs. */
      readonly version: string | undefined;
    };

/** What is asked of the server. */
export type ServerTarget = Exclude<InferenceTarget, ModelTarget>;

/** What is asked of a model. */
export type ModelTarget = Extract<InferenceTarget, { readonly model: string }>;

const OF_SERVER: ReadonlyMap<string, 'server' | 'live' | 'ready'> = new Map([
  ['', 'server'],
  ['/', 'server'],
  ['/health/live', 'live'],
  ['/health/ready', 'ready'],
]);

/** What a path under `base` asks for; undefined: nothing of the protocol's. */
export function inferenceTargetOf(path: string, base: string): InferenceTarget | undefined {
  if (!path.startsWith(base)) return undefined;
  const rest = path.slice(base.length);
  const ofServer = OF_SERVER.get(rest);
  if (ofServer !== undefined) return { kind: ofServer };
  const [, model, version, verb] = MODEL.exec(rest) ?? [];
  const kind = verb === undefined ? 'metadata' : OF_MODEL[verb];
  if (model === undefined || kind === undefined) return undefined;
  return { kind, model: decoded(model), version: version === undefined ? undefined : decoded(version) };
}

const MODEL = /^\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/([a-z]+))?$/;

const OF_MODEL: Readonly<Partial<Record<string, 'model-ready' | 'infer'>>> = { ready: 'model-ready', infer: 'infer' };

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // no name of anything
  }
}

/** Where vetiver's models predict. */
const PREDICT = '/predict';

/** The path by which a caller of REST would reach a route's model, and what the route's patterns capture of it. */
export interface WayIn {
  readonly path: string;
  readonly variables: ReadonlyMap<string, string>;
}

/**
 * The way into a route that was asked for by its id; undefined: its predicates do not hold for this caller, or its paths
 * have parts that only a caller of REST can choose. Chance has no say: the route was named.
 */
export function wayInto(route: RouteSpec, request: RequestAttributes): WayIn | undefined {
  for (const path of pathsTo(route)) {
    const variables = new Map<string, string>();
    const posted = { ...request, method: 'POST', query: '', path };
    if (route.predicates.every(predicate => predicate.name === 'Weight' || predicate.holds(posted, variables)))
      return { path, variables };
  }
  return undefined;
}

const knownPaths = new WeakMap<RouteSpec, readonly string[]>();

function pathsTo(route: RouteSpec): readonly string[] {
  const known = knownPaths.get(route) ?? pathsOf(route);
  knownPaths.set(route, known);
  return known;
}

/** What is open at its end leads to the model's own path; what is not must be the path of a prediction itself. */
function pathsOf({ paths }: RouteSpec): string[] {
  if (paths.length === 0) return [PREDICT];
  const found = paths.flatMap(({ text }) => {
    const open = /\/(?:\*\*|\{\*[^/{}]+\})$/.exec(text);
    const path = open === null ? text : `${text.slice(0, open.index)}${PREDICT}`;
    return /[*?{}]/.test(path) ? [] : [spelled(path)];
  });
  return found.sort((one, other) => Number(other.endsWith(PREDICT)) - Number(one.endsWith(PREDICT)));
}

/** A pattern may be written with or without percent signs; a path of a call has them. */
function spelled(path: string): string {
  const rooted = path.startsWith('/') ? path : `/${path}`;
  return rooted.includes('%') ? rooted : encodeURI(rooted);
}
