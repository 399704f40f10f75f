import type { ContestantFacts } from '../../bench/contestants/contestant.ts';
import type { Results } from '../../bench/results.ts';
import { summarise, type Sample } from '../../bench/summary.ts';
import { USUAL_COLUMNS } from '../../bench/workloads/workload.ts';

/** A contestant that was never started. */
export function aContestant(id: string, kind: ContestantFacts['kind']): ContestantFacts {
  return { id, title: id, kind, setUp: `how ${id} is set up` };
}

/** A turn at one connection. */
export function aSample(of: ContestantFacts, figures: Partial<Sample['measurement']> = {}): Sample {
  const measurement = {
    ...{ requests: 100, durationMs: 1000, p50Ms: 1, p99Ms: 2, refused: 0, broken: 0 },
    ...{ perSecond: 100, ...figures },
  };
  return { contestant: of, connections: 1, measurement };
}

/** A whole run, in which Penstock did twenty-five times what nginx did. */
export function someResults(perSecond = 2_500): Results {
  const [nginx, own] = [aContestant('nginx', 'peer'), aContestant('penstock-batch', 'own')];
  const rows = summarise([
    aSample(nginx, { perSecond: 100, cpuUsPerRequest: 76 }),
    aSample(own, { perSecond, cpuUsPerRequest: 253, v8CpuUsPerRequest: 12, allocatedBytesPerRequest: 19_500 }),
  ]);
  return {
    command: 'npm run bench',
    machine: {
      ...{ takenAt: '2026-01-02T03:04:05.000Z', processor: 'A <fast> one', processors: 2, memoryGib: 4 },
      ...{ system: 'Linux 6', loadBefore: 0.1, versions: { Penstock: '0.1.0', nginx: '1.22.1' } },
    },
    effort: { rounds: 3, seconds: 6, rehearsal: { callsMin: 100_000, turnsMax: 60 } },
    races: [
      {
        ...{ id: 'batch', title: 'Batched', short: 'batched', about: 'Many callers.', connections: [1] },
        columns: USUAL_COLUMNS,
        expectations: [
          {
            ...{ title: 'Batched: requests a second', of: 'penstock-batch', against: 'best-peer' },
            ...{ measure: 'perSecond', connections: 1, atLeast: 20 },
          },
        ],
        ...{ contestants: [nginx, own], rows },
      },
    ],
    costs: {
      expected: [{ what: 'a pick', of: 'instances', few: 10, many: 1_000, small: 400, large: 1_000, ratio: 2.5 }],
      whole: [{ what: 'a place', of: 'instances', few: 10, many: 1_000, small: 8_000, large: 12_000, ratio: 1.5 }],
      memory: [{ what: 'an idle connection', count: 2_000, bytesEach: 10_240, heapBytesEach: 5_120 }],
      file: [{ what: 'made', routes: 10_000, firstMs: 900, laterMs: 300, atMostMs: 500 }],
    },
  };
}
