import { badCredential, missingCredential } from '../admission/challenge.ts';
import type { Finding, Scheme, Schemes } from '../admission/scheme.ts';
import { Call } from '../call.ts';
import type { Caller } from '../caller.ts';
import type { Clock } from '../clock.ts';
import { Deadlines } from '../deadlines.ts';
import type { RawFields } from '../http/fields.ts';
import type { Auth } from '../route.ts';

/** A request of the admin listener, as far as it says who it is from. */
export interface AdminApproach {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly fields: RawFields;
  readonly address: string;
  /** The same for each request of a connection. */
  readonly connection: object;
}

/**
 * Who sends a request to the admin listener, by the schemes of `identity`. UNAUTHENTICATED where it brings no credential
 * that these take, or a bad one; and all that a scheme throws on a route.
 */
export type IdentifyAdmin = (approach: AdminApproach) => Caller | Promise<Caller>;

/** By all of these schemes, as on a route that takes each of them. */
export function createIdentifyAdmin(schemes: Schemes, clock: Clock): IdentifyAdmin {
  const named = schemes.names.filter(name => name !== 'mtls' && name !== 'jwt'); // the listener has no TLS
  const allow: Auth['allow'] = ['jwt', ...named]; // its own tokens are asked for as JWTs are
  const auth: Auth = { allow, scopes: [], roles: [], forwardToken: false };
  const deadlines = new Deadlines(clock); // which no such call has: a scheme has a bound of its own
  return approach => {
    const call = callOf(approach, { clock, deadlines });
    const credential = schemes.credentialOf(call, auth);
    const scheme = schemes.of(credential);
    if (scheme === undefined) throw missingCredential(auth);
    const finding = scheme.identify(credential, call);
    return finding instanceof Promise ? finding.then(found => callerOf(scheme, found)) : callerOf(scheme, finding);
  };
}

function callerOf({ name }: Scheme, finding: Finding): Caller {
  if (finding.kind === 'valid') return finding.caller;
  throw badCredential(name, finding.fault);
}

interface CallParts {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
}

/** What schemes look at; it is answered by the admin listener, and goes nowhere. */
function callOf(approach: AdminApproach, { clock, deadlines }: CallParts): Call {
  const { id, method, path, query, fields, address, connection } = approach;
  const call = new Call(
    {
      ...{ id, method, path, query, hasQuery: query !== '', fields, scheme: 'http', host: '' },
      ...{ peerAddress: address, callerAddress: address, isPeerTrusted: false, isUpgrade: false, httpVersion: '1.1' },
      body: { length: 0, read: NOTHING, leave: NOTHING },
      wire: { connection, send: NOTHING, interim: NOTHING, destroy: NOTHING },
      refusal: undefined,
    },
    { arrivedMs: clock.nowMs(), back: { answered: NOTHING, failed: NOTHING, over: NOTHING }, deadlines },
  );
  call.wallMs = clock.wallMs();
  return call;
}

const NOTHING = () => undefined;
