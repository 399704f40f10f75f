import type { Route } from '../../route.ts';
import { subjectName, type Subjects } from '../batch/batch-subject.ts';
import type { Clock } from '../../ports.ts';
import { PREDICT_TARGET } from './prediction.ts';

interface BatchStatesParts {
  readonly routes: () => readonly Route[];
  readonly subjects: Subjects;
  readonly clock: Pick<Clock, 'nowMs'>;
}

/** Whether calls travel together, by route. */
export interface BatchStates {
  /** That is what was found out by calls of this route. */
  note(routeId: string, isOn: boolean): void;
  /** Of the routes that batch now, where it is known. */
  read(): ReadonlyMap<string, boolean>;
}

/**
 * What is known of each route: what was said of it last, or else what its service has shown for another route, or before
 * a reload brought this one.
 */
export function createBatchStates({ routes, subjects, clock }: BatchStatesParts): BatchStates {
  const said = new Map<string, boolean>();
  const batching = () => routes().filter(({ policy }) => policy.sharing?.batch !== undefined);

  function shownOf({ service, policy: { sharing } }: Route): boolean | undefined {
    if (sharing?.batch === undefined) return undefined;
    const { rows, sizeMax } = sharing.batch;
    const subject = subjects.of(subjectName(service.name, { target: PREDICT_TARGET }, ['json', rows]));
    const standing = subject.standing(service.versions, clock.nowMs());
    return standing === 'open' ? undefined : standing === 'proven' && subject.size.rowsMax(sizeMax, clock.nowMs()) > 1;
  }

  return {
    note(routeId, isOn) {
      const ids = new Set(batching().map(({ id }) => id));
      for (const id of said.keys()) if (!ids.has(id)) said.delete(id);
      said.set(routeId, isOn);
    },
    read() {
      const states = new Map<string, boolean>();
      for (const route of batching()) {
        const isOn = said.get(route.id) ?? shownOf(route);
        if (isOn !== undefined) states.set(route.id, isOn);
      }
      return states;
    },
  };
}
