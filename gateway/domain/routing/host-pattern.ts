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
  return { names, match: host => matchParts(parts, labelsOf(host)) };
}

/** A pattern between dots, but not those of a regex in braces; empty parts do not count. */
function split(text: string): string[] {
  return text.match(/(?:\{(?:[^{}\\]|\\.|\{[^{}]*\})*\}|[^.])+/g) ?? [];
}

/** Names in braces keep their case, and so do patterns: operators write them for what they are compared with. */
function lowerLiterals(part: string): string {
  return part.replaceAll(/\{(?:[^{}\\]|\\.|\{[^{}]*\})*\}|[^{]+/g, piece =>
    piece.startsWith('{') ? piece : piece.toLowerCase(),
  );
}

/** Empty labels do not count. */
function labelsOf(host: string): string[] {
  return host
    .toLowerCase()
    .split('.')
    .filter(label => label !== '');
}

/**
 * What the parts capture of the labels; undefined when they do not match. Each `**` takes as few labels as it can.
 *
 * A table of what can still match from where keeps it to parts × labels, however many `**` there are.
 */
function matchParts(parts: readonly Part[], labels: readonly string[]): Captures | undefined {
  const width = labels.length + 1;
  const found = Array<Captures | undefined>((parts.length + 1) * width).fill(undefined);
  found[parts.length * width + labels.length] = [];
  for (let part = parts.length - 1; part >= 0; part--) {
    for (let at = labels.length; at >= 0; at--) {
      found[part * width + at] = matchAt(parts[part], { labels, at, rest: found, from: part * width });
    }
  }
  return found[0];
}

interface Cell {
  readonly labels: readonly string[];
  readonly at: number;
  /** What matches from each place on; `from` is where this part's row begins. */
  readonly rest: readonly (Captures | undefined)[];
  readonly from: number;
}

function matchAt(part: Part | undefined, { labels, at, rest, from }: Cell): Captures | undefined {
  const next = from + labels.length + 1;
  if (part === '**') return rest[next + at] ?? rest[from + at + 1];
  const label = labels[at];
  const after = rest[next + at + 1];
  if (part === undefined || label === undefined || after === undefined) return undefined;
  const found = part.match(label, label);
  return found && (after.length === 0 ? found : [...found, ...after]);
}
