import type { Clock, Random } from './domain/clock.ts';
import type { Deadlines } from './domain/deadlines.ts';
import type { Observe } from './domain/events.ts';
import type { Route } from './domain/route.ts';
import { BatchingStates, type BatchingView } from './domain/sharing/batch/batching-states.ts';
import { createSubjects } from './domain/sharing/batch/subject.ts';
import type { SendUpstream } from './domain/upstream.ts';
import { createBatch } from './stages/batch.ts';
import { OwnRequests, Prover, watchForProofs } from './stages/batch-proof.ts';
import { Rechecks } from './stages/batch-recheck.ts';

/** Batches, and the comparisons they rest on. What was shown and learned of a service outlives reloads. */
export interface Batching {
  readonly batch: ReturnType<typeof createBatch>;
  /** Whether calls travel together, by route. */
  states(): ReadonlyMap<string, boolean>;
  /** The same of one route, and what speaks against it; null where it does not batch. */
  view(routeId: string): BatchingView | null;
  /** What models of a service have shown is found out anew: until then calls to it travel alone. Of how many paths that is. */
  recheck(service: string): number;
  /** No comparison is begun any more, and what is under way is left. */
  close(): void;
}

interface BatchingParts {
  /** Puts calls, and the gateway's own upstream requests. */
  readonly send: SendUpstream;
  /** Those of the current generation. */
  readonly routes: () => readonly Route[];
  readonly clock: Clock;
  readonly random: Random;
  readonly deadlines: Deadlines;
  readonly observe: Observe;
}

/** Puts together what makes calls travel as one. */
export function composeBatching({ send, routes, clock, random, deadlines, observe: pass }: BatchingParts): Batching {
  const subjects = createSubjects();
  const states = new BatchingStates({ routes, subjects, clock });
  const observe: Observe = event => {
    if (event.kind === 'batching') states.note(event.route, event.isOn, event.reason);
    pass(event);
  };
  const own = new OwnRequests({ send, clock, deadlines });
  const prover = new Prover({ own, clock, observe });
  const rechecks = new Rechecks({ own, clock, random, observe, states });
  const endWatch = watchForProofs({ routes, subjects, prover, clock });
  return {
    batch: createBatch({ send, subjects, prover, rechecks, states, deadlines, clock, observe }),
    states: () => states.read(),
    view: routeId => states.view(routeId),
    recheck(service) {
      states.forget(service);
      return subjects.forget(service);
    },
    close() {
      endWatch();
      own.close();
      rechecks.close();
    },
  };
}
