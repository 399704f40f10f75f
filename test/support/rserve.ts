import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { ensureServer } from './servers.mjs';
import { until } from './until.ts';

/** A real Rserve. */
export interface Rserve {
  readonly origin: string;
  readonly port: number;
  /** By TLS; the port is 0 where it has none. */
  readonly securedOrigin: string;
  readonly folder: string;
}

/** Where R finds Debian's package of Rserve, which is unpacked and not installed. */
export async function rserveLibrary(): Promise<string> {
  return join(dirname(await ensureServer('Rserve')), 'root/usr/lib/R/site-library');
}

interface RserveTraits {
  /** R that is run before it listens: what a connection finds defined. */
  readonly code?: string;
  /** Settings as in Rserve.conf; what is the name of one of `files` is its path. */
  readonly settings?: Readonly<Record<string, string>>;
  /** With a port of its own for TLS. */
  readonly isSecured?: boolean;
  /** Files in its folder, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Starts it on a free port; ends it, and all it has forked, after the test. */
export async function startRserve(
  t: TestContext,
  { code = '', settings = {}, files = {}, isSecured = false }: RserveTraits = {},
): Promise<Rserve> {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-rserve-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const given = Object.entries({ workdir: join(folder, 'connections'), ...settings }).map(([name, value]) => {
    return `, ${name} = ${JSON.stringify(value in files ? join(folder, value) : value)}`;
  });
  writeFileSync(
    join(folder, 'start.R'),
    `${code}
port <- httpuv::randomPort(20000, 32767)
secured <- ${isSecured ? 'httpuv::randomPort(20000, 32767)' : '0'}
cat("ports", port, secured, "\\n")
Rserve::run.Rserve(port = port, tls.port = secured, config.file = character()${given.join('')})
`,
  );
  const env = { ...process.env, R_LIBS: await rserveLibrary() };
  const r = spawn('Rscript', ['--vanilla', 'start.R'], { cwd: folder, env, detached: true, stdio: 'pipe' });
  let said = '';
  r.stdout.on('data', chunk => (said += String(chunk)));
  r.stderr.on('data', chunk => (said += String(chunk)));
  t.after(async () => {
    if (r.exitCode === null && r.signalCode === null) {
      const ended = once(r, 'exit');
      process.kill(-Number(r.pid), 'SIGKILL');
      await ended;
    }
    rmSync(folder, { recursive: true, maxRetries: 3 });
  });
  await until(() => {
    if (r.exitCode !== null) throw new Error(`R has ended: ${said}`);
    return /^-- running Rserve/m.test(said);
  }, 'Rserve listens');
  const [, port, secured] = /^ports (\d+) (\d+)/m.exec(said) ?? [];
  const [origin, securedOrigin] = [`rserve://127.0.0.1:${port}`, `rserves://127.0.0.1:${secured}`];
  return { origin, port: Number(port), securedOrigin, folder };
}
