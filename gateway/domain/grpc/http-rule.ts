import { isRecord } from '../unknown-value.ts';
import { fillPath, type PathTemplate } from './path-template.ts';

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
