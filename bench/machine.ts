import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem, type as systemName } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureServer } from '../test/support/servers.mjs';
import { ROOT } from '../gateway/setup/state.mjs';

/** Where and with what something was measured. */
export interface Machine {
  readonly takenAt: string;
  readonly processor: string;
  readonly processors: number;
  readonly memoryGib: number;
  readonly system: string;
  /** The load average of the last minute: above a half, something else was at work too. */
  readonly loadBefore: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** Looks at this machine. */
export async function seeMachine(): Promise<Machine> {
  return {
    takenAt: new Date().toISOString(),
    processor: cpus()[0]?.model.trim() ?? 'unknown processor',
    processors: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${systemName()} ${release()}`,
    loadBefore: loadavg()[0] ?? 0,
    versions: await versions(),
  };
}

const R_VERSIONS =
  'cat(as.character(getRversion()), as.character(packageVersion("plumber")), as.character(packageVersion("httpuv")))';

async function versions(): Promise<Record<string, string>> {
  const [r = '', plumber = '', httpuv = ''] = (await said('Rscript', ['--vanilla', '-e', R_VERSIONS])).split(' ');
  return {
    Penstock: versionIn(join(ROOT, 'package.json')),
    Node: process.versions.node,
    Express: versionIn(join(ROOT, 'node_modules', 'express', 'package.json')),
    undici: versionIn(join(ROOT, 'node_modules', 'undici', 'package.json')),
    'http-proxy-middleware': versionIn(join(ROOT, 'node_modules', 'http-proxy-middleware', 'package.json')),
    ...{ R: r, Plumber: plumber, httpuv },
    nginx: numberIn(await said(await ensureServer('nginx'), ['-v'])),
    HAProxy: numberIn(await said(await ensureServer('haproxy'), ['-v'])),
    wrk: numberIn(await said(await ensureServer('wrk'), ['-v'])),
  };
}

/** What a program says, wherever it says it; wrk says its version with an exit code of 1. */
async function said(program: string, args: string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(program, args).catch(
    (error: unknown) => error as { stdout: string; stderr: string },
  );
  return `${stdout}${stderr}`.trim();
}

function numberIn(text: string): string {
  return /\d+(?:\.\d+)+/.exec(text)?.[0] ?? 'unknown';
}

function versionIn(file: string): string {
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
