import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { findAccount, isRoot } from '../../gateway/edges/user.ts';
import { freePort } from '../../gateway/setup/ports.mjs';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

/** The first line of the screen says that all is up; the last, how to end it. */
const SCREEN_ENDS = 'Ctrl-C stops everything.';

interface Started {
  readonly starter: ChildProcess;
  readonly screen: string;
  readonly gatewayUrl: string;
  /** What R processes listen on, as the gateway knows them. */
  readonly instances: readonly string[];
}

/** What `npm start` runs, on free ports, up to its screen. */
async function start(
  t: TestContext,
  { discovery, flags = [], isOpen = false }: { discovery: string; flags?: string[]; isOpen?: boolean },
): Promise<Started> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const starter = spawn(
    process.execPath,
    ['gateway/setup/start.mjs', ...flags, '--config', aConfig(t, { port, adminPort, discovery, isOpen })],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  t.after(async () => {
    if (starter.exitCode !== null || starter.signalCode !== null) return;
    starter.kill('SIGTERM');
    await once(starter, 'exit');
  });

  let screen = '';
  await new Promise<void>((isUp, fail) => {
    starter.once('exit', code => fail(new Error(`ended with ${code}:\n${screen}`)));
    starter.stdout.setEncoding('utf8').on('data', (text: string) => {
      screen += text;
      if (screen.includes(SCREEN_ENDS)) isUp();
    });
  });
  const answer = await fetch(`http://127.0.0.1:${adminPort}/api/services`);
  const services = (await answer.json()) as { instances: { address: string }[] }[];
  const instances = services.flatMap(service => service.instances.map(({ address }) => address));
  return { starter, screen, gatewayUrl: `http://127.0.0.1:${port}`, instances };
}

function aConfig(
  t: TestContext,
  {
    port,
    adminPort,
    discovery,
    isOpen = false,
  }: { port: number; adminPort: number; discovery: string; isOpen?: boolean },
): string {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-start-'));
  chmodSync(folder, isOpen ? 0o755 : 0o700);
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'gateway.yaml');
  writeFileSync(
    file,
    `listen: { host: 127.0.0.1, port: ${port} }
admin: { port: ${adminPort} }
routes: ${resolve('config/routes.yaml')}
discovery: ${discovery}
identity:
  jwt: [{ issuer: penstock-dev, audience: penstock, algorithms: [HS256], secret: '\${env:PENSTOCK_JWT_SECRET}' }]
drain: { grace: 0s }
`,
  );
  return file;
}

const entry = (service: string) =>
  `{ service: ${service}, entry: ${resolve('plumber-services', service)}, instances: 1 }`;

const LOCAL = `{ local: [${entry('fuel')}, ${entry('iris')}] }`;

const CONSUL = "{ consul: { address: '${env:CONSUL_HTTP_ADDR}', snapshot: roster.json } }";

async function isGone(url: string): Promise<boolean> {
  return fetch(url).then(
    () => false,
    () => true,
  );
}

async function untilAllGone(urls: readonly string[]): Promise<void> {
  await until(
    async () => (await Promise.all(urls.map(isGone))).every(gone => gone),
    `${urls.join(', ')} are gone`,
    60_000,
  );
}

const isUp = async (url: string) => !(await isGone(url));

/** What `npm start` says to its end. */
async function startInVain(t: TestContext, discovery: string) {
  const [port, adminPort] = [await freePort(), await freePort()];
  const starter = spawn(
    process.execPath,
    ['gateway/setup/start.mjs', '--config', aConfig(t, { port, adminPort, discovery })],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  t.after(() => starter.kill('SIGKILL'));
  let said = '';
  for (const stream of [starter.stdout, starter.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
  const [code] = (await once(starter, 'close')) as [number | null];
  return { code, said };
}

test('npm start shows why an R does not start, and gives up; root is told why it stays root', async t => {
  const folder = aFolder(t);
  writeFileSync(join(folder, 'plumber.R'), 'library(noSuchPackage)\n');

  const { code, said } = await startInVain(t, `{ local: [{ service: fuel, entry: ${folder} }, ${entry('iris')}] }`);

  assert.equal(code, 1);
  assert.match(
    said,
    /R of fuel ended before it answered \(exit status 1\)[^]*there is no package called .noSuchPackage./,
  );
  assert.match(said, /R of fuel does not start/);
  assert.doesNotMatch(said, /not ready after/);
  if (!isRoot()) return;
  const lines = said.split('\n').filter(line => line.includes('run as root'));
  assert.equal(lines.length, 1, said);
  assert.match(lines.join(), /nobody cannot read .*gateway\.yaml/);
});

/** The users of all that the process has started, and of what that has. */
function ownersBelow(pid: number): number[] {
  const started = childrenOf(pid).flatMap(child => [child, ...childrenOf(child)]);
  return started.map(child => Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${child}/status`, 'utf8'))?.[1]));
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

for (const [name, discovery, flags] of [
  ['npm start', LOCAL, []],
  ['npm run start:consul', CONSUL, ['--consul']],
] as const) {
  describe(name, () => {
    test('ends with a screen whose commands work when pasted, and Ctrl-C stops everything', async t => {
      const { starter, screen, gatewayUrl, instances } = await start(t, { discovery, flags: [...flags] });

      const commands = screen.split('\n').filter(line => line.startsWith('curl '));
      const answers = await Promise.all(commands.map(line => promisify(execFile)('sh', ['-c', line])));
      starter.kill('SIGINT');
      const [code] = (await once(starter, 'exit')) as [number | null];

      assert.equal(commands.length, 3);
      const [fuel, iris, services] = answers.map(({ stdout }) => JSON.parse(stdout) as unknown);
      assert.equal((fuel as { '.pred': number[] })['.pred'].length, 2);
      assert.match(JSON.stringify(iris), /setosa/);
      assert.ok((services as unknown[]).length >= 2);
      assert.ok(instances.length >= 2);
      assert.equal(code, 0);
      await untilAllGone([gatewayUrl, ...instances]);
    });

    test('runs as nobody where root lets it read the clone, and leaves nothing behind when it is killed', async t => {
      const { starter, gatewayUrl, instances } = await start(t, { discovery, flags: [...flags], isOpen: true });
      assert.ok((await Promise.all([gatewayUrl, ...instances].map(isUp))).every(up => up));
      const owners = ownersBelow(starter.pid ?? 0);
      assert.ok(owners.length >= 2);
      if (isRoot()) assert.deepEqual([...new Set(owners)], [findAccount('nobody')?.uid]);

      starter.kill('SIGKILL');

      await untilAllGone([gatewayUrl, ...instances]);
    });
  });
}
