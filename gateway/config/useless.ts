import type { z } from 'zod';
import type { RoutePolicy, Auth, Limit, Pace } from '../domain/route.ts';
import { isRepeatable } from '../domain/service/retry.ts';
import type { ServicePolicy } from '../domain/service.ts';
import type { Complain, KeyPath } from './problem.ts';
import type { GatewayFile } from './schema/gateway.ts';
import { Service } from './schema/service.ts';
import { sizeText } from './units.ts';
import { RoutePolicyKeys, type WrittenPolicy } from './schema/route-policy.ts';
import { limitName } from '../domain/admission/limits.ts';

/** A bound on bodies that a RequestSize filter sets, and where it stands. */
export interface RequestSize {
  readonly bytesMax: number;
  /** Undefined among the default filters: there it may be for other routes. */
  readonly path: KeyPath | undefined;
}

interface Route {
  readonly path: KeyPath;
  readonly complain: Complain;
  /** What the route itself says; what `defaults` say may be for others. */
  readonly written: WrittenPolicy;
  readonly policy: RoutePolicy;
  /** From the Method predicate; undefined: any. */
  readonly methods: readonly string[] | undefined;
  readonly requestSizes: readonly RequestSize[];
  /** A filter answers, and no instance is asked. */
  readonly answersItself: boolean;
  /** Whether gateway.yaml has a `redis`; undefined: not known. */
  readonly redisConfigured?: boolean | undefined;
}

type Key = keyof WrittenPolicy;

/** What is as if it were not written tells nothing. */
const UNWRITTEN_POLICY = RoutePolicyKeys.parse({});
const UNWRITTEN_SERVICE = Service.parse({});

/** What is for an answer of an instance that is taken in whole. */
const OF_CALLS: readonly Key[] = [
  'answer',
  'batch',
  'cache',
  'coalesce',
  'compress',
  'csv',
  'grpc',
  'priority',
  'pure',
  'retry',
  'rserve',
  'validate',
  'varyBy',
];

/** Warns of what a route says that has no effect in its place. */
export function warnOfUseless(route: Route): void {
  warnOfInstanceKeys(route);
  warnOfCallerKeys(route);
}

/** What a route says of calls to instances. */
function warnOfInstanceKeys(route: Route): void {
  const { written, policy, path, complain, answersItself } = route;
  const warn = (keys: readonly Key[], why: string) => {
    for (const key of keys.filter(each => each in written)) {
      complain({
        path: [...path, key],
        severity: 'warning',
        message: `has no effect: ${why}`,
        isAboutKey: true,
      });
    }
  };
  if (answersItself) {
    warn([...OF_CALLS, 'stream', 'streamIdle'], 'RedirectTo answers, and no instance is asked');
    return;
  }
  warnOfSizes(route);
  if (policy.isStream) warn([...OF_CALLS, 'timeout'], 'the route is a stream');
  else {
    if (policy.streamIdleMs !== UNWRITTEN_POLICY.streamIdle) warn(['streamIdle'], 'the route is no stream');
    warnOfRetry(route);
  }
}

/** The smaller bound holds, and the one of `body.max` is there even where it is not written. */
function warnOfSizes({ written, policy, requestSizes, path, complain }: Route): void {
  const least = policy.isStream ? policy.streamBodyBytesMax : policy.bodyBytesMax;
  for (const { bytesMax, path: place } of requestSizes) {
    if (bytesMax <= least || place === undefined) continue;
    const message = `RequestSize has no effect: a body is refused beyond ${sizeText(least)}`;
    const hint = `write \`body: { max: ${sizeText(bytesMax)} }\` on the route`;
    complain({ path: place, severity: 'warning', message, hint });
  }
  if (written.body === undefined || written.body.max <= least) return;
  const message = `has no effect: RequestSize refuses a body beyond ${sizeText(least)}`;
  complain({ path: [...path, 'body', 'max'], severity: 'warning', message });
}

function warnOfRetry({ written: { retry }, policy, methods, path, complain }: Route): void {
  if (retry === undefined) return;
  const flaw = retryFlaw(retry, { policy, methods });
  if (flaw === undefined) return;
  const { keys, ...words } = flaw;
  complain({ path: [...path, 'retry', ...keys], severity: 'warning', ...words });
}

type Retry = NonNullable<WrittenPolicy['retry']>;

function retryFlaw(
  { attempts, on, budgetPercent }: Retry,
  { policy, methods = [] }: Pick<Route, 'policy' | 'methods'>,
) {
  if (attempts === 1) {
    if (budgetPercent === UNWRITTEN_POLICY.retry.budgetPercent) return undefined;
    return { keys: ['budgetPercent'], message: 'has no effect: one attempt is made, and no retry' };
  }
  if (on.length === 0) return { keys: ['on'], message: 'repeats nothing: the list is empty' };
  if (methods.length === 0 || methods.some(method => isRepeatable(method, policy.isPure))) return undefined;
  const what = `repeats ${methods.join(' and ')} only where no connection was made`;
  const message = on.includes('connect-failure') ? what : `has no effect: the gateway ${what}`;
  return { keys: [], message, hint: PURE_HINT };
}

