import { execFile } from 'node:child_process';

/** Why R cannot parse a file: in its own words, and where. */
export interface RFlaw {
  readonly file: string;
  /** From 1; undefined where R does not say. */
  readonly line: number | undefined;
  readonly text: string;
}

/** Says of each file a line: empty, or the first of R's message. Runs none of their code. */
const SCRIPT = `for (file in commandArgs(TRUE)) {
  said <- tryCatch({ parse(file, keep.source = FALSE, encoding = "UTF-8"); "" }, error = conditionMessage)
  cat(sub("\\n.*", "", said), "\\n", sep = "")
}`;

const PARSE_MS_MAX = 20_000;

/** What R's own parser cannot read of these files; undefined where there is no R, or it gives no answer in time. */
export function findRFlaws(
  files: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<RFlaw[] | undefined> {
  const options = { timeout: PARSE_MS_MAX, env: { ...env, LANGUAGE: 'en' }, killSignal: 'SIGKILL' } as const;
  return new Promise(resolve => {
    execFile('Rscript', ['--vanilla', '-e', SCRIPT, ...files], options, (error, stdout) => {
      const lines = stdout.split('\n');
      resolve(error === null ? files.flatMap((file, i) => flawOf(file, lines[i] ?? '')) : undefined);
    });
  });
}

/** R says `FILE:3:5: unexpected symbol`. */
function flawOf(file: string, said: string): RFlaw[] {
  if (said === '') return [];
  const [, line, text = said] = /:(\d+):\d+: (.+)$/.exec(said) ?? [];
  return [{ file, line: line === undefined ? undefined : Number(line), text }];
}
