import { parseArgs } from 'node:util';
import { measureCosts, measureCredentials, measureRoutes, NO_COSTS, type Costs } from './cost/costs.ts';
import { measureDoors } from './doors/doors.ts';
import type { Doors } from './doors/table.ts';
import { seeMachine } from './machine.ts';
import { toMarkdown } from './report.ts';
import { readResults, toJson, type Effort, type Race, type Results } from './results.ts';
import { run } from './run.ts';
import { RESULTS_FILE, show } from './shown.ts';
import { coalesce } from './workloads/coalesce.ts';
import { batch, fuel } from './workloads/fuel.ts';
import { mixed } from './workloads/mixed.ts';
import { cache, nothing } from './workloads/nothing.ts';
import type { Workload } from './workloads/workload.ts';

const WORKLOADS: readonly Workload[] = [batch, fuel, mixed, coalesce, nothing, cache];
const COST = 'cost';
/** Parts of it, by themselves. */
const CREDENTIALS = 'credentials';
const ROUTES = 'routes';
const DOORS = 'doors';

const THOROUGH: Effort = { rounds: 3, seconds: 4, rehearsal: { callsMin: 100_000, turnsMax: 60 } };
const QUICK: Effort = { rounds: 1, seconds: 4, rehearsal: { callsMin: 2_000, turnsMax: 2 } };

const HELP = `npm run bench [-- OPTIONS]        measures Penstock beside others: writes RESULTS.md, results.json and chart.svg
                                  here, README's table, and that of docs/performance.md

  --workload ID   this one alone (${[...WORKLOADS.map(({ id }) => id), COST, CREDENTIALS, ROUTES, DOORS].join(', ')}); may be repeated; writes no file
  --only ID       these contestants alone; may be repeated; writes no file
  --seconds N     a turn takes so long; writes no file
  --quick         one short round, to see that it works; writes no file
  --parts         costs and doors alone, which stand for themselves, into the results of the last whole run
  --json          JSON on standard output, instead of the tables
  --redraw        measures nothing: writes the others from results.json
`;

interface Choice {
  readonly workloads: readonly Workload[];
  readonly measureCosts: (() => Promise<Costs> | Costs) | undefined;
  readonly withDoors: boolean;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      workload: { type: 'string', multiple: true, default: [] },
      only: { type: 'string', multiple: true, default: [] },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      parts: { type: 'boolean', default: false },
      redraw: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) report(HELP);
  else if (values.parts) show(await withParts(readResults(RESULTS_FILE)));
  else if (values.redraw) show(readResults(RESULTS_FILE));
  else await measureAndReport(values);
}

async function withParts(results: Results): Promise<Results> {
  const doors = await measureDoors(THOROUGH, say);
  return { ...results, doors, costs: await measureCosts(say) };
}

interface Wanted {
  readonly workload: string[];
  readonly only: string[];
  readonly seconds?: string;
  readonly quick: boolean;
  readonly json: boolean;
}

async function measureAndReport(values: Wanted): Promise<void> {
  const effort = effortOf(values.quick ? QUICK : THOROUGH, values.seconds);
  const results = await measure(chosen(values.workload, values.only), effort);
  report(values.json ? toJson(results) : toMarkdown(results));
  const isWhole = effort === THOROUGH && values.workload.length === 0 && values.only.length === 0;
  if (isWhole && process.exitCode === undefined) show(results);
}

function effortOf(usual: Effort, written: string | undefined): Effort {
  if (written === undefined) return usual;
  const seconds = Number(written);
  if (!Number.isInteger(seconds) || seconds < 1) throw new Error('--seconds needs a whole number');
  return { ...usual, seconds };
}

function chosen(ids: readonly string[], contestants: readonly string[]): Choice {
  const isChosen = (id: string) => ids.length === 0 || ids.includes(id);
  const workloads = WORKLOADS.filter(({ id }) => isChosen(id)).map(workload => ({
    ...workload,
    contestants: workload.contestants.filter(({ id }) => contestants.length === 0 || contestants.includes(id)),
  }));
  const some = workloads.filter(workload => workload.contestants.length > 0);
  const costs = contestants.length === 0 ? costsChosen(isChosen) : undefined;
  const withDoors = contestants.length === 0 && isChosen(DOORS);
  if (some.length === 0 && costs === undefined && !withDoors) throw new Error(`nothing to measure\n\n${HELP}`);
  return { workloads: some, measureCosts: costs, withDoors };
}

function costsChosen(isChosen: (id: string) => boolean): Choice['measureCosts'] {
  if (isChosen(COST)) return () => measureCosts(say);
  if (isChosen(CREDENTIALS)) return () => measureCredentials(say);
  return isChosen(ROUTES) ? () => measureRoutes(say) : undefined;
}

async function measure({ workloads, measureCosts: measureThem, withDoors }: Choice, effort: Effort): Promise<Results> {
  const machine = await seeMachine();
  const races: Race[] = [];
  for (const workload of workloads) {
    races.push(...(await orNothing(workload.id, async () => [await run(workload, { effort, report: say })])));
  }
  const [doors] = withDoors ? await orNothing<Doors>(DOORS, async () => [await measureDoors(effort, say)]) : [];
  const [costs = NO_COSTS] = measureThem === undefined ? [] : await orNothing(COST, async () => [await measureThem()]);
  return { command: 'npm run bench', machine, effort, races, costs, ...(doors === undefined ? {} : { doors }) };
}

/** What fails costs the run its files, and the others nothing. */
async function orNothing<T>(id: string, make: () => Promise<T[]>): Promise<T[]> {
  try {
    return await make();
  } catch (error) {
    say(`${id} failed: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
    return [];
  }
}

function report(text: string): void {
  process.stdout.write(text);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

// Ending gently lets what was started be ended as well.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
