import { z } from 'zod';
import { nearestOf } from './nearest.ts';
import type { Complain, KeyPath } from './problem.ts';
import { shownKey } from './secret.ts';
import { laterOf } from './schema/later.ts';

interface Where {
  /** Where the value stands in its file. */
  readonly path: KeyPath;
  readonly complain: Complain;
  /** Paths, as `JSON.stringify` writes them, of values that came from a reference: text, whatever they stand for. */
  readonly referred?: ReadonlySet<string> | undefined;
}

/** A value by its schema; undefined, after every complaint there is, when it does not fit. */
export function validate<S extends z.ZodType>(
  schema: S,
  written: unknown,
  { path, complain, referred = NONE }: Where,
): z.output<S> | undefined {
  const value = fitted(schema, written, { path: [...path], referred, complain });
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    const inner = issue.path as KeyPath;
    for (const { at, ...rest } of complaintsOf(issue, schema, value)) {
      complain({ path: [...path, ...inner, ...at], ...rest });
    }
  }
  return undefined;
}

const NONE: ReadonlySet<string> = new Set();

/**
 * Without them more is let in than with them. One that stands there without a value was to have one, which was commented
 * out, or cut off by an editor: none of them is left out in silence.
 */
const GUARDS: ReadonlySet<string> = new Set(['identity', 'addresses', 'audit', 'tls', 'predicates']);

/** Refuses a key that guards something, and has no value; what another key without a value comes to is its reader's. */
export function complainOfGap(path: KeyPath, value: unknown, complain: Complain): void {
  if (value !== null || !GUARDS.has(String(path.at(-1)))) return;
  complain({ path, message: 'has no value', hint: 'write one, or leave the key out', isAboutKey: true });
}

interface Fitting {
  readonly path: (string | number)[];
  readonly referred: ReadonlySet<string>;
  readonly complain: Complain;
}

/**
 * What is written, as the schema can take it: a known key without a value is no key, and what came from a reference is
 * read as the number or the switch it stands for. A key that is not known stays, value or not, to be reported.
 */
function fitted(schema: z.ZodType | undefined, value: unknown, fitting: Fitting): unknown {
  if (typeof value === 'string') return readReference(schema, value, fitting);
  if (schema === undefined || typeof value !== 'object' || value === null) return value;
  const shape = unwrap(schema);
  const within = (key: string | number, item: unknown) => {
    fitting.path.push(key);
    if (item === null) complainOfGap([...fitting.path], item, fitting.complain);
    const part = fitted(partOf(shape, key), item, fitting);
    fitting.path.pop();
    return part;
  };
  if (Array.isArray(value)) return value.map((item: unknown, i) => within(i, item));
  const isKnown = (key: string) => shape instanceof z.ZodObject && Object.hasOwn(shape.shape, key);
  const entries = Object.entries(value).map(([key, item]): [string, unknown] => [key, within(key, item)]);
  return Object.fromEntries(entries.filter(([key, item]) => item !== null || !isKnown(key)));
}

function readReference(schema: z.ZodType | undefined, text: string, { path, referred }: Fitting): unknown {
  if (schema === undefined || referred.size === 0 || !referred.has(JSON.stringify(path))) return text;
  const shape = unwrap(schema);
  const choices = shape instanceof z.ZodUnion ? (shape.options as z.ZodType[]).map(unwrap) : [shape];
  if (/^(?:true|false)$/.test(text) && choices.some(each => each instanceof z.ZodBoolean)) return text === 'true';
  if (/^-?(?:0|[1-9]\d{0,14})$/.test(text) && choices.some(each => each instanceof z.ZodNumber)) return Number(text);
  return text;
}

interface Words {
  readonly at: KeyPath;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly isAboutKey?: boolean;
}

function complaintsOf(issue: z.core.$ZodIssue, schema: z.ZodType, root: unknown): Words[] {
  const path = issue.path as KeyPath;
  const value = valueAt(root, path);
  if (issue.code === 'unrecognized_keys') return issue.keys.map(key => unknownKey(key, schemaAt(schema, path)));
  if (issue.code === 'invalid_value') return [wrongChoice(issue.values.map(String), value, schemaAt(schema, path))];
  return [{ at: [], ...wordsOf(issue, value, schemaAt(schema, path)) }];
}

