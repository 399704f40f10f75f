import type { ProtoIn } from '../domain/grpc/rpc.ts';
import type { LoadedPlugins } from '../domain/plugin/plugin-set.ts';
import { atOnce } from '../domain/routing/route-table.ts';
import type { CompileRegex } from '../domain/routing/regex.ts';
import type { IdentityTraits, RouteSpec } from '../domain/route.ts';
import type { ServicePolicy } from '../domain/service.ts';
import {
  compileRoute,
  judgeDefaultFilters,
  KnownParts,
  type CompiledRoute,
  type RouteContext,
} from './compile-route.ts';
import { complainOfTls, type TlsIn } from './certificates.ts';
import { compileService, type SchemaIn } from './compile-policy.ts';
import { dialectWith } from './dialect/plugin-parts.ts';
import { nearestOf } from './nearest.ts';
import { warnOfOwnPaths, type OwnPaths } from './own-paths.ts';
import { shadowedRoutes } from './shadowed.ts';
import { parseRouteUri } from './route-uri.ts';
import { asWarnings, type RoutesData, type RoutesFile } from './parse-routes.ts';
import type { WrittenPart } from './dialect/written-part.ts';
import type { WrittenRoute } from './written-route.ts';
import { durationText } from './units.ts';
import { warnOfUselessKeys } from './useless.ts';
import { hasError, inOrder, type Complain, type Complaint, type Problem } from './problem.ts';
import type { WrittenPolicy } from './schema/route-policy.ts';

/** What the rest of the configuration and the edges have to say about routes. */
export interface CompileOptions {
  /** Whether gateway.yaml has an `identity`. */
  readonly identityConfigured: boolean;
  /** Whether it has an `audit`; undefined: not known. */
  readonly auditConfigured?: boolean | undefined;
  /** Whether it has a `redis`; undefined: not known. */
  readonly redisConfigured?: boolean | undefined;
  /** Whether it has `jobs`; undefined: not known. */
  readonly jobsConfigured?: boolean | undefined;
  /** Where the gateway answers itself; undefined: not known. */
  readonly ownPaths?: OwnPaths | undefined;
  /** What it is; undefined: tokens alone. */
  readonly identity?: IdentityTraits | undefined;
  readonly compileRegex: CompileRegex;
  readonly schemaIn?: SchemaIn | undefined;
  readonly protoIn?: ProtoIn | undefined;
  readonly tlsIn?: TlsIn | undefined;
  /** What plug-ins bring; undefined: there are none. */
  readonly plugins?: LoadedPlugins | undefined;
  /** The services that `local` and `static` discovery know; undefined where Consul may know any. */
  readonly knownServices?: ReadonlySet<string> | undefined;
}

/** A service whose instances stand in the routes themselves. */
export interface RoutedAddress {
  readonly service: string;
  readonly instances: readonly string[];
}

/** Routes and services of one generation. */
export interface MadeRoutes {
  /** In the order in which they are tried, disabled ones left out; empty when any problem is an error. */
  readonly specs: readonly RouteSpec[];
  /** The policy of every service that a route leads to. */
  readonly services: ReadonlyMap<string, ServicePolicy>;
  /** The policy of any service, led to or not. */
  readonly policyOf: (service: string) => ServicePolicy;
  /** Plain `http(s)://` URIs as services of one instance, for the static source. */
  readonly statics: readonly RoutedAddress[];
  readonly made: Made;
  /** What plug-ins brought to them; undefined: there are none. */
  readonly plugins?: LoadedPlugins | undefined;
}

/** What each route was made from, and what it became: one that has not changed is not made again. */
export interface Made {
  /** What all of them depend on. */
  readonly around: string;
  /** Each route in force, by its key. */
  readonly byKey: ReadonlyMap<string, CompiledRoute>;
  /** Each service's policy, by name and all that was written of it. */
  readonly policies: ReadonlyMap<string, ServicePolicy>;
}

/** A route to be made; one whose key is that of a route in force need not say more. */
export interface RouteToMake {
  /** All that the route says, but not where. */
  readonly key: string;
  readonly id: string;
  readonly written: WrittenRoute | undefined;
}

