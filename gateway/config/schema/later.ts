import { z } from 'zod';

/** What a part of the contract will have, and does not have yet: refused by name, not as a slip of the pen. */
export interface Later {
  readonly keys?: readonly string[];
  readonly values?: readonly string[];
}

const later = z.registry<Later>();

/** The schema itself, knowing what it will have one day. */
export function withLater<S extends z.ZodType>(schema: S, parts: Later): S {
  // The registry's own types cannot follow a generic schema; the value is checked by `Later`.
  (later as unknown as { add(schema: z.ZodType, parts: Later): void }).add(schema, parts);
  return schema;
}

/** What this schema will have one day. */
export function laterOf(schema: z.ZodType | undefined): Later | undefined {
  return schema === undefined ? undefined : later.get(schema);
}
