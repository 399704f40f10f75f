import { z } from 'zod';
import { FILTER_NAMES, PREDICATE_NAMES } from './dialect-names.ts';
import { laterOf, withLater } from './later.ts';
import { RoutePolicyKeys } from './route-policy.ts';
import { text, whole } from './scalars.ts';
import { Service } from './service.ts';

const Args = z.record(z.string(), z.unknown()).describe('By name; or a list, under any name.');

function part(names: readonly string[], examples: string[], what: string) {
  const named = z.strictObject({ name: z.enum(names as [string, ...string[]]), args: Args.optional() });
  return z.union([z.string().meta({ examples }), named]).describe(what);
}

const Predicate = part(
  PREDICATE_NAMES,
  ['Path=/api/fuel/**', 'Method=GET,POST', 'Host=**.example.org', 'Header=X-Request-Id, \\d+', 'Query=red, gree.'],
  'A condition, as `Name=value, value` or with `name` and `args`.',
);

const Filter = part(
  FILTER_NAMES,
  ['StripPrefix=2', 'AddRequestHeader=X-Env, prod', 'RewritePath=/api/?(?<rest>.*), /$\\{rest}', 'PreserveHostHeader'],
  'A change, as `Name=value, value` or with `name` and `args`.',
);

/** What is Spring Cloud Gateway's of a route. */
export const DialectKeys = z.strictObject({
  id: text()
    .optional()
    .describe('Name of the route in logs and metrics. Made from its place in the file where not given.'),
  uri: text().describe(
    'Where it leads: lb://SERVICE, http://HOST:PORT or https://HOST:PORT; ws:// and lb:ws:// for streams.',
  ),
  order: whole(-2_147_483_648, 2_147_483_647)
    .default(0)
    .describe('Ascending; equal orders keep the file’s order. The first route whose predicates all hold wins.'),
  enabled: z.boolean().default(true).describe('False: as if it were not there.'),
  predicates: z.array(Predicate).default([]).describe('All must hold; none matches everything.'),
  filters: z.array(Filter).default([]).describe('Changes to request and reply, in order.'),
  metadata: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('Kept for other tools; of Spring’s, `response-timeout`, `connect-timeout` and `cors` are read.'),
});

/** A route: the dialect's keys and Penstock's. */
const RouteEntry = withLater(
  z.strictObject({ ...DialectKeys.shape, ...RoutePolicyKeys.shape }),
  laterOf(RoutePolicyKeys) ?? {},
);

/** Keys of a route that `defaults` cannot give. */
export const NOT_IN_DEFAULTS = ['id', 'uri', 'order', 'enabled', 'predicates', 'filters', 'metadata'];

/** The shape of routes.yaml: what operators edit. Its descriptions are the manual. */
export const RoutesFileShape = z.strictObject({
  defaults: RoutePolicyKeys.prefault({}).describe(
    'What a route may have, but id, uri, order, enabled, predicates and filters. A route’s own key replaces it whole.',
  ),
  'default-filters': z
    .array(Filter)
    .default([])
    .describe('Filters of every route, interleaved with its own: first default, first own, second default, …'),
  services: z
    .record(text(), Service)
    .default({})
    .describe('How to treat the instances behind lb://NAME. A name needs no entry.'),
  routes: z.array(RouteEntry).default([]).describe('In their order, the first whose predicates all hold answers.'),
});
