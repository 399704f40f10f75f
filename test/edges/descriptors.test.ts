import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { closeSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { ConcurrencyLimit } from '../../gateway/domain/concurrency-limit.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import { fitConnections } from '../../gateway/edges/descriptors.ts';
import { ModelProcess } from '../../gateway/edges/onnx/model-process.ts';
import { createRKeeper } from '../../gateway/edges/r-keeper.ts';
import { Interpreter } from '../../gateway/edges/rscript/interpreter.ts';
import { call } from '../support/call.ts';
import { manualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

type Line = Readonly<Record<string, unknown>>;

/** A program of Node's that may have so many files open, and what it writes, a line at a time. */
function startLimited(t: TestContext, limit: number, args: readonly string[]) {
  const child = spawn('sh', ['-c', `ulimit -n ${limit}; exec "$@"`, 'sh', process.execPath, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(async () => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  const seen: Line[] = [];
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const line = async (isWanted: (line: Line) => boolean): Promise<Line> => {
    for (;;) {
      const known = seen.find(isWanted);
      if (known !== undefined) return known;
      seen.push(JSON.parse(String((await lines.next()).value)) as Line);
    }
  };
  return { child, line, seen };
}

const isAlive = (url: string) =>
  call(`${url}/livez`).then(
    ({ status }) => status === 200,
    () => false,
  );

describe(
  'file descriptors',
  { skip: process.platform === 'linux' ? false : 'their limit is read as Linux tells it' },
  () => {
    for (const [requested, limit, expected] of [
      [10_000, 1_048_576, 10_000],
      [10_000, undefined, 10_000],
      [10_000, 4_096, 1_856],
      [10_000, 256, 96],
      [50, 256, 50],
      [10, 1, 1],
    ] as const) {
      test(`allow ${expected} connections of ${requested} under a limit of ${limit}`, () => {
        const events: GatewayEvent[] = [];

        assert.equal(fitConnections(requested, { limit, observe: event => events.push(event) }), expected);
        assert.equal(events.length, expected < requested ? 1 : 0);
      });
    }

    test('are kept back for the admin listener, and their end is told by its name', async t => {
      const { child, line } = startLimited(t, 128, ['test/support/without-descriptors.ts']);
      const { port } = await line(said => 'port' in said);
      const url = `http://127.0.0.1:${String(port)}`;

      const { level } = await line(({ text }) => String(text).startsWith('out of file descriptors (EMFILE)'));
      for (let i = 0; i < 5; i++) assert.ok(await isAlive(url));
      child.stdin.write('free them\n');
      await line(({ text }) => text === 'file descriptors are free again');

      assert.equal(level, 'error');
    });

    test('are not used up by callers, who may have as many connections as the limit allows', async t => {
      const folder = aFolder(t);
      const discovery = "{ static: [{ service: fuel, instances: ['http://127.0.0.1:1'] }] }";
      const file = join(folder, 'gateway.yaml');
      writeFileSync(file, `listen: { host: 127.0.0.1, port: 0 }\nadmin: { port: 0 }\ndiscovery: ${discovery}\n`);
      writeFileSync(join(folder, 'routes.yaml'), "routes: [{ id: fuel, uri: lb://fuel, predicates: ['Path=/x'] }]\n");
      const { line, seen } = startLimited(t, 256, ['gateway/main.ts', 'serve', '--config', file]);
      const { about: lowered } = await line(({ text }) => String(text).startsWith('connectionsMax is lowered'));
      const { about } = await line(({ text }) => text === 'listening');
      const { callers, admin } = about as { callers: string; admin: string };

      const sockets = Array.from({ length: 300 }, () => connectTo(t, Number(callers.split(':')[1])));
      await until(() => sockets.filter(socket => socket.destroyed).length === 300 - 96, 'the surplus is closed');
      for (let i = 0; i < 5; i++) assert.ok(await isAlive(`http://${admin}`));

      assert.deepEqual(lowered, { connectionsMax: 96, asked: 10_000, limit: 256 });
      assert.deepEqual(
        seen.filter(({ event }) => event === 'config-refused' || event === 'restart-needed'),
        [],
      );
    });
  },
);

function connectTo(t: TestContext, port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined); // closed by the gateway
  socket.resume();
  t.after(() => socket.destroy());
  return socket;
}

describe('a process that cannot be started', () => {
  test('for want of descriptors says so, leaves nothing behind, and is started once there are some', async t => {
    const clock = manualClock();
    const notices: string[] = [];
    const news = new EventEmitter();
    let looks = 0;
    const starts = new ConcurrencyLimit(() => 1);
    const env = {
      get PATH() {
        return (looks += 1) === 1 ? '\0' : ''; // the first time `spawn` throws, as it does without memory
      },
    };
    const ended = async (count: number) => {
      while (notices.length < count) await once(news, 'ended');
      await setImmediate();
    };
    const taken = takeDescriptors(t);
    const folders = () =>
      readdirSync(tmpdir()).filter(name => name.startsWith('penstock-script-') && name.includes(`-${process.pid}-`))
        .length;

    const script = { service: 's', file: '/s.R', input: 'stdin', env: {}, memoryBytesMax: 1e9, cpuMsMax: 1e3 } as const;
    const run = new Interpreter(script, { argument: undefined, onLine: () => undefined, clock });
    const end = new Promise(resolve => run.run(undefined, { onOutput: () => undefined, onEnd: resolve }));
    const model = new Promise<string>(onEnd => {
      const parts = { onLine: () => undefined, onReady: () => undefined, onUnfit: () => undefined, onEnd };
      return new ModelProcess({ wanted: { file: '', runtime: '' }, env: {}, ...parts });
    });
    const keeper = createRKeeper({
      ...{ service: 'fuel', entry: '/fuel', serveCommand: '/bin/true', env, sharedSecretOf: () => undefined },
      ...{ clock, random: { below: () => 0 }, onChange: () => undefined },
      starts,
      observe(event) {
        if (event.kind !== 'notice') return;
        notices.push(event.text);
        news.emit('ended');
      },
    });

    assert.deepEqual(await end, { status: undefined, lastLine: '', isStarted: false, reason: 'spawn /bin/sh EMFILE' });
    assert.match(await model, /^spawn .* EMFILE$/);
    await ended(1);
    clock.advance(30_000);
    await ended(2);
    taken.free();
    clock.advance(30_000);
    await ended(3);
    assert.match(notices[0] ?? '', /null bytes/);
    assert.deepEqual(notices.slice(1), [
      'R ended: spawn /bin/true EMFILE, before it answered',
      'R ended: exit status 0, before it answered',
    ]);
    assert.ok(await starts.acquire(new AbortController().signal), 'no start holds it any more');
    await keeper.close();
    await until(() => folders() === 0, 'the folder is removed');
  });
});

/** All that this process may have, which is no more than it has. */
function takeDescriptors(t: TestContext): { free(): void } {
  const limit = (bounds: string) => execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${bounds}`]);
  limit('512:');
  const taken: number[] = [];
  const free = () => {
    for (const descriptor of taken.splice(0)) closeSync(descriptor);
  };
  t.after(free);
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    return { free };
  }
}
