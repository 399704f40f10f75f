import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { entryFile, LOCAL_KEYS } from './config/parse.ts';
import type { KeyPath, Problem } from './config/problem.ts';
import { readText } from './edges/config-file.ts';
import { findRFlaws } from './edges/r-parser.ts';
import type { Contract, Variables } from './load.ts';

/** A file of R code, and the key of gateway.yaml that leads to it. */
interface RFile {
  readonly file: string;
  readonly path: KeyPath;
}

/** What R's own parser says of the R services that the gateway would start; nothing where this machine has no R. */
export async function judgeRFiles({ local, problemAt }: Contract, variables: Variables): Promise<Problem[]> {
  const files = rFilesOf(local).filter(({ file }) => readText(file) !== undefined); // else that was said
  if (files.length === 0) return [];
  const flaws = await findRFlaws(
    files.map(({ file }) => file),
    variables,
  );
  return (flaws ?? []).map(({ file, line, text }) => {
    const path = files.find(each => each.file === file)?.path ?? [];
    const place = line === undefined ? '' : ` line ${line}:`;
    return problemAt({ path, message: `R cannot parse ${file}:${place} ${text}` });
  });
}

function rFilesOf(local: Contract['local']): RFile[] {
  return local.flatMap((one, i) => {
    const path = ['discovery', 'local', i, LOCAL_KEYS[one.kind]];
    if (one.kind === 'script') return { file: one.script, path };
    if (one.kind === 'onnx') return [];
    const main = one.kind === 'rserve' ? one.entry : entryFile(one.entry, readText);
    if (!/\.[Rr]$/.test(main)) return [];
    return [main, ...sourcedBy(main)].map(file => ({ file, path }));
  });
}

/** What stands in `R/`, as our services have it, where the service's own file says that it takes it in. */
function sourcedBy(main: string): string[] {
  if (!/\bR\/|load\.R/.test(readText(main) ?? '')) return [];
  const folder = join(dirname(main), 'R');
  try {
    return readdirSync(folder)
      .filter(name => /\.[Rr]$/.test(name))
      .map(name => join(folder, name));
  } catch {
    return []; // no such folder
  }
}
