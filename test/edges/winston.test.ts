import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import type { GatewayEvent, RequestEvent } from '../../gateway/domain/events.ts';
import type { LogLevel } from '../../gateway/domain/operating/log-line.ts';
import { createLog } from '../../gateway/edges/winston.ts';

const aRequest: RequestEvent = {
  kind: 'request',
  id: '7f6b',
  caller: 'penstock-dev/alice',
  method: 'POST',
  path: '/api/fuel/predict',
  route: 'fuel',
  service: 'fuel',
  instance: 'fuel-9101',
  version: '1.2.0',
  status: 200,
  code: null,
  attempts: 1,
  queueMs: 0,
  connectMs: 0.2,
  firstByteMs: 2.400000003,
  totalMs: 2.9,
  bytesIn: 24,
  bytesOut: 31,
  cache: 'miss',
  isCoalesced: false,
  attempt: { outcome: 'ok', status: 200, durationMs: 2.4, queueMs: 0 },
};

const AT_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 6);

interface LogTraits {
  level?: LogLevel;
  access?: boolean;
}

function startLog({ level = 'info', access = true, stream }: LogTraits & { stream: Writable }) {
  const log = createLog({ level, access, stream, wallMs: () => AT_MS, catchUp: () => undefined });
  const observe = log.observe.bind(log);
  return Object.assign(log, {
    observe(event: GatewayEvent, atMs: number) {
      observe(event, atMs);
      log.observedAll();
    },
  });
}

/** All that a log wrote, once it is closed. */
async function linesOf(write: (log: ReturnType<typeof startLog>) => void, options: LogTraits = {}) {
  const stream = new PassThrough();
  const log = startLog({ ...options, stream });
  write(log);
  const written = text(stream);
  await log.close();
  stream.end();
  return (await written).split('\n').slice(0, -1);
}