/** The same, and what there is to say of them. */
export interface CompiledRoutes extends MadeRoutes {
  /** What is found out later of what a route says, or the defaults for it, with its place. */
  problemAt(
    routeId: string,
    key: keyof WrittenPolicy,
    finding: Pick<Complaint, 'message' | 'severity' | 'hint'>,
  ): Problem;
  /** All of them: those of reading the file too. */
  readonly problems: readonly Problem[];
}

/** What a routes file means. Nothing downstream sees an unchecked value, a missing default or a unit. */
export function compileRoutes(file: RoutesFile, options: CompileOptions): CompiledRoutes {
  const problems = [...file.problems];
  const complain: Complain = complaint => problems.push(file.locate(complaint));
  const ids = idsOf(file.routes, complain);
  const { placed, ...made } = atOnce(makeSteps(routesToMake(file, ids), file, { ...options, complain }));
  const context = { ...options, file, complain, ...dialectOf(options) };
  if (file.routes.length === 0) judgeDefaultFilters(context);
  judgeReplaced(file, { ...context, complain: asWarnings(complain) });
  complainOfAddresses(placed, complain);
  warnOfUnknown(placed, options.knownServices, complain);
  warnOfUnused(file, complain);
  complainOfTls(file.services, options.tlsIn, complain);
  warnOfUselessKeysOf(placed, { file, policyOf: made.policyOf, complain });
  warnOfImpatience(placed, made.policyOf, complain);
  warnOfShadowed(placed, complain);
  warnOfOwnPaths(placed, options.ownPaths, complain);
  const isSound = !hasError(problems);
  return {
    ...made,
    ...(isSound ? {} : { specs: [], services: new Map() }),
    problemAt: (routeId, key, finding) => {
      const route = file.routes[ids.indexOf(routeId)];
      const path = route !== undefined && key in route.policy ? [...route.path, key] : ['defaults', key];
      return file.locate({ ...finding, path, isAboutKey: true });
    },
    problems: inOrder(problems),
  };
}

function dialectOf({ plugins }: Pick<CompileOptions, 'plugins'>): Pick<RouteContext, 'dialect'> {
  return { dialect: plugins && dialectWith(plugins) };
}

/** What is not in force is judged all the same: one day it may be. */
function judgeReplaced({ replaced }: RoutesFile, context: RouteContext): void {
  for (const [i, route] of replaced.entries()) compileRoute(route, route.id ?? `route-${i + 1}`, context);
}

/** What the routes of a file take beside what each of them says. */
export type AroundRoutes = Omit<RoutesData, 'routes'>;

/** What making the routes of a file that is known to be sound takes. */
export type RemakeOptions = Pick<
  CompileOptions,
  'identityConfigured' | 'identity' | 'compileRegex' | 'schemaIn' | 'protoIn' | 'tlsIn' | 'plugins'
> & {
  readonly auditConfigured?: boolean | undefined;
  readonly redisConfigured?: boolean | undefined;
};

/** The enabled routes of a file without a problem; those with a key that is known say no more than it. */
export function routesToRemake(file: RoutesData, known: ReadonlySet<string>): RouteToMake[] {
  const ids = idsOf(file.routes, () => undefined); // all was said when the file was judged
  return routesToMake(file, ids).flatMap(({ written, ...route }) => {
    if (!written.isEnabled) return [];
    return { ...route, written: known.has(route.key) && !dependsOnFile(written, file) ? undefined : written };
  });
}

/** Makes the routes of a file without a problem, step by step, so that other work goes on meanwhile. */
export function remakeRoutes(
  routes: readonly RouteToMake[],
  around: AroundRoutes,
  options: RemakeOptions & { readonly inForce: Made },
): Generator<undefined, MadeRoutes> {
  return makeSteps(routes, around, { ...options, complain: () => undefined });
}

function routesToMake({ routes }: RoutesData, ids: readonly string[]): (RouteToMake & { written: WrittenRoute })[] {
  return routes.map((written, i) => {
    const id = ids[i] ?? '';
    return { key: keyOf(written, id), id, written };
  });
}

function keyOf({ uri, order, predicates, filters, policy }: WrittenRoute, id: string): string {
  return JSON.stringify([id, uri, order, predicates.map(saidBy), filters.map(saidBy), policy]);
}

/** What a part says, but not where. */
function saidBy({ name, text, values }: WrittenPart): unknown {
  return [name, text, values.map(value => [value.key, value.text])];
}

