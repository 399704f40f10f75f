import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { problemLine } from '../config/problem.ts';
import { importFile } from '../load.ts';
import { argumentProblem, commandOf, PROFILE_OPTION, profilesOf, type CommandIo, type Run } from './io.ts';

const HELP = `penstock import FILE [--profile NAME]… [--to FOLDER] [--json]

Prints a file for Spring Cloud Gateway as two files that mean the same here, gateway.yaml and routes.yaml. Where
something means less than it did, a comment above it begins with \`Less:\`; a route that would let in more than it did
is switched off. Exits with 1 when the file cannot be read.

  --profile NAME  takes in the documents for this profile; may be given again
  --to FOLDER     writes the two files there instead, and none over another
  --json          { "gateway": TEXT, "routes": TEXT, "less": how many comments begin so }
`;

const OPTIONS = {
  ...PROFILE_OPTION,
  to: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** The command that turns a file for Spring Cloud Gateway into two of ours. */
export const run: Run = commandOf({ prefix: 'penstock import: ', help: HELP, readArgs, act: print });

interface ImportOptions {
  readonly file: string;
  readonly profiles: readonly string[];
  readonly to: string | undefined;
  readonly isJson: boolean;
}

function readArgs(args: readonly string[]): ImportOptions | 'help' | Error {
  try {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
    const [file, ...others] = positionals;
    if (values.help) return 'help';
    if (file === undefined || others.length > 0) return new Error('one FILE is wanted');
    return { file, profiles: profilesOf(values.profile), to: values.to, isJson: values.json };
  } catch (error) {
    return new Error(argumentProblem(error, Object.keys(OPTIONS)));
  }
}

function print({ file, profiles, to, isJson }: ImportOptions, io: CommandIo): number {
  const imported = importFile(resolve(io.cwd, file), io.env, profiles);
  if ('problems' in imported) {
    io.stderr.write(`${imported.problems.map(problemLine).join('\n')}\n`);
    return 1;
  }
  const { gateway, routes, less } = imported;
  const problem = to === undefined ? undefined : written(resolve(io.cwd, to), { gateway, routes });
  if (problem !== undefined) {
    io.stderr.write(`penstock import: ${problem}\n`);
    return 1;
  }
  if (isJson) io.stdout.write(`${JSON.stringify(imported)}\n`);
  else if (to === undefined) io.stdout.write(`${gateway}---\n${routes}`);
  if (less > 0) io.stderr.write(`Means less than it did: ${less}, each at a comment that begins with \`Less:\`.\n`);
  return 0;
}

/** Writes both files, or says why not. */
function written(folder: string, texts: { readonly gateway: string; readonly routes: string }): string | undefined {
  try {
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries(texts)) writeFileSync(join(folder, `${name}.yaml`), text, { flag: 'wx' });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
