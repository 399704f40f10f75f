import { readFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import type { CommandIo, Run } from './commands/io.ts';
import { USAGE_ERROR } from './commands/io.ts';
import type { ServeProcess, Signal } from './commands/serve.ts';
import { nearestOf } from './config/nearest.ts';

// What V8 makes of the code is kept beside the packages: the next start costs half. Where it cannot be kept, it is made anew.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/penstock', import.meta.url)));

/** Commands are loaded when they are called for, so that `penstock token` does not wait for Express. */
const COMMANDS: Readonly<Record<string, { readonly summary: string; readonly load: () => Promise<Run> }>> = {
  serve: { summary: 'run the gateway', load: loadServe },
  check: {
    summary: 'say every problem of both configuration files, with its place',
    load: async () => (await import('./commands/check.ts')).run,
  },
  explain: {
    summary: 'say which route answers a request, why the others do not, and what is sent to R',
    load: async () => (await import('./commands/explain.ts')).run,
  },
  diff: {
    summary: 'say what a change of routes.yaml means',
    load: async () => (await import('./commands/diff.ts')).run,
  },
  import: {
    summary: 'print a Spring Cloud Gateway file as two files of ours',
    load: async () => (await import('./commands/import.ts')).run,
  },
  schema: {
    summary: 'print the JSON Schema of gateway.yaml or routes.yaml',
    load: async () => (await import('./commands/schema.ts')).run,
  },
  key: {
    summary: 'make, list and revoke API keys',
    load: async () => (await import('./commands/key.ts')).run,
  },
  token: {
    summary: 'make a token of a configured issuer, for trying things out',
    load: async () => (await import('./commands/token.ts')).run,
  },
  proto: {
    summary: 'print a .proto made from a model’s prototype',
    load: async () => (await import('./commands/proto.ts')).run,
  },
  audit: {
    summary: 'verify the audit trail, or count the calls in it',
    load: async () => (await import('./commands/audit.ts')).run,
  },
};

const HELP = `penstock COMMAND [--help]

${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(8)} ${summary}`)
  .join('\n')}

  --version
`;

async function main([name = '', ...args]: readonly string[]): Promise<number> {
  if (name === '--version') return say(process.stdout, `${versionOf()}\n`, 0);
  if (name === '--help' || name === '-h' || name === 'help') return say(process.stdout, HELP, 0);
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) return say(process.stderr, `${unknownCommand(name)}\n\n${HELP}`, USAGE_ERROR);

  const run = await command.load();
  const code = await run(args, ioOf());
  if (name === 'serve') process.exit(code); // whatever is still open has had its time
  return code;
}

function say(stream: NodeJS.WritableStream, text: string, code: number): number {
  stream.write(text);
  return code;
}

function unknownCommand(name: string): string {
  if (name === '') return 'penstock: which command?';
  const nearest = nearestOf(name, Object.keys(COMMANDS));
  return `penstock: there is no command ${JSON.stringify(name)}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`;
}

function versionOf(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}

function ioOf(): CommandIo {
  return { stdout: process.stdout, stderr: process.stderr, cwd: process.cwd(), env: { ...devEnv(), ...process.env } };
}

/** What `npm start` made for this clone: stands in for variables that are not set. */
function devEnv(): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(new URL('../.state/dev.env', import.meta.url), 'utf8'));
  } catch {
    return {}; // Not a clone that was started by npm: nothing stands in.
  }
}

async function loadServe(): Promise<Run> {
  const [{ createServe }, { openGateway }] = await Promise.all([import('./commands/serve.ts'), import('./open.ts')]);
  const parts = { stdout: process.stdout, version: versionOf(), node: process.version };
  return createServe({ host: serveProcess, open: (options, io) => openGateway(options, { ...parts, io }) });
}

const SIGNALS: readonly Signal[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];

const serveProcess: ServeProcess = {
  onSignal(handle) {
    for (const signal of SIGNALS) process.on(signal, () => handle(signal));
  },
  onMistake(handle) {
    process.on('uncaughtException', error => handle('uncaughtException', error));
    process.on('unhandledRejection', error => handle('unhandledRejection', error));
  },
  exit: code => process.exit(code),
};

// `penstock schema routes | head -1` closes our output early, and means no harm by it.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

process.exitCode = await main(process.argv.slice(2));
