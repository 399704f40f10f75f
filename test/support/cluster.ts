import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startConsulAgent, type ConsulAgent } from './consul-agent.ts';
import { IDENTITY, SECRET, startGatewayProcess, type GatewayProcess } from './gateway-process.ts';
import { misbehave, startPlumberService, type PlumberService } from './plumber/serve.ts';
import type { LoadCall } from './load.ts';
import { aToken, hmac } from './tokens.ts';
import { until } from './until.ts';
import { aFolder } from './folder.ts';

/** A real Consul, real R processes registered in it, and a gateway that knows them from there. */
export interface Cluster {
  readonly consul: ConsulAgent;
  readonly gateway: GatewayProcess;
  readonly services: readonly PlumberService[];
  /** Starts one more R, and waits until the gateway has it in rotation. */
  readonly add: (service?: string) => Promise<PlumberService>;
  /** Waits until as many instances of the service are in rotation. */
  readonly untilInRotation: (count: number, service?: string) => Promise<void>;
  /** The id by which Consul and the gateway know it. */
  readonly idOf: (service: PlumberService, name?: string) => string;
}

interface ClusterTraits {
  /** Names of services, or the folder of one; each is started once. */
  readonly services: readonly string[];
  readonly routes: string;
  readonly more?: string;
  /** More of `discovery.consul`. */
  readonly consul?: string;
}

/** The name of the service that misbehaves on demand. */
export const MISBEHAVE = 'misbehave';

/** The configuration of discovery by this Consul. */
export function consulDiscovery(consul: ConsulAgent, more = ''): string {
  return `{ consul: { address: '${consul.url}', snapshot: roster.json${more && `, ${more}`} } }`;
}

/** Starts it all, and waits until the gateway has every instance in rotation. It ends with the test. */
export async function startCluster(t: TestContext, traits: ClusterTraits): Promise<Cluster> {
  const consul = await startConsulAgent(t);
  const start = async (service: string) => {
    const env = { CONSUL_HTTP_ADDR: consul.url, PENSTOCK_CONSUL_POLL_S: '1', PENSTOCK_CHECK_INTERVAL_S: '1' };
    const started = await startPlumberService(t, service === MISBEHAVE ? misbehave : service, { env });
    await started.event('registered');
    return started;
  };
  const services = await Promise.all(traits.services.map(start));
  const { routes, more = IDENTITY } = traits;
  const gateway = await startGatewayProcess(t, {
    ...{ routes, more, folder: aFolder(t), discovery: consulDiscovery(consul, traits.consul) },
  });

  const untilInRotation = (count: number, name = MISBEHAVE) =>
    until(async () => {
      const { instances } = await gateway.service(name);
      return instances.filter(({ state }) => state === 'in-rotation').length === count;
    }, `${count} of ${name} in rotation`);
  for (const name of new Set(traits.services)) {
    await untilInRotation(traits.services.filter(service => service === name).length, name);
  }
  const idOf = ({ port }: PlumberService, name = MISBEHAVE) => `${name}-${hostname()}-${port}`;

  return {
    ...{ consul, gateway, services, untilInRotation, idOf },
    async add(name = MISBEHAVE) {
      const added = await start(name);
      await until(async () => {
        const { instances } = await gateway.service(name);
        return instances.some(({ id, state }) => id === idOf(added, name) && state === 'in-rotation');
      }, 'the new instance is in rotation');
      return added;
    },
  };
}

/** The field that proves who calls. */
export function bearer(subject: string, claims: Readonly<Record<string, unknown>> = {}): { authorization: string } {
  const exp = Math.floor(Date.now() / 1000) + 3_600;
  const all = { iss: 'penstock-dev', aud: 'penstock', sub: subject, exp, ...claims };
  return { authorization: `Bearer ${aToken({ alg: 'HS256' }, all, hmac(SECRET))}` };
}

const CALLERS = ['alice', 'bob', 'carol', 'dave'].map(name => bearer(name));

/** A prediction of its own, by one of several callers in turn, that comes back as it was sent. */
export function anEcho(path: string): (number: number) => LoadCall {
  return number => ({
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json', ...CALLERS[number % CALLERS.length] },
    body: `[{"n":${number}}]`,
    expected: `[{"n":${number}}]`,
  });
}

/** What a route of misbehaving R processes may cost: short enough to be seen in a test. */
export const PATIENCE = 'timeout: 60s, retry: { attemptTimeout: 1s }';

/** Routes to misbehaving R processes: /pure may be repeated, /once may not. */
export function misbehavingRoutes(service = '', { hangMax = '4s' } = {}): string {
  return `
services: { ${MISBEHAVE}: { hangMax: ${hangMax}, health: { interval: 1s }, queue: { depthMax: 256, waitMax: 30s }${service && `, ${service}`} } }
routes:
  - { id: pure, uri: 'lb://${MISBEHAVE}', predicates: ['Path=/pure/**'], filters: ['StripPrefix=1'], pure: true, ${PATIENCE} }
  - { id: once, uri: 'lb://${MISBEHAVE}', predicates: ['Path=/once/**'], filters: ['StripPrefix=1'], timeout: 60s }
`;
}

/** The same where calls are in hand for as long as a test likes. */
export const PATIENT_ROUTES = misbehavingRoutes('', { hangMax: '5m' });

/** The text of the roster's snapshot; undefined when there is none yet. */
export function snapshotOf(gateway: GatewayProcess): string | undefined {
  try {
    return readFileSync(join(gateway.folder, 'roster.json'), 'utf8');
  } catch {
    return undefined;
  }
}
