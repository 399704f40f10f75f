import { isSecretName, maskSecrets, maskValue, shownKey } from './secret.ts';

/** Where in a file's structure: keys and indexes, from the root. */
export type KeyPath = readonly (string | number)[];

/** Something an operator must know about a configuration file. An error keeps the file from being used. */
export interface Problem {
  /** The file's name as the operator gave it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  readonly severity: 'error' | 'warning';
  /** The key in question: `routes[0].predicates[1]`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  /** What to write instead, where that is known. */
  readonly hint: string | undefined;
}

/** What is known of a problem before its place is looked up. */
export interface Complaint {
  readonly path: KeyPath;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly severity?: 'error' | 'warning';
  /** The place is the key, not its value. */
  readonly isAboutKey?: boolean;
  /** The place is where this stands within the value, if it does. */
  readonly piece?: string | undefined;
}

/** Takes what is wrong; places and order are its matter. */
export type Complain = (complaint: Complaint) => void;

/** `routes[0].uri`: a path as people read it. */
export function pathText(path: KeyPath): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else text += text === '' ? shownKey(key) : `.${shownKey(key)}`;
  }
  return text;
}

/** One line that says all: for logs, `/readyz` and the admin API. */
export function problemLine(problem: Problem): string {
  const where = problem.path === '' ? '' : `${problem.path}: `;
  const hint = problem.hint === undefined ? '' : ` (${problem.hint})`;
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.severity}: ${where}${problem.message}${hint}`;
}

/** True when a file with these problems cannot be used. */
export function hasError(problems: readonly Problem[]): boolean {
  return problems.some(({ severity }) => severity === 'error');
}

/** Errors and warnings as they stand in their files, each said once. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  const once = problems.filter(problem => {
    const line = problemLine(problem);
    return !seen.has(line) && seen.add(line);
  });
  return once.sort((a, b) => (a.file === b.file ? a.line - b.line || a.column - b.column : 0));
}

/** Problems as an operator reads them in a terminal: each with its line of the file and a caret under the fault. */
export function renderProblems(problems: readonly Problem[], texts: ReadonlyMap<string, string>): string {
  const lines = new Map([...texts].map(([file, text]) => [file, text.split(/\r?\n/)]));
  return problems.map(problem => renderOne(problem, lines.get(problem.file))).join('\n');
}

/** How many there are of which kind, in a sentence. */
export function summaryOf(problems: readonly Problem[]): string {
  if (problems.length === 0) return 'No problem found.';
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const counts = [countText(errors, 'error'), countText(problems.length - errors, 'warning')].filter(
    text => text !== '',
  );
  return `${counts.join(' and ')}${hasError(problems) ? '' : '; the configuration can be used'}.`;
}

function countText(count: number, what: string): string {
  if (count === 0) return '';
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function renderOne(problem: Problem, lines: readonly string[] | undefined): string {
  const { file, line, column, severity, path, message, hint } = problem;
  const where = path === '' ? '' : `${path}: `;
  return [
    `${file}:${line}:${column}: ${severity}: ${where}${message}`,
    ...excerpt(lines?.[line - 1], problem),
    ...(hint === undefined ? [] : [`  ${hint}`]),
    '',
  ].join('\n');
}

/** A long line is shown around its fault. */
const SHOWN_MAX = 160;

function excerpt(source: string | undefined, problem: Problem): string[] {
  if (source === undefined || source.trim() === '') return [];
  const { line, column } = problem;
  const shown = printable(maskLine(source, problem));
  const from = column > SHOWN_MAX ? column - SHOWN_MAX / 2 : 0;
  const gutter = `  ${line} | `;
  return [
    `${gutter}${shown.slice(from, from + SHOWN_MAX)}`,
    `${' '.repeat(gutter.length + Math.max(0, column - 1 - from))}^`,
  ];
}

/** The line as it may be shown: at the place of a secret, or of a key that was meant to be a secret's, without its value. */
function maskLine(source: string, { column, path, hint }: Problem): string {
  const key = /[^.[\]]+$/.exec(path)?.[0] ?? '';
  const meant = /^did you mean `([^`]+)`/.exec(hint ?? '')?.[1];
  if (!isSecretName(key) && !isSecretName(meant)) return maskSecrets(source);
  const at = key === '' ? -1 : source.lastIndexOf(key, column);
  return at === -1
    ? maskValue(source)
    : maskSecrets(source.slice(0, at)) + key + maskValue(source.slice(at + key.length));
}

/** Nothing in a file may move the cursor of a terminal that shows its problems; a tab would move the caret. */
function printable(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, ' ');
}
