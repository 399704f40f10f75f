import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { describe, test, type TestContext } from 'node:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import { fitConnections } from '../../gateway/edges/descriptors.ts';
import { call } from '../support/call.ts';

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
