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

/** The exit code for arguments that make no sense. */
export const USAGE_ERROR = 2;
