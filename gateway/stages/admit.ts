import { badCredential, insufficientScope, missingCredential } from '../domain/admission/challenge.ts';
import { refuseAddress } from '../domain/admission/addresses.ts';
import { answerProtocol } from '../domain/admission/credential-places.ts';
import {
  inCountingOrder,
  isEarly,
  limitKey,
  limitName,
  rateLimitFields,
  type Tally,
  type CountLimit,
} from '../domain/admission/limits.ts';
import { isPermitted, lackOf, type Finding, type Scheme, type Schemes } from '../domain/admission/scheme.ts';
import type { Admitted, Matched } from '../domain/call.ts';
import { anonymousCaller, type Caller } from '../domain/caller.ts';
import { GatewayError } from '../domain/errors.ts';
import type { Auth, Limit, Route } from '../domain/route.ts';

/** What admission asks. */
interface AdmitPorts {
  readonly schemes: Schemes;
  readonly countLimit: CountLimit;
}

/** Decides who is calling, whether they may, and whether too often; goes on with who is admitted. */
export type Admit = (call: Matched, next: (call: Admitted) => void) => void;

interface LimitPlan {
  readonly early: readonly Limit[];
  readonly late: readonly Limit[];
}

/**
 * Admission by each route's `auth` and `limits`.
 *
 * What refuses strangers counts strangers, before anything is verified, so that a flood of bad tokens costs no
 * signature; what protects R counts who got in. What was counted is told to the caller, however it ends.
 */
export function createAdmit({ schemes, countLimit }: AdmitPorts): Admit {
  const plans = new WeakMap<Route, LimitPlan>();

  return function admit(call, next) {
    const { limits, addresses } = call.route.policy;
    if (addresses !== undefined) refuseAddress(addresses, call);
    const plan = limits.length === 0 ? undefined : planOf(call.route);
    let before = NO_TALLIES;
    if (plan !== undefined && plan.early.length > 0) before = countAll({ call, limits: plan.early, before });
    const arriving = { call, limits: plan?.late ?? NO_LIMITS, before, next };
    const identified = identify(call);
    if ('finding' in identified) letInLater(arriving, identified);
    else letIn(arriving, identified);
  };

  function letIn({ call, limits, before, next }: Arriving, caller: Caller): void {
    if (limits.length > 0) countAll({ call, limits, before, caller });
    if (call.route.policy.auth?.from !== undefined) answerProtocol(call);
    next(call.admitted(caller));
  }

  function letInLater(arriving: Arriving, { scheme, finding }: Asked): void {
    const { call } = arriving;
    call.awaits(finding, found => letIn(arriving, callerOf(call, scheme, found)));
  }

  function countAll({ call, limits, before, caller }: Counting): readonly Tally[] {
    let tallies = before;
    try {
      for (const limit of limits) {
        const tally = countLimit(call.route, limit, limitKey(limit.by, call, caller));
        tallies = tallies.length === 0 ? [tally] : [...tallies, tally]; // mostly one: room for more would be waste
        if (tally.isExceeded) throw tooMany(tally, call.route);
      }
      return tallies;
    } finally {
      call.replyFields = rateLimitFields(tallies); // there are no others yet
    }
  }

  /** Known at once, but for a credential that has to be asked about elsewhere. */
  function identify(call: Matched): Caller | Asked {
    const { auth } = call.route.policy;
    if (auth === undefined) return anonymousCaller(call.callerAddress);
    const credential = schemes.credentialOf(call, auth);
    const scheme = schemes.of(credential);
    if (scheme === undefined || !isJudged(scheme, auth)) {
      if (credential.kind !== 'none' && !isLeftToService(auth)) throw missingCredential(auth);
      return stranger(call, auth);
    }
    const finding = scheme.identify(credential, call);
    return finding instanceof Promise ? { scheme, finding } : callerOf(call, scheme, finding);
  }

  function planOf(route: Route): LimitPlan {
    const known = plans.get(route);
    if (known !== undefined) return known;
    const ordered = inCountingOrder(route.policy.limits);
    const plan = { early: ordered.filter(isEarly), late: ordered.filter(limit => !isEarly(limit)) };
    plans.set(route, plan);
    return plan;
  }
}

/** A call whose caller is about to be known. */
interface Arriving {
  readonly call: Matched;
  /** Counted once the caller is known. */
  readonly limits: readonly Limit[];
  readonly before: readonly Tally[];
  readonly next: (call: Admitted) => void;
}

/** A scheme that asks about the credential elsewhere. */
interface Asked {
  readonly scheme: Scheme;
  readonly finding: Promise<Finding>;
}

interface Counting {
  readonly call: Matched;
  readonly limits: readonly Limit[];
  /** Counted so far. */
  readonly before: readonly Tally[];
  readonly caller?: Caller;
}

const NO_TALLIES: readonly Tally[] = [];
const NO_LIMITS: readonly Limit[] = [];

/** A token that can be judged here is, wherever it is brought: a bad one is refused even where strangers may come. */
function isJudged({ name }: Scheme, auth: Auth): boolean {
  return name === 'jwt' || auth.allow.includes(name);
}

/** A caller without a credential that counts here. */
function stranger(call: Matched, auth: Auth): Caller {
  const caller = anonymousCaller(call.callerAddress);
  if (!auth.allow.includes('anonymous') || !isPermitted(auth, caller)) throw missingCredential(auth);
  return caller;
}

/** A caller is noted at once: the log names them even where they are refused. */
function callerOf(call: Matched, scheme: Scheme, finding: Finding): Caller {
  const { auth = OPEN } = call.route.policy;
  if (finding.kind === 'refused') throw badCredential(scheme.name, finding.fault);
  if (!auth.allow.includes(scheme.name)) return stranger(call, auth);
  const { caller } = finding;
  call.caller = caller;
  if (isPermitted(auth, caller)) return caller;
  throw insufficientScope(caller, auth, lackOf(auth, caller, scheme.lookedFor?.(caller)) ?? '');
}

const OPEN: Auth = { allow: ['anonymous'], scopes: [], roles: [], forwardToken: false };

/** A route that asks for no scheme of ours and passes the credential on leaves judging it to the service. */
function isLeftToService(auth: Auth): boolean {
  return auth.forwardToken && auth.allow.every(name => name === 'anonymous');
}

function tooMany({ limit, resetsInMs }: Tally, route: Route): GatewayError {
  return new GatewayError('RATE_LIMITED', `over ${limitName(limit)} of route ${route.id}`, {
    retryAfterMs: resetsInMs,
    detail: `More than ${limit.rate} requests in the window of this limit (${limitName(limit)}).`,
  });
}
