import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { chmod, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type { Roster, RosterEntry } from '../../gateway/domain/roster.ts';
import { systemClock, systemRandom } from '../../gateway/edges/clock.ts';
import { createLocalSource, type LocalSourceOptions } from '../../gateway/edges/r-processes.ts';
import { createScripts } from '../../gateway/edges/rscript/transport.ts';
import { Deadlines } from '../../gateway/domain/deadlines.ts';
import { isRunning } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

type Notice = Extract<GatewayEvent, { kind: 'notice' }>;

const root = fileURLToPath(new URL('../../', import.meta.url));
const fuel = {
  kind: 'plumber',
  service: 'fuel',
  entry: `${root}plumber-services/fuel`,
  instances: 1,
  env: [],
} as const;

function startLocal(t: TestContext, options: Partial<LocalSourceOptions> = {}) {
  const reported = new EventEmitter<{ news: [] }>();
  const notices: Notice[] = [];
  let roster: Roster | undefined;
  const source = createLocalSource({
    ...{
      scripts: createScripts({ clock: systemClock, deadlines: new Deadlines(systemClock), observe: () => undefined }),
      models: { keep: () => assert.fail('it has no model') },
    },
    ...{ entries: [fuel], serveCommand: `${root}plumber-services/serve.sh`, env: process.env },
    ...{ clock: systemClock, random: systemRandom, sharedSecretOf: () => undefined },
    observe: event => {
      if (event.kind === 'notice') notices.push(event);
      reported.emit('news');
    },
    onRoster: next => {
      roster = next;
      reported.emit('news');
    },
    ...options,
  });
  t.after(() => source.close());
  const entries = (service = 'fuel') => roster?.services.get(service) ?? [];

  /** Resolves when it holds; asked at every event. */
  const happens = async (holds: () => boolean) => {
    while (!holds()) await once(reported, 'news');
  };
  return { source, notices, entries, roster: () => roster, happens };
}

/** The process ids of the R that listen, by their port. */
function rPids(notices: readonly Notice[]): Map<unknown, number> {
  const listening = notices.filter(({ about }) => about['rEvent'] === 'listening');
  return new Map(listening.map(({ about }) => [about['port'], Number(about['pid'])]));
}

const portOf = (entry: RosterEntry | undefined) => Number(new URL(String(entry?.origin)).port);

/** A command in place of serve.sh. */
async function script(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'serve.sh');
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
  return path;
}

