import type { Prover } from './batch-prover.ts';
import { predictMessage } from './prediction.ts';
import { subjectName, type Subjects } from '../batch/batch-subject.ts';
import type { Clock } from '../../ports.ts';
import type { BatchPolicy, Route } from '../../route.ts';
import type { Service } from '../../service.ts';

interface BatchWatchParts {
  readonly routes: () => readonly Route[];
  readonly subjects: Subjects;
  readonly prover: Prover;
  readonly clock: Clock;
}

/** Looks out for models that may be asked before anyone calls them. */
export interface BatchWatch {
  close(): void;
}

const LOOK_EVERY_MS = 1_000;

/**
 * Has a proof made of every route that batches as soon as an instance is there, and again when a new version is, so that
 * the first callers need not wait for it. Models at other paths are asked when calls to them come.
 */
export function createBatchWatch({ routes, subjects, prover, clock }: BatchWatchParts): BatchWatch {
  let cancel = clock.after(0, look);

  function look(): void {
    cancel = clock.after(LOOK_EVERY_MS, look);
    for (const route of routes()) {
      const batch = route.policy.sharing?.batch;
      if (batch !== undefined) consider(route, batch);
    }
  }

  function consider(route: Route, { rows: format }: BatchPolicy): void {
    const { service } = route;
    const message = predictMessage(service.policy.sharedSecret);
    const subject = subjects.of(subjectName(service.name, message, ['json', format]));
    const isOpen = subject.standing(service.versions, clock.nowMs()) === 'open';
    if (isOpen && hasInstance(service)) prover.consider({ subject, route, message, format });
  }

  return { close: () => cancel() };
}

function hasInstance(service: Service): boolean {
  return service.view().instances.some(({ state }) => state === 'in-rotation' || state === 'slow-start');
}
