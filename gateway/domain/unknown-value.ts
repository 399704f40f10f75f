/** True for an object with keys: what another program sent may be anything. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object itself, or one without keys where the value is none. */
export function recordOf(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

/** The text itself, or an empty one where the value is none. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
