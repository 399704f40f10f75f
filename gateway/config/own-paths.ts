import { inferenceTargetOf } from '../domain/inference/inference-target.ts';
import { pathOfJobs, takesJobs } from '../domain/jobs/job-route.ts';
import type { RouteSpec } from '../domain/route.ts';
import { nearestOf } from './nearest.ts';
import type { Complain, Complaint, KeyPath } from './problem.ts';

/** Where the gateway answers itself, before any route is looked for; undefined: it does not, or it is not known. */
export interface OwnPaths {
  readonly inference: string | undefined;
  readonly jobs: string | undefined;
}

interface PlacedSpec {
  readonly spec: RouteSpec;
  readonly path: KeyPath;
}

/** A route all of whose paths are the gateway's own is never reached. */
export function warnOfOwnPaths(placed: readonly PlacedSpec[], own: OwnPaths | undefined, complain: Complain): void {
  if (own === undefined) return;
  for (const { spec, path } of placed) {
    const keys = spec.paths.map(({ text }) => ownKeyOf(text, own));
    const key = keys.every(each => each !== undefined) ? keys[0] : undefined;
    if (key === undefined) continue;
    const message = `can never be reached: its paths are those that \`${key}\` in gateway.yaml takes`;
    complain({ path, severity: 'warning', message, hint: `give it another path, or write another \`${key}\`` });
  }
}

function ownKeyOf(pattern: string, { inference, jobs }: OwnPaths): string | undefined {
  if (jobs !== undefined && (pattern === jobs || pattern.startsWith(`${jobs}/`))) return 'jobs.path';
  if (inference === undefined || pattern.includes('**')) return undefined; // more lies below it than the protocol has
  return inferenceTargetOf(pattern, inference) === undefined ? undefined : 'inference.path';
}

/** What is wrong with the route that an inbox names; undefined: nothing. It may come with the next reload. */
export function inboxComplaint(routeId: string, specs: readonly RouteSpec[]): Complaint | undefined {
  const about = { path: ['jobs', 'inbox', 'route'], severity: 'warning' } as const;
  const route = specs.find(({ id }) => id === routeId);
  if (route === undefined) {
    const nearest = nearestOf(
      routeId,
      specs.map(({ id }) => id),
    );
    const hint = nearest === undefined ? undefined : `did you mean \`${nearest}\`?`;
    return { ...about, message: `no route is called ${routeId}: the inbox waits for it`, hint };
  }
  if (takesJobs(route) && pathOfJobs(route, '') !== undefined) return undefined;
  const hint = 'it must be `pure: true`, without `async: refuse`, with a path without variables';
  return { ...about, message: `route ${routeId} takes no files`, hint };
}
