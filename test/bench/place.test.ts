import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { describe, test, type TestContext } from 'node:test';
import { isRunning } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

const PLACE = new URL('../../bench/place.ts', import.meta.url).href;

/** A benchmark with one server, which has started a child of its own, as nginx does. */
const SCRIPT = `
  import { createPlace } from '${PLACE}';
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  const place = createPlace();
  const server = place.start('server', { program: 'sh', args: ['-c', 'sleep 600 & echo $!; wait'] });
  await place.until(server, () => server.log() !== '');
  console.log(JSON.stringify({ folder: place.path(''), pids: [server.pid, Number(server.log())] }));
  if (process.argv[1] === 'close') await place.close();
  else setInterval(() => undefined, 1_000);
`;

interface Benchmark {
  readonly folder: string;
  readonly pids: readonly number[];
  end(signal?: NodeJS.Signals): Promise<void>;
}

async function startBenchmark(t: TestContext, ...args: string[]): Promise<Benchmark> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const said = JSON.parse(line) as { folder: string; pids: number[] };
  t.after(() => {
    child.kill('SIGKILL');
    for (const pid of said.pids.filter(isRunning)) process.kill(pid, 'SIGKILL');
    rmSync(said.folder, { recursive: true, force: true });
  });
  return {
    ...said,
    async end(signal) {
      if (signal !== undefined) child.kill(signal);
      await ended;
    },
  };
}

describe('the place of a benchmark', () => {
  test('takes its servers and its folder with it when it is closed', async t => {
    const benchmark = await startBenchmark(t, 'close');

    await benchmark.end();

    assert.equal(isRunning(benchmark.pids[0] ?? 0), false);
    assert.equal(existsSync(benchmark.folder), false);
  });

  test('takes servers, what they have started, and its folder with it when the benchmark is told to end', async t => {
    const benchmark = await startBenchmark(t);

    await benchmark.end('SIGTERM');

    await until(() => !benchmark.pids.some(isRunning), 'nothing runs');
    assert.equal(existsSync(benchmark.folder), false);
  });

  test('takes its servers with it even by kill -9', async t => {
    const benchmark = await startBenchmark(t);

    await benchmark.end('SIGKILL');

    const [pid = 0] = benchmark.pids;
    assert.notEqual(pid, 0, 'it had a server');
    await until(() => !isRunning(pid), 'the server has ended');
  });
});
