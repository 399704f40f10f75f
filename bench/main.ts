import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { seeMachine } from './machine.ts';
import { toJson, toMarkdown, type Report } from './report.ts';
import { run, type Effort, type Result } from './run.ts';
import { fuel } from './workloads/fuel.ts';
import { nothing } from './workloads/nothing.ts';
import type { Workload } from './workloads/workload.ts';

const WORKLOADS: readonly Workload[] = [fuel, nothing];

const THOROUGH: Effort = { rounds: 3, seconds: 8, warmUpCalls: 6_000 };
const QUICK: Effort = { rounds: 1, seconds: 4, warmUpCalls: 500 };

const RESULTS = fileURLToPath(new URL('RESULTS.md', import.meta.url));

const HELP = `npm run bench [-- OPTIONS]        measures Penstock beside others, and writes bench/RESULTS.md

  --workload ID   this one alone (${WORKLOADS.map(({ id }) => id).join(', ')}); may be repeated; writes no file
  --only ID       these contestants alone; may be repeated; writes no file
  --seconds N     each turn takes so long; writes no file
  --quick         one short round, to see that it works; writes no file
  --json          JSON on standard output, instead of the tables
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      workload: { type: 'string', multiple: true, default: [] },
      only: { type: 'string', multiple: true, default: [] },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const effort = effortOf(values.quick ? QUICK : THOROUGH, values.seconds);
  const report = await measure(chosen(values.workload, values.only), effort);
  process.stdout.write(values.json ? toJson(report) : toMarkdown(report));
  const isWhole = effort === THOROUGH && values.workload.length === 0 && values.only.length === 0;
  if (isWhole) writeFileSync(RESULTS, toMarkdown(report));
}

function effortOf(usual: Effort, seconds: string | undefined): Effort {
  return seconds === undefined ? usual : { ...usual, seconds: Number(seconds) };
}

function chosen(workloads: readonly string[], contestants: readonly string[]): Workload[] {
  const some = WORKLOADS.filter(({ id }) => workloads.length === 0 || workloads.includes(id)).map(workload => ({
    ...workload,
    contestants: workload.contestants.filter(({ id }) => contestants.length === 0 || contestants.includes(id)),
  }));
  if (some.every(workload => workload.contestants.length === 0)) throw new Error(`nothing to measure\n\n${HELP}`);
  return some.filter(workload => workload.contestants.length > 0);
}

async function measure(workloads: readonly Workload[], effort: Effort): Promise<Report> {
  const machine = await seeMachine();
  const results: Result[] = [];
  for (const workload of workloads) {
    results.push(await run(workload, { effort, tell: text => void process.stderr.write(`${text}\n`) }));
  }
  return { machine, effort, command: 'npm run bench', results };
}

// Ending gently lets what was started be ended as well.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
