import type { CostRow } from './cost/parts.ts';
import type { FileRow } from './cost/routes.ts';
import { inUnit, isDoorMet, type DoorRow } from './doors/table.ts';
import { inCounts, inNs, inTimes, inWords } from './figures.ts';
import type { Results } from './results.ts';
import { examine, type Finding } from './summary.ts';

/** Many of something may cost so many times as much as few. */
const COST_RATIO_MAX = 2;

/** One table of all that was expected, whether it was met or not. */
export function expectationsTable(results: Results): string {
  return tableOf(linesOf(results));
}

/** The same of what was missed alone. */
export function missedTable(results: Results): string {
  const missed = linesOf(results).filter(line => line.endsWith(`${MISSED} |`));
  return missed.length === 0 ? 'Every goal was met.' : tableOf(missed);
}

const MISSED = '**missed**';

function linesOf({ races, costs, doors }: Results): string[] {
  const rowsOf = (workload: string) => races.find(({ id }) => id === workload)?.rows ?? [];
  const findings = races.flatMap(({ rows, expectations }) =>
    expectations.flatMap(wanted => examine(rows, wanted, rowsOf) ?? []),
  );
  const ofRaces = [...findings.map(toLine), ...(doors?.rows ?? []).map(toDoorLine)];
  return [...ofRaces, ...costs.expected.map(toCostLine), ...(costs.file ?? []).flatMap(toFileLine)];
}

function tableOf(lines: readonly string[]): string {
  return ['| | Penstock | compared with | ratio | wanted | |', '|---|--:|--:|--:|--:|---|', ...lines].join('\n');
}

function toLine({ expectation, own, other, ratio, isMet }: Finding): string {
  const { title, measure, againstMeasure = measure, atMost, atLeast } = expectation;
  const wantedIn = (figure: number) => (other === undefined ? inWords(measure, figure) : String(figure));
  const cells = [
    title,
    inWords(measure, own),
    other === undefined ? '' : `${inWords(againstMeasure, other.figure)} (${other.title})`,
    other === undefined ? '' : inTimes(ratio),
    atMost === undefined ? `at least ${wantedIn(atLeast ?? 0)}` : `at most ${wantedIn(atMost)}`,
    isMet ? 'met' : MISSED,
  ];
  return `| ${cells.join(' | ')} |`;
}

function toDoorLine(row: DoorRow): string {
  const { what, unit, own, other, against, ratio, atMost, atLeast } = row;
  const wanted = atMost === undefined ? `at least ${atLeast ?? 0}` : `at most ${atMost}`;
  const cells = [what, inUnit(unit, own), `${inUnit(unit, other)} (${against})`, inTimes(ratio), wanted];
  return `| ${[...cells, isDoorMet(row) ? 'met' : MISSED].join(' | ')} |`;
}

function toCostLine({ what, of, few, many, small, large, ratio }: CostRow): string {
  const cells = [
    `${capitalised(what)}, among ${inCounts(many)} ${of}`,
    inNs(large),
    `${inNs(small)} (among ${inCounts(few)})`,
    inTimes(ratio),
    `at most ${COST_RATIO_MAX}`,
    ratio <= COST_RATIO_MAX ? 'met' : MISSED,
  ];
  return `| ${cells.join(' | ')} |`;
}

function toFileLine({ what, routes, laterMs, atMostMs }: FileRow): string[] {
  if (atMostMs === undefined) return [];
  const cells = [`${inCounts(routes)} routes ${what}: processor time`, `${laterMs.toFixed()} ms`, '', ''];
  return [`| ${[...cells, `at most ${atMostMs} ms`, laterMs <= atMostMs ? 'met' : MISSED].join(' | ')} |`];
}

function capitalised(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
