import { PREDICT_TARGET } from './proof.ts';
import { subjectName, type Subjects } from './subject.ts';
import type { Clock } from '../../clock.ts';
import type { Route } from '../../route.ts';

interface BatchingStatesParts {
  readonly routes: () => readonly Route[];
  readonly subjects: Subjects;
  readonly clock: Pick<Clock, 'nowMs'>;
}

/** Whether calls of a route travel together: `GET /api/routes`. */
export interface BatchingView {
  readonly isOn: boolean;
  /** What was found out last against it. */
  readonly reason: string | null;
}

/** What one call weighs: about the last thirty count. */
const WEIGHT = 1 / 32;

/**
 * Whether calls travel together, of each route as a whole: 1 where most of its last calls could have, whatever they
 * asked for. A call could not where its model has not been proven or has been refuted, where batches of it fail too
 * often, where its body is not rows, or where rows like them have not been compared yet.
 */
export class BatchingStates {
  readonly #parts: BatchingStatesParts;
  /** The share of a route's last calls that could travel with others. */
  readonly #shares = new Map<string, number>();
  /** Why calls of a route did not travel together when that was found out last. */
  readonly #reasons = new Map<string, string>();

  constructor(parts: BatchingStatesParts) {
    this.#parts = parts;
  }

  /** A call of a route that batches has come. */
  called({ id }: Route, couldTravel: boolean): void {
    const share = this.#shares.get(id);
    const now = couldTravel ? 1 : 0;
    this.#shares.set(id, share === undefined ? now : share + (now - share) * WEIGHT);
  }

  /** Batching ends for one version at a service: what its routes have seen so far says nothing any more. */
  ended(serviceName: string, reason: string): void {
    for (const { id, service } of this.#batching()) {
      if (service.name !== serviceName) continue;
      this.#shares.set(id, 0);
      this.#reasons.set(id, reason);
    }
  }

  /** What was seen of a service's routes says nothing any more. */
  forget(serviceName: string): void {
    for (const { id, service } of this.#batching()) {
      if (service.name !== serviceName) continue;
      this.#shares.delete(id);
      this.#reasons.delete(id);
    }
  }

  /** What was found out by calls of a route. */
  note(routeId: string, isOn: boolean, reason: string): void {
    if (isOn) this.#reasons.delete(routeId);
    else this.#reasons.set(routeId, reason);
  }

  /** Of the routes that batch now, where it is known. */
  read(): ReadonlyMap<string, boolean> {
    const states = new Map<string, boolean>();
    const batching = this.#batching();
    this.#forgetOthers(batching);
    for (const route of batching) {
      const share = this.#shares.get(route.id);
      const isOn = share === undefined ? this.#shownOf(route) : share > 0.5;
      if (isOn !== undefined) states.set(route.id, isOn);
    }
    return states;
  }

  /** Of one route, as operators read it; null where it does not batch, or nothing is known. */
  view(routeId: string): BatchingView | null {
    const isOn = this.read().get(routeId);
    const reason = this.#reasons.get(routeId) ?? null;
    return isOn === undefined && reason === null ? null : { isOn: isOn ?? false, reason };
  }

  #batching(): readonly Route[] {
    return this.#parts.routes().filter(({ policy }) => policy.sharing?.batch !== undefined);
  }

  #forgetOthers(batching: readonly Route[]): void {
    const ids = new Set(batching.map(({ id }) => id));
    for (const known of [this.#shares, this.#reasons]) {
      for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
    }
  }

  /** Before the first call: what its service has shown at the usual path. */
  #shownOf({ service, policy: { sharing } }: Route): boolean | undefined {
    if (sharing?.batch === undefined) return undefined;
    const subject = this.#parts.subjects.of(
      subjectName(service.name, { target: PREDICT_TARGET }, ['json', sharing.batch.rows]),
    );
    const standing = subject.standing(service.versions, this.#parts.clock.nowMs());
    return standing === 'open' ? undefined : standing === 'proven';
  }
}
