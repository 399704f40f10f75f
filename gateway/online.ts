import type { CompiledRoutes, RoutedAddress } from './config/compile.ts';
import type { ConsulConfig, GatewayConfig } from './config/gateway-config.ts';
import type { Problem } from './config/problem.ts';
import { readConsulListing } from './domain/discovery/consul-entries.ts';
import type { RosterEntry } from './domain/roster.ts';
import { type ConsulClient, createConsulClient } from './edges/consul-client.ts';
import { fetchBriefly, probeHttp } from './edges/http-probe.ts';
import type { Contract } from './load.ts';
import { isRecord } from './domain/unknown-value.ts';
import { Deadlines } from './domain/deadlines.ts';
import { toAnswer } from './domain/http/reply.ts';
import type { BatchPolicy } from './domain/route.ts';
import { predictMessage } from './domain/sharing/batch/proof.ts';
import { Subject } from './domain/sharing/batch/subject.ts';
import { systemClock as clock } from './edges/clock.ts';
import { createTransport } from './edges/r-transport/transport.ts';
import { type SendForProof, DECLARE, proveBatch } from './stages/batch-proof.ts';
import { dropBody, type ExchangeBounds, type Transport, type UpstreamAnswer } from './domain/upstream.ts';

/** An answer that takes longer is none. */
const PATIENCE_MS = 3_000;

/** What is amiss in the world, in words; undefined: nothing. */
type Finding = string | undefined;

/**
 * What the world says of the configuration: whether Consul answers and knows the services, whether instances do, and
 * whether models whose calls shall travel together answer as they must for that.
 */
export async function checkOnline({ gateway, routes, texts }: Contract): Promise<Problem[]> {
  if (gateway === undefined || routes === undefined) return [];
  const [gatewayFile = '', routesFile = ''] = texts.keys();
  const { consul, local, static: fixed } = gateway.discovery;
  const elsewhere = new Set([...local, ...fixed, ...routes.statics].map(({ service }) => service));
  const wanted = [...routes.services.keys()].filter(service => !elsewhere.has(service));

  const [ofFixed, ofRoutes, ofConsul, ofLocal, ofRunning] = await Promise.all([
    probeInstances(fixed, routes),
    probeInstances(routes.statics, routes),
    consul === undefined ? NOTHING_KNOWN : queryConsul(consul, wanted),
    localInstances(gateway, routes),
    findingsOfRunning(gateway.admin, routes),
  ]);
  const ofBatches = await proveBatches(routes, [...fixed, ...routes.statics, ...ofConsul.known, ...ofLocal.known]);
  return [
    ...toProblems(ofFixed, { file: gatewayFile, path: 'discovery.static' }),
    ...toProblems(ofRoutes, { file: routesFile, path: 'routes' }),
    ...toProblems(ofConsul.findings, { file: gatewayFile, path: 'discovery.consul' }),
    ...ofLocal.problems,
    ...ofBatches,
    ...ofRunning,
  ];
}

/** Where instances of a service are, as far as the running gateway, the files or Consul know. */
export async function whereIs({ gateway, routes }: Contract, service: string): Promise<readonly string[]> {
  if (gateway === undefined || routes === undefined) return [];
  const ofService = (each: RoutedAddress) => each.service === service;
  const running = listedBy(await fetchFromAdmin(gateway.admin, '/api/services'), () => true).filter(ofService);
  const written = [...gateway.discovery.static, ...routes.statics].filter(ofService);
  const known = [...running, ...written].flatMap(({ instances }) => instances);
  const { consul } = gateway.discovery;
  if (known.length > 0 || consul === undefined) return known;
  return (await queryConsul(consul, [service])).known.flatMap(({ instances }) => instances);
}

function toProblems(findings: readonly Finding[], { file, path }: { file: string; path: string }): Problem[] {
  return findings
    .filter(message => message !== undefined)
    .map(message => ({ file, line: 1, column: 1, severity: 'warning', path, message, hint: undefined }));
}

/** Asks as the gateway's active checks do, so that both find the same. */
function probeInstances(written: readonly RoutedAddress[], routes: CompiledRoutes): Promise<Finding[]> {
  const probed = written.flatMap(({ service, instances }) => instances.map(origin => ({ service, origin })));
  return Promise.all(
    probed.map(async ({ service, origin }) => {
      const { health, sharedSecret, tls } = routes.policyOf(service);
      const bounds = { timeoutMs: PATIENCE_MS, signal: new AbortController().signal };
      const { isWell, note } = await probeHttp({ origin, path: health.path, sharedSecret, tls, ...bounds });
      return isWell ? undefined : `${origin} of ${service} is not well: ${note}`;
    }),
  );
}

/** What Consul says: what is amiss, and where the instances are. */
interface ConsulListing {
  readonly findings: readonly Finding[];
  readonly known: readonly RoutedAddress[];
}

