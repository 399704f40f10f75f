import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { GatewayAudit } from './compose-audit.ts';
import type { Plugins } from './compose-plugins.ts';
import type { Batching } from './compose-batching.ts';
import type { Validation } from './compose-validation.ts';
import type { MadeRoutes } from './config/compile.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import { hasError, problemLine } from './config/problem.ts';
import type { Discovery } from './compose-discovery.ts';
import type { ReloadOutcome } from './domain/operating/admin.ts';
import type { Observe } from './domain/events.ts';
import type { Life } from './domain/operating/life.ts';
import type { Clock, Random } from './domain/clock.ts';
import type { Deadlines } from './domain/deadlines.ts';
import type { Transport } from './domain/upstream.ts';
import type { ServiceRegistry } from './domain/service/service-registry.ts';
import { reportStatus } from './domain/discovery/status-text.ts';
import { readText, watchFiles, whyUnread } from './edges/config-file.ts';
import { watchConsulPeers } from './edges/consul-service.ts';
import {
  createConsulRegistration,
  type ConsulRegistration,
  advertisedAddress,
  type HostPort,
} from './edges/consul-registration.ts';
import { checkConsulVersion } from './edges/consul-client.ts';
import type { AdminServer } from './edges/express/admin.ts';
import type { GatewayServer } from './edges/express/server.ts';
import type { HealthChecks } from './edges/health-checks.ts';
import type { Metrics } from './edges/prom-client.ts';
import { becomeUser, canWrite, isRoot, makeFolderFor, type Account } from './edges/user.ts';
import type { Generations, RoutesNow } from './reload.ts';

/** The gateway as a whole: it starts, reloads, drains and ends. */
export interface Gateway {
  readonly observe: Observe;
  /** Listens, looks for instances, and registers; resolves with where it listens, rejects when it cannot. */
  start(): Promise<{ readonly callers: HostPort; readonly admin: HostPort }>;
  reload(reason: string): Promise<ReloadOutcome>;
  /** Unready, grace, refuse, finish what is in hand within the timeout, deregister, stop what was started. */
  drain(): Promise<void>;
  /** Lets go of everything, calls that wait too. */
  stopNow(): void;
}

interface GatewayParts {
  readonly audit: GatewayAudit;
  readonly limits: { close(): Promise<void> };
  readonly jobs: { open(): Promise<void>; close(withinMs: number): Promise<void> };
  readonly config: GatewayConfig;
  readonly files: { readonly gateway: string; readonly texts: ReadonlyMap<string, string> };
  /** Reads the routes file as it is now. */
  readonly readRoutes: (inForce: MadeRoutes) => Promise<RoutesNow>;
  readonly account: Account | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: Observe;
  readonly life: Life;
  readonly deadlines: Deadlines;
  readonly generations: Generations;
  readonly registry: ServiceRegistry;
  readonly discovery: Discovery;
  readonly transport: Transport;
  readonly batching: Batching;
  readonly identity: { start(): void; close(): Promise<void> };
  readonly validation: Pick<Validation, 'close'>;
  readonly plugins: Pick<Plugins, 'close'>;
  readonly server: GatewayServer;
  readonly admin: AdminServer;
  readonly checks: HealthChecks;
  readonly metrics: Metrics;
}

/** The order in which the parts begin and end. */
export function createGateway(parts: GatewayParts): Gateway {
  const { config, clock, observe, life, generations, server, admin, audit } = parts;
  let registration: ConsulRegistration | undefined;
  let peers: ReturnType<typeof composePeers>;
  let watch: ReturnType<typeof watchFiles> | undefined;
  let versionCheck: ReturnType<typeof composeVersionCheck>;

  const reload = (reason: string) => reloadBecause(parts, reason);

  /** Everything that would keep the process, or a call waiting. */
  async function release(): Promise<void> {
    watch?.close();
    for (const each of [parts.batching, parts.validation, parts.plugins]) each.close();
    for (const each of [peers, versionCheck]) each?.close();
    await Promise.allSettled([parts.checks.close(), registration?.close(), parts.identity.close()]);
    parts.registry.close();
    await Promise.allSettled([parts.discovery.close(), parts.transport.close()]);
    await admin.close();
    parts.deadlines.close();
    parts.metrics.close();
    await Promise.allSettled([parts.limits.close(), audit.close()]);
  }

  return {
    observe,
    async start() {
      observe({ kind: 'process', phase: 'starting', note: 'opening the listeners' });
      // First the ports: a second gateway by mistake must not start R processes before it notices.
      const [callers, operators] = [await server.listen(), await admin.listen()];
      const about = { callers: toText(callers), admin: toText(operators) };
      observe({ kind: 'notice', level: 'info', text: 'listening', about });
      changeUser(parts); // before anything is started: R is that user's as well
      await audit.open(); // by the user it runs as; nothing has been called yet
      generations.begin();
      await parts.jobs.open(); // by the user it runs as, too; a caller is told meanwhile that it cannot be
      parts.identity.start();
      const more = () => generations.current().source.texts ?? NO_FILES;
      watch = watchFiles({ files: parts.files.texts, more, onChange: file => onSaved(parts, file, reload) });
      registration = composeRegistration(parts, callers);
      registration?.start();
      peers = composePeers(parts, registration);
      versionCheck = composeVersionCheck(parts);
      if (config.identity === undefined) warnOfOpenness(observe);
      life.opened();
      return { callers, admin: operators };
    },
    reload,
    async drain() {
      const { graceMs, timeoutMs } = config.drain;
      life.advance('draining', `unready for ${graceMs} ms, then finishing within ${timeoutMs} ms`);
      void registration?.refresh();
      await new Promise<void>(resolve => clock.after(graceMs, resolve));
      life.advance('refusing', `${server.inFlight} in hand`);
      server.refuse();
      await Promise.all([server.close(timeoutMs), parts.jobs.close(timeoutMs)]);
      await release();
      life.advance('stopped', '');
    },
    stopNow() {
      void server.close(0);
      void parts.jobs.close(0);
      void release();
    },
  };
}

