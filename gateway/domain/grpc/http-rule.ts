import { isRecord } from '../unknown-value.ts';
import { encodeSegment } from '../http/request-target.ts';

/** A path of `google.api.http`: literals, and variables that a message's fields fill (google/api/http.proto, "Path template syntax"). */
interface PathTemplate {
  readonly text: string;
  readonly parts: readonly TemplatePart[];
  /** Fields by their path in the message: `id`, `book.id`. */
  readonly variables: readonly string[];
}

/** `segments` are literals, `*` for any one, `**` for any that are left. */
export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'variable'; readonly field: string; readonly segments: readonly string[] };

const PART = /\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:=([^{}]+))?\}/g;
const LITERAL = /^[A-Za-z0-9._~!$&'()+,@:/-]*$/;

/** Takes a template apart; a text: why it is none. */
export function parsePathTemplate(text: string): PathTemplate | string {
  if (!text.startsWith('/')) return 'must begin with a slash';
  const parts: TemplatePart[] = [];
  let at = 0;
  for (const match of text.matchAll(PART)) {
    const [whole, field = '', pattern = '*'] = match;
    parts.push({ kind: 'text', text: text.slice(at, match.index) });
    parts.push({ kind: 'variable', field, segments: pattern.split('/') });
    at = match.index + whole.length;
  }
  parts.push({ kind: 'text', text: text.slice(at) });
  const isSound = parts.every(part => (part.kind === 'text' ? LITERAL.test(part.text) : areSegments(part.segments)));
  if (!isSound) return 'must be a path of literals and of variables such as {id} or {name=shelves/*}';
  return { text, parts, variables: parts.flatMap(part => (part.kind === 'variable' ? [part.field] : [])) };
}

function areSegments(segments: readonly string[]): boolean {
  return segments.every((segment, i) => {
    if (segment === '**') return i === segments.length - 1;
    return segment === '*' || (segment !== '' && !segment.includes('*') && LITERAL.test(segment));
  });
}

/** The path with its variables filled in; undefined where a value is empty, or not what its pattern takes. */
export function fillPath({ parts }: PathTemplate, valueOf: (field: string) => string): string | undefined {
  let path = '';
  for (const part of parts) {
    const text = part.kind === 'text' ? part.text : filled(valueOf(part.field), part.segments);
    if (text === undefined) return undefined;
    path += text;
  }
  return path;
}

function filled(value: string, segments: readonly string[]): string | undefined {
  if (segments.length === 1 && segments[0] === '*') return value === '' ? undefined : encodeSegment(value);
  const given = value.split('/');
  const isOpen = segments.at(-1) === '**';
  const fixed = isOpen ? segments.slice(0, -1) : segments;
  if (given.length < fixed.length || (!isOpen && given.length > fixed.length) || given.includes('')) return undefined;
  const fits = fixed.every((segment, i) => segment === '*' || segment === given[i]);
  return fits ? given.map(encodeSegment).join('/') : undefined;
}

/** A field of a message by its path: what the `.proto` calls it, and its names in JSON from the outside in. */
export interface FieldPath {
  readonly field: string;
  readonly names: readonly string[];
}

/** One binding of `google.api.http`: how a message becomes a request of HTTP (google/api/http.proto). */
export interface HttpRule {
  readonly method: string;
  readonly path: PathTemplate;
  readonly variables: readonly FieldPath[];
  /** The field that is the body, `*`: all that the path does not hold; undefined: none, the rest stands in the query. */
  readonly body: FieldPath | '*' | undefined;
  /** The field of the answer that R's answer is; undefined: it is the whole. */
  readonly responseBody: FieldPath | undefined;
}

/** A message in JSON. */
export type JsonMessage = Readonly<Record<string, unknown>>;

/** What a message asks of R. */
export interface HttpRequest {
  readonly rule: HttpRule;
  readonly path: string;
  readonly query: string;
  /** Undefined: there is none. */
  readonly body: unknown;
}

/** The request by the first of the bindings whose variables the message fills; undefined where it fills those of none. */
export function toHttpRequest(rules: readonly HttpRule[], message: JsonMessage): HttpRequest | undefined {
  for (const rule of rules) {
    const path = fillPath(rule.path, field => textAt(message, namesOf(rule, field)));
    if (path !== undefined) return { rule, path, ...contentOf(rule, message) };
  }
  return undefined;
}

function namesOf({ variables }: HttpRule, field: string): readonly string[] {
  return variables.find(each => each.field === field)?.names ?? [];
}

function contentOf({ body, variables }: HttpRule, message: JsonMessage): { query: string; body: unknown } {
  const rest = variables.reduce((left, { names }) => without(left, names), message);
  if (body === '*') return { query: '', body: rest };
  if (body === undefined) return { query: toQuery(rest), body: undefined };
  return { query: toQuery(without(rest, body.names)), body: valueAt(rest, body.names) ?? null };
}

function without(message: JsonMessage, [name = '', ...inner]: readonly string[]): JsonMessage {
  if (!Object.hasOwn(message, name)) return message;
  const { [name]: value, ...rest } = message;
  return inner.length === 0 || !isRecord(value) ? rest : { ...rest, [name]: without(value, inner) };
}

function valueAt(message: JsonMessage, names: readonly string[]): unknown {
  return names.reduce<unknown>((value, name) => (isRecord(value) ? value[name] : undefined), message);
}

function textAt(message: JsonMessage, names: readonly string[]): string {
  return textOf(valueAt(message, names));
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

/** What neither path nor body holds: fields of fields by their path, each element of a list by itself; empty texts say nothing. */
function toQuery(message: JsonMessage): string {
  const pairs: string[] = [];
  const push = (name: string, text: string) =>
    text !== '' && pairs.push(`${encodeURIComponent(name)}=${encodeURIComponent(text)}`);
  const add = (name: string, value: unknown): void => {
    if (Array.isArray(value)) for (const each of value) add(name, each);
    else if (isRecord(value)) for (const [inner, each] of Object.entries(value)) add(`${name}.${inner}`, each);
    else push(name, textOf(value));
  };
  for (const [name, value] of Object.entries(message)) add(name, value);
  return pairs.join('&');
}

/** R's answer as the JSON of the message that answers. */
export function toAnswerMessage({ responseBody }: HttpRule, answer: unknown): unknown {
  return (responseBody?.names ?? []).reduceRight<unknown>((value, name) => ({ [name]: value }), answer);
}
