import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { hasError, type Problem, renderProblems, summaryOf } from '../config/problem.ts';
import { loadContract } from '../load.ts';
import { checkOnline } from '../online.ts';
import { judgeRFiles } from '../r-files.ts';
import { argumentProblem, PROFILE_OPTION, profilesOf, USAGE_ERROR, type CommandIo, type Run } from './io.ts';

const HELP = `penstock check [--config FILE] [--profile NAME]… [--online] [--json]

Says every problem of gateway.yaml and of the routes file it names, with its place. Exits with 1 if any is an error.
Where this machine has R, it parses the R services that the gateway would start, and runs none of their code.

  --config FILE   gateway.yaml; default config/gateway.yaml
  --profile NAME  takes in the documents for this profile, where the routes were written for Spring Cloud Gateway;
                  may be given again
  --online        also asks Consul, and the instances it knows or that are written down, whether they answer,
                  and whether models behind routes that batch answer rows together as each alone; where the
                  gateway starts R itself, it asks the running one where
  --json          one JSON object: { "ok": …, "problems": [{ file, line, column, severity, path, message, hint }] }
`;

/** The command that judges both files. */
export const run: Run = async (args, io) => {
  const options = readArgs(args);
  if (typeof options === 'string') {
    io.stderr.write(`${options}\n\n${HELP}`);
    return USAGE_ERROR;
  }
  if (options.help) {
    io.stdout.write(HELP);
    return 0;
  }
  return check(options, io);
};

interface CheckOptions {
  readonly config: string;
  readonly profile: readonly string[];
  readonly online: boolean;
  readonly json: boolean;
  readonly help: boolean;
}

function readArgs(args: readonly string[]): CheckOptions | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: { type: 'string', default: 'config/gateway.yaml' },
        ...PROFILE_OPTION,
        online: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    return argumentProblem(error, ['config', 'profile', 'online', 'json', 'help']);
  }
}

async function check({ config, profile, online, json }: CheckOptions, io: CommandIo): Promise<number> {
  const contract = loadContract(resolve(io.cwd, config), io.env, profilesOf(profile));
  const found = [...(await judgeRFiles(contract, io.env)), ...(online ? await checkOnline(contract) : [])];
  const problems = [...contract.problems, ...found];
  const ok = !hasError(problems);
  if (json) io.stdout.write(`${JSON.stringify({ ok, problems: problems.map(withHint) }, null, 2)}\n`);
  else {
    if (problems.length > 0) io.stdout.write(`${renderProblems(problems, contract.texts)}\n`);
    io.stdout.write(`${summaryOf(problems)}\n`);
  }
  return ok ? 0 : 1;
}

/** JSON has no undefined. */
function withHint(problem: Problem): object {
  return { ...problem, hint: problem.hint ?? null };
}
