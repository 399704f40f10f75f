import { isAmong } from './route-table.ts';
import { withinRanges } from '../http/address-range.ts';
import { cookiesOf, fieldsOf, hasField } from '../http/fields.ts';
import type { Predicate } from '../route.ts';
import type { PathPattern } from './path-pattern.ts';
import { type Regex, isProblem, type CompileRegex, type RegexProblem } from './regex.ts';
import { type Captures, parseSegment, type SegmentPattern } from './segment-pattern.ts';

/** A pattern of host names: Spring's Ant matcher with `.` between the parts. */
interface HostPattern {
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

/** Holds strictly after an instant. */
export function after(text: string, atMs: number): Predicate {
  return { name: 'After', text, holds: ({ wallMs }) => wallMs > atMs };
}

/** Holds strictly before an instant. */
export function before(text: string, atMs: number): Predicate {
  return { name: 'Before', text, holds: ({ wallMs }) => wallMs < atMs };
}

/** Holds strictly after the first instant and strictly before the second. */
export function between(text: string, { fromMs, toMs }: { fromMs: number; toMs: number }): Predicate {
  return { name: 'Between', text, holds: ({ wallMs }) => wallMs > fromMs && wallMs < toMs };
}

/** Holds for one of the methods; HEAD wherever GET does (RFC 9110 §9.3.2). */
export function method(text: string, methods: readonly string[]): Predicate {
  return { name: 'Method', text, holds: request => isAmong(request.method, methods) };
}

/** Holds for a path that one of the patterns matches; the first that does captures. */
export function path(text: string, patterns: readonly PathPattern[]): Predicate {
  return {
    name: 'Path',
    text,
    holds(request, variables) {
      for (const pattern of patterns) {
        const captures = pattern.match(request.path);
        if (captures !== undefined) return keepCaptures(captures, variables);
      }
      return false;
    },
  };
}

interface HostArgs {
  readonly patterns: readonly HostPattern[];
  /** True: the pattern is compared with host and port, as the caller sent them. */
  readonly includePort: boolean;
}

/** Holds for a host that one of the patterns matches; the first that does captures. */
export function host(text: string, { patterns, includePort }: HostArgs): Predicate {
  return {
    name: 'Host',
    text,
    holds(request, variables) {
      const name = includePort ? request.host : request.host.replace(/:\d*$/, '');
      for (const pattern of patterns) {
        const captures = pattern.match(name);
        if (captures !== undefined) return keepCaptures(captures, variables);
      }
      return false;
    },
  };
}

/** Adds what was captured to a request's variables. Always true, so that a predicate can end with it. */
function keepCaptures(captures: Captures, variables: Map<string, string>): true {
  for (let i = 0; i < captures.length; i += 2) variables.set(captures[i] ?? '', captures[i + 1] ?? '');
  return true;
}

/** Holds when the connection comes from one of the ranges; what proxies say of it does not count. */
export function remoteAddr(text: string, ranges: readonly string[]): Predicate {
  const isWithin = withinRanges(ranges);
  return { name: 'RemoteAddr', text, holds: request => isWithin(request.peerAddress) };
}

/**
 * Holds when the caller is in one of the ranges, as `X-Forwarded-For` says and `listen.trustedProxies` justify; where no
 * trusted proxy says anything it is the peer itself.
 */
export function xForwardedRemoteAddr(text: string, ranges: readonly string[]): Predicate {
  const isWithin = withinRanges(ranges);
  return { name: 'XForwardedRemoteAddr', text, holds: request => isWithin(request.callerAddress) };
}

/** Always holds by itself: among the routes of its group the table draws one. */
export function weight(text: string): Predicate {
  return { name: 'Weight', text, holds: () => true };
}

/** Holds when the parameter is there; with a regex, when it matches the whole of one of its values. */
export function query(text: string, { param, regex }: { param: string; regex: Regex | undefined }): Predicate {
  return {
    name: 'Query',
    text,
    holds(request) {
      if (request.query === '') return false;
      const values = parameterValues(request.query, param);
      if (regex === undefined) return values.length > 0;
      return values.some(value => value !== undefined && regex.matches(value));
    },
  };
}

/** The values of a parameter, decoded as a form's; undefined for one without `=`. */
function parameterValues(rawQuery: string, param: string): (string | undefined)[] {
  return rawQuery.split('&').flatMap(pair => {
    if (parameterName(pair) !== param || pair === '') return [];
    const at = pair.indexOf('=');
    return [at === -1 ? undefined : decodeForm(pair.slice(at + 1))];
  });
}

/** The name in one part of a query, decoded as a form's. */
export function parameterName(pair: string): string {
  const at = pair.indexOf('=');
  return decodeForm(at === -1 ? pair : pair.slice(0, at));
}

function decodeForm(text: string): string {
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return text; // broken encoding: taken as it stands
  }
}

/** Holds when the field is there; with a regex, when it matches the whole of one of the field's values. */
export function header(text: string, { name, regex }: { name: string; regex: Regex | undefined }): Predicate {
  const lowerName = name.toLowerCase();
  return {
    name: 'Header',
    text,
    holds({ fields }) {
      if (regex === undefined) return hasField(fields, lowerName);
      return fieldsOf(fields, lowerName).some(line => fieldValues(line).some(value => regex.matches(value)));
    },
  };
}

/** The values of a line: split at commas that stand outside of quotes, trimmed, empty ones dropped, quotes taken off. */
function fieldValues(line: string): string[] {
  return pieces(line)
    .map(value => value.trim())
    .map(value => (/^"[^"]*"$/.test(value) ? value.slice(1, -1) : value))
    .filter(value => value !== '');
}

/** In one pass, whatever a caller sends: where a quote is not closed, no later one is either, and all are plain. */
function pieces(line: string): string[] {
  const found: string[] = [];
  let [start, mayQuote] = [0, true];
  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at);
    if (char === '"' && mayQuote) {
      const end = endOfQuoted(line, at);
      if (end === -1) mayQuote = false;
      else at = end;
    } else if (char === ',') {
      found.push(line.slice(start, at));
      start = at + 1;
    }
  }
  return [...found, line.slice(start)];
}

/** Where the quote that opens at `from` closes; -1 when it does not. An escaped quote closes nothing. */
function endOfQuoted(line: string, from: number): number {
  for (let at = from + 1; at < line.length; at++) {
    const char = line.charAt(at);
    if (char === '\\') at += 1;
    else if (char === '"') return at;
  }
  return -1;
}

/** Holds when a cookie of that name has a value that the regex matches whole. */
export function cookie(text: string, { name, regex }: { name: string; regex: Regex }): Predicate {
  return {
    name: 'Cookie',
    text,
    holds: ({ fields }) => cookiesOf(fields, name).some(value => regex.matches(value)),
  };
}
