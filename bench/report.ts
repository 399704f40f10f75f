import { costSection } from './costs.ts';
import { expectationsTable } from './expectations.ts';
import { inCounts, inMs, inTimes } from './figures.ts';
import type { Race, Results } from './results.ts';
import { bestPeer, type Row } from './summary.ts';
import type { Column } from './workloads/workload.ts';

/** The results for people. */
export function toMarkdown(results: Results): string {
  const { machine, effort, command, races, costs } = results;
  return `${[
    '# Results',
    `Written by \`${command}\`; do not edit. How it is measured, and what each column means: [README.md](README.md). Where the time goes: [docs/performance.md](../docs/performance.md). The same for programs: [results.json](results.json).`,
    `${machine.takenAt.slice(0, 10)}, ${machine.processor}, ${machine.processors} processors, ${machine.memoryGib} GiB, ${machine.system}; load before the first turn ${machine.loadBefore.toFixed(1)}.`,
    Object.entries(machine.versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ') + '.',
    `Medians of ${effort.rounds} ${effort.rounds === 1 ? 'round' : 'rounds'} in turns, ${effort.seconds} s a turn (of a caller alone ${effort.seconds} turns of a second), after a rehearsal of at most ${inCounts(effort.rehearsalCalls)} calls, and of 20 s, of each that V8 compiles.`,
    '## What was expected',
    expectationsTable(results),
    ...races.map(section),
    ...costSection(costs),
  ].join('\n\n')}\n`;
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
  'slow-p50': { head: 'p50 of the slow', cell: ({ slowP50Ms }) => (slowP50Ms === undefined ? '' : inMs(slowP50Ms)) },
  'per-second': { head: 'req/s', cell: ({ perSecond }) => inCounts(perSecond) },
  'p50-to-direct': { head: 'p50 / direct', cell: (row, same) => ratioTo(directOf(same)?.p50Ms, row.p50Ms) },
  'per-second-to-peer': {
    head: 'req/s / best peer',
    cell: (row, same) => ratioTo(bestPeer(same, 'perSecond')?.perSecond, row.perSecond),
  },
  reached: { head: 'calls at R', cell: ({ reached }) => (reached === undefined ? '' : inCounts(reached)) },
  cpu: {
    head: 'own CPU a request',
    cell: ({ cpuUsPerRequest: us }) => (us === undefined ? '' : `${Math.round(us)} µs`),
  },
  failed: { head: 'failed', cell: ({ failures }) => inCounts(failures) },
};

function directOf(rows: readonly Row[]): Row | undefined {
  return rows.find(({ contestant }) => contestant.kind === 'direct');
}

function ratioTo(other: number | undefined, own: number): string {
  return other === undefined ? '' : inTimes(own / other);
}
