import type { Credential } from '../domain/admission/scheme.ts';
import { createFindingCache } from '../domain/admission/scheme.ts';
import type { Guessing } from '../domain/admission/guessing.ts';
import { readBasic, rolesOfGroups, type NameAndPassword } from '../domain/admission/ldap.ts';
import type { Finding, Scheme } from '../domain/admission/scheme.ts';
import type { Call } from '../domain/call.ts';
import { knownCaller } from '../domain/caller.ts';
import type { Clock } from '../domain/clock.ts';
import { GatewayError } from '../domain/errors.ts';
import { keyedDigest } from './digest.ts';
import type { DirectoryAnswer } from './ldapts.ts';

interface LdapOptions {
  /** Rejects where nothing can be found out. */
  readonly check: (who: NameAndPassword) => Promise<DirectoryAnswer>;
  /** Names of groups, in lower case, and the role each gives. */
  readonly roles: ReadonlyMap<string, string>;
  readonly cacheMs: number;
  readonly clock: Clock;
  readonly guessing: Guessing | undefined;
  readonly onFailure: (problem: string) => void;
}

const CACHED_MAX = 10_000;
const UNDER_WAY_MAX = 1_000;
/** A refusal is told on the next stroke of this, so that its time does not tell a known name from an unknown one. */
const REFUSAL_STEP_MS = 100;
const WRONG: Finding = { kind: 'refused', fault: 'wrong-password' };

/**
 * People of the house: HTTP Basic, judged by a bind as the caller.
 *
 * A right password is cached for `cacheFor` under a keyed hash, never as it is; a wrong one is not. One check at a
 * time for a name and password, however many calls bring them.
 */
export class LdapScheme implements Scheme {
  readonly name = 'ldap';
  readonly #options: LdapOptions;
  readonly #cache = createFindingCache(CACHED_MAX);
  readonly #underWay = new Map<string, Promise<Finding>>();
  readonly #digest = keyedDigest();

  constructor(options: LdapOptions) {
    this.#options = options;
  }

  takes({ kind }: Credential): boolean {
    return kind === 'basic';
  }

  identify(credential: Credential, call: Call): Finding | Promise<Finding> {
    const encoded = credential.kind === 'basic' ? credential.encoded : '';
    const { clock, guessing } = this.#options;
    const digest = this.#digest(encoded);
    const known = this.#cache.find(digest, clock.wallMs());
    if (known !== undefined) return known;
    const who = readBasic(encoded);
    if (who === undefined) return WRONG;
    const bind = () => this.#underWay.get(digest) ?? this.#begin(who, digest);
    return guessing === undefined ? bind() : guessing.judge({ address: call.callerAddress, subject: who.user }, bind);
  }

  #begin(who: NameAndPassword, digest: string): Promise<Finding> {
    if (this.#underWay.size >= UNDER_WAY_MAX) return Promise.reject(unavailable('too many names at once'));
    const bound = this.#bind(who, digest).finally(() => this.#underWay.delete(digest));
    this.#underWay.set(digest, bound);
    return bound;
  }

  async #bind(who: NameAndPassword, digest: string): Promise<Finding> {
    const { check, clock, cacheMs, onFailure, roles } = this.#options;
    const beganMs = clock.nowMs();
    const answer = await check(who).catch((error: unknown) => {
      const problem = error instanceof Error ? error.message : 'unknown';
      onFailure(problem);
      throw unavailable(problem);
    });
    if (answer.kind === 'wrong') {
      const tookMs = clock.nowMs() - beganMs;
      const waitMs = Math.ceil((tookMs + 1) / REFUSAL_STEP_MS) * REFUSAL_STEP_MS - tookMs;
      await new Promise<void>(resolve => clock.after(waitMs, resolve));
      return WRONG;
    }
    const granted = { scopes: [], roles: rolesOfGroups(answer.groups, roles) };
    const caller = knownCaller('ldap', { issuer: 'ldap', subject: nameOf(who.user), ...granted });
    const finding = { kind: 'valid', caller } as const;
    this.#cache.keep(digest, { finding, endsMs: clock.wallMs() + cacheMs });
    return finding;
  }
}

/** A directory takes several spellings for one name (RFC 4518): so are they one caller. */
function nameOf(user: string): string {
  return user.normalize('NFKC').trim().replace(/\s+/g, ' ').toLowerCase();
}

function unavailable(message: string): GatewayError {
  return new GatewayError('IDENTITY_UNAVAILABLE', `directory: ${message}`, { retryAfterMs: 1_000 });
}
