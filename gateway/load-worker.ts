import { parentPort, workerData } from 'node:worker_threads';
import type { RoutesData } from './config/parse-routes.ts';
import { hasError, type Problem } from './config/problem.ts';
import { judgeRoutes, type RoutesInput } from './load.ts';

/** What the thread says first: all there is to say of the file, and how many parts follow where it can be used. */
export interface Judged {
  readonly problems: readonly Problem[];
  readonly secrets: readonly string[];
  readonly parts: number;
}

/** A part of what the file says, sent when it is asked for: each small enough to be taken in between two calls. */
export type JudgedPart = Partial<RoutesData>;

const ITEMS_A_PART = 200;

const { file, problems, secrets } = judgeRoutes(workerData as RoutesInput);
const parts = file === undefined || hasError(problems) ? [] : partsOf(file);

const said: Judged = { problems, secrets, parts: parts.length };
parentPort?.postMessage(said);
parentPort?.on('message', (at: number) => parentPort?.postMessage(parts[at]));

function partsOf({ defaults, defaultFilters, services, routes, resolved }: RoutesData): JudgedPart[] {
  return [
    { defaults, defaultFilters, resolved },
    ...chunks([...services]).map(some => ({ services: new Map(some) })),
    ...chunks(routes).map(some => ({ routes: some })),
  ];
}

function chunks<T>(items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / ITEMS_A_PART);
  return Array.from({ length: count }, (_, i) => items.slice(i * ITEMS_A_PART, (i + 1) * ITEMS_A_PART));
}