const NO_FILES: ReadonlyMap<string, string> = new Map();

function reloadBecause({ audit, generations, observe }: GatewayParts, reason: string): Promise<ReloadOutcome> {
  observe({ kind: 'notice', level: 'info', text: 'reload', about: { reason } });
  return audit.reload(generations, { by: 'file', from: null, what: `reload: ${reason}` });
}

function toText({ host, port }: HostPort): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function onSaved(
  { files, observe }: GatewayParts,
  file: string,
  reload: (reason: string) => Promise<ReloadOutcome>,
): void {
  if (file === files.gateway && readText(file) === undefined) {
    observe({ kind: 'notice', level: 'warn', text: `the file cannot be read: ${whyUnread(file)}`, about: { file } });
  } else if (file === files.gateway) observe({ kind: 'restart-needed', file });
  else void reload(`${file} was saved`);
}

function composeRegistration(parts: GatewayParts, callers: HostPort): ConsulRegistration | undefined {
  const { consul } = parts.config.discovery;
  if (consul?.register !== true) return undefined;
  const { life, registry } = parts;
  return createConsulRegistration({
    ...parts,
    config: { address: consul.address, token: consul.token?.reveal() },
    advertise: advertisedAddress(callers, consul.advertise),
    report: () =>
      reportStatus(
        registry.services().map(service => service.view()),
        life.phase !== 'starting' && life.phase !== 'ready',
        registry.peers.gateways.filter(id => id !== registry.peers.self),
      ),
  });
}

function composeVersionCheck(parts: GatewayParts) {
  const { consul } = parts.config.discovery;
  if (consul === undefined) return undefined;
  return checkConsulVersion({ ...parts, config: { address: consul.address, token: consul.token?.reveal() } });
}

/** A gateway that is not in Consul is counted by no other gateway, and need count none. */
function composePeers(parts: GatewayParts, registration: ConsulRegistration | undefined) {
  const { consul } = parts.config.discovery;
  if (consul === undefined || registration === undefined) return undefined;
  const { address, emptyHoldMs, token } = consul;
  return watchConsulPeers({
    ...parts,
    config: { address, emptyHoldMs, token: token?.reveal() },
    self: registration.id,
    onPeers: met => {
      parts.registry.meet(met);
      void registration.refresh();
    },
  });
}

function changeUser({ account, config, readRoutes, generations, observe }: GatewayParts): void {
  if (account === undefined) {
    const text = 'the gateway, and R that it starts, run as root: `user` says whom to become';
    if (isRoot()) observe({ kind: 'notice', level: 'warn', text, about: { key: 'user' } });
    return;
  }
  const { name: user, uid } = account;
  if (uid === 0) return; // `user: root`: so it is meant
  for (const { file } of writtenFiles(config)) makeFolderFor(account, dirname(file));
  becomeUser(account);
  observe({ kind: 'notice', level: 'info', text: 'runs as another user from here on', about: { user } });
  for (const { key, file } of writtenFiles(config).filter(({ isReplaced, ...of }) => !canWrite(of.file, isReplaced))) {
    const text = `${user} cannot write what \`${key}\` names: give that user its folder, or name a file in another`;
    observe({ kind: 'notice', level: 'warn', text, about: { file } });
  }
  void readRoutes(generations.current().source.routes).then(({ problems }) => {
    const [problem] = problems.filter(found => hasError([found]));
    if (problem === undefined) return;
    const text = 'what was read as root cannot be read as this user: a reload will be refused';
    observe({ kind: 'notice', level: 'warn', text, about: { user, problem: problemLine(problem) } });
  });
}

interface Written {
  readonly key: string;
  readonly file: string;
  /** A draft beside it takes its place: it may be another user's. */
  readonly isReplaced: boolean;
}

/** What the gateway writes, by the key that names it. The file of the limits is there by now, where it is of use. */
function writtenFiles({ audit, jobs, limits, discovery: { consul } }: GatewayConfig): readonly Written[] {
  const named = [
    { key: 'audit.file', file: audit?.file, isReplaced: false },
    { key: 'discovery.consul.snapshot', file: consul?.snapshot, isReplaced: true },
    { key: 'limits.file', file: existsSync(limits.file) ? limits.file : undefined, isReplaced: true },
    { key: 'jobs.folder', file: jobs && join(jobs.folder, 'jobs.db'), isReplaced: false },
  ];
  return named.flatMap(({ file, ...of }) => (file === undefined ? [] : [{ file, ...of }]));
}

function warnOfOpenness(observe: Observe): void {
  const text = 'no identity is configured: every caller that reaches this gateway may call every route';
  observe({ kind: 'notice', level: 'warn', text, about: { key: 'identity' } });
}
