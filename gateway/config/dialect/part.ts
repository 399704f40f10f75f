import type { Filter } from '../../domain/route.ts';
import { isProblem, parseReplacement, type CompileRegex, type Regex } from '../../domain/routing/regex.ts';
import { parseTemplate, type Template } from '../../domain/routing/template.ts';
import { nearestOf } from '../nearest.ts';
import type { Complaint, KeyPath } from '../problem.ts';
import type { ResolveValue } from '../parse-routes.ts';
import { OUR_WAY } from '../schema/dialect-names.ts';
import { sizeBytes } from '../units.ts';
import type { RequestSize } from '../useless.ts';
import type { WrittenPolicy } from '../schema/route-policy.ts';
import { parseShortcut, type PartKind, type WrittenPart } from './written-part.ts';

/** How a predicate or filter takes its values, and what it becomes. */
export interface PartDefinition<T> {
  /** 'fields': by position or name. 'list': all values are one list, whatever their names. */
  readonly shape: 'fields' | 'list';
  /** In the order of the shortcut. Of a list: the name of the list. */
  readonly fields: readonly string[];
  /** How many of the fields there must be. */
  readonly required: number;
  /** The last field takes all values that are left. */
  readonly takesRest?: boolean;
  /** Fields that only `args` can give. */
  readonly named?: readonly string[];
  /** A line for the manual. */
  readonly manual: string;
  readonly example: string;
  make(part: Part): T | undefined;
}

/** A part with its values bound to their fields, references resolved. */
export interface Part {
  readonly written: WrittenPart;
  /** The value of a field; undefined where it has none. */
  one(field: string): string | undefined;
  /** The values of a field. */
  all(field: string): readonly string[];
  complain(message: string, more?: Partial<Complaint>): void;
  readonly compileRegex: CompileRegex;
  /** The names that the route's predicates capture. */
  readonly captured: ReadonlySet<string>;
}

/** What making parts of one route needs. */
export interface PartTools {
  readonly complain: (complaint: Complaint) => void;
  readonly resolve: ResolveValue;
  readonly compileRegex: CompileRegex;
  readonly captured: ReadonlySet<string>;
}

/** What is written, as what it means; undefined after saying what is wrong with it. */
export function makePart<T>(
  written: WrittenPart,
  { kind, definitions }: { kind: PartKind; definitions: ReadonlyMap<string, PartDefinition<T>> },
  tools: PartTools,
): T | undefined {
  const definition = definitions.get(written.name);
  if (definition === undefined) {
    tools.complain({
      path: written.path,
      ...unknownName(written.name, kind, [...definitions.keys()]),
      piece: written.name,
    });
    return undefined;
  }
  const part = bind(written, definition, tools);
  return part && definition.make(part);
}

function unknownName(
  name: string,
  kind: PartKind,
  known: readonly string[],
): { message: string; hint?: string | undefined } {
  const way = OUR_WAY.get(name);
  if (way !== undefined) return { message: `${name} is not part of this gateway`, hint: way };
  const nearest = nearestOf(name, known);
  return {
    message: `there is no ${kind} called ${name}`,
    hint: nearest === undefined ? `known: ${known.join(', ')}` : `did you mean ${nearest}?`,
  };
}

/** The values by field; undefined when some are too many, missing or unknown. */
function bind<T>(written: WrittenPart, definition: PartDefinition<T>, tools: PartTools): Part | undefined {
  const state = { isSound: true };
  const complain: Part['complain'] = (message, more = {}) => {
    state.isSound &&= more.severity === 'warning';
    const path = placeOf(written, more.piece);
    tools.complain({ path, message: `${written.name}: ${message}`, ...more });
  };
  const values = new Map<string, string[]>();
  const groups = definition.fields.includes('replacement') ? groupsOf(written) : undefined;
  written.values.forEach(({ key, text }, position) => {
    const field = fieldOf(definition, key, position);
    if (field === undefined) {
      complain(...surplus(definition, key, text));
      return;
    }
    // In a replacement `${name}` stands for what a group of the pattern holds, whatever else has that name.
    const kept = field === 'replacement' ? groups : undefined;
    const resolved = tools.resolve(text, (message, hint) => complain(message, { hint, piece: text }), kept);
    if (resolved === undefined) return;
    const listed = definition.shape === 'list' && PLACEHOLDER.test(text) ? listedIn(resolved) : [resolved];
    values.set(field, [...(values.get(field) ?? []), ...listed]);
  });
  for (const field of definition.fields.slice(0, definition.required)) {
    if (state.isSound && !values.has(field))
      complain(`\`${field}\` is missing`, { hint: `for example ${definition.example}` });
  }
  const { compileRegex, captured } = tools;
  const part = {
    written,
    one: (field: string) => values.get(field)?.[0],
    all: (field: string) => values.get(field) ?? [],
    complain,
    compileRegex,
    captured,
  };
  return state.isSound ? part : undefined;
}

/** Of a part with `args` the value that holds the piece; a shortcut is one text. */
function placeOf({ path, values }: WrittenPart, piece: string | undefined): KeyPath {
  const value = piece === undefined ? undefined : values.find(({ text }) => text.includes(piece));
  return value?.path ?? path;
}

