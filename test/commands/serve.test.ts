import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { tmpdir } from 'node:os';
import { describe, test } from 'node:test';
import type { CommandIo } from '../../gateway/commands/io.ts';
import { createServe, type RunningGateway, type Signal } from '../../gateway/commands/serve.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';

/** The command in a process that only records what is done to it, with a gateway whose parts a test may replace. */
async function startServe(traits: Partial<RunningGateway> = {}) {
  const did: string[] = [];
  const events: GatewayEvent[] = [];
  const signals = new EventEmitter<{ signal: [Signal]; mistake: [string, unknown]; listening: [] }>();
  const said = { stdout: '', stderr: '' };
  const io: CommandIo = {
    stdout: { write: text => (said.stdout += text) },
    stderr: { write: text => (said.stderr += text) },
    env: {},
    cwd: '/where',
  };
  const gateway: RunningGateway = {
    observe: event => events.push(event),
    start: async () => did.push('start'),
    drain: async () => did.push('drain'),
    stopNow: () => did.push('stop now'),
    reload: async reason => did.push(`reload ${reason}`),
    ...traits,
  };
  const serve = createServe({
    host: {
      onSignal: handle => signals.on('signal', handle).emit('listening'),
      onMistake: handle => signals.on('mistake', handle),
      exit: code => did.push(`exit ${code}`),
    },
    open: async options => {
      assert.deepEqual(options, { file: '/where/gateway.yaml', profiles: ['eu', 'prod'], user: 'r' });
      return { gateway, log: { flush: () => did.push('flush'), close: async () => void did.push('close log') } };
    },
  });
  const listening = once(signals, 'listening');
  const code = serve(['--config', 'gateway.yaml', '--profile', 'eu,prod', '--user', 'r'], io);
  await listening;
  return { did, events, signals, said, code };
}

describe('serve', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`drains on ${signal}, writes its log to the end, and exits with 0`, async () => {
      const { did, signals, code } = await startServe();

      signals.emit('signal', signal);

      assert.equal(await code, 0);
      assert.deepEqual(did, ['start', 'drain', 'close log']);
    });
  }

  test('stops at once on a second signal, and says by which', async () => {
    const draining = new EventEmitter<{ began: [] }>();
    const drain = () => {
      draining.emit('began');
      return new Promise<never>(() => undefined);
    };
    const { did, signals } = await startServe({ drain });
    const began = once(draining, 'began');
    signals.emit('signal', 'SIGTERM');
    await began;

    signals.emit('signal', 'SIGINT');

    assert.deepEqual(did, ['start', 'stop now', 'flush', 'exit 130']);
  });

  test('drains when it is told to stop while it still starts', async () => {
    const { did, signals, code } = await startServe({ start: () => new Promise(() => undefined) });

    signals.emit('signal', 'SIGTERM');

    assert.equal(await code, 0);
    assert.deepEqual(did, ['drain', 'close log']);
  });

  test('reloads on SIGHUP and goes on', async () => {
    const { did, signals, code } = await startServe();

    signals.emit('signal', 'SIGHUP');
    signals.emit('signal', 'SIGTERM');

    await code;
    assert.deepEqual(did, ['start', 'reload SIGHUP', 'drain', 'close log']);
  });

  test('reports an uncaught error, and lives', async () => {
    const { did, events, signals, code } = await startServe();
    const error = new TypeError('nobody caught me');

    signals.emit('mistake', 'uncaughtException', error);
    assert.deepEqual(events, [{ kind: 'internal-error', where: 'uncaughtException', error, requestId: null }]);
    assert.deepEqual(did, ['start']);

    signals.emit('signal', 'SIGTERM');
    assert.equal(await code, 0);
  });

  test('exits with 1 when draining fails, and lets go of everything', async () => {
    const error = new Error('stuck');
    const { did, events, signals, code } = await startServe({ drain: () => Promise.reject(error) });

    signals.emit('signal', 'SIGTERM');

    assert.equal(await code, 1);
    assert.deepEqual(did, ['start', 'stop now', 'close log']);
    assert.ok(events.some(event => event.kind === 'internal-error' && event.error === error));
  });

  for (const [code, words] of [
    ['EADDRINUSE', /^penstock: port 8080 on 0\.0\.0\.0 is taken by another process; /],
    ['EACCES', /^penstock: port 8080 on 0\.0\.0\.0 may not be listened on by this user; /],
    ['EADDRNOTAVAIL', /^penstock: port 8080 on 0\.0\.0\.0 is no address of this machine; /],
  ] as const) {
    test(`says in words why it does not start: ${code}`, async () => {
      const error = Object.assign(new Error(code), { code, address: '0.0.0.0', port: 8080 });
      const serve = await startServe({ start: () => Promise.reject(error) });

      assert.equal(await serve.code, 1);
      assert.match(serve.said.stderr, words);
      assert.deepEqual(serve.did, ['stop now', 'close log']);
    });
  }

  test('exits with 1 when there is nothing to start', async () => {
    const serve = createServe({
      host: { onSignal: () => assert.fail(), onMistake: () => assert.fail(), exit: () => assert.fail() },
      open: async () => undefined,
    });

    assert.equal(
      await serve([], { stdout: { write: assert.fail }, stderr: { write: assert.fail }, env: {}, cwd: '/' }),
      1,
    );
  });

  test('explains itself, and refuses arguments it does not know', async () => {
    const outputs = { stdout: '', stderr: '' };
    const io: CommandIo = {
      stdout: { write: text => (outputs.stdout += text) },
      stderr: { write: text => (outputs.stderr += text) },
      env: {},
      cwd: tmpdir(),
    };
    const serve = createServe({
      host: { onSignal: () => undefined, onMistake: () => undefined, exit: () => undefined },
      open: () => assert.fail('nothing is to be opened'),
    });

    assert.equal(await serve(['--help'], io), 0);
    assert.match(outputs.stdout, /SIGHUP/);
    assert.equal(await serve(['--port', '1'], io), 2);
    assert.match(outputs.stderr, /--port/);
  });
});
