import type { Observe } from './domain/events.ts';
import type { Ask } from './domain/exchange.ts';
import type { Clock } from './domain/ports.ts';
import type { Route } from './domain/route.ts';
import { createProver } from './domain/sharing/proof/batch-prover.ts';
import { createBatchStates } from './domain/sharing/proof/batch-states.ts';
import { createSubjects } from './domain/sharing/batch/batch-subject.ts';
import { createBatchWatch } from './domain/sharing/proof/batch-watch.ts';
import type { Gather } from './domain/sharing/shared.ts';
import { createGather } from './stages/gather.ts';

/** Batches, and the proofs they rest on. What was proven and learned of a service outlives reloads. */
export interface Batching {
  readonly gather: Gather;
  /** Whether calls travel together, by route. */
  states(): ReadonlyMap<string, boolean>;
  /** No proof is begun any more, and what is under way is broken off. */
  close(): void;
}

interface BatchingParts {
  /** Puts the gateway's own questions. */
  readonly ask: Ask;
  /** Those of the current generation. */
  readonly routes: () => readonly Route[];
  readonly clock: Clock;
  readonly observe: Observe;
}

/** Puts together what makes calls travel as one. */
export function composeBatching({ ask, routes, clock, observe: pass }: BatchingParts): Batching {
  const subjects = createSubjects();
  const states = createBatchStates({ routes, subjects, clock });
  const observe: Observe = event => {
    if (event.kind === 'batching') states.note(event.route, event.isOn);
    pass(event);
  };
  const prover = createProver({ ask, clock, observe });
  const watch = createBatchWatch({ routes, subjects, prover, clock });
  return {
    gather: createGather({ subjects, prover, clock, observe }),
    states: () => states.read(),
    close() {
      watch.close();
      prover.close();
    },
  };
}
