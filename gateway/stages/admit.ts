import { badCredential, insufficientScope, missingCredential } from '../domain/admission/challenge.ts';
import { refuseAddress } from '../domain/http/address-range.ts';
import { answerProtocol } from '../domain/admission/credential-places.ts';
import { NO_TALLIES, type Limits, type RouteLimit, type Tally } from '../domain/admission/limits.ts';
import { isPermitted, lackOf, type Finding, type Scheme, type Schemes } from '../domain/admission/scheme.ts';
import type { Admitted, Matched } from '../domain/call.ts';
import { anonymousCaller, type Caller } from '../domain/caller.ts';
import type { Auth } from '../domain/route.ts';

/** What admission asks. */
interface AdmitPorts {
  readonly schemes: Pick<Schemes, 'credentialOf' | 'of'>;
  readonly limits: Pick<Limits, 'planOf' | 'count' | 'keep'>;
}

/** Decides who is calling, whether they may, and whether too often; goes on with calls that are admitted. */
export type Admit = (call: Matched, next: (call: Admitted) => void) => void;

/**
 * Admission by each route's `auth` and `limits`.
 *
 * What refuses strangers counts strangers, before anything is verified, so that a flood of bad tokens costs no
 * signature; what protects R counts calls that got in. What was counted is told to the caller, however it ends.
 */
export function createAdmit({ schemes, limits }: AdmitPorts): Admit {
  return function admit(call, next) {
    const { limits: written, addresses } = call.route.policy;
    if (addresses !== undefined) refuseAddress(addresses, call);
    if (written.length === 0) {
      authenticate({ call, late: NO_LIMITS, before: NO_TALLIES, next });
      return;
    }
    const { early, late } = limits.planOf(call.route);
    const before = early.length === 0 ? NO_TALLIES : limits.count({ call, limits: early, before: NO_TALLIES });
    if (before instanceof Promise) call.awaits(before, counted => authenticate({ call, late, before: counted, next }));
    else authenticate({ call, late, before, next });
  };

  function authenticate(arriving: Arriving): void {
    const identified = identify(arriving.call);
    if ('finding' in identified) letInLater(arriving, identified);
    else letIn(arriving, identified);
  }

  function letInLater(arriving: Arriving, { scheme, finding }: Pending): void {
    const { call } = arriving;
    call.awaits(finding, found => letIn(arriving, callerOf(call, scheme, found)));
  }

  function letIn(arriving: Arriving, caller: Caller): void {
    const { call, late, before } = arriving;
    const counted = late.length === 0 ? before : limits.count({ call, limits: late, before, caller });
    if (counted instanceof Promise) call.awaits(counted, tallies => goOn(arriving, caller, tallies));
    else goOn(arriving, caller, counted);
  }

  function goOn({ call, next }: Arriving, caller: Caller, tallies: readonly Tally[]): void {
    if (call.route.policy.countsRows) limits.keep(call, tallies);
    if (call.route.policy.auth?.from !== undefined) answerProtocol(call);
    next(call.admitted(caller));
  }

  /** Known at once, but for a credential that has to be asked about elsewhere. */
  function identify(call: Matched): Caller | Pending {
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
}

/** A call whose caller is about to be known. */
interface Arriving {
  readonly call: Matched;
  /** Counted once the caller is known. */
  readonly late: readonly RouteLimit[];
  readonly before: readonly Tally[];
  readonly next: (call: Admitted) => void;
}

/** A scheme that asks about the credential elsewhere. */
interface Pending {
  readonly scheme: Scheme;
  readonly finding: Promise<Finding>;
}

const NO_LIMITS: readonly RouteLimit[] = [];

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
