import { resolve } from 'node:path';
import { hasError, renderProblems } from '../config/problem.ts';
import { loadContract } from '../load.ts';
import { protoOf } from '../online-proto.ts';
import type { CommandIo } from './io.ts';
import { misused, readArguments, Refusal, saidBy } from './refusal.ts';

const HELP = `penstock proto SERVICE [--config FILE]

Prints a .proto for a model, to be named by \`grpc: { proto: FILE }\` on its route: the columns that the service publishes
at /prototype go in, and comes out what it answers to two rows of its own examples. An instance is asked that the running
gateway, the configuration or Consul knows.

  SERVICE         the name behind lb://
  --config FILE   gateway.yaml; default config/gateway.yaml
`;

/** Prints a .proto made from a model's prototype; resolves to the exit status. */
export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return saidBy('proto', io, () => {
    const { values, positionals } = readArguments(args, { options: OPTIONS, help: HELP, allowPositionals: true });
    if (values.help === true) return HELP;
    const [service, ...others] = positionals;
    if (service === undefined || others.length > 0) throw misused(`SERVICE is wanted\n\n${HELP}`);
    return print(service, resolve(io.cwd, values.config), io);
  });
}

const OPTIONS = {
  config: { type: 'string', default: 'config/gateway.yaml' },
  help: { type: 'boolean', short: 'h' },
} as const;

async function print(service: string, file: string, { env, stderr }: CommandIo): Promise<string> {
  const contract = loadContract(file, env);
  if (contract.gateway === undefined || hasError(contract.problems)) {
    stderr.write(`${renderProblems(contract.problems, contract.texts)}\n`);
    throw new Refusal(`${file} cannot be used; --config names another`);
  }
  const made = await protoOf(contract, service);
  if ('problem' in made) throw new Refusal(made.problem);
  return made.text;
}
