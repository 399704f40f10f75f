import type { IdentityConfig } from './config/gateway-config.ts';
import { Schemes, type Scheme } from './domain/admission/scheme.ts';
import type { Clock } from './domain/clock.ts';
import { JwtScheme } from './edges/jsonwebtoken.ts';

interface IdentityParts {
  readonly identity: IdentityConfig | undefined;
  readonly clock: Clock;
}

/** The schemes by which callers say who they are. Without an identity no route asks, and there are none. */
export function composeIdentity({ identity, clock }: IdentityParts): Schemes {
  if (identity === undefined) return new Schemes([]);
  const schemes: Scheme[] = [];
  const { jwt, tokenBytesMax } = identity;
  const issuers = jwt.map(({ secret, ...issuer }) => ({ ...issuer, secret: secret?.reveal() }));
  schemes.push(new JwtScheme({ issuers, tokenBytesMax, clock }));
  return new Schemes(schemes);
}
