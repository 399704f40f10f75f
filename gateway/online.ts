import type { CompiledRoutes, RoutedAddress } from './config/compile.ts';
import type { ConsulConfig } from './config/gateway-config.ts';
import type { Problem } from './config/problem.ts';
import { readConsulListing } from './domain/discovery/consul-entries.ts';
import type { RosterEntry } from './domain/roster.ts';
import { createConsulClient, type ConsulClient } from './edges/consul-client.ts';
import { probeHttp } from './edges/http-probe.ts';
import type { Contract } from './load.ts';
import { askBatches, askRunning } from './online-batches.ts';
import { askLocal } from './online-local.ts';

/** An answer that takes longer is none. */
const PATIENCE_MS = 3_000;

/** What is amiss in the world, in words; undefined: nothing. */
type Finding = string | undefined;

/**
 * What the world says of the configuration: whether Consul answers and knows the services, whether instances do, and
 * whether models whose calls shall travel together answer as they must for that.
 */
export async function askOnline({ gateway, routes, texts }: Contract): Promise<Problem[]> {
  if (gateway === undefined || routes === undefined) return [];
  const [gatewayFile = '', routesFile = ''] = texts.keys();
  const { consul, local, static: fixed } = gateway.discovery;
  const elsewhere = new Set([...local, ...fixed, ...routes.statics].map(({ service }) => service));
  const wanted = [...routes.services.keys()].filter(service => !elsewhere.has(service));

  const [ofFixed, ofRoutes, ofConsul, ofLocal, ofRunning] = await Promise.all([
    askInstances(fixed, routes),
    askInstances(routes.statics, routes),
    consul === undefined ? NOTHING_KNOWN : askConsul(consul, wanted),
    askLocal(gateway, routes),
    askRunning(gateway.admin, routes),
  ]);
  const ofBatches = await askBatches(routes, [...fixed, ...routes.statics, ...ofConsul.known, ...ofLocal.known]);
  return [
    ...toProblems(ofFixed, { file: gatewayFile, path: 'discovery.static' }),
    ...toProblems(ofRoutes, { file: routesFile, path: 'routes' }),
    ...toProblems(ofConsul.findings, { file: gatewayFile, path: 'discovery.consul' }),
    ...ofLocal.problems,
    ...ofBatches,
    ...ofRunning,
  ];
}

function toProblems(findings: readonly Finding[], { file, path }: { file: string; path: string }): Problem[] {
  return findings
    .filter(message => message !== undefined)
    .map(message => ({ file, line: 1, column: 1, severity: 'warning', path, message, hint: undefined }));
}

/** Asks as the gateway's active checks do, so that both find the same. */
function askInstances(written: readonly RoutedAddress[], routes: CompiledRoutes): Promise<Finding[]> {
  const asked = written.flatMap(({ service, instances }) => instances.map(origin => ({ service, origin })));
  return Promise.all(
    asked.map(async ({ service, origin }) => {
      const { health, sharedSecret } = routes.policyOf(service);
      const bounds = { timeoutMs: PATIENCE_MS, signal: new AbortController().signal };
      const { isWell, note } = await probeHttp({ origin, path: health.path, sharedSecret, ...bounds });
      return isWell ? undefined : `${origin} of ${service} is not well: ${note}`;
    }),
  );
}

/** What Consul says: what is amiss, and where the instances are. */
interface ConsulSaid {
  readonly findings: readonly Finding[];
  readonly known: readonly RoutedAddress[];
}

const NOTHING_KNOWN: ConsulSaid = { findings: [], known: [] };

async function askConsul(consul: ConsulConfig, services: readonly string[]): Promise<ConsulSaid> {
  const { address, datacenter, token, tag } = consul;
  const client = createConsulClient({ address, datacenter, token: token?.reveal() });
  try {
    const said = await Promise.all(services.map(service => askService(client, service, tag)));
    return { findings: said.flatMap(({ findings }) => findings), known: said.flatMap(({ known }) => known) };
  } finally {
    client.close();
  }
}

async function askService(client: ConsulClient, service: string, tag: string | undefined): Promise<ConsulSaid> {
  try {
    const query = { service, tag, index: 0n, waitMs: 0 };
    const { list } = await client.askHealth(query, AbortSignal.timeout(PATIENCE_MS));
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
