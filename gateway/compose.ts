import type { Writable } from 'node:stream';
import { composeAdmin } from './compose-admin.ts';
import { composeBatching, type Batching } from './compose-batching.ts';
import { composeDiscovery, type Discovery } from './compose-discovery.ts';
import type { MadeRoutes } from './config/compile.ts';
import type { GatewayConfig, IdentityConfig } from './config/gateway-config.ts';
import type { Observe } from './domain/events.ts';
import type { Stages } from './domain/exchange.ts';
import { createHeldEvents } from './domain/operating/held-events.ts';
import { createLife, type Life } from './domain/operating/life.ts';
import { createService } from './domain/service/living-service.ts';
import { createPlaces } from './domain/service/permits.ts';
import type { Transport, VerifyToken } from './domain/ports.ts';
import { createMemories, type Memories } from './domain/sharing/cache/memories.ts';
import { createServiceRegistry, type ServiceRegistry } from './domain/service/service-registry.ts';
import { systemClock as clock } from './edges/clock.ts';
import { createCounterTable } from './edges/counter-store.ts';
import { descriptorLimit, fitConnections } from './edges/descriptors.ts';
import { sha256 } from './edges/digest.ts';
import type { AdminServer } from './edges/express/admin.ts';
import { createServer, type GatewayServer } from './edges/express/server.ts';
import { createLimitCounter } from './edges/express-rate-limit.ts';
import { createHealthChecks, type HealthChecks } from './edges/health-checks.ts';
import { probeHttp } from './edges/http-probe.ts';
import { createCarrier } from './edges/http-proxy-middleware.ts';
import { createTokenVerifier } from './edges/jsonwebtoken.ts';
import { createMemoryStore } from './edges/memory-store.ts';
import { createMetrics, type Metrics } from './edges/prom-client.ts';
import { systemRandom as random } from './edges/random.ts';
import { createTransport } from './edges/undici.ts';
import type { Account } from './edges/user.ts';
import { createLog, type Log } from './edges/winston.ts';
import { createAsk, createFlow } from './flow.ts';
import { createGateway, type Gateway } from './gateway.ts';
import { inSlices } from './load-apart.ts';
import { createGenerations, type Generations, type RoutesNow, type UsableRoutes } from './reload.ts';
import { createAdmit } from './stages/admit.ts';
import { createAnswer } from './stages/answer.ts';
import { createAttempt } from './stages/attempt.ts';
import { createCarry } from './stages/carry.ts';
import { createForward } from './stages/forward.ts';
import { createJoin } from './stages/join.ts';
import { createMatch } from './stages/match.ts';
import { createObserve } from './stages/observe.ts';
import { createPreflight } from './stages/preflight.ts';
import { createReceive } from './stages/receive.ts';
import { createNoteWrite, createRemember } from './stages/remember.ts';
import { createRespond } from './stages/respond.ts';
import { createSchedule } from './stages/schedule.ts';

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
  const { observe, tell: catchUp } = createHeldEvents(clock, (event, wallMs) => {
    metrics.observe(event);
    log.observe(event, wallMs);
  });
  const log = createLog({ ...config.log, stream: parts.stdout, wallMs: () => clock.wallMs(), catchUp });
  const metrics: Metrics = createMetrics({
    routeIds: () => new Set(generations.current().routes.map(({ id }) => id)),
    services: () => registry.living().map(service => service.view()),
    rosterAges: () => discovery.ages(),
    batching: () => batching.states(),
    linesDropped: () => log.linesDropped,
    wallMs: () => clock.wallMs(),
    ...{ catchUp, version, node, withProcess: true },
  });

  const transport = createTransport({ clock });
  const places = createPlaces({ onVacant: origin => transport.forget(origin) });
  const registry: ServiceRegistry = createServiceRegistry({
    create: (name, policy) => createService({ name, policy, clock, random, places, observe }),
    retireAfterMs: () => Math.max(0, ...generations.current().routes.map(({ policy }) => policy.timeoutMs)),
    clock,
  });
  const memories = createMemories({ createStore: createMemoryStore, clock });
  const discovery: Discovery = composeDiscovery({
    ...{ ...parts, clock, random, observe },
    onRoster: roster => {
      registry.heard(roster);
      life.reconsider();
    },
  });
  const life: Life = createLife({ clock, rosterAges: () => discovery.ages(), observe });
  const generations: Generations = createGenerations({
    ...{ first: parts.routes, read: parts.readRoutes, inSlices, registry, clock, observe },
    follow: compiled => {
      memories.adopt(compiled.specs);
      discovery.follow(compiled);
    },
  });

  const upstream = composeUpstream(transport, observe);
  const batching: Batching = composeBatching({
    ...{ ask: createAsk(upstream), clock, observe },
    routes: () => generations.current().routes,
  });
  const flow = createFlow(composeStages({ ...parts, generations, upstream, memories, batching, observe }));
  const server: GatewayServer = createServer({ listen: fitted(config.listen, observe), clock, flow, observe });
  const checks: HealthChecks = createHealthChecks({
    services: () => registry.living(),
    clock,
    random,
    probe: probeHttp,
  });
  const admin: AdminServer = composeAdmin({ ...parts, life, generations, registry, memories, metrics, log, observe });
  const gateway = createGateway({
    ...{ ...parts, clock, random, observe, life, generations },
    ...{ registry, discovery, transport, batching, server, admin, checks, metrics },
  });
  return { gateway, log };
}

