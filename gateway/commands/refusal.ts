import { resolve } from 'node:path';
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import type { GatewayConfig } from '../config/gateway-config.ts';
import type { Needed } from '../config/parse.ts';
import { hasError, problemLine } from '../config/problem.ts';
import { loadNeeded } from '../load.ts';
import { argumentProblem, USAGE_ERROR, type CommandIo } from './io.ts';

/** Why a command does nothing, in words for its operator, and the exit status. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;

  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

/** The arguments make no sense. */
export function misused(message: string): Refusal {
  return new Refusal(message, USAGE_ERROR);
}

/** Prints what a command has to say, or why it refuses; resolves to the exit status. */
export async function saidBy(name: string, io: CommandIo, perform: () => string | Promise<string>): Promise<number> {
  try {
    io.stdout.write(await perform());
    return 0;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    io.stderr.write(`penstock ${name}: ${error.message}\n`);
    return error.status;
  }
}

/** What a command was asked; throws a refusal with its help where that makes no sense. */
export function readArguments<const T extends ParseArgsOptionsConfig>(
  args: readonly string[],
  { options, help, allowPositionals = false }: { options: T; help: string; allowPositionals?: boolean },
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals });
  } catch (error) {
    throw misused(`${argumentProblem(error, Object.keys(options))}\n\n${help}`);
  }
}

/** What is needed of the gateway.yaml of this name; the rest is as if it were not written, and not judged. */
export function gatewayIn(file: string, needed: Needed, { env, cwd, stderr }: CommandIo): GatewayConfig {
  const path = resolve(cwd, file);
  const { gateway, problems } = loadNeeded(path, env, needed);
  if (gateway !== undefined) return gateway;
  for (const problem of problems.filter(each => each.file === path && hasError([each]))) {
    stderr.write(`${problemLine(problem)}\n`);
  }
  throw new Refusal(`${file} cannot be used; --config names another`);
}