type MakeOptions = RemakeOptions & { readonly complain: Complain; readonly inForce?: Made | undefined };

function* makeSteps(
  routes: readonly RouteToMake[],
  around: AroundRoutes,
  { inForce, ...options }: MakeOptions,
): Generator<undefined, MadeRoutes & { readonly placed: readonly Placed[] }> {
  const context: RouteContext = {
    ...{ ...options, parts: new KnownParts(), file: around },
    compileRegex: cachingRegexes(options.compileRegex),
    ...dialectOf(options),
  };
  const byKey = new Map<string, CompiledRoute>();
  const placed: Placed[] = [];
  for (const { key, id, written } of routes) {
    const compiled = written === undefined ? inForce?.byKey.get(key) : compileRoute(written, id, context);
    if (compiled !== undefined && written?.isEnabled !== false) {
      byKey.set(key, compiled);
      placed.push({ ...compiled, path: written?.path ?? [] });
    }
    yield;
  }
  const { policies, ...bound } = yield* boundSteps(placed, around, { ...options, inForce });
  const made = { around: aroundOf(around, options.identityConfigured), byKey, policies };
  return { ...bound, made, plugins: options.plugins, placed };
}

/** A JSON Schema or a `.proto` in a file may be another than it was. */
function dependsOnFile({ policy }: WrittenRoute, { defaults }: AroundRoutes): boolean {
  if ((policy.grpc ?? defaults.grpc) !== undefined) return true;
  return typeof (policy.validate ?? defaults.validate)?.from === 'object';
}

/** What all routes depend on; what references became is known only once each has been made. */
export function aroundOf({ defaults, defaultFilters, resolved }: AroundRoutes, identityConfigured: boolean): string {
  return JSON.stringify([identityConfigured, defaults, defaultFilters.map(saidBy), [...resolved].sort()]);
}

/** The routes in the order in which they are tried, and the services they lead to. */
function* boundSteps(
  placed: readonly Placed[],
  file: AroundRoutes,
  { tlsIn, inForce }: Pick<MakeOptions, 'tlsIn' | 'inForce'>,
): Generator<undefined, Omit<MadeRoutes, 'made' | 'plugins'> & Pick<Made, 'policies'>> {
  const addresses = new Map<string, string>();
  for (const { target } of placed) if (target.origin !== undefined) addresses.set(target.serviceName, target.origin);
  const policyOf = (name: string) => compileService(file.services.get(name), { isAddress: addresses.has(name), tlsIn });
  const services = new Map<string, ServicePolicy>();
  const policies = new Map<string, ServicePolicy>();
  for (const { spec } of placed) {
    const name = spec.serviceName;
    if (services.has(name)) continue;
    const written = file.services.get(name);
    const key = JSON.stringify([name, addresses.has(name), written]);
    const known = written?.tls === undefined ? inForce?.policies.get(key) : undefined; // a certificate may be another
    const policy = known ?? policyOf(name);
    services.set(name, policy);
    policies.set(key, policy);
    yield;
  }
  const specs = placed.map(({ spec }) => spec).sort((a, b) => a.order - b.order);
  const statics = [...addresses].map(([service, origin]) => ({ service, instances: [origin] }));
  return { specs, services, policyOf, statics, policies };
}

type Placed = CompiledRoute & Pick<WrittenRoute, 'path'>;

/** One pattern may stand on thousands of routes, in a default filter for one; it is compiled once. */
function cachingRegexes(compileRegex: CompileRegex): CompileRegex {
  const known = new Map<string, ReturnType<CompileRegex>>();
  return pattern => {
    const compiled = known.get(pattern) ?? compileRegex(pattern);
    known.set(pattern, compiled);
    return compiled;
  };
}

/** Each route's id, or one made from its place; an id names a route in logs, metrics and limits, and must be its own. */
export function idsOf(routes: readonly WrittenRoute[], complain: Complain): string[] {
  const written = new Set(routes.map(({ id }) => id));
  const taken = new Set<string>();
  return routes.map(({ id, path }, i) => {
    if (id === undefined) return freeId(`route-${i + 1}`, written);
    if (taken.has(id)) complain({ path: [...path, 'id'], message: `another route is called ${id} already` });
    taken.add(id);
    return id;
  });
}

