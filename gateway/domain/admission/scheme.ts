import type { Call } from '../call.ts';
import type { Caller } from '../caller.ts';
import type { Auth, SchemeName } from '../route.ts';
import type { CredentialFault } from './challenge.ts';
import type { LookedFor } from './scopes.ts';
import { ambiguous, readCredential, type Credential } from './credential.ts';

/** What judging a credential came to. */
export type Finding =
  { readonly kind: 'valid'; readonly caller: Caller } | { readonly kind: 'refused'; readonly fault: CredentialFault };

/**
 * One way for callers to say who they are.
 *
 * What it found of a credential it remembers, in bounded room and under a keyed hash, never under the credential, and
 * answers at once the next time; of a new credential it may promise an answer. A promise is rejected with a GatewayError
 * where nothing can be found out.
 */
export interface Scheme {
  readonly name: SchemeName;
  /** True for a credential of its form. */
  takes(credential: Credential): boolean;
  /** Whose the credential is, or why it is not taken. It never throws for what a credential contains. */
  identify(credential: Credential, call: Call): Finding | Promise<Finding>;
  /** Where it looked for scopes and roles of such a caller. */
  lookedFor?(caller: Caller): LookedFor | undefined;
  /** What a call brings of it elsewhere than in `Authorization`: a field of its own, the connection's certificate. */
  brought?(call: Call): Credential | undefined;
  /** Counts only where the call brings nothing else: a certificate is the connection's, whoever calls over it. */
  readonly standsBack?: boolean;
}

/**
 * The schemes of a gateway. A credential belongs to the first that takes its form.
 *
 * The common way, one credential in `Authorization`, costs one look at the list.
 */
export class Schemes {
  readonly #all: readonly Scheme[];
  /** Those whose credentials may stand elsewhere; mostly none. */
  readonly #elsewhere: readonly Scheme[];

  constructor(schemes: readonly Scheme[]) {
    this.#all = schemes;
    this.#elsewhere = schemes.filter(scheme => 'brought' in scheme);
  }

  /** What a call presents to a route that takes these schemes. BAD_REQUEST where that would be a guess. */
  credentialOf(call: Call, auth: Auth): Credential {
    const said = readCredential(call.fields);
    return this.#elsewhere.length === 0 ? said : this.#choose(said, call, auth);
  }

  /** Undefined: no scheme takes it. */
  of(credential: Credential): Scheme | undefined {
    for (const scheme of this.#all) if (scheme.takes(credential)) return scheme;
    return undefined;
  }

  /** Of what stands elsewhere, only what the route takes is looked at. */
  #choose(said: Credential, call: Call, auth: Auth): Credential {
    let chosen = said;
    let isTaken = said.kind !== 'none' && auth.allow.some(name => this.of(said)?.name === name);
    for (const scheme of this.#elsewhere) {
      if (!auth.allow.includes(scheme.name) || (scheme.standsBack === true && chosen.kind !== 'none')) continue;
      const found = scheme.brought?.(call);
      if (found === undefined) continue;
      if (isTaken) throw ambiguous('The request has more than one credential that this route takes.');
      chosen = found;
      isTaken = true;
    }
    return chosen;
  }
}
