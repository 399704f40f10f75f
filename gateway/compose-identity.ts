import type { IdentityConfig, IssuerConfig } from './config/gateway-config.ts';
import { Schemes, type Scheme } from './domain/admission/scheme.ts';
import type { Clock } from './domain/clock.ts';
import type { Observe } from './domain/events.ts';
import { JwtScheme, type TrustedIssuer } from './edges/jsonwebtoken.ts';
import { KeySet } from './edges/jwks.ts';
import type { TrustedKey } from './edges/token-keys.ts';

interface IdentityParts {
  readonly identity: IdentityConfig | undefined;
  readonly clock: Clock;
  readonly observe: Observe;
}

/** How old the keys of an issuer are that publishes them. */
export interface KeysAge {
  readonly issuer: string;
  readonly ageSeconds: number;
}

/** By what callers say who they are, and what keeps that up to date. */
export interface ComposedIdentity {
  readonly schemes: Schemes;
  readonly keysAges: () => readonly KeysAge[];
  close(): void;
}

/** The schemes by which callers say who they are. Without an identity no route asks, and there are none. */
export function composeIdentity({ identity, clock, observe }: IdentityParts): ComposedIdentity {
  const schemes: Scheme[] = [];
  const keySets: { readonly issuer: string; readonly keySet: KeySet }[] = [];
  if (identity !== undefined && identity.jwt.length > 0) schemes.push(composeJwt(identity));

  function composeJwt({ jwt, tokenBytesMax }: IdentityConfig): JwtScheme {
    const onGone = (keys: ReadonlySet<TrustedKey>) => scheme.forget(keys);
    const issuers = jwt.map((config): TrustedIssuer => {
      const issuer = { ...config, secret: config.secret?.reveal(), isFetched: isFetched(config) };
      if (!issuer.isFetched) return issuer;
      const { algorithms, jwks: url, jwksStaleMsMax: staleMsMax } = config;
      const keySet = new KeySet({ issuer: config.issuer, algorithms, url, staleMsMax, clock, observe, onGone });
      keySets.push({ issuer: config.issuer, keySet });
      return { ...issuer, keySet };
    });
    const scheme = new JwtScheme({ issuers, tokenBytesMax, clock, onOtherSecret: createHints(clock, observe) });
    return scheme;
  }

  return {
    schemes: new Schemes(schemes),
    keysAges: () =>
      keySets.flatMap(({ issuer, keySet: { ageSeconds } }) =>
        ageSeconds === undefined ? [] : [{ issuer, ageSeconds }],
      ),
    close() {
      for (const { keySet } of keySets) keySet.close();
    },
  };
}

function isFetched({ jwks, discovery }: IssuerConfig): boolean {
  return jwks !== undefined || discovery;
}

const HINT_EVERY_MS = 60_000;

/** Says it once a minute: many callers have such tokens at once. */
function createHints(clock: Clock, observe: Observe): (issuer: string, hint: string) => void {
  const toldMs = new Map<string, number>(); // as many as there are issuers
  return (issuer, hint) => {
    if (clock.nowMs() - (toldMs.get(issuer) ?? -Infinity) < HINT_EVERY_MS) return;
    toldMs.set(issuer, clock.nowMs());
    observe({ kind: 'notice', level: 'warn', text: `a token was refused: ${hint}`, about: { issuer } });
  };
}
