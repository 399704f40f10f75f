import { readFileSync } from 'node:fs';
import type { ContestantFacts } from './contestants/contestant.ts';
import type { Costs } from './cost/costs.ts';
import type { Doors } from './doors/table.ts';
import type { Machine } from './machine.ts';
import type { Row } from './summary.ts';
import type { Workload } from './workloads/workload.ts';

/** How long and how often is measured. */
export interface Effort {
  readonly rounds: number;
  /** Of each turn. */
  readonly seconds: number;
  readonly rehearsal: RehearsalEffort;
}

/** How long each contestant that V8 compiles as it runs is called before anything counts. */
export interface RehearsalEffort {
  /** At least so many calls, and then until a call costs no less than before. */
  readonly callsMin: number;
  /** It ends after so many turns, on however slow a machine. */
  readonly turnsMax: number;
}

/** What a workload showed: a row for each contestant and number of connections. */
export interface Race extends Pick<
  Workload,
  'id' | 'title' | 'short' | 'about' | 'connections' | 'columns' | 'expectations'
> {
  readonly contestants: readonly ContestantFacts[];
  readonly rows: readonly Row[];
}

/** All that one run showed, as it is written to results.json; whatever else reports it is made from this. */
export interface Results {
  readonly command: string;
  readonly machine: Machine;
  readonly effort: Effort;
  readonly races: readonly Race[];
  readonly costs: Costs;
  /** Runs of before have none. */
  readonly doors?: Doors;
}

/** The results as they are kept. */
export function toJson(results: Results): string {
  return `${JSON.stringify(results, null, 2)}\n`;
}

/** Reads what `toJson` wrote. */
export function readResults(file: string): Results {
  return JSON.parse(readFileSync(file, 'utf8')) as Results;
}
