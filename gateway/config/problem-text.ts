import { hasError, type Problem } from './problem.ts';
import { isSecretName, maskSecrets, maskValue } from './secret-keys.ts';

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

/** Nothing in a file may move the cursor of whoever reads its problems; a tab would move the caret. */
function printable(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, ' ');
}