function fitted(listen: GatewayConfig['listen'], observe: Observe): GatewayConfig['listen'] {
  const connectionsMax = fitConnections(listen.connectionsMax, { limit: descriptorLimit(), observe });
  return { ...listen, connectionsMax };
}

/** The stages that lead to an instance. */
type UpstreamStages = Pick<Stages, 'attempt' | 'schedule' | 'forward'>;

function composeUpstream(transport: Transport, observe: Observe): UpstreamStages {
  return {
    attempt: createAttempt({ clock, random, observe }),
    schedule: createSchedule({ clock, observe }),
    forward: createForward({ transport, clock, observe }),
  };
}

interface StageParts {
  readonly config: GatewayConfig;
  readonly generations: Generations;
  readonly upstream: UpstreamStages;
  readonly memories: Memories;
  readonly batching: Batching;
  readonly observe: Observe;
}

function composeStages(parts: StageParts): Stages {
  const { config, generations, upstream, observe } = parts;
  const limits = createLimitCounter({ table: createCounterTable({ clock }), clock });
  return {
    observe: createObserve({ clock, observe }),
    respond: createRespond({ observe }),
    match: createMatch({ table: () => generations.current().table, clock }),
    preflight: createPreflight(),
    admit: createAdmit({ verifyToken: composeVerifier(config.identity), limits }),
    carry: createCarry({ carrier: createCarrier({ clock }), clock, observe }),
    receive: createReceive(),
    answer: composeAnswer(parts),
    ...upstream,
  };
}

/** What callers share, and how. */
function composeAnswer({ memories, batching, observe }: StageParts): Stages['answer'] {
  return createAnswer({
    digest: sha256,
    remember: createRemember({ memories, clock, digest: sha256, observe }),
    join: createJoin({ clock, observe }),
    gather: batching.gather,
    noteWrite: createNoteWrite({ memories }),
  });
}

/** Without an identity no route asks for a token, and none is good. */
function composeVerifier(identity: IdentityConfig | undefined): VerifyToken {
  const { jwt = [], tokenBytesMax = 0 } = identity ?? {};
  const issuers = jwt.map(({ secret, ...issuer }) => ({ ...issuer, secret: secret?.reveal() }));
  return createTokenVerifier({ issuers, tokenBytesMax, clock });
}
