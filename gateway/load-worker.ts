import { parentPort, workerData } from 'node:worker_threads';
import { aroundOf, routesToRemake, type AroundRoutes, type RouteToMake } from './config/compile.ts';
import type { RoutesData } from './config/parse-routes.ts';
import { hasError, type Problem } from './config/problem.ts';
import type { PluginFlaw } from './domain/plugin/plugin-set.ts';
import { judgeRoutes, pluginsAt, type RoutesInput } from './load.ts';

/** What the thread is given: where the file is, and what is in force. */
export interface WorkerInput {
  readonly input: RoutesInput;
  readonly around: string;
  readonly keys: readonly string[];
}

/** What the thread says first: all there is to say of the file, and how many parts follow where it can be used. */
export interface Judged {
  readonly problems: readonly Problem[];
  readonly secrets: readonly string[];
  readonly parts: number;
}

/** A part of what the file says, sent when it is asked for: each small enough to be taken in between two calls. */
export type JudgedPart = Partial<AroundRoutes> & { readonly routes?: readonly RouteToMake[] };

// The YAML library asks for a variable with each token, which is slow where the process answers.
process.env = { ...process.env };

const ITEMS_A_PART = 200;

const { input, around, keys } = workerData as WorkerInput;
const plugins = pluginsAt(input.plugins);
const { file, secrets, ...said } = judgeRoutes(input, plugins);
const problems = [...(plugins?.flaws ?? []).map(problemOf), ...said.problems];
const parts = file === undefined || hasError(problems) ? [] : partsOf(file);

const first: Judged = { problems, secrets, parts: parts.length };
parentPort?.postMessage(first);
parentPort?.on('message', (at: number) => parentPort?.postMessage(parts[at]));

/** Where gateway.yaml is not looked at, a plug-in's own file is the place. */
function problemOf({ file: ofPlugin, message }: PluginFlaw): Problem {
  return { file: ofPlugin, line: 1, column: 1, severity: 'error', path: '', message, hint: undefined };
}

function partsOf(judged: RoutesData): JudgedPart[] {
  const { defaults, defaultFilters, services, resolved } = judged;
  const known = new Set(around === aroundOf(judged, input.identityConfigured) ? keys : []);
  return [
    { defaults, defaultFilters, resolved },
    ...chunks([...services]).map(some => ({ services: new Map(some) })),
    ...chunks(routesToRemake(judged, known)).map(some => ({ routes: some })),
  ];
}

function chunks<T>(items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / ITEMS_A_PART);
  return Array.from({ length: count }, (_, i) => items.slice(i * ITEMS_A_PART, (i + 1) * ITEMS_A_PART));
}
