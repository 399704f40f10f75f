import type { Writable } from 'node:stream';
import { composeAdmin } from './compose-admin.ts';
import { composeAudit, type GatewayAudit } from './compose-audit.ts';
import { composeBatching, type Batching } from './compose-batching.ts';
import { composeValidation, type Validation } from './compose-validation.ts';
import { composePlugins, type Plugins } from './compose-plugins.ts';
import { composeDoors } from './compose-doors.ts';
import { composeDiscovery, type Discovery } from './compose-discovery.ts';
import { composeIdentity, type ComposedIdentity } from './compose-identity.ts';
import { composeJobs, type GatewayJobs } from './compose-jobs.ts';
import { composeLimits, type ComposedLimits } from './compose-limits.ts';
import type { MadeRoutes } from './config/compile.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import type { Call } from './domain/call.ts';
import { type GatewayEvent, type Observe, createHeldEvents } from './domain/events.ts';
import type { SendUpstream } from './domain/upstream.ts';
import { Deadlines } from './domain/deadlines.ts';
import { createLife, type Life } from './domain/operating/life.ts';
import { refuseAddress } from './domain/http/address-range.ts';
import type { AddressRules, Route } from './domain/route.ts';
import { PermitRegistry } from './domain/service/permits.ts';
import { createService } from './domain/service/upstream-service.ts';
import { RouteCaches } from './domain/sharing/cache-entries.ts';
import { createServiceRegistry, type ServiceRegistry } from './domain/service/service-registry.ts';
import { probeByScheme, transportByScheme, type Way, type Ways } from './edges/by-scheme.ts';
import { systemClock as clock, systemRandom as random } from './edges/clock.ts';
import { descriptorLimit, fitConnections } from './edges/descriptors.ts';
import { sha256 } from './edges/digest.ts';
import type { AdminServer } from './edges/express/admin.ts';
import { createServer, type GatewayServer, type ServerParts } from './edges/express/server.ts';
import { GrpcConnections } from './edges/grpc/connections.ts';
import { createGrpcWay } from './edges/grpc/way.ts';
import { createHealthChecks } from './edges/health-checks.ts';
import { createCarrier } from './edges/http-proxy-middleware.ts';
import { createMemoryStore } from './edges/memory-store.ts';
import { createMetrics, type Metrics } from './edges/prom-client.ts';
import { createTransport } from './edges/r-transport/transport.ts';
import { createModels } from './edges/onnx/transport.ts';
import { createScripts } from './edges/rscript/transport.ts';
import { createRserve } from './edges/rserve/transport.ts';
import type { Account } from './edges/user.ts';
import { createLog, type Log } from './edges/winston.ts';
import { createCompressor, unpack } from './edges/zlib.ts';
import { createFlow } from './flow.ts';
import { createGateway, type Gateway } from './gateway.ts';
import { inSlices } from './load-apart.ts';
import { createGenerations, type Generations, type RoutesNow, type UsableRoutes } from './reload.ts';
import { createAdmit } from './stages/admit.ts';
import { createAttempt } from './stages/attempt.ts';
import { createAudit } from './stages/audit.ts';
import { createCache, createNoteWrite } from './stages/cache.ts';
import { createCoalesce } from './stages/coalesce.ts';
import { createCompress } from './stages/compress.ts';
import { createCsv } from './stages/csv.ts';
import { createMatch } from './stages/match.ts';
import { createObserve } from './stages/observe.ts';
import { createPreflight } from './stages/preflight.ts';
import { createReceive } from './stages/receive.ts';
import { createRespond } from './stages/respond.ts';
import { createStream } from './stages/stream.ts';

/** What the process gives its gateway. */
interface ComposeParts {
  readonly config: GatewayConfig;
  readonly routes: UsableRoutes;
  /** Reads the routes file as it is now; routes that have not changed are taken from those in force. */
  readonly readRoutes: (inForce: MadeRoutes) => Promise<RoutesNow>;
  /** The files in force: paths and texts. */
  readonly files: { readonly gateway: string; readonly texts: ReadonlyMap<string, string> };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whom the process becomes once it listens; undefined: it stays who it is. */
  readonly account: Account | undefined;
  /** The path of plumber-services/serve.sh. */
  readonly serveCommand: string;
  readonly stdout: Writable;
  readonly version: string;
  readonly node: string;
}