function wordsOf(
  issue: z.core.$ZodIssue,
  value: unknown,
  schema: z.ZodType | undefined,
): { message: string; hint?: string | undefined } {
  if (issue.code === 'invalid_type') {
    if (value === undefined) return { message: 'is missing' };
    return { message: `must be ${kindText(issue.expected)}`, hint: examplesHint(schema) };
  }
  if (issue.code === 'too_small') return { message: boundText('at least', issue.minimum, issue.origin) };
  if (issue.code === 'too_big') return { message: boundText('at most', issue.maximum, issue.origin) };
  return { message: issue.message, hint: issue.code === 'custom' ? hintOf(issue.params) : undefined };
}

/** What might have been written: mostly of a duration or size that is a bare number. */
function examplesHint(schema: z.ZodType | undefined): string | undefined {
  const { examples } = schema?.meta() ?? {};
  return Array.isArray(examples) ? `such as ${examples.join(', ')}` : undefined;
}

function hintOf(params: Record<string, unknown> | undefined): string | undefined {
  const hint = params?.['hint'];
  return typeof hint === 'string' ? hint : undefined;
}

function unknownKey(key: string, schema: z.ZodType | undefined): Words {
  const later = laterOf(schema);
  if (later?.keys?.includes(key) === true) return { at: [key], message: `${key}: not yet supported`, isAboutKey: true };
  const known = schema === undefined ? [] : keysOf(schema);
  return { at: [key], ...unknownKeyWords(key, known) };
}

/** What is said of a key that is none, with the one that was probably meant. */
export function unknownKeyWords(
  key: string,
  known: readonly string[],
): { message: string; hint: string | undefined; isAboutKey: true } {
  const nearest = nearestOf(key, known);
  const hint = nearest === undefined ? listHint(known) : `did you mean \`${nearest}\`?`;
  return { message: `unknown key \`${shownKey(key)}\``, hint, isAboutKey: true };
}

function listHint(known: readonly string[]): string | undefined {
  return known.length === 0 ? undefined : `known: ${known.join(', ')}`;
}

function wrongChoice(choices: readonly string[], value: unknown, schema: z.ZodType | undefined): Words {
  const text = typeof value === 'string' ? value : undefined;
  if (text !== undefined && laterOf(schema)?.values?.includes(text) === true) {
    return { at: [], message: `${text}: not yet supported` };
  }
  const nearest = text === undefined ? undefined : nearestOf(text, choices);
  const hint = nearest === undefined ? undefined : `did you mean \`${nearest}\`?`;
  return { at: [], message: `must be ${choices.length > 1 ? 'one of ' : ''}${choices.join(', ')}`, hint };
}

function kindText(expected: string): string {
  const kinds: Record<string, string> = {
    int: 'a whole number',
    number: 'a whole number',
    string: 'text',
    boolean: 'true or false',
    array: 'a list',
    object: 'a map of keys',
    record: 'a map of keys',
  };
  return kinds[expected] ?? expected;
}

function boundText(bound: string, limit: number | bigint, origin: string): string {
  if (origin === 'array' || origin === 'set') return `must have ${bound} ${limit} ${limit === 1 ? 'item' : 'items'}`;
  if (origin === 'string') return `must have ${bound} ${limit} ${limit === 1 ? 'character' : 'characters'}`;
  return `must be ${bound} ${limit}`;
}

function valueAt(root: unknown, path: KeyPath): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string | number, unknown>)[key];
  }
  return value;
}

/** The keys an object schema knows. */
export function keysOf(schema: z.ZodType): string[] {
  const inner = unwrap(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function schemaAt(root: z.ZodType, path: KeyPath): z.ZodType | undefined {
  let schema: z.ZodType | undefined = unwrap(root);
  for (const key of path) {
    if (schema === undefined) return undefined;
    const part = partOf(schema, key);
    schema = part === undefined ? undefined : unwrap(part);
  }
  return schema;
}

function partOf(schema: z.ZodType, key: string | number): z.ZodType | undefined {
  if (schema instanceof z.ZodObject) return (schema.shape as Record<string, z.ZodType>)[key];
  if (schema instanceof z.ZodArray) return schema.element as z.ZodType;
  if (schema instanceof z.ZodRecord) return schema.valueType as z.ZodType;
  return undefined;
}

/** The shape itself, under what gives it a default or turns it into something else. */
function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodPipe) return unwrap(schema.in as z.ZodType);
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return unwrap(schema.unwrap() as z.ZodType);
  }
  return schema;
}
