import { inCounts, inMs } from './figures.ts';
import type { Results } from './results.ts';
import type { Row } from './summary.ts';

/** Contestants of one make, by how their ids begin. */
const MAKES = [
  ['direct', 'no proxy'],
  ['nginx', 'nginx'],
  ['haproxy', 'HAProxy'],
  ['http-proxy-middleware', 'http-proxy-middleware'],
  ['penstock', '**Penstock**'],
] as const;

/** One table of what was measured: a line for each load, a column for each make, in the setting that served it best. */
export function peersTable({ races }: Results): string {
  const lines = races.flatMap(({ title, connections, rows }) => connections.map(count => toLine(title, count, rows)));
  return [
    `| | callers | ${MAKES.map(([, title]) => title).join(' | ')} |`,
    `|---|--:|${'--:|'.repeat(MAKES.length)}`,
    ...lines,
  ].join('\n');
}

function toLine(title: string, connections: number, rows: readonly Row[]): string {
  const cells = MAKES.map(([prefix]) => {
    const own = rows.filter(row => row.connections === connections && row.contestant.id.startsWith(prefix));
    const [best] = own.toSorted((a, b) => b.perSecond - a.perSecond);
    return best === undefined ? '' : `${inCounts(best.perSecond)}/s, ${inMs(best.p50Ms)}, ${inMs(best.p99Ms)}`;
  });
  return `| ${[title, inCounts(connections), ...cells].join(' | ')} |`;
}
