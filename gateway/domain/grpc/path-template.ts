import { encodeSegment } from '../http/normal-path.ts';

/** A path of `google.api.http`: literals, and variables that a message's fields fill (google/api/http.proto, "Path template syntax"). */
export interface PathTemplate {
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
