import { badToken, insufficientScope, missingCredential, readCredential } from '../domain/admission/bearer.ts';
import { anonymousCaller, type Caller } from '../domain/caller.ts';
import { GatewayError } from '../domain/errors.ts';
import { learn, type Admitted, type Matched, type Stages } from '../domain/exchange.ts';
import { inCountingOrder, isEarly, limitKey, limitName, oweRateLimit, type Tally } from '../domain/admission/limits.ts';
import type { LimitCounter, VerifyToken } from '../domain/ports.ts';
import type { Auth, Limit, Route } from '../domain/route.ts';
import { isPermitted } from '../domain/admission/scopes.ts';

/** What admission asks. */
interface AdmitPorts {
  readonly verifyToken: VerifyToken;
  readonly limits: LimitCounter;
}

interface LimitPlan {
  readonly early: readonly Limit[];
  readonly late: readonly Limit[];
}

/**
 * Decides who is calling, whether they may, and whether too often.
 *
 * Addresses and the route as a whole are counted first, so that a flood of bad tokens costs no signature; callers are
 * counted last, when they are known and permitted. What was counted is owed to the caller, however it ends.
 */
export function createAdmit({ verifyToken, limits }: AdmitPorts): Stages['admit'] {
  const plans = new WeakMap<Route, LimitPlan>();

  return async function admit(matched) {
    const { route, notes } = matched;
    if (route.policy.limits.length === 0) return identify(matched, verifyToken);

    const { early, late } = planOf(route);
    const tallies: Tally[] = [];
    const countAll = async (some: readonly Limit[], caller?: Caller) => {
      for (const limit of some) {
        const tally = await limits.count(route, limit, limitKey(limit.by, matched, caller));
        tallies.push(tally);
        if (tally.isExceeded) throw tooMany(tally, route);
      }
    };

    try {
      await countAll(early);
      const admitted = await identify(matched, verifyToken);
      await countAll(late, admitted.caller);
      return admitted;
    } finally {
      oweRateLimit(notes.owedFields, tallies);
    }
  };

  function planOf(route: Route): LimitPlan {
    const known = plans.get(route);
    if (known !== undefined) return known;
    const ordered = inCountingOrder(route.policy.limits);
    const plan = { early: ordered.filter(isEarly), late: ordered.filter(limit => !isEarly(limit)) };
    plans.set(route, plan);
    return plan;
  }
}

/** Who is known is noted at once: the log names them even where they are refused. */
async function identify(matched: Matched, verifyToken: VerifyToken): Promise<Admitted> {
  const { auth } = matched.route.policy;
  const stranger = anonymousCaller(matched.callerAddress);
  if (auth === undefined) return learn(matched, { caller: stranger });

  const credential = readCredential(matched.rawHeaders);
  if (credential.kind === 'bearer') {
    const finding = await verifyToken(credential.token);
    if (finding.kind === 'refused') throw badToken(finding.fault);
    if (auth.allow.includes('jwt')) return permitted(learn(matched, { caller: finding.caller }), auth);
  }
  if (credential.kind === 'foreign' && !isLeftToService(auth)) throw missingCredential(auth.scopes);
  if (!auth.allow.includes('anonymous') || !isPermitted(auth, stranger)) throw missingCredential(auth.scopes);
  return learn(matched, { caller: stranger });
}

/** A route that asks for no scheme of ours and passes the credential on leaves judging it to the service. */
function isLeftToService(auth: Auth): boolean {
  return auth.forwardToken && !auth.allow.includes('jwt');
}

function permitted(admitted: Admitted, auth: Auth): Admitted {
  const { caller } = admitted;
  if (!isPermitted(auth, caller)) throw insufficientScope(caller.id, auth.scopes);
  return admitted;
}

function tooMany({ limit, resetsInMs }: Tally, route: Route): GatewayError {
  return new GatewayError('RATE_LIMITED', `over ${limitName(limit)} of route ${route.id}`, {
    retryAfterMs: resetsInMs,
    detail: `More than ${limit.rate} requests in the window of this limit (${limitName(limit)}).`,
  });
}
