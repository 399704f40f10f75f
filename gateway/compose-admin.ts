import type { GatewayAudit } from './compose-audit.ts';
import type { Batching } from './compose-batching.ts';
import type { Validation } from './compose-validation.ts';
import { redactedGateway, type GatewayConfig } from './config/gateway-config.ts';
import { type Admin, type AdminAccess, type ExplainInput, routeViews } from './domain/operating/admin.ts';
import type { Observe } from './domain/events.ts';
import {
  type AnsweringRoute,
  explainSettled,
  listenerView,
  type ExplainParts,
  type SentUpstream,
} from './domain/operating/explain.ts';
import { explainAdmission, inferenceDoor } from './compose-explain.ts';
import type { AddressRules } from './domain/route.ts';
import { createIdentifyAdmin } from './domain/operating/admin-caller.ts';
import type { Schemes } from './domain/admission/scheme.ts';
import type { Life } from './domain/operating/life.ts';
import type { InputRequest } from './domain/validation/arguments.ts';
import type { UpstreamTls } from './domain/service.ts';
import type { RouteCaches } from './domain/sharing/cache-entries.ts';
import type { ServiceRegistry } from './domain/service/service-registry.ts';
import { systemClock } from './edges/clock.ts';
import { createAdminServer, type AdminServer } from './edges/express/admin.ts';
import type { Metrics } from './edges/prom-client.ts';
import type { Log } from './edges/winston.ts';
import type { Generations } from './reload.ts';

interface AdminParts {
  readonly audit: GatewayAudit;
  readonly config: GatewayConfig;
  readonly life: Life;
  readonly generations: Generations;
  readonly registry: ServiceRegistry;
  readonly caches: RouteCaches;
  /** By which callers say who they are. */
  readonly identity: { readonly schemes: Schemes; readonly addresses: AddressRules | undefined };
  readonly batching: Pick<Batching, 'view' | 'recheck'>;
  readonly validation: Pick<Validation, 'view' | 'verdict' | 'recheck' | 'columnsFor'>;
  /** Whether connections to an address are kept; undefined: none was made yet. */
  readonly connectionMode: (origin: string, tls: UpstreamTls | undefined) => 'fresh' | 'kept' | undefined;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly observe: Observe;
}

/** The listener for operators, asking the gateway's parts. */
export function composeAdmin(parts: AdminParts): AdminServer {
  const { config, identity, observe } = parts;
  const { host, port, access = CLOSED } = config.admin;
  const hasRoles = Object.values(access.roles).some(names => names.length > 0);
  const identify = hasRoles ? createIdentifyAdmin(identity.schemes, systemClock) : undefined;
  return createAdminServer({ host, port, access, identify, admin: adminOf(parts), observe });
}

/** Without `access` the listener is on loopback, where no credential is asked for. */
const CLOSED: AdminAccess = {
  ...{ open: [], tokens: [], services: {} },
  roles: { viewer: [], scientist: [], operator: [], auditor: [] },
};

function adminOf({ config, audit, life, generations, registry, caches, connectionMode, ...parts }: AdminParts): Admin {
  const { identity, batching, validation, metrics, log } = parts;

  const routeOf = (id: string) => generations.current().routes.find(route => route.id === id);
  /** What a live service has shown. */
  const foundOut = (route: string) => ({
    batching: batching.view(route),
    validation: validation.view(route),
    ...callsOf(routeOf(route)?.serviceName ?? '', route),
  });
  const callsOf = (name: string, route: string) => {
    const service = registry.find(name);
    const instances = service?.view().instances ?? [];
    const mode = (address: string) =>
      connectionMode(address, address.startsWith('https') ? service?.policy.tls : undefined);
    return {
      connections: Object.fromEntries(instances.map(({ address }) => [address, mode(address) ?? null])),
      ahead: service?.steadyOf(route) ?? null,
    };
  };
  const verdictOf = ({ route, sent, transcoded }: AnsweringRoute, { fields, body }: ExplainInput) =>
    sent === null ? null : validation.verdict(route, inputOf({ fields, body: transcoded?.body ?? body }, sent));
  return {
    readiness: () => life.readiness(generations.state()),
    metrics: async () => ({ contentType: metrics.contentType, text: await metrics.text() }),
    routes: () => routeViews(generations.current().routes).map(view => ({ ...view, ...foundOut(view.id) })),
    services: () => registry.services().map(service => service.view()),
    config: () => redactedGateway(config),
    reload: who => audit.reload(generations, { ...who, what: 'reload' }),
    changed: change => audit.changed(change),
    auditLines: (fromSeq, linesMax) => audit.read(fromSeq, linesMax),
    async explain(input) {
      const explain = explainParts({ generations, config, validation });
      const explained = await explainSettled(input, explain);
      const { answers } = explained;
      if (answers === null) return explained;
      const { schemes, addresses } = identity;
      const admission = await explainAdmission(input, { explain, schemes, addresses });
      const refused = verdictOf(answers, input);
      return { ...explained, answers: { ...answers, admission, ...foundOut(answers.route), refused } };
    },
    purge(id) {
      const route = routeOf(id);
      if (route === undefined) return 'no-route';
      return route.policy.sharing?.cache === undefined ? 'no-cache' : caches.purge(id);
    },
    command(name, instance, order) {
      const service = registry.find(name);
      if (service === undefined) return 'no-service';
      return service.command(instance, order) ? 'done' : 'no-instance';
    },
    recheck(name) {
      if (registry.find(name) === undefined) return 'no-service';
      return { batching: batching.recheck(name), validation: validation.recheck(name) };
    },
    serviceOf: id => routeOf(id)?.serviceName,
    level: () => log.level,
    setLevel: level => log.setLevel(level),
  };
}

function inputOf(
  { fields, body }: Pick<ExplainInput, 'fields' | 'body'>,
  { method, target }: SentUpstream,
): InputRequest {
  const [path = '', ...query] = target.split('?');
  return { method, path, query: query.join('?'), fields, content: Buffer.from(body) };
}

type Explained = Pick<AdminParts, 'generations' | 'config' | 'validation'>;

function explainParts({ generations, config, validation }: Explained): ExplainParts {
  const { routes, source } = generations.current();
  const { statics } = source.routes;
  const origins = new Map(statics.map(({ service, instances }) => [service, instances[0]]));
  const inference = inferenceDoor(config);
  return {
    routes,
    inference: inference && {
      ...inference,
      columnsOf(id, path) {
        const route = routes.find(each => each.id === id);
        const columns = route && validation.columnsFor(route, path);
        return columns instanceof Promise ? undefined : columns;
      },
    },
    jobs: config.jobs,
    mergeSlashes: config.listen.mergeSlashes,
    listener: listenerView(config.listen),
    policyOf: name => source.routes.policyOf(name),
    originOf: name => origins.get(name),
    wallMs: systemClock.wallMs(),
    plugins: source.routes.plugins,
    secrets: source.secrets,
  };
}
