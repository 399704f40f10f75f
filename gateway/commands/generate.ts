import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { argv, cwd, stderr, stdout } from 'node:process';
import { jsonSchemaOf } from '../config/json-schema.ts';
import { configManual, errorsManual } from '../config/manual.ts';
import { argumentProblem, USAGE_ERROR, type CommandIo } from './io.ts';

const HELP = `npm run generate [-- --check]

Writes what is made from the code: config/*.schema.json, docs/config.md, docs/errors.md. With --check nothing is
written, and the exit code is 1 when one of them is stale.
`;

/** The generated files, by their paths in the repository. */
export function generatedFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['config/gateway.schema.json', `${JSON.stringify(jsonSchemaOf('gateway'), null, 2)}\n`],
    ['config/routes.schema.json', `${JSON.stringify(jsonSchemaOf('routes'), null, 2)}\n`],
    ['docs/config.md', configManual()],
    ['docs/errors.md', errorsManual()],
  ]);
}

/** Writes the generated files beneath `io.cwd`, or says which are stale. */
export function run(args: readonly string[], io: Omit<CommandIo, 'env'>): Promise<number> {
  if (args.includes('--help')) {
    io.stdout.write(HELP);
    return Promise.resolve(0);
  }
  const unknown = args.find(arg => arg !== '--check');
  if (unknown !== undefined) {
    io.stderr.write(`${argumentProblem(new Error(`Unknown option '${unknown}'`), ['check', 'help'])}\n\n${HELP}`);
    return Promise.resolve(USAGE_ERROR);
  }
  const stale = [...generatedFiles()].filter(([path, text]) => textOf(join(io.cwd, path)) !== text);
  if (args.includes('--check')) return Promise.resolve(reportStale(stale, io));
  for (const [path, text] of stale) {
    writeFileSync(join(io.cwd, path), text);
    io.stdout.write(`written: ${path}\n`);
  }
  return Promise.resolve(0);
}

function reportStale(
  stale: readonly (readonly [string, string])[],
  { stderr: out }: Pick<CommandIo, 'stderr'>,
): number {
  for (const [path] of stale) out.write(`${path} is not what the code says; npm run generate writes it anew\n`);
  return stale.length === 0 ? 0 : 1;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // not generated yet
  }
}

// Not one of penstock's commands, but run by npm as a file of its own.
if (import.meta.main) {
  process.exitCode = await run(argv.slice(2), { stdout, stderr, cwd: resolve(cwd()) });
}