describe('local R processes', { concurrency: false }, () => {
  test('answer on ports of their own, with the version of their model, and end with the source', async t => {
    const local = startLocal(t, { entries: [{ ...fuel, instances: 2 }] });
    assert.deepEqual(local.source.age().isKnown, true, 'nothing is wanted yet');

    local.source.follow(new Set(['fuel']));
    assert.equal(local.source.age().isKnown, false);
    await local.happens(() => local.entries().length === 2);

    assert.equal(local.source.age().isKnown, true);
    const [one, two] = local.entries();
    assert.notEqual(portOf(one), portOf(two));
    assert.deepEqual([one?.id, one?.source, one?.health], [`fuel-${portOf(one)}`, 'local', 'passing']);
    const metadata = (await (await fetch(`${one?.origin}/metadata`)).json()) as { version: string };
    assert.deepEqual([one?.version, one?.model], [metadata.version, 'fuel']);

    const pids = [...rPids(local.notices).values()];
    assert.deepEqual(pids.map(isRunning), [true, true]);
    await local.source.close();
    assert.deepEqual(pids.map(isRunning), [false, false]);
  });

  test('answer no request without the secret of their service', async t => {
    const local = startLocal(t, { sharedSecretOf: service => `of ${service}` });

    local.source.follow(new Set(['fuel']));
    await local.happens(() => local.entries().length === 1);

    const [entry] = local.entries();
    assert.equal(entry?.model, 'fuel', 'the gateway itself may ask');
    const statusFor = async (headers: Record<string, string>) =>
      (await fetch(`${entry.origin}/metadata`, { headers })).status;
    assert.equal(await statusFor({}), 400);
    assert.equal(await statusFor({ 'PLUMBER-SHARED-SECRET': 'of fuel' }), 200);
  });

  test('are started again when they were killed, and leave the roster at once', async t => {
    const local = startLocal(t, { entries: [{ ...fuel, instances: 2 }] });
    local.source.follow(new Set(['fuel']));
    await local.happens(() => local.entries().length === 2);
    const [victim, survivor] = local.entries();

    process.kill(rPids(local.notices).get(portOf(victim)) ?? 0, 'SIGKILL');
    await local.happens(() => local.entries().length === 1);
    assert.deepEqual(local.entries(), [survivor]);

    await local.happens(() => local.entries().length === 2);
    assert.ok(local.entries().some(entry => entry === survivor));
    const ends = local.notices.filter(({ text, about }) => text.startsWith('R ended') || about['rEvent'] === 'r-ended');
    assert.deepEqual(
      ends.map(({ level, text }) => [level, text]),
      [['warn', 'R ended: SIGKILL']],
    );
  });

  test('are given what R needs and what their entry names, and nothing else of the environment', async t => {
    const serveCommand = await script(t, 'env; echo that is all; exec cat >/dev/null');
    const usual = { PATH: String(process.env['PATH']), HOME: '/home/r', LANG: 'C.UTF-8', LC_TIME: 'C', TZ: 'UTC' };
    const needed = {
      ...usual,
      USER: 'r',
      R_LIBS_SITE: '/r',
      PLUMBER_PORT: '1',
      TMPDIR: tmpdir(),
      MODEL_DIR: '/models',
    };
    const secret = { IDP_HMAC_KEY: 'x', PENSTOCK_JWT_SECRET: 'x', CONSUL_HTTP_TOKEN: 'x', PLUMBER_SHARED_SECRET: 'x' };
    const entries = [{ ...fuel, env: ['MODEL_DIR', 'NOT_SET'] }];
    const local = startLocal(t, { serveCommand, entries, env: { ...needed, ...secret, OTHER: 'y' } });

    local.source.follow(new Set(['fuel']));
    await local.happens(() => local.notices.some(({ text }) => text === 'that is all'));
    await local.source.close();

    const names = local.notices.flatMap(({ text }) => /^(\w+)=/.exec(text)?.[1] ?? []);
    const own = ['PENSTOCK_SERVICE_NAME', 'PENSTOCK_DRAIN_TIMEOUT_S', 'PENSTOCK_SETTLE_S'];
    const ofTheShell = new Set(['PWD', 'OLDPWD', 'SHLVL', '_']);
    assert.deepEqual(names.filter(name => !ofTheShell.has(name)).sort(), [...Object.keys(needed), ...own].sort());
  });

  test('use the usual folder for temporary files where that of the environment is closed to them', async t => {
    const serveCommand = await script(t, 'echo "TMPDIR is ${TMPDIR:-not set}"; exec cat >/dev/null');
    const local = startLocal(t, { serveCommand, env: { ...process.env, TMPDIR: '/nowhere' } });

    local.source.follow(new Set(['fuel']));

    const said = () => local.notices.find(({ text }) => text.startsWith('TMPDIR is '))?.text;
    await local.happens(() => said() !== undefined);
    assert.equal(said(), 'TMPDIR is not set');
  });

  test('are started from a folder with a space in its path', async t => {
    const folder = join(await mkdtemp(join(tmpdir(), 'penstock-')), 'a clone');
    t.after(() => rm(dirname(folder), { recursive: true, force: true }));
    await cp(`${root}plumber-services`, folder, { recursive: true });
    const entries = [{ ...fuel, entry: join(folder, 'fuel') }];
    const local = startLocal(t, { serveCommand: join(folder, 'serve.sh'), entries });

    local.source.follow(new Set(['fuel']));
    await local.happens(() => local.source.age().isKnown);

    assert.deepEqual(
      local.entries().map(({ model }) => model),
      ['fuel'],
      JSON.stringify(local.notices),
    );
  });

  test('that fail again and again are started ever later, and the gateway need not wait for them', async t => {
    const serveCommand = await script(t, 'echo "no package called plumber" >&2; exit 3');
    const local = startLocal(t, { serveCommand });
    const waits = () => local.notices.map(({ about }) => about['againInMs']).filter(ms => typeof ms === 'number');

    local.source.follow(new Set(['fuel']));
    await local.happens(() => waits().length === 3);

    assert.deepEqual([local.source.age().isKnown, local.entries()], [true, []]);
    const [first = 0, , third = 0] = waits();
    assert.ok(first <= 500 && third >= 1_000, `${first} then ${third}`);
    assert.ok(local.notices.some(({ text, level }) => level === 'warn' && text === 'no package called plumber'));
    assert.ok(local.notices.some(({ text }) => text.includes('exit status 3')));
  });

  test('that will not end are killed with all that they have started', async t => {
    const serveCommand = await script(t, 'trap "" TERM; sleep 600 & echo "child $!"; while :; do wait; done');
    const local = startLocal(t, {
      serveCommand,
      // A wait is over within a second.
      clock: { ...systemClock, after: (ms, callback) => systemClock.after(Math.min(ms, 1_000), callback) },
    });
    local.source.follow(new Set(['fuel']));
    const childLine = () => local.notices.find(({ text }) => text.startsWith('child '));
    await local.happens(() => childLine() !== undefined);
    const child = Number(childLine()?.text.split(' ')[1]);
    assert.ok(isRunning(child));

    await local.source.close();

    await until(() => !isRunning(child), 'the child has ended');
  });

  test('take along what they have started when they end by themselves', async t => {
    const serveCommand = await script(t, 'sleep 600 & echo "child $!"; exit 1');
    const local = startLocal(t, { serveCommand });

    local.source.follow(new Set(['fuel']));
    await local.happens(() => local.notices.some(({ text }) => text.startsWith('R ended')));

    const line = local.notices.find(({ text }) => text.startsWith('child '));
    const child = Number(line?.text.split(' ')[1]);
    assert.ok(child > 0, 'it had started a child');
    await until(() => !isRunning(child), 'the child has ended');
  });

  test('of a service that no route wants are not started, and none is listed', async t => {
    const local = startLocal(t);

    local.source.follow(new Set(['iris']));

    assert.deepEqual([...(local.roster()?.services ?? [])], []);
    assert.deepEqual(local.notices, []);
  });

  test('cannot be started where the command is missing, and that is said', async t => {
    const local = startLocal(t, { serveCommand: '/nowhere/serve.sh' });

    local.source.follow(new Set(['fuel']));

    const said = () => local.notices.find(({ text }) => text.includes('ENOENT'));
    await local.happens(() => said() !== undefined);
    assert.equal(said()?.level, 'warn');
    assert.deepEqual(local.entries(), []);
  });
});