describe('log', () => {
  test('writes the access line as the contract shows it', async () => {
    const lines = await linesOf(log => log.observe(aRequest, AT_MS));

    assert.deepEqual(lines, [
      '{"time":"2026-01-02T03:04:05.006Z","level":"info","event":"request","id":"7f6b","caller":"penstock-dev/alice",' +
        '"method":"POST","path":"/api/fuel/predict","route":"fuel","service":"fuel","instance":"fuel-9101",' +
        '"version":"1.2.0","status":200,"code":null,"attempts":1,"queueMs":0,"connectMs":0.2,"firstByteMs":2.4,' +
        '"totalMs":2.9,"bytesIn":24,"bytesOut":31}',
    ]);
  });

  test('writes one line an event, in order', async () => {
    const lines = await linesOf(log => {
      log.observe({ kind: 'instance-left', service: 'fuel', instance: 'a' }, AT_MS);
      log.observe({ kind: 'source-back', source: 'consul' }, AT_MS);
    });

    assert.deepEqual(
      lines.map(line => (JSON.parse(line) as { event: string }).event),
      ['instance-left', 'source-back'],
    );
  });

  test('leaves access lines out where they are not wanted, and nothing else', async () => {
    const lines = await linesOf(
      log => {
        log.observe(aRequest, AT_MS);
        log.observe({ kind: 'source-back', source: 'consul' }, AT_MS);
      },
      { access: false },
    );

    assert.equal(lines.length, 1);
  });

  test('tells what its level lets through, and changes it while it runs', async () => {
    const debug = { kind: 'notice', level: 'debug', text: 'x', about: {} } as const;
    const lines = await linesOf(
      log => {
        log.observe(debug, AT_MS);
        log.observe(aRequest, AT_MS);
        log.setLevel('debug');
        log.observe(debug, AT_MS);
        log.setLevel('error');
        log.observe(aRequest, AT_MS);
        assert.equal(log.level, 'error');
      },
      { level: 'warn' },
    );

    assert.deepEqual(
      lines.map(line => (JSON.parse(line) as { level: string }).level),
      ['debug'],
    );
  });

  test('escapes every character that a terminal or an editor obeys', async () => {
    const path = '/a\n\u001b[31m\u007f\u009b2J\u2028"';
    const [line = ''] = await linesOf(log => log.observe({ ...aRequest, path }, AT_MS));

    assert.match(line, /^[\x20-\x7e]*$/);
    assert.equal((JSON.parse(line) as { path: string }).path, path);
  });

  test('bounds the path, what others say, and lists', async () => {
    const [access = '', refused = ''] = await linesOf(log => {
      log.observe({ ...aRequest, path: `/${'a'.repeat(100_000)}` }, AT_MS);
      log.observe({ kind: 'config-refused', problems: Array.from({ length: 1000 }, () => 'x'.repeat(100_000)) }, AT_MS);
    });

    assert.equal((JSON.parse(access) as { path: string }).path.length, 2049);
    const { problems } = JSON.parse(refused) as { problems: string[] };
    assert.deepEqual([problems.length, problems[0]?.length], [50, 8193]);
  });

  test('drops lines of a reader that takes none, in bounded memory, and says how many', async () => {
    let acknowledge: (() => void) | undefined;
    const take = () => {
      const next = acknowledge;
      acknowledge = undefined;
      next?.();
    };
    const chunks: string[] = [];
    const stuck = new Writable({
      decodeStrings: false,
      write(chunk: string, _encoding, next) {
        chunks.push(chunk);
        acknowledge = next;
      },
    });
    const log = startLog({ stream: stuck });
    for (let i = 0; i < 20_000; i++) {
      log.observe(aRequest, AT_MS);
      if (i % 100 === 0) await new Promise(setImmediate);
    }
    assert.ok(log.linesDropped > 10_000, `${log.linesDropped} dropped`);
    assert.ok(stuck.writableLength < 2_500_000, `${stuck.writableLength} bytes held`);

    const { linesDropped } = log;
    while (stuck.writableLength > 0) {
      take();
      await new Promise(setImmediate);
    }
    log.observe(aRequest, AT_MS);
    log.flush();

    const gap = chunks.at(-1)?.split('\n')[0] ?? '';
    assert.deepEqual(JSON.parse(gap), {
      time: '2026-01-02T03:04:05.006Z',
      level: 'warn',
      event: 'log-lines-dropped',
      lines: linesDropped,
    });
  });

  test('outlives a stream that is closed from the other side', async () => {
    const closed = new PassThrough();
    const log = startLog({ stream: closed });
    log.observe(aRequest, AT_MS);
    closed.destroy(new Error('EPIPE'));
    await new Promise(resolve => closed.once('close', resolve));

    log.observe(aRequest, AT_MS);
    log.flush();
    await log.close();

    assert.ok(log.linesDropped >= 1);
  });

  test('tries again a second after an error that passes', async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let isFull = true;
    const written: string[] = [];
    const disk = new Writable({
      decodeStrings: false,
      write(chunk: string, _encoding, next) {
        if (!isFull) written.push(chunk);
        next(isFull ? new Error('ENOSPC') : null);
      },
      destroy(error, next) {
        next(error);
        (this as unknown as { _undestroy(): void })._undestroy(); // as process.stdout does
      },
    });
    const log = startLog({ stream: disk });
    const failed = new Promise(resolve => disk.once('error', resolve));
    log.observe(aRequest, AT_MS);
    await failed;
    log.observe(aRequest, AT_MS);
    assert.equal(log.linesDropped, 2);

    isFull = false;
    t.mock.timers.tick(1000);
    log.observe(aRequest, AT_MS);
    log.flush();

    assert.match(written.join(''), /"event":"log-lines-dropped","lines":2}\n.*"event":"request"/);
  });

  test('hands over what it holds before a process ends', () => {
    const chunks: Buffer[] = [];
    const stream = new Writable({
      write(chunk: Buffer, _encoding, next) {
        chunks.push(chunk);
        next();
      },
    });
    const log = startLog({ stream });
    log.observe(aRequest, AT_MS);

    log.flush();

    assert.match(Buffer.concat(chunks).toString(), /"event":"request"/);
  });

  test('does not wait for ever to be closed', async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const stuck = new Writable({ write: () => undefined });
    const log = startLog({ stream: stuck });
    log.observe(aRequest, AT_MS);

    const closed = log.close();
    t.mock.timers.tick(1000);

    await assert.doesNotReject(closed);
  });
});