/** The groups that a filter's own pattern names. */
function groupsOf({ values }: WrittenPart): ReadonlySet<string> {
  return new Set(
    values.flatMap(({ text }) => [...text.matchAll(/\(\?<([A-Za-z][A-Za-z0-9]*)>/g)].map(([, name = '']) => name)),
  );
}

/** A placeholder of Spring's, and no reference of ours. */
const PLACEHOLDER = /\$\{(?!env:|file:)/;

/** As in Spring a placeholder may hold the whole of a list: `Host=${HOSTS}`. */
function listedIn(text: string): readonly string[] {
  const shortcut = parseShortcut(`=${text}`);
  return 'problem' in shortcut ? [text] : shortcut.pieces;
}

function fieldOf<T>(
  { shape, fields, takesRest, named }: PartDefinition<T>,
  key: string | undefined,
  position: number,
): string | undefined {
  const generated = /^_genkey_(\d+)$/.exec(key ?? '')?.[1];
  if (key !== undefined && named?.includes(key) === true) return key;
  if (shape === 'list') return fields[0];
  if (key === undefined) return fields[takesRest === true ? Math.min(position, fields.length - 1) : position];
  if (generated !== undefined) return fields[Number(generated)];
  return fields.find(field => field === key);
}

function surplus<T>(
  { fields, named = [], example }: PartDefinition<T>,
  key: string | undefined,
  text: string,
): [message: string, more: Partial<Complaint>] {
  if (key !== undefined) {
    const known = [...fields, ...named];
    const nearest = nearestOf(key, known);
    const hint =
      nearest === undefined
        ? known.length > 0
          ? `known: ${known.join(', ')}`
          : undefined
        : `did you mean \`${nearest}\`?`;
    return [`unknown argument \`${key}\``, { hint, piece: key }];
  }
  const hint = 'a value that holds a comma is written with `name` and `args`';
  if (fields.length === 0) return ['takes no values', { hint: `for example ${example}` }];
  return [
    `takes ${fields.length} ${fields.length === 1 ? 'value' : 'values'} (${fields.join(', ')}), here is one more`,
    { hint, piece: text },
  ];
}

/** A regex of a part; undefined after saying what is wrong with it. */
export function regexOf(part: Part, field: string): Regex | undefined {
  const source = part.one(field);
  if (source === undefined) return undefined;
  const compiled = part.compileRegex(source);
  if (!isProblem(compiled)) return compiled;
  part.complain(`${field}: ${compiled.problem}`, { piece: compiled.piece === '' ? source : compiled.piece });
  return undefined;
}

/** A filter, and what it changes about the route instead of about requests. */
export interface MadeFilter {
  readonly filter: Filter;
  readonly requestSize?: RequestSize;
  /** What of the route's policy the filter stands for. */
  readonly policy?: WrittenPolicy;
}

/** How a filter takes its values, and what it becomes. */
export type FilterDefinition = PartDefinition<MadeFilter>;

/** A template whose names the route captures. */
export function templateOf(part: Part, text: string): Template | undefined {
  const template = parseTemplate(text);
  const unknown = template.names.filter(name => !part.captured.has(name));
  for (const name of unknown) {
    const known = [...part.captured];
    const hint = known.length === 0 ? 'capture it, for example with Path=/{name}/**' : `captured: ${known.join(', ')}`;
    part.complain(`no predicate of the route captures {${name}}`, { hint, piece: `{${name}` });
  }
  return unknown.length === 0 ? template : undefined;
}

/** A value that is true or false; `otherwise` where it is not given. */
export function flagOf(part: Part, field: string, otherwise: boolean): boolean {
  const text = part.one(field);
  if (text === undefined) return otherwise;
  if (!/^(?:true|false)$/i.test(text)) part.complain(`${field} must be true or false`, { piece: text });
  return text.toLowerCase() === 'true';
}

/** The replacement of a part's regex; undefined after saying what is wrong with it. */
export function replacementOf(part: Part, regex: Regex): readonly (string | number)[] | undefined {
  const written = part.one('replacement') ?? '';
  // Spring reads `$\` as `$`, because `${` would have meant a property.
  const replacement = parseReplacement(written.replaceAll('$\\', '$'), regex);
  if (!('problem' in replacement)) return replacement;
  part.complain(`replacement: ${replacement.problem}`, { piece: written });
  return undefined;
}

const SPRING_UNIT: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['B', 1],
  ['KB', 1_024],
  ['MB', 1_024 ** 2],
  ['GB', 1_024 ** 3],
]);

/** A size in bytes, as Spring writes it or as we do; undefined after a complaint. */
export function sizeOf(part: Part, field: string, otherwise: number): number | undefined {
  const text = part.one(field) ?? String(otherwise);
  const [, amount, unit = ''] = /^(\d{1,12})([KMG]?B)?$/.exec(text) ?? [];
  const bytes = amount === undefined ? sizeBytes(text) : Number(amount) * (SPRING_UNIT.get(unit) ?? 1);
  if (bytes !== undefined && Number.isSafeInteger(bytes)) return bytes;
  part.complain(`${field} must be a size`, { hint: 'write 5000000, 5MB or 5MiB', piece: text });
  return undefined;
}