function freeId(id: string, written: ReadonlySet<string | undefined>): string {
  return written.has(id) ? freeId(`${id}-unnamed`, written) : id;
}

/** A service of one address has one scheme. */
function complainOfAddresses(routes: readonly Placed[], complain: Complain): void {
  const addresses = new Map<string, string>();
  for (const { target, path } of routes) {
    const { origin, serviceName } = target;
    const known = addresses.get(serviceName);
    if (origin === undefined) continue;
    if (known !== undefined && known !== origin) {
      complain({
        path: [...path, 'uri'],
        message: `${serviceName} is called by ${known.split(':')[0] ?? ''} elsewhere`,
      });
    }
    addresses.set(serviceName, origin);
  }
}

/** `lb://` may name a service that has no instance yet; but where no Consul is asked, none will ever come. */
function warnOfUnknown(routes: readonly Placed[], known: ReadonlySet<string> | undefined, complain: Complain): void {
  if (known === undefined) return;
  for (const { target, path } of routes) {
    const { serviceName, origin } = target;
    if (origin !== undefined || known.has(serviceName)) continue;
    const nearest = nearestOf(serviceName, known);
    complain({
      path: [...path, 'uri'],
      severity: 'warning',
      message: `no discovery in gateway.yaml knows a service called ${serviceName}`,
      hint: nearest === undefined ? listOf(known) : `did you mean lb://${nearest}?`,
    });
  }
}

function listOf(known: ReadonlySet<string>): string | undefined {
  return known.size === 0 ? undefined : `known: ${[...known].slice(0, 10).join(', ')}`;
}

/** An instance that is given the time its route allows must not be ejected for taking it. */
function warnOfImpatience(routes: readonly Placed[], policyOf: CompiledRoutes['policyOf'], complain: Complain): void {
  for (const { spec, path } of routes) {
    const { isStream, retry } = spec.policy;
    if (isStream || retry.attemptTimeoutMs <= policyOf(spec.serviceName).hangMsMax) continue;
    complain({
      path: [...path, 'uri'],
      severity: 'warning',
      message: `an attempt may take longer than \`hangMax\` of ${spec.serviceName}, after which its instance is ejected as hung`,
      hint: `write \`hangMax: ${durationText(retry.attemptTimeoutMs)}\` for the service, or a shorter \`timeout\` for the route`,
    });
  }
}

interface Services {
  readonly file: RoutesFile;
  readonly policyOf: CompiledRoutes['policyOf'];
  readonly complain: Complain;
}

function warnOfUselessKeysOf(routes: readonly Placed[], { file, policyOf, complain }: Services): void {
  const names = new Set(routes.map(({ spec }) => spec.serviceName));
  const streaming = new Set(routes.filter(({ spec }) => spec.policy.isStream).map(({ spec }) => spec.serviceName));
  for (const name of file.services.keys()) {
    if (names.has(name)) warnOfUselessKeys(name, policyOf(name), { hasStreams: streaming.has(name), complain });
  }
}

/** A route behind one that answers all that it would is mostly in the wrong place. */
function warnOfShadowed(placed: readonly Placed[], complain: Complain): void {
  const inTurn = placed.toSorted((a, b) => a.spec.order - b.spec.order);
  for (const { position, by } of shadowedRoutes(inTurn.map(({ spec }) => spec))) {
    const path = inTurn[position]?.path ?? [];
    const names = by.join(' and ');
    const message = `can never be reached: ${names} before it ${by.length > 1 ? 'answer' : 'answers'} all that it would`;
    complain({ path, severity: 'warning', message, hint: `move it before ${names}, or give it a smaller \`order\`` });
  }
}

/** An entry that no route leads to is mostly a slip of the pen. */
function warnOfUnused(file: RoutesFile, complain: Complain): void {
  const targets = file.routes.map(({ uri = '' }) => parseRouteUri(uri));
  const named = new Set(targets.flatMap(target => ('problem' in target ? [] : [target.serviceName])));
  for (const name of file.services.keys()) {
    if (named.has(name)) continue;
    const nearest = nearestOf(name, named);
    const hint = nearest === undefined ? undefined : `did you mean \`${nearest}\`?`;
    complain({
      path: ['services', name],
      severity: 'warning',
      message: `no route leads to ${name}`,
      hint,
      isAboutKey: true,
    });
  }
}