/** Builds the running gateway from its parts; decides nothing. */
export function compose(parts: ComposeParts): { readonly gateway: Gateway; readonly log: Log } {
  const { config, version, node } = parts;
  const deadlines = new Deadlines(clock);
  const emit = (event: GatewayEvent, wallMs: number) => {
    metrics.observe(event);
    log.observe(event, wallMs);
  };
  const { observe, flush: catchUp } = createHeldEvents(clock, emit, () => log.observedAll());
  const log = createLog({ ...config.log, stream: parts.stdout, wallMs: () => clock.wallMs(), catchUp });
  const audit = composeAudit({ config, clock, observe });
  const identity: ComposedIdentity = composeIdentity({ ...config, clock, observe, changed: audit.changed });
  const limits = composeLimits({ config, clock, observe });
  const metrics: Metrics = createMetrics({
    routeIds: () => new Set(generations.current().routes.map(({ id }) => id)),
    services: () => registry.services().map(service => service.view()),
    ...{ rosterAges: () => discovery.ages(), certificates: () => server.expiries(), limitWaiting: limits.waiting },
    ...{ batching: () => batching.states(), inFlight: () => server.inFlight, linesDropped: () => log.linesDropped },
    ...{ auditLines: () => audit.counts(), keysAges: identity.keysAges, jobs: () => jobs.counts() },
    ...{ wallMs: () => clock.wallMs(), catchUp, version, node, withProcess: true },
  });

  const { scripts, models, grpc, transport, connectionMode, probe } = composeWays({ config, deadlines, observe });
  const permits = new PermitRegistry({ onVacant: origin => transport.forget(origin) });
  const routes = () => generations.current().routes;
  const registry = composeRegistry({ deadlines, permits, observe, routes });
  const caches = new RouteCaches({ createStore: createMemoryStore, clock });
  const discovery: Discovery = composeDiscovery({
    ...{ ...parts, scripts, models, clock, random, observe },
    onRoster: roster => {
      registry.onRoster(roster);
      life.reconsider();
    },
  });
  const life: Life = createLife({ clock, rosterAges: () => discovery.ages(), observe });
  const generations: Generations = createGenerations({
    ...{ first: parts.routes, read: parts.readRoutes, inSlices, registry, unpack, clock, observe },
    follow: compiled => {
      caches.adopt(compiled.specs);
      limits.follow(compiled.specs);
      for (const each of [discovery, plugins]) each.follow(compiled);
    },
  });

  const timed = { clock, random, deadlines, observe };
  const attempt = createAttempt({ transport, ...timed });
  const batching: Batching = composeBatching({ send: attempt, routes, ...timed });
  const validation = composeValidation({ send: attempt, routes, clock, deadlines, observe });
  const jobs: GatewayJobs = composeJobs({ config, ...timed, ...validation, registry, current: generations.current });
  const sharing = { caches, attempt, batching, validation };
  const within = { jobs, grpc, identity, audit, limits, generations, ...sharing, life, observe };
  const { enter, back, plugins } = composeWithin(parts, within);
  const server: GatewayServer = composeServer(config, { clock, deadlines, enter, back, observe });
  const checks = createHealthChecks({ services: () => registry.services(), clock, random, probe });
  const looked = { ...parts, audit, identity, life, generations, registry, caches, batching, validation, metrics, log };
  const admin: AdminServer = composeAdmin({ ...looked, connectionMode, observe });
  const gateway = createGateway({
    ...{ ...parts, plugins, audit, limits, jobs, clock, random, observe, life, generations },
    ...{ deadlines, registry, discovery, transport, batching, identity, validation, server, admin, checks, metrics },
  });
  return { gateway, log };
}

interface RegistryParts {
  readonly deadlines: Deadlines;
  readonly permits: PermitRegistry;
  readonly observe: Observe;
  readonly routes: () => readonly Route[];
}

function composeRegistry({ deadlines, permits, observe, routes }: RegistryParts): ServiceRegistry {
  return createServiceRegistry({
    create: (name, policy) => createService({ name, policy, clock, random, deadlines, permits, observe }),
    retireAfterMs: () => Math.max(0, ...routes().map(({ policy }) => policy.timeoutMs)),
    clock,
  });
}

interface WayParts {
  readonly config: GatewayConfig;
  readonly deadlines: Deadlines;
  readonly observe: Observe;
}

