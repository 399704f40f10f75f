import type { IdentityTraits, RoutePolicy, RouteSpec } from '../domain/route.ts';
import type { CompileRegex } from '../domain/routing/regex.ts';
import type { ProtoIn } from '../domain/grpc/rpc.ts';
import { complainOfRules } from './compile-grpc.ts';
import { compilePolicy, type PolicyContext, type SchemaIn } from './compile-policy.ts';
import { makePart, type MadeFilter, type PartTools } from './dialect/part.ts';
import { DIALECT, type Dialect } from './dialect/plugin-parts.ts';
import type { MadePredicate } from './dialect/predicates.ts';
import type { WrittenPart } from './dialect/written-part.ts';
import { resolvedKey, type RoutesData, type RoutesFile } from './parse-routes.ts';
import type { WrittenPolicy } from './schema/route-policy.ts';
import type { WrittenRoute } from './written-route.ts';
import type { Complain, KeyPath } from './problem.ts';
import { parseRouteUri, type RouteTarget } from './route-uri.ts';
import type { RequestSize } from './useless.ts';

/** What compiling one route needs of the whole. */
export interface RouteContext {
  readonly file: Omit<RoutesData, 'routes'> & Partial<Pick<RoutesFile, 'resolve'>>;
  readonly complain: Complain;
  readonly compileRegex: CompileRegex;
  readonly identityConfigured: boolean;
  readonly auditConfigured?: boolean | undefined;
  readonly redisConfigured?: boolean | undefined;
  readonly jobsConfigured?: boolean | undefined;
  readonly schemaIn?: SchemaIn | undefined;
  readonly protoIn?: ProtoIn | undefined;
  /** With the parts that plug-ins bring; undefined: the gateway's own alone. */
  readonly dialect?: Dialect | undefined;
  readonly identity?: IdentityTraits | undefined;
  /** Parts that were made already, by their text: many routes have some in common. */
  readonly parts?: KnownParts;
}

/** Made of shortcuts of which nothing had to be said, and that depend on nothing else of their route. */
export class KnownParts {
  readonly predicates = new Map<string, MadePredicate>();
  readonly filters = new Map<string, MadeFilter>();
  readonly policies = new Map<string, RoutePolicy>();
}

/** A route that may be bound to its service, and where its service is. */
export interface CompiledRoute {
  readonly spec: RouteSpec;
  readonly target: RouteTarget;
}

/** A route as it will be followed; undefined, after every complaint there is, when it cannot be. */
export function compileRoute(written: WrittenRoute, id: string, context: RouteContext): CompiledRoute | undefined {
  const target = targetOf(written, context);
  const predicates = partsOf(written.predicates, part => makePredicate(part, context));
  const captured = new Set(predicates.flatMap(({ captures = [] }) => captures));
  const filters = filtersOf(written, captured, context);
  const methods = methodsOf(predicates);
  const policy = policyOf(withFilters(written, filters, context), context, {
    path: written.path,
    isStream: target?.isStream ?? false,
    methods,
    requestSizes: requestSizesOf(filters, context),
    answersItself: filters.some(({ filter }) => filter.onBehalf !== undefined && filter.mayPass !== true),
  });
  if (target === undefined) return undefined;
  const spec = {
    id,
    order: written.order,
    predicates: predicates.map(({ predicate }) => predicate),
    methods,
    weight: predicates.find(({ weight }) => weight !== undefined)?.weight,
    paths: predicates.find(({ paths }) => paths !== undefined)?.paths ?? [],
    filters: filters.map(({ filter }) => filter),
    preparing: preparingOf(filters),
    serviceName: target.serviceName,
    policy,
  };
  if (policy.grpc !== undefined) complainOfRules(spec, { ...context, path: [...written.path, 'grpc'] });
  return { spec, target };
}

type OfRoute = Pick<PolicyContext, 'path' | 'isStream' | 'methods' | 'requestSizes' | 'answersItself'>;

/** Routes of which the same holds share one policy, where nothing had to be said of it. */
function policyOf(written: WrittenPolicy, context: RouteContext, ofRoute: OfRoute): RoutePolicy {
  const { isStream, methods, requestSizes, answersItself } = ofRoute;
  const text = JSON.stringify([written, isStream, methods, requestSizes, answersItself]);
  const known = context.parts?.policies.get(text);
  if (known !== undefined) return known;
  const said = { is: false };
  const { identityConfigured, auditConfigured, redisConfigured, jobsConfigured } = context;
  const { schemaIn, protoIn, identity } = context;
  const policy = compilePolicy(written, {
    ...ofRoute,
    ...{ identityConfigured, auditConfigured, redisConfigured, jobsConfigured },
    ...{ schemaIn, protoIn, identity },
    defaults: context.file.defaults,
    complain: noting(said, context.complain),
  });
  if (!said.is) context.parts?.policies.set(text, policy);
  return policy;
}

function targetOf({ uri, path }: WrittenRoute, { complain }: RouteContext): RouteTarget | undefined {
  if (uri === undefined) return undefined;
  const target = parseRouteUri(uri);
  if ('problem' in target) {
    complain({ path: [...path, 'uri'], message: target.problem, hint: target.hint });
    return undefined;
  }
  const { warning } = target;
  if (warning !== undefined) complain({ path: [...path, 'uri'], severity: 'warning', message: warning });
  return target;
}

