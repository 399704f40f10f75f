import type { Predicate } from '../route.ts';

/** Holds for one of the methods; HEAD wherever GET does (RFC 9110 §9.3.2). */
export function method(text: string, methods: readonly string[]): Predicate {
  return { name: 'Method', text, holds: asked => isAmong(asked.method, methods) };
}

/** True when a request with this method may use a route with these; undefined methods are any. */
export function isAmong(asked: string, methods: readonly string[] | undefined): boolean {
  if (methods === undefined || methods.includes(asked)) return true;
  return asked === 'HEAD' && methods.includes('GET');
}
