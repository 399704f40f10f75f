import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { call, type CallTraits, type Received } from './call.ts';
import { createGatewayLog, type GatewayLog } from './log-lines.ts';
import { operatorOf, type Operator } from './operator.ts';
import { aFolder } from './folder.ts';

/** The secret of the issuer that every gateway process of the tests believes. */
export const SECRET = 'a secret of thirty-two bytes or more';

/** What a test may say of its gateway. */
export interface ProcessTraits {
  /** The value of `discovery`. */
  readonly discovery: string;
  /** routes.yaml. */
  readonly routes: string;
  /** More of gateway.yaml. */
  readonly more?: string;
  /** More of `listen`, such as a port of one's own. */
  readonly listen?: string;
  /** The port of the admin listener; any if not given. */
  readonly adminPort?: number;
  /** Where both files are; a folder of its own if not given. */
  readonly folder?: string;
  /** Options of Node's: the gateway then starts without its command, which would start two Nodes with them. */
  readonly nodeOptions?: readonly string[];
}

/** The gateway as a process of its own. */
export interface GatewayProcess extends Operator {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly url: string;
  readonly log: GatewayLog;
  readonly folder: string;
  readonly routesFile: string;
  call(path: string, traits?: CallTraits): Promise<Received>;
  /** The code it ended with, or the signal. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Where its inspector listens, of one that was told to have one. */
  readonly inspector: Promise<string>;
}

const COMMAND = fileURLToPath(new URL('../../gateway/penstock.mjs', import.meta.url));
const MAIN = fileURLToPath(new URL('../../gateway/main.ts', import.meta.url));

/** The configuration that believes tokens signed with SECRET. */
export const IDENTITY =
  "identity: { jwt: [{ issuer: penstock-dev, audience: penstock, algorithms: [HS256], secret: '${env:PENSTOCK_JWT_SECRET}' }] }";

/** Starts `penstock serve` on free ports and waits until it is ready. It ends with the test. */
export async function startGatewayProcess(t: TestContext, traits: ProcessTraits): Promise<GatewayProcess> {
  const folder = traits.folder ?? aFolder(t);
  const file = join(folder, 'gateway.yaml');
  const routesFile = join(folder, 'routes.yaml');
  writeFileSync(file, gatewayYaml(traits));
  writeFileSync(routesFile, traits.routes);

  const { nodeOptions } = traits;
  const program = nodeOptions === undefined ? [COMMAND] : [...nodeOptions, MAIN];
  const child = spawn(process.execPath, [...program, 'serve', '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PENSTOCK_JWT_SECRET: SECRET },
  });
  const inspector = inspectorOf(child.stderr);
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const log = createGatewayLog();
  child.stdout.pipe(log.stream);

  const isUp = Promise.all([
    log.line(({ text }) => text === 'listening'),
    log.line(({ event, phase }) => event === 'process' && phase === 'ready', 60_000),
  ]);
  const [listening] = await Promise.race([
    isUp,
    ended.then(code => {
      throw new Error(`the gateway ended (${code}) before it was ready: ${JSON.stringify(log.lines)}`);
    }),
  ]);
  const { callers, admin } = listening['about'] as { callers: string; admin: string };
  const url = `http://${callers}`;
  return {
    ...operatorOf(`http://${admin}`),
    ...{ child, pid: child.pid ?? 0, url, log, folder, routesFile, ended, inspector },
    call: (path, callTraits) => call(`${url}${path}`, callTraits),
  };
}

/** What the process says of it; all else it says is for the person who runs the tests. */
function inspectorOf(stderr: Readable): Promise<string> {
  return new Promise(resolve => {
    stderr.on('data', (chunk: Buffer) => {
      const url = /Debugger listening on (ws:\S+)/.exec(chunk.toString())?.[1];
      if (url === undefined) process.stderr.write(chunk);
      else resolve(url);
    });
  });
}

function gatewayYaml({ discovery, more = '', listen = 'port: 0', adminPort = 0 }: ProcessTraits): string {
  return `listen: { host: 127.0.0.1, ${listen} }
admin: { port: ${adminPort} }
discovery: ${discovery}
${more.includes('drain:') ? '' : 'drain: { grace: 0s, timeout: 30s }'}
${more}
`;
}