function partsOf<T>(parts: readonly WrittenPart[], make: (part: WrittenPart) => T | undefined): T[] {
  return parts.flatMap(part => make(part) ?? []);
}

function makePredicate(part: WrittenPart, context: RouteContext): MadePredicate | undefined {
  const { predicates: definitions } = context.dialect ?? DIALECT;
  return madeOnce(part, context.parts?.predicates, said =>
    makePart(part, { kind: 'predicate', definitions }, toolsOf(context, NO_NAMES, said)),
  );
}

const NO_NAMES: ReadonlySet<string> = new Set();

interface Said {
  /** Whether something was. */
  is: boolean;
}

/** A part that says the same as one before is that one. */
function madeOnce<T extends object>(
  { text, values }: WrittenPart,
  known: Map<string, T> | undefined,
  make: (said: Said) => T | undefined,
): T | undefined {
  const found = known?.get(text);
  if (found !== undefined) return found;
  const said = { is: false };
  const made = make(said);
  const isPlain = made !== undefined && !said.is && values.every(({ key }) => key === undefined);
  if (isPlain && !('requestSize' in made)) known?.set(text, made); // which knows its place
  return made;
}

function noting(said: Said, complain: Complain): Complain {
  return complaint => {
    said.is = true;
    complain(complaint);
  };
}

function toolsOf(
  { file, complain, compileRegex }: RouteContext,
  captured: ReadonlySet<string>,
  said?: Said,
): PartTools {
  return {
    complain: said === undefined ? complain : noting(said, complain),
    compileRegex,
    captured,
    resolve: file.resolve ?? resolverOf(file.resolved),
  };
}

/** What a file's reading thread made of references and placeholders. */
function resolverOf(resolved: RoutesData['resolved']): PartTools['resolve'] {
  return (text, _complain, kept) => (resolved.size === 0 ? text : (resolved.get(resolvedKey(text, kept)) ?? text));
}

/** As in Spring: first default, first own, second default, second own, and so on. */
function filtersOf(written: WrittenRoute, captured: ReadonlySet<string>, context: RouteContext): MadeFilter[] {
  const { filters: definitions } = context.dialect ?? DIALECT;
  const known = captured.size === 0 ? context.parts?.filters : undefined; // a template depends on what is captured
  const own = written.filters;
  const defaults = context.file.defaultFilters;
  const filters: MadeFilter[] = [];
  const add = (part: WrittenPart | undefined) => {
    if (part === undefined) return;
    const made = madeOnce(part, known, said =>
      makePart(part, { kind: 'filter', definitions }, toolsOf(context, captured, said)),
    );
    if (made !== undefined) filters.push(made);
  };
  for (let i = 0; i < Math.max(own.length, defaults.length); i++) {
    add(defaults[i]);
    add(own[i]);
  }
  return filters;
}

function preparingOf(filters: readonly MadeFilter[]): RouteSpec['preparing'] {
  const preparing = filters.map(({ filter }) => filter).filter(({ prepare }) => prepare !== undefined);
  return preparing.length === 0 ? undefined : preparing;
}

/** What the route says of its policy, and what filters stand for; the route's own key wins. */
function withFilters(written: WrittenRoute, filters: readonly MadeFilter[], { complain }: RouteContext): WrittenPolicy {
  const stated: Record<string, unknown> = {};
  for (const { filter, policy = {} } of filters) {
    for (const [key, value] of Object.entries(policy)) {
      if (key in written.policy) {
        const message = `has no effect beside \`${key}\` of the route`;
        const path = written.filters.find(({ name }) => name === filter.name)?.path ?? written.path;
        complain({ path, severity: 'warning', message });
      }
      const before = stated[key];
      stated[key] = Array.isArray(before) ? [...(before as unknown[]), ...(value as unknown[])] : value;
    }
  }
  return { ...stated, ...written.policy };
}

function requestSizesOf(filters: readonly MadeFilter[], { file }: RouteContext): RequestSize[] {
  const isDefault = (path: KeyPath) => file.defaultFilters.some(part => part.path === path);
  return filters.flatMap(({ requestSize }) => {
    if (requestSize === undefined) return [];
    const { bytesMax, path } = requestSize;
    return { bytesMax, path: path === undefined || isDefault(path) ? undefined : path };
  });
}

/** Default filters are judged with each route they apply to; without routes, as if one captured all that they name. */
export function judgeDefaultFilters(context: RouteContext): void {
  const tools = toolsOf(context, Object.assign(new Set<string>(), { has: () => true }));
  const { filters: definitions } = context.dialect ?? DIALECT;
  for (const part of context.file.defaultFilters) makePart(part, { kind: 'filter', definitions }, tools);
}

/** Several Method predicates must all hold. */
function methodsOf(predicates: readonly MadePredicate[]): readonly string[] | undefined {
  const lists = predicates.flatMap(({ methods }) => (methods === undefined ? [] : [methods]));
  const [first, ...others] = lists;
  return first?.filter(method => others.every(list => list.includes(method)));
}