/** What leads to instances: HTTP, and what else the configuration names. */
function composeWays({ config, ...parts }: WayParts) {
  const scripts = createScripts({ ...parts, clock });
  const models = createModels({ ...parts, clock, random });
  const has = (one: 'script' | 'onnx') => config.discovery.local.some(({ kind }) => kind === one);
  const grpc = new GrpcConnections();
  const ways: Ways = {
    ...(has('script') ? { script: scripts } : {}),
    ...(has('onnx') ? { onnx: models } : {}),
    ...(mayHave(config, 'rserve') ? bothOf('rserve', createRserve({ ...parts, clock })) : {}),
    ...(mayHave(config, 'grpc') ? bothOf('grpc', createGrpcWay(grpc)) : {}),
  };
  const http = createTransport({ ...parts, clock });
  const [transport, probe] = [transportByScheme(http, ways), probeByScheme(ways)];
  return { scripts, models, grpc, transport, connectionMode: http.modeOf, probe };
}

/** Without TLS and with it. */
function bothOf(scheme: string, way: Way): Ways {
  return { [scheme]: way, [`${scheme}s`]: way };
}

/** Consul may list one at any time. */
function mayHave({ discovery }: GatewayConfig, scheme: 'rserve' | 'grpc'): boolean {
  const isOfScheme = (origin: string) => origin.startsWith(scheme);
  if (discovery.consul !== undefined || discovery.local.some(({ kind }) => kind === scheme)) return true;
  return discovery.static.some(({ instances }) => instances.some(isOfScheme));
}

interface FlowParts {
  readonly jobs: GatewayJobs;
  readonly grpc: GrpcConnections;
  readonly identity: ComposedIdentity;
  readonly audit: GatewayAudit;
  readonly limits: ComposedLimits;
  readonly generations: Generations;
  readonly caches: RouteCaches;
  readonly attempt: SendUpstream;
  readonly batching: Batching;
  readonly validation: Validation;
  readonly life: Life;
  readonly observe: Observe;
}

function composeFlow({ config, version }: ComposeParts, within: FlowParts) {
  const { identity, generations, caches, attempt, batching, validation, observe, ...parts } = within;
  const audit = createAudit({ trail: parts.audit.port, digest: sha256 });
  const { limits } = parts.limits;
  const { match, ownAnswer } = composeDoors({
    ...{ config, version, validation, unpack, clock },
    match: parts.jobs.match(createMatch({ current: generations.current, clock, random })),
    routes: () => generations.current().routes,
    hasRpcs: () => generations.current().rpcs !== undefined,
    isServerReady: () => parts.life.readiness(generations.state()).ready,
    isEnding: () => parts.life.phase !== 'starting' && parts.life.phase !== 'ready',
  });
  const flow = createFlow({
    match: withinAddresses(identity.addresses, match),
    ownAnswer: ownAnswer && withinAddresses(identity.addresses, ownAnswer),
    audit,
    preflight: createPreflight(),
    admit: createAdmit({ schemes: identity.schemes, limits }),
    stream: createStream({ carrier: createCarrier({ clock, grpc: parts.grpc }), clock, observe }),
    receive: createReceive({ unpack }),
    speakCsv: createCsv(validation),
    validate: validation.validate,
    limits,
    digest: sha256,
    cache: createCache({ caches, clock, digest: sha256 }),
    noteWrite: createNoteWrite({ caches }),
    coalesce: createCoalesce({ clock }),
    batch: batching.batch,
    attempt,
    compress: createCompress({ compressor: createCompressor() }),
    respond: createRespond({ observe }),
    observe: createObserve({ clock, observe, audit }),
  });
  parts.jobs.use(flow);
  return flow;
}

/** The flow, and the plug-ins that stand before it. */
function composeWithin(parts: ComposeParts, flow: FlowParts) {
  const { enter, back } = composeFlow(parts, flow);
  const plugins: Plugins = composePlugins({ ...parts, routes: parts.routes.routes, enter, observe: flow.observe });
  return { enter: plugins.enter, back, plugins };
}

/** Where the gateway as a whole has rules of addresses, they stand before all else. */
function withinAddresses<T>(rules: AddressRules | undefined, first: (call: Call) => T): (call: Call) => T {
  if (rules === undefined) return first;
  return call => {
    refuseAddress(rules, call);
    return first(call);
  };
}

/** As many connections as the process may have. */
function composeServer({ listen }: GatewayConfig, parts: Omit<ServerParts, 'listen'>): GatewayServer {
  const connectionsMax = fitConnections(listen.connectionsMax, { limit: descriptorLimit(), observe: parts.observe });
  return createServer({ ...parts, listen: { ...listen, connectionsMax } });
}
