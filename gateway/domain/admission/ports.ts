import type { Caller } from '../caller.ts';
import type { Limit, RouteSpec } from '../route.ts';
import type { TokenFault } from './bearer.ts';
import type { Tally } from './limits.ts';

/** What verifying a token came to. */
export type TokenFinding =
  { readonly kind: 'valid'; readonly caller: Caller } | { readonly kind: 'refused'; readonly fault: TokenFault };

/** Tells whose a bearer token is, or why it is not taken. It never throws for what a token contains. */
export type VerifyToken = (token: string) => TokenFinding | Promise<TokenFinding>;

/** Counts one request against one of a route's limits, under a key. */
export type CountLimit = (route: RouteSpec, limit: Limit, key: string) => Tally;
