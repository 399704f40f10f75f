import { composeIdentity } from './compose-identity.ts';
import type { GatewayConfig, IdentityConfig } from './config/gateway-config.ts';
import { refuseAddress } from './domain/http/address-range.ts';
import { limitKey, limitName, NO_TALLIES, planLimits, type RouteLimit } from './domain/admission/limits.ts';
import type { Credential, Finding, Scheme, Schemes } from './domain/admission/scheme.ts';
import { parseToken } from './domain/admission/token.ts';
import type { Matched } from './domain/call.ts';
import type { Caller, SchemeName } from './domain/caller.ts';
import { toGatewayError } from './domain/errors.ts';
import type { ExplainInput } from './domain/operating/admin.ts';
import { INFERENCE_FILE, INFERENCE_SERVICE } from './domain/inference/rpc-form.ts';
import { explainedCall, type ExplainParts } from './domain/operating/explain.ts';
import type { InferenceDoor } from './domain/operating/explain-transcoded.ts';
import type { AddressRules } from './domain/route.ts';
import { systemClock as clock } from './edges/clock.ts';
import { readOwnProto } from './edges/protobufjs-own.ts';
import { createAdmit } from './stages/admit.ts';

/** What admission makes of a request. */
export interface AdmissionView {
  /** `not asked`: only a provider knows, and it was not asked. */
  readonly outcome: 'admitted' | 'refused' | 'not asked';
  /** By which scheme the credential is judged; `anonymous`: strangers may come; null: nothing was judged. */
  readonly scheme: SchemeName | 'anonymous' | null;
  readonly caller: Pick<Caller, 'id' | 'scopes' | 'roles'> | null;
  readonly refusal: { readonly status: number; readonly code: string; readonly detail: string } | null;
  /** The limits it would be counted against. */
  readonly limits: readonly CountedView[];
}

/** A limit, and what the request is counted under. */
export interface CountedView {
  readonly limit: string;
  /** Requests with the same are counted together; null: the caller, who is not known. */
  readonly key: string | null;
  readonly isEnforced: boolean;
}

interface AdmissionParts {
  readonly explain: ExplainParts;
  readonly schemes: Schemes;
  /** Those of gateway.yaml. */
  readonly addresses: AddressRules | undefined;
  /** Whether a credential would have to be asked about elsewhere, and is not. */
  readonly isLeft?: (scheme: Scheme, credential: Credential) => boolean;
}

/**
 * Puts a request through `admit` without counting it: who would be calling, and what they would be held to. Null where
 * there is no admission: no route answers, or it is a preflight.
 */
export function explainAdmission(input: ExplainInput, parts: AdmissionParts): Promise<AdmissionView | null> {
  return new Promise(resolve => {
    const call = explainedCall(input, parts.explain, (_call, failure) => end(failure));
    // Guesses made here are counted by themselves, so that they shut no address out.
    const judged = explainedCall({ ...input, address: 'explain' }, parts.explain, () => undefined);
    if (call === undefined || judged === undefined) {
      resolve(null);
      return;
    }
    const watch = new Watch(parts, call);
    const end = (failure: unknown) => resolve(watch.refused(failure));
    try {
      if (parts.addresses !== undefined) refuseAddress(parts.addresses, call);
      createAdmit(watch.portsFor(judged))(call, ({ caller }) => resolve(watch.admitted(caller)));
    } catch (error) {
      end(error);
    }
  });
}

/** Only its provider knows. */
class NotChecked extends Error {}

const HIDDEN = '[redacted]';

class Watch {
  readonly #parts: AdmissionParts;
  readonly #call: Matched;
  readonly #counted: CountedView[] = [];
  #scheme: SchemeName | null = null;

  constructor(parts: AdmissionParts, call: Matched) {
    this.#parts = parts;
    this.#call = call;
  }

  portsFor(judged: Matched): Parameters<typeof createAdmit>[0] {
    const { schemes } = this.#parts;
    return {
      limits: {
        planOf: planLimits,
        count: ({ limits, caller }) => {
          this.#count(limits, caller);
          return NO_TALLIES;
        },
        keep: () => undefined,
      },
      schemes: {
        credentialOf: (call, auth) => schemes.credentialOf(call, auth),
        of: credential => {
          const scheme = schemes.of(credential);
          return scheme && this.#watched(scheme, judged);
        },
      },
    };
  }

