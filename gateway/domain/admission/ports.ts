import type { Limit, RouteSpec } from '../route.ts';
import type { Tally } from './limits.ts';

/** Counts one request against one of a route's limits, under a key. */
export type CountLimit = (route: RouteSpec, limit: Limit, key: string) => Tally;
