import type { Machine } from './machine.ts';
import type { Effort, Result } from './run.ts';
import { bestPeer, examine, type Finding, type Row } from './summary.ts';

export interface Report {
  readonly machine: Machine;
  readonly effort: Effort;
  readonly command: string;
  readonly results: readonly Result[];
}

/** The results for people. */
export function toMarkdown({ machine, effort, command, results }: Report): string {
  return `${[
    '# Results',
    `Written by \`${command}\`; do not edit. How it is measured, and what each column means: [README.md](README.md). Where the time goes: [docs/performance.md](../docs/performance.md).`,
    `${machine.takenAt.slice(0, 10)}, ${machine.processor}, ${machine.processors} processors, ${machine.memoryGib} GiB, ${machine.system}; load before the first turn ${machine.loadBefore.toFixed(1)}.`,
    Object.entries(machine.versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ') + '.',
    `Medians of ${effort.rounds} ${effort.rounds === 1 ? 'round' : 'rounds'} in turns, ${effort.seconds} s a turn, after ${effort.warmUpCalls} calls to warm each contestant up.`,
    ...results.map(section),
  ].join('\n\n')}\n`;
}

function section({ workload, rows }: Result): string {
  const findings = workload.expectations.flatMap(expectation => examine(rows, expectation) ?? []);
  return [
    `## ${workload.title}`,
    workload.about,
    table(rows),
    findings.map(toSentence).join('\n'),
    workload.contestants.map(({ title, setUp }) => `- **${title}**: ${setUp}.`).join('\n'),
  ].join('\n\n');
}

function table(rows: readonly Row[]): string {
  const head = '| connections | | p50 | p99 | req/s | p50 / direct | req/s / best peer | own CPU a request | failed |';
  const rule = '|--:|---|--:|--:|--:|--:|--:|--:|--:|';
  return [head, rule, ...rows.map(row => toLine(row, rows))].join('\n');
}

function toLine(row: Row, rows: readonly Row[]): string {
  const same = rows.filter(({ connections }) => connections === row.connections);
  const direct = same.find(({ contestant }) => contestant.kind === 'direct');
  const peer = bestPeer(same, 'perSecond');
  const title = row.contestant.kind === 'own' ? `**${row.contestant.title}**` : row.contestant.title;
  const cells = [
    ...[String(row.connections), title, `${toFixed(row.p50Ms)} ms`, `${toFixed(row.p99Ms)} ms`],
    String(Math.round(row.perSecond)),
    direct === undefined ? '' : (row.p50Ms / direct.p50Ms).toFixed(2),
    peer === undefined ? '' : (row.perSecond / peer.perSecond).toFixed(2),
    row.cpuUsPerRequest === undefined ? '' : `${Math.round(row.cpuUsPerRequest)} µs`,
    String(row.failures),
  ];
  return `| ${cells.join(' | ')} |`;
}

function toFixed(ms: number): string {
  return ms.toFixed(ms < 10 ? 2 : 1);
}

const MEASURES = { p50Ms: 'p50', p99Ms: 'p99', perSecond: 'requests a second' } as const;

function toSentence({ expectation, against, ratio, isMet }: Finding): string {
  const { of, measure, connections, atMost, atLeast } = expectation;
  const bound = atMost === undefined ? `at least ${atLeast ?? 0}` : `at most ${atMost}`;
  return `- ${isMet ? 'Met' : '**Missed**'}: ${MEASURES[measure]} at ${connections} connection${connections === 1 ? '' : 's'}, \`${of}\` to ${against}: ${ratio.toFixed(2)}, wanted ${bound}.`;
}

/** The results for programs. */
export function toJson({ machine, effort, command, results }: Report): string {
  const plain = results.map(({ workload, rows }) => ({
    workload: workload.id,
    rows: rows.map(({ contestant, ...figures }) => ({ contestant: contestant.id, ...figures })),
    findings: workload.expectations.flatMap(expectation => examine(rows, expectation) ?? []),
  }));
  return `${JSON.stringify({ command, machine, effort, results: plain }, null, 2)}\n`;
}
