import type { CompiledRoutes, RoutedAddress } from './config/compile.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import type { Problem } from './config/problem.ts';
import { isRecord } from './domain/unknown-value.ts';
import { askBriefly } from './edges/http-probe.ts';

/** An answer that takes longer is none. */
const PATIENCE_MS = 3_000;

/** Where the R processes are that the running gateway has started, and what could not be asked of them. */
export interface LocalSaid {
  readonly known: readonly RoutedAddress[];
  readonly problems: readonly Problem[];
}

/**
 * Asks the gateway of this configuration, if one runs, where its own R processes are: nobody else knows. Where routes to
 * them batch and none tells, that is a warning.
 */
export async function askLocal(gateway: GatewayConfig, routes: CompiledRoutes): Promise<LocalSaid> {
  const services = new Set(gateway.discovery.local.map(({ service }) => service));
  const batching = routes.specs.filter(
    ({ serviceName, policy }) => services.has(serviceName) && policy.sharing?.batch !== undefined,
  );
  if (batching.length === 0) return { known: [], problems: [] };
  const known = startedBy(await askAdmin(gateway.admin, '/api/services')).filter(({ service }) =>
    services.has(service),
  );
  const isKnown = (name: string) => known.some(({ service }) => service === name);
  const unknown = batching.filter(({ serviceName }) => !isKnown(serviceName));
  return { known, problems: unknown.map(({ id }) => routes.problemAt(id, 'batch', NOBODY_TO_ASK)) };
}

const NOBODY_TO_ASK = {
  severity: 'warning',
  message: 'not proven: no gateway of this configuration runs that would tell where its R processes are',
  hint: 'start it and check again; it asks them itself, too, and no calls travel together before',
} as const;

/** What a gateway at this address says there; undefined where none answers, or not as a gateway does. */
export async function askAdmin({ host, port }: GatewayConfig['admin'], path: string): Promise<unknown> {
  const here = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  const origin = `http://${here.includes(':') ? `[${here}]` : here}:${port}`;
  const bounds = { timeoutMs: PATIENCE_MS, signal: new AbortController().signal };
  try {
    const { body } = await askBriefly({ origin, path, sharedSecret: undefined, ...bounds });
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** The R processes that the gateway has started. */
function startedBy(services: unknown): RoutedAddress[] {
  if (!Array.isArray(services)) return [];
  return services.filter(isRecord).flatMap(({ service, instances }) => {
    if (typeof service !== 'string' || !Array.isArray(instances)) return [];
    const origins = instances
      .filter(isRecord)
      .filter(({ source }) => source === 'local')
      .flatMap(({ address }) => (typeof address === 'string' ? [address] : []));
    return origins.length === 0 ? [] : [{ service, instances: origins }];
  });
}
