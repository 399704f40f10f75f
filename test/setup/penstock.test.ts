import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test, type TestContext } from 'node:test';
import { findAccount, isRoot } from '../../gateway/edges/user.ts';
import { until } from '../support/until.ts';
import { aClone } from './a-clone.ts';

/** How Node may be when the command starts: able to become another process (22.15 and later), or not. */
const NODES = [
  { name: 'a Node that can become another', args: [] },
  { name: 'an older Node', args: ['--import', 'data:text/javascript,delete process.execve'] },
];

/** Stands for the gateway: it says who it is, which signals it gets, and ends when told. */
const NOTING = `
  const wanted: string = process.argv[2] ?? '';
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) {
    process.on(signal, () => {
      console.log(signal);
      if (signal === 'SIGTERM') setTimeout(() => process.exit(3), 50);
    });
  }
  console.log(JSON.stringify({ pid: process.pid, args: process.argv.slice(2), major: process.versions.node.split('.')[0] }));
  if (wanted === 'exit') process.exit(7);
  if (wanted === 'die') process.kill(process.pid, 'SIGKILL');
  setInterval(() => {}, 1_000);
`;

function startCommand(t: TestContext, root: string, { nodeArgs, args }: { nodeArgs: string[]; args: string[] }) {
  const command = spawn(process.execPath, [...nodeArgs, join(root, 'gateway', 'penstock.mjs'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => command.kill('SIGKILL'));
  const lines = createInterface(command.stdout)[Symbol.asyncIterator]();
  const nextLine = async () => String((await lines.next()).value);
  return { command, nextLine };
}

async function ended(command: ChildProcess) {
  const [code, signal] = (await once(command, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // ESRCH: there is no such process.
  }
}

for (const { name, args: nodeArgs } of NODES) {
  describe(`the command on ${name}`, () => {
    test('hands its arguments to the project’s own Node, and its exit code back', async t => {
      const { command, nextLine } = startCommand(t, aClone(t, { main: NOTING }), {
        nodeArgs,
        args: ['exit', '--x', 'y z'],
      });

      const { args, major } = JSON.parse(await nextLine()) as { args: string[]; major: string };
      const { code } = await ended(command);

      assert.deepEqual({ args, major, code }, { args: ['exit', '--x', 'y z'], major: '26', code: 7 });
    });

    test('ends by the signal that ended the gateway', async t => {
      const { command } = startCommand(t, aClone(t, { main: NOTING }), { nodeArgs, args: ['die'] });

      const { signal } = await ended(command);

      assert.equal(signal, 'SIGKILL');
    });

    test('passes each signal on, once', async t => {
      const { command, nextLine } = startCommand(t, aClone(t, { main: NOTING }), { nodeArgs, args: [] });
      await nextLine();

      const received: string[] = [];
      for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) {
        command.kill(signal);
        received.push(await nextLine());
      }
      const { code } = await ended(command);

      assert.deepEqual({ received, code }, { received: ['SIGINT', 'SIGHUP', 'SIGTERM'], code: 3 });
    });

    test('leaves no gateway behind when it is killed', async t => {
      const { command, nextLine } = startCommand(t, aClone(t, { main: NOTING }), { nodeArgs, args: [] });
      const { pid } = JSON.parse(await nextLine()) as { pid: number };
      t.after(() => isAlive(pid) && process.kill(pid, 'SIGKILL'));
      assert.ok(isAlive(pid));

      command.kill('SIGKILL');

      await until(() => !isAlive(pid), 'the gateway is gone');
    });
  });
}

test('without a Node that runs TypeScript the command says how to get one', async t => {
  const old = "data:text/javascript,Object.defineProperty(process,'versions',{value:{node:'20.1.0'}})";
  const root = aClone(t, { main: NOTING, hasPackages: false });
  const { command } = startCommand(t, root, { nodeArgs: ['--import', old], args: [] });

  let said = '';
  command.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const { code } = await ended(command);

  assert.equal(code, 1);
  assert.match(said, /this is Node 20\.1\.0[\s\S]*npm ci/);
});

test('the manual names the command by its path: npm knows a package of another by its name', () => {
  const pages = ['README.md', 'CONTRIBUTING.md', 'config/gateway.yaml', 'config/routes.yaml'];
  const manual = readdirSync('docs').filter(name => name.endsWith('.md') && name !== 'operating.md');

  for (const page of [...pages, ...manual.map(name => join('docs', name))]) {
    assert.doesNotMatch(readFileSync(page, 'utf8'), /npx penstock/, page);
  }
});

describe('in a clone that root set up', { skip: isRoot() ? false : 'takes root' }, () => {
  const asNobody = async (args: string[]) => {
    const { uid, gid } = findAccount('nobody') ?? {};
    const child = spawn(process.execPath, args, { uid, gid, env: {}, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
    const { code } = await ended(child);
    return { code, said };
  };

  test('the command works for other users', async () => {
    assert.deepEqual(await asNobody(['gateway/penstock.mjs', '--version']), { code: 0, said: '0.1.0\n' });
  });

  test('the set-up tells another user in words that it may not write', async () => {
    const { code, said } = await asNobody(['gateway/setup/start.mjs', '--install-only']);

    assert.equal(code, 1);
    assert.match(said, /belongs to another user/);
    assert.doesNotMatch(said, /\n +at |npm error/);
  });
});