const NOTHING_KNOWN: ConsulListing = { findings: [], known: [] };

async function queryConsul(consul: ConsulConfig, services: readonly string[]): Promise<ConsulListing> {
  const { address, datacenter, token, tag } = consul;
  const client = createConsulClient({ address, datacenter, token: token?.reveal() });
  try {
    const results = await Promise.all(services.map(service => queryService(client, service, tag)));
    return { findings: results.flatMap(({ findings }) => findings), known: results.flatMap(({ known }) => known) };
  } finally {
    client.close();
  }
}

async function queryService(client: ConsulClient, service: string, tag: string | undefined): Promise<ConsulListing> {
  try {
    const query = { service, tag, index: 0n, waitMs: 0 };
    const { list } = await client.queryHealth(query, AbortSignal.timeout(PATIENCE_MS));
    const isWell = ({ health }: RosterEntry) => health === 'passing';
    const instances = readConsulListing(list)
      .entries.filter(isWell)
      .map(({ origin }) => origin);
    const findings = list.length > 0 ? [] : [`Consul knows no instance of ${service}`];
    return { findings, known: [{ service, instances }] };
  } catch (error) {
    return {
      findings: [`Consul, asked for ${service}: ${error instanceof Error ? error.message : 'unknown'}`],
      known: [],
    };
  }
}

/** Where the R processes are that the running gateway has started, and what could not be asked of them. */
interface LocalListing {
  readonly known: readonly RoutedAddress[];
  readonly problems: readonly Problem[];
}

/**
 * Asks the gateway of this configuration, if one runs, where its own R processes are: only it knows. Where routes to
 * them batch and none tells, that is a warning.
 */
async function localInstances(gateway: GatewayConfig, routes: CompiledRoutes): Promise<LocalListing> {
  const services = new Set(gateway.discovery.local.map(({ service }) => service));
  const batching = routes.specs.filter(
    ({ serviceName, policy }) => services.has(serviceName) && policy.sharing?.batch !== undefined,
  );
  if (batching.length === 0) return { known: [], problems: [] };
  const known = startedBy(await fetchFromAdmin(gateway.admin, '/api/services')).filter(({ service }) =>
    services.has(service),
  );
  const isKnown = (name: string) => known.some(({ service }) => service === name);
  const unknown = batching.filter(({ serviceName }) => !isKnown(serviceName));
  return { known, problems: unknown.map(({ id }) => routes.problemAt(id, 'batch', NO_GATEWAY_RUNS)) };
}

const NO_GATEWAY_RUNS = {
  severity: 'warning',
  message: 'not proven: no gateway of this configuration runs that would tell where its R processes are',
  hint: 'start it and check again; it asks them itself, too, and no calls travel together before',
} as const;

