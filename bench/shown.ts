import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../gateway/setup/state.mjs';
import { toSvg } from './chart.ts';
import { missedTable } from './expectations.ts';
import { inCounts, inMs, inUs } from './figures.ts';
import { toMarkdown } from './report.ts';
import { toJson, type Results } from './results.ts';
import type { Row } from './summary.ts';

/** Where the results of the last whole run are kept. */
export const RESULTS_FILE = join(ROOT, 'bench', 'results.json');

const BEGIN = '<!-- Written by `npm run bench`; do not edit. -->';
const END = '<!-- Until here. -->';

/** Every file that shows results, with what it must say after this run. */
export function filesShowing(results: Results): ReadonlyMap<string, string> {
  const [readme, performance] = [join(ROOT, 'README.md'), join(ROOT, 'docs', 'performance.md')];
  return new Map([
    [RESULTS_FILE, toJson(results)],
    [join(ROOT, 'bench', 'RESULTS.md'), toMarkdown(results)],
    [join(ROOT, 'bench', 'chart.svg'), toSvg(results)],
    [readme, withBlock(readFileSync(readme, 'utf8'), summaryOf(results))],
    [performance, withBlock(readFileSync(performance, 'utf8'), missedTable(results))],
  ]);
}

/** Writes them all. */
export function show(results: Results): void {
  for (const [file, text] of filesShowing(results)) writeFileSync(file, text);
}

/** The text with what stands between the two marks replaced. */
export function withBlock(text: string, block: string): string {
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`no place for the results: ${BEGIN} … ${END}`);
  return `${before}${BEGIN}\n\n${block}\n\n${END}${after}`;
}

function summaryOf(results: Results): string {
  const { machine, effort } = results;
  return [
    '## How fast',
    '![Predictions a second, Penstock beside nginx, HAProxy and http-proxy-middleware](bench/chart.svg)',
    'Requests a second, the middle of their times (p50), and the processor time a request costs the proxy itself; all in one run, each contestant with the setting that gave it most requests.',
    peersTable(results),
    `Medians of ${effort.rounds} rounds on ${machine.processors} processors (${machine.processor}), which callers, proxy and R share; ${machine.takenAt.slice(0, 10)}. For each call Penstock verifies a token, counts a limit, keeps metrics and writes a log line; the others write a log line, http-proxy-middleware not even that. Every contestant and figure, bytes allocated and first calls included: [bench/RESULTS.md](bench/RESULTS.md). To repeat it: \`npm run bench\`. Where the time goes, and what falls short of our goals: [docs/performance.md](docs/performance.md).`,
  ].join('\n\n');
}

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
  const lines = races.flatMap(({ short, connections, rows }) => connections.map(count => toLine(short, count, rows)));
  return [
    `| | callers | ${MAKES.map(([, title]) => title).join(' | ')} |`,
    `|---|--:|${'--:|'.repeat(MAKES.length)}`,
    ...lines,
  ].join('\n');
}

function toLine(short: string, connections: number, rows: readonly Row[]): string {
  const cells = MAKES.map(([prefix]) => {
    const own = rows.filter(row => row.connections === connections && row.contestant.id.startsWith(prefix));
    const [best] = own.toSorted((a, b) => b.perSecond - a.perSecond);
    if (best === undefined) return '';
    const { perSecond, p50Ms, cpuUsPerRequest: us } = best;
    return [`${inCounts(perSecond)}/s`, inMs(p50Ms), ...(us === undefined ? [] : [inUs(us)])].join(', ');
  });
  return `| ${[short, inCounts(connections), ...cells].join(' | ')} |`;
}
