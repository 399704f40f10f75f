import { isProblem, type CompileRegex, type RegexProblem } from './regex.ts';
import { parseSegment, type Captures, type SegmentPattern } from './segment-pattern.ts';

/** A pattern of host names: Spring's Ant matcher with `.` between the parts. */
export interface HostPattern {
  readonly names: readonly string[];
  /** What it captures of a host; undefined when it does not match. */
  match(host: string): Captures | undefined;
}

type Part = SegmentPattern | '**';

/**
 * Reads `**.example.com`, `{sub}.example.com`, `*.example.*`. Host names are compared without regard to case (RFC 9110
 * §4.2.3), since a caller may spell them as they like.
 */
export function parseHostPattern(text: string, compileRegex: CompileRegex): HostPattern | RegexProblem {
  const parts: Part[] = [];
  for (const written of split(text)) {
    const part = written === '**' ? written : parseSegment(lowerLiterals(written), compileRegex);
    if (part !== '**' && isProblem(part)) return part;
    parts.push(part);
  }
  const names = parts.flatMap(part => (part === '**' ? [] : part.names));
  return { names, match: host => matchFrom(parts, split(host.toLowerCase()), { part: 0, at: 0 }) };
}

/** Between dots, but not those of a regex in braces; empty parts do not count. */
function split(text: string): string[] {
  return text.match(/(?:\{(?:[^{}\\]|\\.|\{[^{}]*\})*\}|[^.])+/g) ?? [];
}

/** Names in braces keep their case, and so do patterns: operators write them for what they are compared with. */
function lowerLiterals(part: string): string {
  return part.replaceAll(/\{(?:[^{}\\]|\\.|\{[^{}]*\})*\}|[^{]+/g, piece =>
    piece.startsWith('{') ? piece : piece.toLowerCase(),
  );
}

interface Position {
  readonly part: number;
  readonly at: number;
}

/** Several `**` may stand in one pattern; a host has few parts, so trying each length is cheap. */
function matchFrom(parts: readonly Part[], labels: readonly string[], { part, at }: Position): Captures | undefined {
  const current = parts[part];
  if (current === undefined) return at === labels.length ? [] : undefined;
  if (current === '**') return matchAny(parts, labels, { part, at });
  const label = labels[at];
  const found = label === undefined ? undefined : current.match(label, label);
  if (found === undefined) return undefined;
  const rest = matchFrom(parts, labels, { part: part + 1, at: at + 1 });
  return rest && [...found, ...rest];
}

function matchAny(parts: readonly Part[], labels: readonly string[], { part, at }: Position): Captures | undefined {
  if (part === parts.length - 1) return [];
  for (let next = at; next <= labels.length; next++) {
    const found = matchFrom(parts, labels, { part: part + 1, at: next });
    if (found !== undefined) return found;
  }
  return undefined;
}