  admitted(caller: Caller): AdmissionView {
    this.#count(planLimits(this.#call.route).rows, caller);
    const scheme = caller.kind === 'anonymous' ? caller.kind : this.#scheme;
    return { ...{ outcome: 'admitted', scheme, refusal: null }, caller: viewOf(caller), limits: this.#counted };
  }

  refused(error: unknown): AdmissionView {
    const { caller } = this.#call;
    const known = { scheme: this.#scheme, caller: caller === undefined ? null : viewOf(caller), limits: this.#counted };
    if (error instanceof NotChecked) {
      this.#countUnknown();
      return { ...known, outcome: 'not asked', refusal: null };
    }
    const { status, code, detail } = toGatewayError(error);
    return { ...known, outcome: 'refused', refusal: { status, code, detail } };
  }

  #watched(scheme: Scheme, judged: Matched): Scheme {
    const identify = (credential: Credential): Finding | Promise<Finding> => {
      this.#scheme = scheme.name;
      // Refused as it would be, and not reported as one that leaked.
      if (credential.kind === 'key-in-url') return { kind: 'refused', fault: 'key-in-url' };
      if (this.#parts.isLeft?.(scheme, credential) === true) throw new NotChecked();
      return scheme.identify(credential, judged);
    };
    const takes = (credential: Credential) => scheme.takes(credential);
    return { name: scheme.name, identify, takes, lookedFor: caller => scheme.lookedFor?.(caller) };
  }

  #count(limits: readonly RouteLimit[], caller: Caller | undefined): void {
    for (const { limit } of limits) {
      const { by, isEnforced } = limit;
      const isHidden = by.kind === 'header' && this.#isSecret(by.name.toLowerCase());
      const key = by.kind === 'route' ? 'all calls of the route' : limitKey(by, this.#call, caller);
      this.#counted.push({ limit: limitName(limit), key: isHidden ? HIDDEN : key, isEnforced });
    }
  }

  #countUnknown(): void {
    const { late, rows } = planLimits(this.#call.route);
    for (const of of [...late, ...rows]) {
      const { limit } = of;
      if (limit.by.kind === 'route') this.#count([of], undefined);
      else this.#counted.push({ limit: limitName(limit), key: null, isEnforced: limit.isEnforced });
    }
  }

  #isSecret(lowerName: string): boolean {
    return ['authorization', 'cookie', this.#call.route.policy.auth?.keyField].includes(lowerName);
  }
}

function viewOf({ id, scopes, roles }: Caller): AdmissionView['caller'] {
  return { id, scopes, roles };
}

/** The same for a configuration of which no gateway runs: no provider is asked, and nothing is logged. */
export async function explainOffline(
  input: ExplainInput,
  { identity, addresses }: GatewayConfig,
  explain: ExplainParts,
): Promise<AdmissionView | null> {
  const composed = composeIdentity({ identity, addresses, clock, observe: () => undefined, changed: () => undefined });
  const isLeft = identity === undefined ? () => false : isLeftToProviders(identity);
  try {
    return await explainAdmission(input, { explain, schemes: composed.schemes, addresses: composed.addresses, isLeft });
  } finally {
    await composed.close();
  }
}

/** Which credentials a provider would have to be asked about: opaque tokens, passwords, and tokens of published keys. */
function isLeftToProviders({ jwt }: IdentityConfig): NonNullable<AdmissionParts['isLeft']> {
  const fetched = jwt.filter(({ jwks, discovery }) => jwks !== undefined || discovery).map(({ issuer }) => issuer);
  return ({ name }, credential) => {
    if (name === 'opaque' || name === 'ldap') return true;
    const parsed = credential.kind === 'bearer' ? parseToken(credential.token) : 'malformed';
    return typeof parsed !== 'string' && fetched.includes(parsed.issuer);
  };
}

/** Read with the first request that is explained, and kept: its file never changes. */
let inferenceMethods: InferenceDoor['methods'];

/** The door of the Open Inference Protocol, as far as it is known from gateway.yaml alone. */
export function inferenceDoor({ inference }: Pick<GatewayConfig, 'inference'>): InferenceDoor | undefined {
  return (
    inference && {
      path: inference.path,
      methods: inference.grpc
        ? (inferenceMethods ??= readOwnProto(INFERENCE_FILE, INFERENCE_SERVICE).methods)
        : undefined,
    }
  );
}
