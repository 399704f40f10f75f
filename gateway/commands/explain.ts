import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { renderProblems } from '../config/problem-text.ts';
import { hasError } from '../config/problem.ts';
import { explain, type Explanation } from '../domain/operating/explain.ts';
import { loadContract } from '../load.ts';
import { explanationText } from './explanation-text.ts';
import { argumentProblem, PROFILE_OPTION, profilesOf, USAGE_ERROR, type CommandIo, type Run } from './io.ts';

const HELP = `penstock explain [--config FILE] [--profile NAME]… [--json] METHOD URL [-H 'Name: value']… [-d BODY]

Says which route answers a request, why each earlier one does not, and what would be sent to the instance. Nothing is
sent. Exits with 1 when no route answers, or the configuration has an error.

  METHOD URL      URL is a path with its query, or in full
  -H 'Name: v'    a header field of the request; may be given again
  -d BODY         the request's body
  --config FILE   gateway.yaml; default config/gateway.yaml
  --profile NAME  takes in the documents for this profile, where the routes were written for Spring Cloud Gateway;
                  may be given again
  --json          the explanation as one JSON object
`;

/** The command that explains how a request would travel. */
export const run: Run = async (args, io) => {
  const asked = readArgs(args);
  if (asked === 'help') {
    io.stdout.write(HELP);
    return 0;
  }
  if (asked instanceof Error) {
    io.stderr.write(`${asked.message}\n\n${HELP}`);
    return USAGE_ERROR;
  }
  return Promise.resolve(tell(asked, io));
};

interface Asked {
  readonly config: string;
  readonly profile: readonly string[];
  readonly json: boolean;
  readonly method: string;
  readonly url: string;
  readonly fields: readonly string[];
  readonly body: string;
}

function readArgs(args: readonly string[]): Asked | 'help' | Error {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string', default: 'config/gateway.yaml' },
        ...PROFILE_OPTION,
        header: { type: 'string', short: 'H', multiple: true, default: [] },
        data: { type: 'string', short: 'd', default: '' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return 'help';
    const [method, url, ...others] = positionals;
    if (method === undefined || url === undefined || others.length > 0)
      return new Error('penstock explain: METHOD and URL are wanted');
    const { config, profile, json, header, data } = values;
    return { config, profile, json, method, url, fields: header.flatMap(fieldOf), body: data };
  } catch (error) {
    return new Error(argumentProblem(error, ['config', 'profile', 'header', 'data', 'json', 'help']));
  }
}

function fieldOf(written: string): [string, string] {
  const at = written.indexOf(':');
  if (at < 1) throw new Error(`penstock explain: a header field is written 'Name: value'`);
  return [written.slice(0, at).trim(), written.slice(at + 1).trim()];
}

function tell({ config, profile, json, ...input }: Asked, io: CommandIo): number {
  const contract = loadContract(resolve(io.cwd, config), io.env, profilesOf(profile));
  const { gateway, routes, problems, texts, secrets } = contract;
  if (gateway === undefined || routes === undefined || hasError(problems)) {
    io.stderr.write(`${renderProblems(problems, texts)}\n`);
    return 1;
  }
  const origins = new Map(routes.statics.map(({ service, instances }) => [service, instances[0]]));
  const explanation: Explanation = explain(input, {
    routes: routes.specs,
    mergeSlashes: gateway.listen.mergeSlashes,
    policyOf: name => routes.policyOf(name),
    originOf: name => origins.get(name),
    wallMs: Date.now(),
    secrets,
  });
  io.stdout.write(json ? `${JSON.stringify(explanation, null, 2)}\n` : explanationText(explanation, routes.specs));
  return explanation.answers === null ? 1 : 0;
}
