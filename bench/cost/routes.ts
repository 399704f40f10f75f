import { remakeRoutes, routesToRemake } from '../../gateway/config/compile.ts';
import { parseRoutes } from '../../gateway/config/parse-routes.ts';
import { atOnce, createRouteTable } from '../../gateway/domain/routing/route-table.ts';
import { compileRegex } from '../../gateway/edges/re2js.ts';
import { routesOf, surroundings } from '../../test/support/configuration.ts';

/** What a step of taking a routes file takes of the processor. */
export interface FileRow {
  readonly what: string;
  readonly routes: number;
  /** The first time after a start, when V8 has compiled nothing. */
  readonly firstMs: number;
  /** The middle of the times after it. */
  readonly laterMs: number;
  /** What it may take, where something is expected. */
  readonly atMostMs: number | undefined;
}

const ROUTES = 10_000;
const ROUNDS = 7;

/** On the thread that answers calls, in slices of 10 ms. */
const MADE_MS_MAX = 500;

/** What 10,000 routes cost that are all new: what another thread does with them, and what the one that answers calls does. */
export function measureFile(): FileRow[] {
  const text = `routes:\n${Array.from({ length: ROUTES }, (_, i) => routeOf(i)).join('')}`;
  const file = parseRoutes(text, surroundings('routes.yaml'));
  const routes = routesToRemake(file, new Set());
  const inForce = { around: '', byKey: new Map(), policies: new Map() };
  const options = { identityConfigured: false, compileRegex, inForce };
  return [
    rowOf('read and judged, by another thread', () => routesOf(text), undefined),
    rowOf(
      'made, and put in an index',
      () => createRouteTable(atOnce(remakeRoutes(routes, file, options)).specs),
      MADE_MS_MAX,
    ),
  ];
}

const routeOf = (i: number) => `  - id: model-${i}
    uri: lb://service-${i % 50}
    predicates: ['Path=/api/team-${i % 100}/model-${i}/**', 'Method=GET,POST', 'Header=X-Tenant, [a-z]+']
    filters: [StripPrefix=3, 'AddRequestHeader=X-Model, ${i}']
    timeout: ${10 + (i % 20)}s
`;

function rowOf(what: string, work: () => unknown, atMostMs: number | undefined): FileRow {
  const [firstMs = NaN, ...later] = Array.from({ length: ROUNDS }, () => msOf(work));
  const laterMs = later.sort((a, b) => a - b)[Math.floor(later.length / 2)] ?? NaN;
  return { what, routes: ROUTES, firstMs, laterMs, atMostMs };
}

function msOf(work: () => unknown): number {
  const before = process.cpuUsage(); // of all threads of the process: those that collect and compile too
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
