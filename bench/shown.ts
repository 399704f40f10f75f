import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../gateway/setup/state.mjs';
import { toSvg } from './chart.ts';
import { peersTable } from './peers.ts';
import { toMarkdown } from './report.ts';
import { toJson, type Results } from './results.ts';

/** Where the results of the last whole run are kept. */
export const RESULTS_FILE = join(ROOT, 'bench', 'results.json');

const BEGIN = '<!-- Written by `npm run bench`; do not edit. -->';
const END = '<!-- Until here. -->';

/** Every file that shows results, with what it must say after this run. */
export function filesShowing(results: Results): ReadonlyMap<string, string> {
  const readme = join(ROOT, 'README.md');
  return new Map([
    [RESULTS_FILE, toJson(results)],
    [join(ROOT, 'bench', 'RESULTS.md'), toMarkdown(results)],
    [join(ROOT, 'bench', 'chart.svg'), toSvg(results)],
    [readme, withBlock(readFileSync(readme, 'utf8'), summaryOf(results))],
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
    'Requests a second, and the p50 and p99 of their time, all in one run; each contestant with the setting that gave it most requests.',
    peersTable(results),
    `Medians of ${effort.rounds} rounds on ${machine.processors} processors (${machine.processor}), which callers, gateway and R share; ${machine.takenAt.slice(0, 10)}. Penstock does what nginx and HAProxy do not: it verifies a token and counts a limit for each call. Every contestant and figure: [bench/RESULTS.md](bench/RESULTS.md). To repeat it: \`npm run bench\`. Goals, and what falls short of them: [docs/performance.md](docs/performance.md).`,
  ].join('\n\n');
}
