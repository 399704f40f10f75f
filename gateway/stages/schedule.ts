import type { Attempt, Permit, Question, Stages } from '../domain/exchange.ts';
import type { Observe } from '../domain/events.ts';
import type { Clock } from '../domain/ports.ts';

interface SchedulePorts {
  readonly clock: Clock;
  readonly observe: Observe;
}

/** Waits for a place at an instance of the route's service, and goes on with it. */
export function createSchedule({ clock, observe }: SchedulePorts): Stages['schedule'] {
  return async function schedule(question, attempt, next) {
    const permit = await place(question, attempt);
    try {
      attempt.placed(permit.instance);
      return await next(permit);
    } catch (error) {
      if (!permit.hasBegun) permit.release(); // nothing was sent: the instance is free
      throw error;
    }
  };

  async function place(question: Question, { signal, tried }: Attempt): Promise<Permit> {
    const { route, callerId, affinity, deadline, notes } = question;
    const { service, policy } = route;
    const startedMs = clock.nowMs();
    try {
      const remainingMs = deadline.remainingMs();
      return await service.acquire({ signal, tried, affinity, callerId, priority: policy.priority, remainingMs });
    } finally {
      const waitedMs = clock.nowMs() - startedMs;
      notes.queueMs += waitedMs;
      observe({ kind: 'queue-left', service: service.name, waitedMs });
    }
  }
}
