import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { CommandIo } from './commands/io.ts';
import type { ServeOptions, Opened } from './commands/serve.ts';
import { compose } from './compose.ts';
import { renderProblems, summaryOf } from './config/problem.ts';
import { findAccount, isRoot } from './edges/user.ts';
import { loadRoutesApart } from './load-apart.ts';
import { isUsable, judgedBy, loadContract } from './load.ts';

interface OpenParts {
  readonly io: CommandIo;
  readonly stdout: Writable;
  readonly version: string;
  readonly node: string;
}

const SERVE_COMMAND = fileURLToPath(new URL('../plumber-services/serve.sh', import.meta.url));

/** Reads both files and makes the gateway; undefined when they have errors, which stderr is told. */
export function openGateway(
  { file, profiles, user: userOption }: ServeOptions,
  { io, ...parts }: OpenParts,
): Promise<Opened | undefined> {
  const contract = loadContract(file, io.env, profiles);
  const { gateway: config, routes, problems, secrets } = contract;
  if (config === undefined || routes === undefined || !isUsable(contract)) {
    io.stderr.write(`${renderProblems(problems, contract.texts)}\n${summaryOf(problems)}\n`); // as `check` says it
    return Promise.resolve(undefined);
  }
  const user = userOption ?? config.user;
  const account = user === undefined || !isRoot() ? undefined : findAccount(user);
  if (user !== undefined && isRoot() && account === undefined) {
    io.stderr.write(`penstock: there is no user ${JSON.stringify(user)} on this machine\n`);
    return Promise.resolve(undefined);
  }
  const input = { ...judgedBy(config), routesFile: config.routes, profiles, variables: { ...io.env } };
  const opened = compose({
    ...{ ...parts, config, env: io.env, account, serveCommand: SERVE_COMMAND },
    routes: { routes, problems, secrets },
    readRoutes: inForce => loadRoutesApart(input, inForce),
    files: { gateway: file, texts: contract.texts },
  });
  return Promise.resolve(opened);
}
