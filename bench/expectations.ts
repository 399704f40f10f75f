import type { CostRow } from './cost/compare.ts';
import { inCounts, inNs, inTimes, inWords } from './figures.ts';
import type { Results } from './results.ts';
import { examine, type Finding } from './summary.ts';

/** Many of something may cost so many times as much as few. */
const COST_RATIO_MAX = 2;

/** One table of all that was expected, whether it was met or not. */
export function expectationsTable({ races, costs }: Results): string {
  const findings = races.flatMap(({ rows, expectations }) =>
    expectations.flatMap(wanted => examine(rows, wanted) ?? []),
  );
  return [
    '| | Penstock | compared with | ratio | wanted | |',
    '|---|--:|--:|--:|--:|---|',
    ...findings.map(toLine),
    ...costs.expected.map(toCostLine),
  ].join('\n');
}

function toLine({ expectation, own, other, ratio, isMet }: Finding): string {
  const { title, measure, againstMeasure = measure, atMost, atLeast } = expectation;
  const cells = [
    title,
    inWords(measure, own),
    other === undefined ? '' : `${inWords(againstMeasure, other.figure)} (${other.title})`,
    other === undefined ? '' : inTimes(ratio),
    atMost === undefined ? `at least ${atLeast ?? 0}` : `at most ${atMost}`,
    isMet ? 'met' : '**missed**',
  ];
  return `| ${cells.join(' | ')} |`;
}

function toCostLine({ what, of, few, many, small, large, ratio }: CostRow): string {
  const cells = [
    `${capitalised(what)}, among ${inCounts(many)} ${of}`,
    inNs(large),
    `${inNs(small)} (among ${inCounts(few)})`,
    inTimes(ratio),
    `at most ${COST_RATIO_MAX}`,
    ratio <= COST_RATIO_MAX ? 'met' : '**missed**',
  ];
  return `| ${cells.join(' | ')} |`;
}

function capitalised(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
