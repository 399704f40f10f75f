import type { Admitted, Call, Matched } from '../domain/call.ts';
import type { Clock, Random } from '../domain/clock.ts';
import { GatewayError } from '../domain/errors.ts';
import { isPreflight } from '../domain/http/cors.ts';
import { fieldOf } from '../domain/http/fields.ts';
import { findForFile, prefersAsync, takesJobs } from '../domain/jobs/job-route.ts';
import type { Route } from '../domain/route.ts';
import type { RouteTable } from '../domain/routing/route-table.ts';
import type { JobApi } from './job-api.ts';
import type { Match } from './match.ts';

interface DoorPorts {
  /** Below which jobs are made and looked at, without a slash at the end. */
  readonly path: string;
  readonly match: Match;
  readonly table: () => RouteTable<Route>;
  readonly api: JobApi;
  readonly clock: Clock;
  readonly random: Random;
}

const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Finds the route of a call, as `match` does, and makes those its own that are about jobs: one that would rather be told
 * where its answer will be, a file that is brought, and looks at jobs. They are admitted as their route says, each time.
 */
export function createJobDoor(ports: DoorPorts): Match {
  const { path, match, api } = ports;
  return function matchWithJobs(call) {
    if (call.path.startsWith(path) && isBelow(call.path, path)) return matchOwn(ports, call);
    const matched = match(call);
    const { route, variables } = matched;
    if (call.method !== 'POST' || !takesJobs(route)) return matched;
    if (route.policy.async !== 'always' && !prefersAsync(call.fields)) return matched;
    call.disarm(); // a file takes as long as it comes
    return taken(call, route, admitted => api.create(admitted, { route, path: call.path, variables }));
  };
}

function matchOwn(ports: DoorPorts, call: Call): Matched {
  call.wallMs = ports.clock.wallMs();
  call.isPreflight = call.method === 'OPTIONS' && isPreflight(call.fields);
  const method = call.isPreflight ? fieldOf(call.fields, 'access-control-request-method') : call.method;
  const [name = '', ...rest] = call.path.slice(ports.path.length + 1).split('/');
  return method === 'POST'
    ? matchFile(ports, call, [name, ...rest])
    : matchJob(ports, call, { id: name, rest, method });
}

/** A file for a route that is named. */
function matchFile({ table, api, random }: DoorPorts, call: Call, segments: readonly string[]): Matched {
  const { method, path: callPath, query, fields, host, peerAddress, callerAddress, wallMs } = call;
  const { route, path, variables } = findForFile(
    table(),
    { method, path: callPath, query, fields, host, peerAddress, callerAddress, wallMs },
    { segments, random },
  );
  return taken(call, route, admitted => api.create(admitted, { route, path, variables }));
}

interface JobRequest {
  readonly id: string;
  /** What stands behind it in the path. */
  readonly rest: readonly string[];
  readonly method: string | undefined;
}

function matchJob({ table, api }: DoorPorts, call: Call, { id, rest, method = '' }: JobRequest): Matched {
  const routeId = ID.test(id) ? api.routeOf(id) : undefined;
  const route = table().routes.find(each => each.id === routeId);
  const isResult = rest.length === 1 && rest[0] === 'result';
  if (route === undefined || (rest.length > 0 && !isResult)) throw new GatewayError('NO_JOB', 'no such job');
  const action = isResult ? OF_RESULTS.get(method) : OF_JOBS.get(method);
  if (action === undefined) {
    const allow = isResult ? 'GET, HEAD' : 'GET, HEAD, DELETE';
    throw new GatewayError('METHOD_NOT_ALLOWED', `${method} of a job`, { fields: ['Allow', allow] });
  }
  return taken(call, withoutLimits(route), admitted => api[action](admitted, id));
}

type JobAction = 'show' | 'result' | 'remove';

const OF_JOBS: ReadonlyMap<string, JobAction> = new Map([
  ['GET', 'show'],
  ['HEAD', 'show'],
  ['DELETE', 'remove'],
]);

const OF_RESULTS: ReadonlyMap<string, JobAction> = new Map([
  ['GET', 'result'],
  ['HEAD', 'result'],
]);

function isBelow(path: string, front: string): boolean {
  return path.length === front.length || path.charAt(front.length) === '/';
}

/** The call goes as far as `admit` by the rules of its route, and then on here. */
function taken(call: Call, route: Route, goOn: (call: Admitted) => void): Matched {
  const prepare = () => goOn(call as Admitted);
  const policy = { ...route.policy, isStream: false, compress: false, countsRows: false };
  const door = { ...route, policy, filters: [], preparing: [{ name: 'jobs', text: 'jobs', prepare }] };
  return call.matched(door, call.variables);
}

/** A look at a job costs the model nothing. */
function withoutLimits(route: Route): Route {
  return { ...route, policy: { ...route.policy, limits: [] } };
}
