import type { z } from 'zod';
import type { RoutePolicy } from '../domain/route.ts';
import { isRepeatable } from '../domain/service/retry.ts';
import type { ServicePolicy } from '../domain/service.ts';
import type { Complain, KeyPath } from './problem.ts';
import type { GatewayFile } from './schema/gateway.ts';
import { Service } from './schema/service.ts';
import { sizeText } from './units.ts';
import { RoutePolicyKeys, type WrittenPolicy } from './schema/route-policy.ts';

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
