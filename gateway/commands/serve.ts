import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Observe } from '../domain/events.ts';
import { argumentProblem, PROFILE_OPTION, profilesOf, USAGE_ERROR, type CommandIo, type Run } from './io.ts';

/** What an operator, a terminal or an init system tells the gateway by. */
export type Signal = 'SIGTERM' | 'SIGINT' | 'SIGHUP';

/** What `serve` needs of the process it runs in. */
export interface ServeProcess {
  onSignal(handle: (signal: Signal) => void): void;
  /** Errors that no code caught. */
  onMistake(handle: (where: string, error: unknown) => void): void;
  /** Ends the process at once. */
  exit(code: number): void;
}

/** The gateway as `serve` handles it. */
export interface RunningGateway {
  readonly observe: Observe;
  /** Resolves when it listens; rejects when it cannot. */
  start(): Promise<unknown>;
  /** Unready, grace, refuse, finish what is in hand within the timeout, deregister, stop what was started. */
  drain(): Promise<unknown>;
  /** Lets go of everything, calls that wait too. */
  stopNow(): void;
  reload(reason: string): Promise<unknown>;
}

/** A gateway that is made but not started, and the log it writes to. */
export interface Opened {
  readonly gateway: RunningGateway;
  readonly log: { flush(): void; close(): Promise<void> };
}

/** What `serve` is asked to run. */
export interface ServeOptions {
  /** gateway.yaml, absolute. */
  readonly file: string;
  /** Which documents of a Spring file are in force. */
  readonly profiles: readonly string[];
  /** Whom to become, in place of the file's `user`. */
  readonly user: string | undefined;
}

/** What the command serves with. */
export interface ServeParts {
  readonly host: ServeProcess;
  /** Reads both files and makes the gateway; undefined: they have errors, and stderr was told. */
  open(options: ServeOptions, io: CommandIo): Promise<Opened | undefined>;
}

const HELP = `penstock serve [--config FILE] [--profile NAME]… [--user NAME]

Runs the gateway until it is told to stop.

  --config FILE   gateway.yaml; default config/gateway.yaml
  --profile NAME  takes in the documents for this profile, where the routes were written for Spring Cloud Gateway;
                  may be given again
  --user NAME     started as root: whom to become once it has bound its ports and read its files; default the file's
                  \`user\`

SIGTERM, SIGINT   stop gently: unready, grace, refuse, finish what is in hand; a second one stops at once
SIGHUP            reload routes.yaml
`;

/** The command that runs the gateway: its start, its signals and its end. */
export function createServe(parts: ServeParts): Run {
  return async (args, io) => {
    const options = parseServeArgs(args);
    if (typeof options === 'string') {
      io.stderr.write(`${options}\n\n${HELP}`);
      return USAGE_ERROR;
    }
    if (options.isHelp) {
      io.stdout.write(HELP);
      return 0;
    }
    const { config, profile, user } = options;
    const opened = await parts.open({ file: resolve(io.cwd, config), profiles: profilesOf(profile), user }, io);
    return opened === undefined ? 1 : live(opened, { parts, io });
  };
}

const OPTIONS = {
  config: { type: 'string', default: 'config/gateway.yaml' },
  ...PROFILE_OPTION,
  user: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

function parseServeArgs(
  args: readonly string[],
): { config: string; profile: readonly string[]; user: string | undefined; isHelp: boolean } | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: OPTIONS,
    });
    return { config: values.config, profile: values.profile, user: values.user, isHelp: values.help };
  } catch (error) {
    return argumentProblem(error, Object.keys(OPTIONS));
  }
}

async function live({ gateway, log }: Opened, { parts, io }: { parts: ServeParts; io: CommandIo }): Promise<number> {
  surviveMistakes(gateway, parts.host);
  const signalled = onSignals({ gateway, log }, parts.host);
  const started = gateway.start();
  try {
    await Promise.race([started, signalled]);
  } catch (error) {
    gateway.stopNow();
    await log.close();
    io.stderr.write(`penstock: ${toWords(error)}\n`);
    return 1;
  }
  started.catch((error: unknown) => emitMistake(gateway, { where: 'start', error })); // told to stop while it started
  const code = await stop(gateway, await signalled);
  await log.close();
  return code;
}

async function stop(gateway: RunningGateway, signal: Signal): Promise<number> {
  gateway.observe({ kind: 'notice', level: 'info', text: 'told to stop', about: { signal } });
  try {
    await gateway.drain();
    return 0;
  } catch (error) {
    emitMistake(gateway, { where: 'drain', error });
    gateway.stopNow();
    return 1;
  }
}

/**
 * An error that no code caught belongs to one request, or to one timer: the many others in hand have no part in it, and
 * what they share (permits, rosters, tables) is changed in single synchronous steps. Ending the process would lose them
 * all, and let any caller who finds such an error end it again and again. So it is told, counted, and survived; the
 * alert on `penstock_internal_errors_total` is for people.
 */
function surviveMistakes(gateway: RunningGateway, host: ServeProcess): void {
  host.onMistake((where, error) => emitMistake(gateway, { where, error }));
}

function emitMistake(gateway: RunningGateway, { where, error }: { where: string; error: unknown }): void {
  gateway.observe({ kind: 'internal-error', where, error, requestId: null });
}

const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;

/** Resolves with the first signal to stop; the second one ends the process. */
function onSignals({ gateway, log }: Opened, host: ServeProcess): Promise<Signal> {
  return new Promise(resolve => {
    let isStopping = false;
    host.onSignal(signal => {
      if (signal === 'SIGHUP') {
        gateway.reload('SIGHUP').catch((error: unknown) => emitMistake(gateway, { where: 'reload', error }));
      } else if (isStopping) {
        gateway.stopNow();
        log.flush();
        host.exit(128 + SIGNAL_NUMBERS[signal]); // as a shell reports a death by signal
      } else {
        isStopping = true;
        resolve(signal);
      }
    });
  });
}

/** Why it does not start, in an operator's words. */
function toWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, address, port } = error as Error & { code?: string; address?: string; port?: number };
  const where = port === undefined ? (address ?? '') : `port ${port} on ${address ?? 'this host'}`;
  switch (code) {
    case 'EADDRINUSE':
      return `${where} is taken by another process; stop that one, or set another \`port\` in gateway.yaml`;
    case 'EACCES':
      return `${where} may not be listened on by this user; ports below 1024 are often reserved`;
    case 'EADDRNOTAVAIL':
      return `${where} is no address of this machine; look at \`host\` in gateway.yaml`;
    case undefined:
    default:
      return error.stack ?? error.message;
  }
}
