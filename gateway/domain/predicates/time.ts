import type { Predicate } from '../route.ts';

/** Holds strictly after an instant. */
export function after(text: string, atMs: number): Predicate {
  return { name: 'After', text, holds: ({ wallMs }) => wallMs > atMs };
}

/** Holds strictly before an instant. */
export function before(text: string, atMs: number): Predicate {
  return { name: 'Before', text, holds: ({ wallMs }) => wallMs < atMs };
}

/** Holds strictly after the first instant and strictly before the second. */
export function between(text: string, { fromMs, toMs }: { fromMs: number; toMs: number }): Predicate {
  return { name: 'Between', text, holds: ({ wallMs }) => wallMs > fromMs && wallMs < toMs };
}