const PURE_HINT = 'write `pure: true` if calling the model twice does no harm';

/** Warns of what a service's entry says that has no effect on the routes that lead to it. */
export function warnOfUselessKeys(
  name: string,
  policy: ServicePolicy,
  { hasStreams, complain }: { readonly hasStreams: boolean; readonly complain: Complain },
): void {
  const warn = (keys: KeyPath, message: string) =>
    complain({ path: ['services', name, ...keys], severity: 'warning', message, isAboutKey: true });
  if (!hasStreams && policy.streamsMax !== UNWRITTEN_SERVICE.streamsMax)
    warn(['streamsMax'], 'has no effect: no route to it is a stream');
  if (policy.queueDepthMax === 0 && policy.queueWaitMsMax !== UNWRITTEN_SERVICE.queue.waitMax) {
    warn(['queue', 'waitMax'], 'has no effect: `depthMax: 0` lets no request wait');
  }
}

type GatewaySettings = z.output<typeof GatewayFile>;

/** Warns of what gateway.yaml says that has no effect beside what else it says. */
export function warnOfUselessSettings(
  { discovery: { consul }, admin, identity }: GatewaySettings,
  complain: Complain,
): void {
  const warn = (path: KeyPath, why: string) =>
    complain({ path, severity: 'warning', message: `has no effect: ${why}`, isAboutKey: true });
  if (consul?.register === false && consul.advertise !== undefined) {
    warn(['discovery', 'consul', 'advertise'], '`register: false`');
  }
  const hasRoles = Object.values(admin.access?.roles ?? {}).some(names => names.length > 0);
  if (hasRoles && identity === undefined) warn(['admin', 'access', 'roles'], 'without `identity` no caller has a role');
}

/** What a route says of its callers, and how much they may. */
function warnOfCallerKeys(route: Route): void {
  const { written, policy, path, complain } = route;
  written.limits?.forEach((limit, at) => {
    for (const { key, message } of limitFlaws(limit, route)) {
      complain({ path: [...path, 'limits', at, ...key], severity: 'warning', message, isAboutKey: true });
    }
    const first = written.limits?.findIndex(other => limitName(other) === limitName(limit)) ?? at;
    if (first === at) return;
    const message = `says the same as the one in place ${first + 1}: calls are counted once`;
    complain({ path: [...path, 'limits', at], severity: 'warning', message });
  });
  if (written.auth?.from === undefined || policy.auth === undefined) return;
  const message = placesFlaw(policy.auth, policy);
  if (message !== undefined)
    complain({ path: [...path, 'auth', 'from'], severity: 'warning', message, isAboutKey: true });
}

interface LimitFlaw {
  /** Empty: the limit itself. */
  readonly key: readonly string[];
  readonly message: string;
}

function limitFlaws(limit: Limit, { policy, redisConfigured }: Route): LimitFlaw[] {
  const flaws = [
    limit.pace && waitFlaw(limit.pace, policy),
    limit.cost === 'rows' && limit.pace === undefined ? rowsFlaw(limit, policy) : undefined,
  ];
  if (redisConfigured === false && limit.onStoreFailure !== 'allow') {
    const message = 'has no effect: limits are this gateway’s own, since gateway.yaml has no `redis`';
    flaws.push({ key: ['onStoreFailure'], message });
  }
  return flaws.filter(flaw => flaw !== undefined);
}

function waitFlaw({ waitMsMax, depthMax }: Pace, { isStream, timeoutMs }: RoutePolicy): LimitFlaw | undefined {
  if (depthMax === 0 && waitMsMax !== UNWRITTEN_WAIT_MS) {
    return { key: ['waitMax'], message: 'has no effect: `depthMax: 0` lets no call wait' };
  }
  if (isStream || waitMsMax <= timeoutMs) return undefined;
  return { key: ['waitMax'], message: 'is longer than `timeout`, which ends a call that waits before' };
}

function rowsFlaw({ rate }: Limit, { validate }: RoutePolicy): LimitFlaw | undefined {
  if (validate === undefined || validate.rowsMax <= rate) return undefined;
  return { key: ['rate'], message: `lets no call with more rows pass, and \`validate\` takes ${validate.rowsMax}` };
}

const UNWRITTEN_WAIT_MS = 2_000;

/** Only tokens stand elsewhere than in a field of their own, and only a WebSocket has subprotocols. */
function placesFlaw({ allow, from = [] }: Auth, { isStream }: RoutePolicy): string | undefined {
  const isElsewhere = from.some(({ kind }) => kind !== 'header');
  if (isElsewhere && !allow.includes('jwt') && !allow.includes('opaque')) {
    return 'has no effect: the route takes no tokens, and no other credential stands there';
  }
  const isOfSockets = from.some(({ kind }) => kind === 'protocol');
  return isOfSockets && !isStream
    ? '`protocol` has no effect: a route without `stream: true` has no WebSockets'
    : undefined;
}
