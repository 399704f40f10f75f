import type { ServiceAtWork } from './builders.ts';

/** Lets a service see, one after the other, calls that take so long. */
export async function learn({ take, clock }: ServiceAtWork, durationsMs: readonly number[]): Promise<void> {
  for (const durationMs of durationsMs) {
    const permit = await take();
    permit.begin();
    clock.advance(durationMs);
    permit.release();
  }
}
