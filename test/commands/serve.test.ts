import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { CommandIo } from '../../gateway/commands/io.ts';
import { createServe, type RunningGateway, type Signal } from '../../gateway/commands/serve.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';

const ROUTES = "routes: [{ id: a, uri: 'http://127.0.0.1:1', predicates: [Path=/a] }]\n";

/** The command in a process that only remembers what is done to it, with a gateway whose parts a test may replace. */
function startServe(t: TestContext, traits: Partial<RunningGateway> = {}, files = { gateway: '', routes: ROUTES }) {
  const cwd = mkdtempSync(join(tmpdir(), 'penstock-serve-'));
  t.after(() => rmSync(cwd, { recursive: true }));
  writeFileSync(join(cwd, 'gateway.yaml'), files.gateway);
  writeFileSync(join(cwd, 'routes.yaml'), files.routes);

  const did: string[] = [];
  const events: GatewayEvent[] = [];
  const signals = new EventEmitter<{ signal: [Signal]; mistake: [string, unknown]; started: [] }>();
  const said = { stdout: '', stderr: '' };
  const io: CommandIo = {
    stdout: { write: text => (said.stdout += text) },
    stderr: { write: text => (said.stderr += text) },
    env: {},
    cwd,
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
    process: {
      onSignal: handle => signals.on('signal', handle),
      onMistake: handle => signals.on('mistake', handle),
      exit: code => did.push(`exit ${code}`),
    },
    open: () => ({
      gateway,
      log: {
        flush: () => did.push('flush'),
        close: async () => void did.push('close log'),
      },
    }),
  });
  return { did, events, signals, said, code: serve(['--config', 'gateway.yaml'], io) };
}

describe('serve', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`drains on ${signal}, writes its log to the end, and exits with 0`, async t => {
      const { did, signals, code } = startServe(t);

      signals.emit('signal', signal);

      assert.equal(await code, 0);
      assert.deepEqual(did, ['start', 'drain', 'close log']);
    });
  }

  test('stops at once on a second signal, and says by which', async t => {
    const draining = new EventEmitter<{ began: [] }>();
    const drain = () => {
      draining.emit('began');
      return new Promise<never>(() => undefined);
    };
    const { did, signals } = startServe(t, { drain });
    const began = once(draining, 'began');
    signals.emit('signal', 'SIGTERM');
    await began;

    signals.emit('signal', 'SIGINT');

    assert.deepEqual(did, ['start', 'stop now', 'flush', 'exit 130']);
  });

  test('drains when it is told to stop while it still starts', async t => {
    const { did, signals, code } = startServe(t, { start: () => new Promise(() => undefined) });

    signals.emit('signal', 'SIGTERM');

    assert.equal(await code, 0);
    assert.deepEqual(did, ['drain', 'close log']);
  });

  test('reloads on SIGHUP and goes on', async t => {
    const { did, signals, code } = startServe(t);

    signals.emit('signal', 'SIGHUP');
    signals.emit('signal', 'SIGTERM');

    await code;
    assert.deepEqual(did, ['start', 'reload SIGHUP', 'drain', 'close log']);
  });

  test('tells of an error nobody caught, and lives', async t => {
    const { did, events, signals, code } = startServe(t);
    const error = new TypeError('nobody caught me');

    signals.emit('mistake', 'uncaughtException', error);
    assert.deepEqual(events, [{ kind: 'internal-error', where: 'uncaughtException', error, requestId: null }]);
    assert.deepEqual(did, ['start']);

    signals.emit('signal', 'SIGTERM');
    assert.equal(await code, 0);
  });

  test('exits with 1 when draining fails, and lets go of everything', async t => {
    const error = new Error('stuck');
    const { did, events, signals, code } = startServe(t, { drain: () => Promise.reject(error) });

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
    test(`says in words why it does not start: ${code}`, async t => {
      const error = Object.assign(new Error(code), { code, address: '0.0.0.0', port: 8080 });
      const serve = startServe(t, { start: () => Promise.reject(error) });

      assert.equal(await serve.code, 1);
      assert.match(serve.said.stderr, words);
      assert.deepEqual(serve.did, ['stop now', 'close log']);
    });
  }

  test('does not start with a configuration that has errors, and shows all of them', async t => {
    const { did, said, code } = startServe(t, {}, { gateway: 'lisen: {}\n', routes: 'routs: []\n' });

    assert.equal(await code, 1);
    assert.match(said.stderr, /gateway\.yaml:1:1/);
    assert.match(said.stderr, /routes\.yaml:1:1/);
    assert.deepEqual(did, []);
  });

  test('explains itself, and refuses arguments it does not know', async t => {
    const outputs = { stdout: '', stderr: '' };
    const io: CommandIo = {
      stdout: { write: text => (outputs.stdout += text) },
      stderr: { write: text => (outputs.stderr += text) },
      env: {},
      cwd: tmpdir(),
    };
    const serve = createServe({
      process: { onSignal: () => t.diagnostic('unused'), onMistake: () => undefined, exit: () => undefined },
      open: () => assert.fail('nothing is to be opened'),
    });

    assert.equal(await serve(['--help'], io), 0);
    assert.match(outputs.stdout, /SIGHUP/);
    assert.equal(await serve(['--port', '1'], io), 2);
    assert.match(outputs.stderr, /--port/);
  });
});
