import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ensureServer } from '../../gateway/setup/servers.mjs';
import { ROOT } from '../../gateway/setup/state.mjs';
import type { Place } from '../place.ts';
import { applicationHere } from '../upstreams/plumber.ts';

/** The name by which the instances register. */
export const SERVICE = 'work';

/** A Consul agent whose data are in memory; gives its address. */
export async function startConsul(place: Place): Promise<string> {
  const [http, serf, rpc] = [await place.port(), await place.port(), await place.port()];
  const url = `http://127.0.0.1:${http}`;
  const ports = ['-http-port', http, '-serf-lan-port', serf, '-server-port', rpc].map(String);
  const off = ['-dns-port', '-1', '-grpc-port', '-1', '-serf-wan-port', '-1'];
  const started = place.start('consul', {
    program: await ensureServer('consul'),
    args: ['agent', '-dev', '-bind', '127.0.0.1', ...ports, ...off],
  });
  await place.until(started, async () => ((await bodyOf(`${url}/v1/status/leader`)) ?? '') !== '');
  return url;
}

/** Real R processes that take as long as they are asked to, without the processor, and register in Consul. */
export async function startR(place: Place, consul: string, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const temporary = place.path(`r-${i}.tmp`);
      mkdirSync(temporary);
      const started = place.start(`r-${i}`, {
        program: join(ROOT, 'plumber-services', 'serve.sh'),
        args: [applicationHere('mixed'), '--watch-stdin'],
        env: { CONSUL_HTTP_ADDR: consul, PENSTOCK_SERVICE_NAME: SERVICE, TMPDIR: temporary },
      });
      await place.until(started, () => started.log().includes('"event":"registered"'));
    }),
  );
}

/** A gateway as a process of its own. */
export interface Gateway {
  readonly url: string;
  /** What it says of its instances. */
  instances(): Promise<readonly { readonly state: string; readonly preferredBy: string | null }[]>;
}

/** Starts one; `register` makes it known to the others, and so share with them. */
export async function startGateway(
  place: Place,
  name: string,
  { consul, register }: { readonly consul: string; readonly register: boolean },
): Promise<Gateway> {
  const [port, adminPort] = [await place.port(), await place.port()];
  place.write(`${name}.routes.yaml`, ROUTES);
  const config = place.write(
    `${name}.yaml`,
    `listen: { host: 127.0.0.1, port: ${port} }
admin: { host: 127.0.0.1, port: ${adminPort} }
routes: ${name}.routes.yaml
discovery: { consul: { address: '${consul}', register: ${register}, snapshot: ${name}.json } }
log: { access: false }
drain: { grace: 0s, timeout: 5s }
`,
  );
  const started = place.start(name, {
    program: process.execPath,
    args: [join(ROOT, 'gateway', 'main.ts'), 'serve', '--config', config],
  });
  const admin = `http://127.0.0.1:${adminPort}`;
  await place.until(started, async () => (await bodyOf(`${admin}/readyz`)) !== undefined);
  return { url: `http://127.0.0.1:${port}`, instances: () => instancesAt(admin) };
}

const ROUTES = `
services: { ${SERVICE}: { queue: { depthMax: 10000, waitMax: 60s } } }
routes:
  - { id: work, uri: 'lb://${SERVICE}', predicates: ['Path=/work'], timeout: 60s }
`;

async function instancesAt(admin: string): Promise<Awaited<ReturnType<Gateway['instances']>>> {
  const response = await fetch(`${admin}/api/services`);
  const services = (await response.json()) as {
    service: string;
    instances: Awaited<ReturnType<Gateway['instances']>>;
  }[];
  return services.find(({ service }) => service === SERVICE)?.instances ?? [];
}

/** Undefined where it does not answer, or not well. */
async function bodyOf(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url);
    const text = await response.text();
    return response.ok ? text.replaceAll('"', '').trim() : undefined;
  } catch {
    return undefined;
  }
}
