import type { InputError } from '../errors.ts';
import { found } from './findings.ts';
import { JsonWalk } from './json-walk.ts';
import type { InputBounds } from './records.ts';

/** Holds a value that JSON has brought against a JSON Schema; what is wrong with it, none where nothing is. */
export type CheckJson = (value: unknown) => readonly InputError[];

/** Makes a check of a JSON Schema, or says what is wrong with the schema. */
export type CompileJsonSchema = (schema: unknown) => CheckJson | { readonly problem: string };

/** A body that can be read in one way only, and what it says; or what is wrong with it. Throws NotJson. */
export function readValue(
  content: Buffer,
  { depthMax, rowsMax }: InputBounds,
): { readonly errors: readonly InputError[]; readonly value: unknown } {
  const errors = found(findings => new JsonWalk(content, { findings, depthMax }).whole(rowsMax));
  if (errors.length > 0) return { errors, value: undefined };
  return { errors, value: JSON.parse(content.toString('utf8')) as unknown };
}

/** A body against a JSON Schema. Throws NotJson. */
export function checkValue(check: CheckJson, content: Buffer, bounds: InputBounds): readonly InputError[] {
  const { errors, value } = readValue(content, bounds);
  return errors.length > 0 ? errors : check(value);
}
