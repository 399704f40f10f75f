import type { Admitted } from '../domain/call.ts';

/** Lets those of the route's filters that must wait for something do so, one after the other, and goes on with the call. */
export function prepare(call: Admitted, next: (call: Admitted) => void): void {
  const { preparing = [] } = call.route;
  const step = (at: number) => {
    const filter = preparing[at];
    if (filter === undefined) next(call);
    else filter.prepare?.(call, () => step(at + 1));
  };
  step(0);
}