/** What a gateway at this address says there; undefined where none answers, or not as a gateway does. */
async function fetchFromAdmin({ host, port }: GatewayConfig['admin'], path: string): Promise<unknown> {
  const here = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  const origin = `http://${here.includes(':') ? `[${here}]` : here}:${port}`;
  const bounds = { timeoutMs: PATIENCE_MS, signal: new AbortController().signal };
  try {
    const { body } = await fetchBriefly({ origin, path, sharedSecret: undefined, ...bounds });
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** The R processes that the gateway has started. */
function startedBy(services: unknown): RoutedAddress[] {
  return listedBy(services, source => source === 'local');
}

/** The instances that a gateway reports. */
function listedBy(services: unknown, isWanted: (source: unknown) => boolean): RoutedAddress[] {
  if (!Array.isArray(services)) return [];
  return services.filter(isRecord).flatMap(({ service, instances }) => {
    if (typeof service !== 'string' || !Array.isArray(instances)) return [];
    const origins = instances
      .filter(isRecord)
      .filter(({ source }) => isWanted(source))
      .flatMap(({ address }) => (typeof address === 'string' ? [address] : []));
    return origins.length === 0 ? [] : [{ service, instances: origins }];
  });
}

/** An exchange that takes longer says nothing. */
const PROOF_MS_MAX = 10_000;
/** Of a service so many are asked: they may be of different versions. */
const INSTANCES_MAX = 8;
const BYTES_MAX = 1024 * 1024;

/** What an instance has shown: rows together are answered as alone, or what was found instead. */
interface Shown {
  readonly origin: string;
  readonly verdict: 'proven' | 'refuted' | 'open';
  readonly reason: string;
}

/**
 * Asks the instances behind every route that lets calls travel together, with the examples that the model publishes,
 * whether rows together get the answers they get alone. Where not, the route's `batch` is an error.
 */
async function proveBatches(routes: CompiledRoutes, known: readonly RoutedAddress[]): Promise<Problem[]> {
  const deadlines = new Deadlines(clock);
  const transport = createTransport({ clock, deadlines });
  try {
    const pending = routes.specs.map(async ({ id, serviceName, policy }) => {
      const batch = policy.sharing?.batch;
      if (batch === undefined) return [];
      const origins = known.filter(({ service }) => service === serviceName).flatMap(({ instances }) => instances);
      const shown = origins
        .slice(0, INSTANCES_MAX)
        .map(origin => proveInstance(origin, { routes, serviceName, batch, transport }));
      return problemOf(await Promise.all(shown), batch, (severity, message, hint) =>
        routes.problemAt(id, 'batch', { severity, message, hint }),
      );
    });
    return (await Promise.all(pending)).flat();
  } finally {
    await transport.close();
    deadlines.close();
  }
}

/** Asks the gateway of this configuration, if one runs, what it has found out against batches of its routes. */
async function findingsOfRunning(admin: GatewayConfig['admin'], routes: CompiledRoutes): Promise<Problem[]> {
  const batching = routes.specs.filter(({ policy }) => policy.sharing?.batch !== undefined);
  const listed = batching.length === 0 ? undefined : await fetchFromAdmin(admin, '/api/routes');
  if (!Array.isArray(listed)) return [];
  return listed.filter(isRecord).flatMap(({ id, batching: known }) => {
    const isOurs = batching.some(route => route.id === id);
    if (!isOurs || typeof id !== 'string' || !isRecord(known) || typeof known['reason'] !== 'string') return [];
    const message = `the running gateway has found: ${known['reason']}`;
    return [routes.problemAt(id, 'batch', { severity: 'error', message, hint: LOOK_UP })];
  });
}

const LOOK_UP = 'see docs/adding-a-model.md, "What travels together"';

type ToProblem = (severity: 'error' | 'warning', message: string, hint: string) => Problem;

/** The worst that an instance has shown is said for all. */
function problemOf(shown: readonly Shown[], { rowsIndependent }: BatchPolicy, toProblem: ToProblem): Problem[] {
  const refuted = shown.find(({ verdict }) => verdict === 'refuted');
  if (refuted !== undefined) {
    const message = `${refuted.origin}${refuted.reason}: its calls cannot travel together`;
    return [toProblem('error', message, `take \`batch\` away: ${LOOK_UP}`)];
  }
  const open = shown.find(({ verdict }) => verdict === 'open');
  if (open === undefined) return [];
  const hint = rowsIndependent
    ? 'calls travel singly until those that come have been compared'
    : `no calls travel together: ${DECLARE}`;
  return [toProblem('warning', `${open.origin}: ${open.reason}`, hint)];
}

interface InstanceProof {
  readonly routes: CompiledRoutes;
  readonly serviceName: string;
  readonly batch: BatchPolicy;
  readonly transport: Transport;
}

async function proveInstance(origin: string, { routes, serviceName, batch, transport }: InstanceProof): Promise<Shown> {
  const { sharedSecret, tls } = routes.policyOf(serviceName);
  const message = predictMessage(sharedSecret);
  const subject = new Subject();
  const nowMs = () => clock.nowMs();
  let reason = 'it publishes no examples at /prototype to prove by that rows may travel together';
  const report = (_: boolean, text: string) => {
    reason = text;
  };
  try {
    // Nothing is declared to a proof that is asked for its examples alone: what it says otherwise is for the log.
    const policy = { ...batch, rowsIndependent: true };
    const wanted = { subject, versions: '', message, policy, bodyBytesMax: BYTES_MAX };
    const bounds = { ...BOUNDS, tls };
    await proveBatch(wanted, { send: sendTo(origin, { transport, bounds }), nowMs, report });
  } catch (error) {
    reason = error instanceof Error ? error.message : 'it could not be asked';
  }
  return { origin, verdict: subject.standing('', nowMs()), reason };
}

/** How an instance is asked that is asked once. */
export const BOUNDS: Omit<ExchangeBounds, 'tls'> = {
  reuse: false,
  connectTimeoutMs: PROOF_MS_MAX,
  hangMsMax: PROOF_MS_MAX,
  bufferBytesMax: BYTES_MAX,
};

/** Asks an instance itself. */
export function sendTo(
  origin: string,
  { transport, bounds }: { readonly transport: Transport; readonly bounds: ExchangeBounds },
): SendForProof {
  return async message => {
    const answer = await new Promise<UpstreamAnswer>((resolve, reject) => {
      const onEnd: Parameters<Transport['send']>[2]['listener']['onEnd'] = end =>
        end.kind === 'answered' ? resolve(end.answer) : reject(end.failure);
      const listener = { onInterim: () => undefined, onStream: resolve, onEnd };
      transport.send(origin, message, { bounds, listener });
    });
    dropBody(answer);
    return { answer: toAnswer(answer, null), version: '' };
  };
}
