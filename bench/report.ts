import { costSection } from './cost/costs.ts';
import { doorSection } from './doors/table.ts';
import { expectationsTable } from './expectations.ts';
import { inCounts, inKb, inMs, inTimes, inUs } from './figures.ts';
import type { Effort, Race, Results } from './results.ts';
import { bestPeer, type Row } from './summary.ts';
import type { Column } from './workloads/workload.ts';

/** The results for people. */
export function toMarkdown(results: Results): string {
  const { machine, effort, command, races, costs, doors } = results;
  return `${[
    '# Results',
    `Written by \`${command}\`; do not edit. How it is measured, and what each column means: [README.md](README.md). Where the time goes: [docs/performance.md](../docs/performance.md). The same for programs: [results.json](results.json).`,
    `${machine.takenAt.slice(0, 10)}, ${machine.processor}, ${machine.processors} processors, ${machine.memoryGib} GiB, ${machine.system}; load before the first turn ${machine.loadBefore.toFixed(1)}.`,
    Object.entries(machine.versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ') + '.',
    effortOf(effort),
    '## What was expected',
    expectationsTable(results),
    ...races.map(section),
    ...doorSection(doors),
    ...costSection(costs),
  ].join('\n\n')}\n`;
}

function effortOf({ rounds, seconds, rehearsal: { callsMin, turnsMax } }: Effort): string {
  const each = rounds === 1 ? 'One round' : `Medians of ${rounds} rounds`;
  return `${each} in turns, ${seconds} s a turn (of a caller alone ${seconds} turns of a second). Each that V8 compiles rehearsed first: at least ${inCounts(callsMin)} calls, and then until a call cost no less processor time than before, in ${turnsMax} turns at most. All figures are of this one run, but where a section says when it was measured.`;
}

function section(race: Race): string {
  return [
    `## ${race.title}`,
    [race.about, ...aloneOf(race.connections)].join(' '),
    table(race),
    race.contestants.map(({ title, setUp }) => `- **${title}**: ${setUp}.`).join('\n'),
  ].join('\n\n');
}

/** Where there is but one number of connections, the table has no column for it. */
function aloneOf(connections: readonly number[]): string[] {
  return connections.length === 1 ? connections.map(count => `${inCounts(count)} connections.`) : [];
}

function table({ rows, columns, connections }: Race): string {
  const shown = columns.map(column => COLUMNS[column]);
  const firsts = connections.length > 1 ? ['connections'] : [];
  const head = [...firsts, '', ...shown.map(({ head: title }) => title)];
  const rule = [...firsts.map(() => '--:'), '---', ...shown.map(() => '--:')];
  const lines = rows.map(row => {
    const same = rows.filter(other => other.connections === row.connections);
    const title = row.contestant.kind === 'own' ? `**${row.contestant.title}**` : row.contestant.title;
    return [...firsts.map(() => inCounts(row.connections)), title, ...shown.map(({ cell }) => cell(row, same))];
  });
  return [head, rule, ...lines].map(cells => `| ${cells.join(' | ')} |`).join('\n');
}

interface ColumnText {
  readonly head: string;
  readonly cell: (row: Row, same: readonly Row[]) => string;
}

const COLUMNS: Readonly<Record<Column, ColumnText>> = {
  p50: { head: 'p50', cell: ({ p50Ms }) => inMs(p50Ms) },
  p99: { head: 'p99', cell: ({ p99Ms }) => inMs(p99Ms) },
  'slow-p50': { head: 'p50 of the slow', cell: ({ slowP50Ms }) => orNothing(slowP50Ms, inMs) },
  'per-second': { head: 'req/s', cell: ({ perSecond }) => inCounts(perSecond) },
  'p50-to-direct': { head: 'p50 / direct', cell: (row, same) => ratioTo(directOf(same)?.p50Ms, row.p50Ms) },
  'per-second-to-peer': {
    head: 'req/s / best peer',
    cell: (row, same) => ratioTo(bestPeer(same, 'perSecond')?.perSecond, row.perSecond),
  },
  reached: { head: 'calls at R', cell: ({ reached }) => orNothing(reached, inCounts) },
  cpu: { head: 'own CPU a request', cell: ({ cpuUsPerRequest: us }) => orNothing(us, inUs) },
  'cpu-to-floor': {
    head: 'own CPU / floor',
    cell: (row, same) => {
      const floor = same.find(({ contestant }) => contestant.kind === 'floor')?.cpuUsPerRequest;
      return orNothing(row.cpuUsPerRequest, us => ratioTo(floor, us));
    },
  },
  'v8-cpu': { head: 'of it V8’s threads', cell: ({ v8CpuUsPerRequest: us }) => orNothing(us, inUs) },
  'first-cpu': { head: 'own CPU, first 1,000', cell: ({ firstCpuUsPerRequest: us }) => orNothing(us, inUs) },
  allocated: { head: 'allocated a request', cell: ({ allocatedBytesPerRequest: bytes }) => orNothing(bytes, inKb) },
  failed: { head: 'failed', cell: ({ failures }) => inCounts(failures) },
};

function directOf(rows: readonly Row[]): Row | undefined {
  return rows.find(({ contestant }) => contestant.kind === 'direct');
}

function ratioTo(other: number | undefined, own: number): string {
  return other === undefined ? '' : inTimes(own / other);
}

function orNothing(figure: number | undefined, inText: (figure: number) => string): string {
  return figure === undefined ? '' : inText(figure);
}
