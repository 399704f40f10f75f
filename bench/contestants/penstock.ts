import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { ROOT } from '../../gateway/setup/state.mjs';
import { answers, type Place } from '../place.ts';
import { startNode } from '../process-figures.ts';
import { REHEARSAL, REHEARSAL_PREFIX, type Behind, type Contestant, type Front } from './contestant.ts';

const SET_UP = 'JWT (HS256) with scope, a limit by caller, metrics, access log, health checks and ejection on';

/** What one Penstock has that another has not. */
interface How {
  readonly id: string;
  readonly title: string;
  /** Of connections to its instances; the default, `auto`, if not given. */
  readonly reuse?: boolean;
  /** Lines of its route. */
  readonly route?: readonly string[];
  /** So many callers rehearse it before the instances themselves; undefined: as most do. */
  readonly rehearsesWith?: number;
}

/** Penstock with everything on that an operator would have on. */
export const penstock = contestantOf({ id: 'penstock', title: 'Penstock' });

/** The same with a fresh connection to an instance for each call. */
export const penstockFresh = contestantOf({ id: 'penstock-fresh', title: 'Penstock', reuse: false });

/** The same with connections that stay. */
export const penstockKept = contestantOf({ id: 'penstock-kept', title: 'Penstock, keep-alive', reuse: true });

/** Penstock that caches answers. */
export const penstockCaching = contestantOf({
  ...{ id: 'penstock-cache', title: 'Penstock, from its cache' },
  route: ['cache: { ttl: 1h }'],
});

/** Penstock that batches waiting calls. It can only rehearse that before a model which shows that it may. */
export const penstockBatching = contestantOf({
  ...{ id: 'penstock-batch', title: 'Penstock, batching' },
  route: ['batch: { sizeMax: 128 }'],
  rehearsesWith: 256,
});

/** Penstock in which equal calls share one, while it is in flight. */
export const penstockCoalescing = contestantOf({
  ...{ id: 'penstock-coalesce', title: 'Penstock, coalescing' },
  route: ['coalesce: true'],
});

/** The same, which also caches the answer for those who come a moment later. */
export const penstockSharing = contestantOf({
  ...{ id: 'penstock-coalesce-cache', title: 'Penstock, coalescing and caching' },
  route: ['coalesce: true', 'cache: { ttl: 10s }'],
});

function contestantOf(how: How): Contestant {
  const { id, title, reuse, route = [] } = how;
  const more = [`connection: { reuse: ${reuse ?? 'auto'} }`, ...route];
  return {
    ...{ id, title, kind: 'own' },
    setUp: [SET_UP, ...more.map(line => `\`${line}\``)].join('; '),
    start: (place, behind) => start(place, behind, how),
  };
}

const ISSUER = 'penstock-bench';
const AUDIENCE = 'penstock';

/** A token of this subject, which Penstock asks for. */
export function tokenOf(secret: string, subject: string): string {
  const claims = {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: subject,
    scope: 'predict',
    exp: Math.floor(Date.now() / 1000) + 86_400,
  };
  const input = [{ alg: 'HS256', typ: 'JWT' }, claims]
    .map(part => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

async function start(place: Place, behind: Behind, how: How): Promise<Front> {
  const { id: name } = how;
  const [port, adminPort] = [await place.port(), await place.port()];
  place.write(`${name}.routes.yaml`, routesOf(behind, how));
  const config = place.write(`${name}.yaml`, gatewayOf(behind, { name, port, adminPort }));
  const started = startNode(place, name, {
    args: [...profiling(name), join(ROOT, 'gateway', 'main.ts'), 'serve', '--config', config],
    env: { PENSTOCK_JWT_SECRET: behind.secret },
    core: behind.core,
  });
  await place.until(started, () => answers(`http://127.0.0.1:${adminPort}/readyz`, true));
  const { prefix } = behind;
  const { rehearsesWith: connections } = how;
  const rehearsal = connections === undefined ? REHEARSAL : { prefix, connections };
  return { addresses: [`127.0.0.1:${port}`], prefix, process: started, rehearsal };
}

/** With BENCH_PROFILE=FOLDER in the environment each Penstock leaves its profile there when it ends. */
function profiling(name: string): string[] {
  const folder = process.env['BENCH_PROFILE'];
  if (folder === undefined) return [];
  return ['--cpu-prof', `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${name}-${process.pid}-${Date.now()}.cpuprofile`];
}

interface Ports {
  readonly name: string;
  readonly port: number;
  readonly adminPort: number;
}

function gatewayOf({ instances, rehearsal }: Behind, { name, port, adminPort }: Ports): string {
  return `
listen: { host: 127.0.0.1, port: ${port} }
admin: { host: 127.0.0.1, port: ${adminPort} }
routes: ${name}.routes.yaml
discovery:
  static:
    - { service: measured, instances: [${instances.map(instance => `'http://${instance}'`).join(', ')}] }
    - { service: rehearsed, instances: ['http://${rehearsal}'] }
identity:
  jwt:
    - { issuer: ${ISSUER}, audience: ${AUDIENCE}, algorithms: [HS256], secret: '\${env:PENSTOCK_JWT_SECRET}' }
log: { level: info, access: true }
drain: { grace: 0s, timeout: 5s }
`;
}

function routesOf({ prefix, concurrency }: Behind, how: How): string {
  return `
services:
  measured: ${serviceOf(concurrency, how)}
  rehearsed: ${serviceOf(concurrency, how)}
routes:
${routeOf('measured', prefix, how)}${routeOf('rehearsed', REHEARSAL_PREFIX, how)}`;
}

function serviceOf(concurrency: number, { reuse }: How): string {
  return `{ concurrency: ${concurrency}${reuse === undefined ? '' : `, connection: { reuse: ${reuse} }`} }`;
}

function routeOf(service: string, prefix: string, { route = [] }: How): string {
  return `  - id: ${service}
    uri: lb://${service}
    predicates: ['Path=${prefix}/**', 'Method=GET,POST']
    filters: ['StripPrefix=${prefix.split('/').length - 1}']
    auth: { allow: [jwt], scopes: [predict] }
    limits: [{ rate: 10000000, per: 1s, by: caller }]
    pure: true
${route.map(line => `    ${line}\n`).join('')}`;
}
