import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { compose } from '../../gateway/compose.ts';
import type { Log } from '../../gateway/edges/winston.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import { loadRoutesApart } from '../../gateway/load-apart.ts';
import { isUsable, judgedBy, loadContract } from '../../gateway/load.ts';
import { call, type CallTraits, type Received } from './call.ts';
import { createGatewayLog, type GatewayLog } from './log-lines.ts';
import { operatorOf, type Operator } from './operator.ts';
import { until } from './until.ts';

/** What a test may say of its gateway. */
export interface GatewayTraits {
  /** The services that `discovery.static` knows, and where their instances are. */
  readonly services?: Readonly<Record<string, readonly string[]>>;
  /** What `discovery.local` starts, in YAML: one entry each. */
  readonly local?: readonly string[];
  /** routes.yaml. */
  readonly routes: string;
  /** More of gateway.yaml. */
  readonly more?: string;
  /** More of `admin`, and how its operator says who they are. */
  readonly admin?: { readonly yaml: string; readonly headers: Readonly<Record<string, string>> };
  /** More of `listen`. */
  readonly listen?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** How long what is left in hand may take when the test is over. */
  readonly idleMsMax?: number;
}

/** The whole gateway, in this process. */
export interface ComposedGateway extends Operator {
  readonly gateway: Gateway;
  readonly url: string;
  readonly port: number;
  readonly log: GatewayLog;
  readonly routesFile: string;
  call(path: string, traits?: CallTraits): Promise<Received>;
  /** The access lines so far. */
  requests(): ReturnType<GatewayLog['of']>;
}

/**
 * Starts the whole gateway on free ports. When the test is over it must be idle: every permit back, no call in a queue,
 * and, once it has drained, no socket, watcher or timer of it left.
 */
export async function startGateway(t: TestContext, traits: GatewayTraits): Promise<ComposedGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-flow-'));
  mkdirSync(join(folder, 'config')); // what it keeps beside it, as `../.state`, is this test's
  const file = join(folder, 'config', 'gateway.yaml');
  const routesFile = join(folder, 'config', 'routes.yaml');
  writeFileSync(file, gatewayYaml(traits));
  writeFileSync(routesFile, traits.routes);
  const before = openHandles();

  const env = traits.env ?? {};
  const contract = loadContract(file, env);
  assert.ok(isUsable(contract), JSON.stringify(contract.problems, undefined, 2));
  const { gateway: config, routes, problems, secrets, texts } = contract;
  assert.ok(config !== undefined && routes !== undefined);
  const log = createGatewayLog();
  const { gateway, log: written } = compose({
    ...{
      config,
      env,
      account: undefined,
      serveCommand: fileURLToPath(new URL('../../plumber-services/serve.sh', import.meta.url)),
      stdout: log.stream,
      version: '0.0.0',
      node: process.version,
    },
    routes: { routes, problems, secrets },
    readRoutes: inForce => loadRoutesApart({ ...judgedBy(config), routesFile: config.routes, variables: env }, inForce),
    files: { gateway: file, texts },
  });
  const { callers, admin } = await gateway.start();
  const url = `http://127.0.0.1:${callers.port}`;
  const operator = operatorOf(`http://127.0.0.1:${admin.port}`, traits.admin?.headers);

  let isDraining = false; // by the test: there is nothing left to ask
  const drain = () => {
    isDraining = true;
    return gateway.drain();
  };

  t.after(async () => {
    try {
      if (!isDraining) await operator.untilIdle(traits.idleMsMax ?? 10_000);
      assert.deepEqual(log.of('internal-error'), []);
    } finally {
      if (!isDraining) await gateway.drain();
      await written.close();
      rmSync(folder, { recursive: true });
    }
    await untilNothingIsLeft(before);
  });

  return {
    ...{
      ...operator,
      gateway: { ...gateway, drain },
      url,
      port: callers.port,
      log: upToDate(log, written),
      routesFile,
    },
    call: (path, callTraits) => call(`${url}${path}`, callTraits),
    requests: () => upToDate(log, written).of('request'),
  };
}

/** The log with all that has happened: the gateway holds its lines for a moment. */
function upToDate(log: GatewayLog, written: Log): GatewayLog {
  return {
    ...log,
    get lines() {
      written.flush();
      return log.lines;
    },
    of(event) {
      written.flush();
      return log.of(event);
    },
  };
}

function gatewayYaml({ services = {}, local = [], more = '', listen = '', admin }: GatewayTraits): string {
  const known = Object.entries(services).map(([service, instances]) => JSON.stringify({ service, instances }));
  return `listen: { host: 127.0.0.1, port: 0${listen === '' ? '' : `, ${listen}`} }
admin: { port: 0${admin === undefined ? '' : `, ${admin.yaml}`} }
discovery: { static: [${known.join(', ')}], local: [${local.join(', ')}] }
${more.includes('drain:') ? '' : 'drain: { grace: 0s, timeout: 1s }'}
${more}`;
}

/** What keeps a process alive and could be left behind: sockets, servers, watchers, timers. */
function openHandles(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

const WATCHED = ['TCPSocketWrap', 'TCPServerWrap', 'FSEventWrap', 'TLSWrap', 'Timeout'];

async function untilNothingIsLeft(before: ReadonlyMap<string, number>): Promise<void> {
  let left: [string, number][] = [];
  const isClean = () => {
    const now = openHandles();
    left = WATCHED.map((kind): [string, number] => [kind, (now.get(kind) ?? 0) - (before.get(kind) ?? 0)]);
    return left.every(([, more]) => more <= 0);
  };
  await until(isClean, 'no handle left').catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(left)}`);
  });
}
