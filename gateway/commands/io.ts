import { nearestOf } from '../config/nearest.ts';

/** Where a command's words go. */
export interface Output {
  write(text: string): unknown;
}

/** What a command knows of the world it runs in; main.ts alone asks the process for it. */
export interface CommandIo {
  readonly stdout: Output;
  readonly stderr: Output;
  /** The environment, completed by `.state/dev.env`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** A command: its arguments in, its exit code out. */
export type Run = (args: readonly string[], io: CommandIo) => Promise<number>;

/** `--profile NAME`, as each command that reads routes takes it. */
export const PROFILE_OPTION = { profile: { type: 'string', multiple: true, default: [] as string[] } } as const;

/** The profiles that were named: one an option, or several with commas between, as Spring takes them. */
export function profilesOf(written: readonly string[]): string[] {
  return written
    .flatMap(text => text.split(','))
    .map(name => name.trim())
    .filter(name => name !== '');
}

/** The exit code for arguments that make no sense. */
export const USAGE_ERROR = 2;

interface AboutCommand<Options> {
  /** Stands before what is wrong with the arguments. */
  readonly prefix?: string;
  readonly help: string;
  readonly readArgs: (args: readonly string[]) => Options | 'help' | Error;
  /** Does what is asked; gives the exit code. */
  readonly act: (parsed: Options, io: CommandIo) => number | Promise<number>;
}

/** A command that says its help, or what is wrong with its arguments, or else acts by them. */
export function commandOf<Options extends object>({ prefix = '', help, readArgs, act }: AboutCommand<Options>): Run {
  return (args, io) => {
    const parsed = readArgs(args);
    if (parsed === 'help') {
      io.stdout.write(help);
      return Promise.resolve(0);
    }
    if (!(parsed instanceof Error)) return Promise.resolve(act(parsed, io));
    io.stderr.write(`${prefix}${parsed.message}\n\n${help}`);
    return Promise.resolve(USAGE_ERROR);
  };
}

/** What is wrong with arguments, as `parseArgs` says it; of an unknown option, the one that was probably meant. */
export function argumentProblem(error: unknown, options: readonly string[]): string {
  const message = error instanceof Error ? error.message : String(error);
  const [, written] = /^Unknown option '--?([^']+)'/.exec(message) ?? [];
  if (written === undefined) return message;
  const nearest = nearestOf(written, options);
  return `there is no option --${written}${nearest === undefined ? '' : `; did you mean --${nearest}?`}`;
}

/** A line for a terminal: what it quotes may hold anything, and nothing of it moves the cursor. */
export function printableLine(line: string): string {
  return line.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, ' ');
}
