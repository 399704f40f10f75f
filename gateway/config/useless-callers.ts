import { limitName } from '../domain/admission/limits.ts';
import type { Auth, Limit, Pace, RoutePolicy } from '../domain/route.ts';
import type { Complain, KeyPath } from './problem.ts';
import type { WrittenPolicy } from './schema/route-policy.ts';

interface Route {
  readonly path: KeyPath;
  readonly complain: Complain;
  /** What the route itself says; what `defaults` say may be for others. */
  readonly written: WrittenPolicy;
  readonly policy: RoutePolicy;
  /** Whether gateway.yaml has a `redis`; undefined: not known. */
  readonly redisConfigured?: boolean | undefined;
}

/** Warns of what a route says of its callers, and how much they may, that has no effect in its place. */
export function warnOfUselessToCallers(route: Route): void {
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

interface Flaw {
  /** Empty: the limit itself. */
  readonly key: readonly string[];
  readonly message: string;
}

function limitFlaws(limit: Limit, { policy, redisConfigured }: Route): Flaw[] {
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

function waitFlaw({ waitMsMax, depthMax }: Pace, { isStream, timeoutMs }: RoutePolicy): Flaw | undefined {
  if (depthMax === 0 && waitMsMax !== UNWRITTEN_WAIT_MS) {
    return { key: ['waitMax'], message: 'has no effect: `depthMax: 0` lets no call wait' };
  }
  if (isStream || waitMsMax <= timeoutMs) return undefined;
  return { key: ['waitMax'], message: 'is longer than `timeout`, which ends a call that waits before' };
}

function rowsFlaw({ rate }: Limit, { validate }: RoutePolicy): Flaw | undefined {
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
