import type { RoutePolicy } from '../domain/route.ts';
import { isRepeatable } from '../domain/service/retry.ts';
import type { ServicePolicy } from '../domain/service/service-policy.ts';
import type { WrittenPolicy } from './parse-routes.ts';
import type { Complain, KeyPath } from './problem.ts';
import { RoutePolicyKeys } from './schema/route-policy.ts';
import { Service } from './schema/service.ts';
import { sizeText } from './units.ts';

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
const OF_CALLS: readonly Key[] = ['answer', 'batch', 'cache', 'coalesce', 'priority', 'pure', 'retry', 'varyBy'];

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
  if (policy.isStream) warn([...OF_CALLS, 'timeout'], 'the route is a stream');
  else warn(['streamIdle'], 'the route is no stream');
  if (policy.isStream) return;
  warnOfSizes(route);
  warnOfRetry(route);
}

/** The smaller bound holds, and the one of `body.max` is there even where it is not written. */
function warnOfSizes({ written, policy, requestSizes, path, complain }: Route): void {
  const least = policy.bodyBytesMax;
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

function warnOfRetry({ written, policy, methods, path, complain }: Route): void {
  const { retry } = written;
  if (retry === undefined) return;
  const warn = (key: string, why: string, hint?: string) =>
    complain({ path: [...path, 'retry', ...(key === '' ? [] : [key])], severity: 'warning', message: why, hint });
  if (retry.attempts === 1) {
    if (retry.budgetPercent !== UNWRITTEN_POLICY.retry.budgetPercent)
      warn('budgetPercent', 'has no effect: one attempt is made, and no retry');
    return;
  }
  if (retry.on.length === 0) warn('on', 'repeats nothing: the list is empty');
  const isNeverRepeated = methods?.every(method => !isRepeatable(method, policy.isPure)) ?? false;
  if (!isNeverRepeated || retry.on.length === 0) return;
  const list = methods?.join(' and ') ?? '';
  const why = retry.on.includes('connect-failure')
    ? `repeats ${list} only where no connection was made`
    : `has no effect: ${list} is repeated only where no connection was made`;
  warn('', why, 'write `pure: true` if calling the model twice does no harm');
}

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
