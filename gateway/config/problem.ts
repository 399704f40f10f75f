import { shownKey } from './secret-keys.ts';

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
