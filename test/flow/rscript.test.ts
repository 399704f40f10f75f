import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { beginCall, post } from '../support/call.ts';
import { startGateway, type ComposedGateway } from '../support/composed-gateway.ts';
import { isRunning } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

/** Base R alone, which starts in a fraction of a second. */
const DOUBLE = `
text <- readLines(file("stdin"), warn = FALSE)
cat(sprintf("[%g]", 2 * as.numeric(gsub("[^0-9.]", "", text))))
`;

interface ScriptTraits {
  readonly more?: string;
  readonly route?: string;
  readonly service?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A gateway that runs this script on `/model/**`. */
async function startScript(
  t: TestContext,
  text: string,
  { more = '', route = '', service = '', env }: ScriptTraits = {},
) {
  const folder = aFolder(t);
  const file = join(folder, 'model_predict.R');
  writeFileSync(file, text);
  const { PATH = '', HOME = '' } = process.env;
  const gateway = await startGateway(t, {
    local: [`{ service: model, script: ${JSON.stringify(file)}${more && `, ${more}`} }`],
    routes: `
services: { model: { ${service} } }
routes: [{ id: model, uri: 'lb://model', predicates: ['Path=/model/**']${route && `, ${route}`} }]`,
    env: { PATH, HOME, ...env },
  });
  return { gateway, file };
}

const detailOf = (text: string) => (JSON.parse(text) as { detail: string }).detail;

const noticesOf = (gateway: ComposedGateway) => gateway.log.of('notice').map(({ text }) => text);

/** What the file says, once it says something. */
async function firstInstance(gateway: ComposedGateway) {
  const [service] = await gateway.services();
  return service?.instances[0];
}

describe('an R script', () => {
  test('answers each call by what it prints, on any path of its route', async t => {
    const { gateway } = await startScript(t, DOUBLE, { more: 'instances: 2' });

    const received = await Promise.all([1, 2, 3, 4].map(n => gateway.call(`/model/any/${n}`, post([n]))));

    assert.deepEqual(
      received.map(({ status, text }) => `${status} ${text}`),
      ['200 [2]', '200 [4]', '200 [6]', '200 [8]'],
    );
    assert.equal(received[0]?.headers['content-type'], 'application/json');
    assert.equal((await firstInstance(gateway))?.state, 'in-rotation');
  });

  test('is given the body as one argument, which no shell reads', async t => {
    const { gateway } = await startScript(t, `cat(commandArgs(trailingOnly = TRUE), sep = "|")`, {
      more: 'input: argument',
    });

    for (const said of ['[1, "two words"]', '$(touch gone); `id` \'"', '--version', '-e 1', 'ü €']) {
      const received = await gateway.call('/model', post(said));
      assert.equal(received.text, said);
    }
    assert.equal((await gateway.call('/model', post('a\0b'))).code, 'BAD_REQUEST');
    assert.equal((await gateway.call('/model', post('x'.repeat(128 * 1024)))).code, 'BODY_TOO_LARGE');
  });

  test('that fails is 500 with the last line it wrote, and its lines are in the log', async t => {
    const { gateway } = await startScript(t, `message("loading"); stop("column wt is missing")`);

    const received = await gateway.call('/model', post([]));

    assert.deepEqual({ status: received.status, code: received.code }, { status: 500, code: 'MODEL_FAILED' });
    assert.match(detailOf(received.text), /column wt is missing/);
    assert.ok(noticesOf(gateway).includes('loading'));
    assert.equal((await firstInstance(gateway))?.state, 'in-rotation', 'a model that fails is no instance that is ill');
  });

  test('is called by POST alone', async t => {
    const { gateway } = await startScript(t, DOUBLE);

    const received = await gateway.call('/model');

    assert.deepEqual({ status: received.status, allow: received.headers.allow }, { status: 405, allow: 'POST' });
  });

  test('that takes too long is ended with all that it has started', async t => {
    const { gateway } = await startScript(
      t,
      `child <- system("sleep 600 >/dev/null 2>&1 & echo $!", intern = TRUE)
message("child ", child, " of ", Sys.getpid())
Sys.sleep(600)`,
      { more: 'warm: 1', route: 'timeout: 500ms' },
    );
    const { text } = await gateway.log.line(({ text: said }) => String(said).startsWith('child'));

    const received = await gateway.call('/model', post([]));

    assert.equal(received.status, 504);
    const pids = [...String(text).matchAll(/\d+/g)].map(([pid]) => Number(pid));
    assert.equal(pids.length, 2);
    await until(() => !pids.some(isRunning), 'the script and its child have ended');
    await gateway.untilIdle(10_000);
  });

  test('has ended when R has, whatever has left its process group and holds its output open', async t => {
    const { gateway } = await startScript(
      t,
      `system("setsid sh -c 'echo $$ >&2; touch left; exec sleep 600' &")
while (!file.exists("left")) Sys.sleep(0.01)
cat(strrep("x", 1e6))`,
      { service: 'queue: { waitMax: 1ms }' },
    );
    t.after(() => noticesOf(gateway).flatMap(text => (/^\d+$/.test(String(text)) ? process.kill(Number(text)) : [])));

    const answers = [await gateway.call('/model', post([])), await gateway.call('/model', post([]))]; // one permit

    assert.deepEqual(
      answers.map(({ status, text }) => [status, text.length]),
      [
        [200, 1e6],
        [200, 1e6],
      ],
    );
  });

  test('is run once at a time where it has one instance, and ended when its caller leaves', async t => {
    const { gateway } = await startScript(t, `message("pid ", Sys.getpid()); Sys.sleep(600)`, {
      service: 'queue: { waitMax: 1ms }',
    });
    const caller = new AbortController();
    const { answered } = beginCall(`${gateway.url}/model`, { ...post([]), signal: caller.signal });
    const { text } = await gateway.log.line(({ text: said }) => String(said).startsWith('pid'));

    const other = await gateway.call('/model', post([]));
    caller.abort();

    await answered.catch(() => undefined);
    const pid = Number(String(text).slice(4));
    assert.ok(pid > 0);
    await until(() => !isRunning(pid), 'the script has ended');
    assert.equal(other.code, 'QUEUE_TIMEOUT');
    const { status, code } = await gateway.log.line(({ event, status }) => event === 'request' && status !== 503);
    assert.deepEqual([status, code], [499, 'CALLER_GONE']);
  });

  for (const [name, script, more, detail] of [
    ['writes too much', 'cat(strrep("x", 3e6))', '', /more than the 1048576 bytes/],
    ['takes too much memory', 'x <- numeric(1e9); cat(length(x))', 'memoryMax: 1GiB', /cannot allocate/],
    ['takes too much processor time', 'repeat {}', 'cpuMax: 1s', /more processor time than `cpuMax`/],
  ] as const) {
    test(`that ${name} is ended, and its caller told why`, async t => {
      const { gateway } = await startScript(t, script, { more });

      const received = await gateway.call('/model', post([]));

      assert.equal(received.code, 'MODEL_FAILED');
      assert.match(detailOf(received.text), detail);
    });
  }

  test('starts in an empty folder of its own, which is gone afterwards, and without the environment of the gateway', async t => {
    const { pid } = spawnSync('true'); // it has ended
    const among = readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
    const planted = (name: string) => {
      const path = join(tmpdir(), `penstock-script-${name}`);
      t.after(() => rmSync(path, { recursive: true, force: true }));
      return path;
    };
    const abandoned = planted(`${among}-${pid}-1-fOlder`);
    const elsewhere = planted(`1-${pid}-1-fOlder`);
    const link = planted(`${among}-${pid}-1-aLink0`);
    for (const path of [abandoned, elsewhere]) mkdirSync(join(path, 'work'), { recursive: true });
    symlinkSync(elsewhere, link);
    const { gateway } = await startScript(
      t,
      `cat(getwd(), length(dir(all.files = TRUE, no.. = TRUE)), Sys.getenv("IDP_KEY"), Sys.getenv("MODEL_DIR")); writeLines("left", "file.txt")`,
      { more: 'env: [MODEL_DIR]', env: { IDP_KEY: 'not for a script', MODEL_DIR: '/models' } },
    );

    const received = await Promise.all([1, 2].map(() => gateway.call('/model', post([]))));

    const [first = [], second = []] = received.map(({ text }) => text.split(' '));
    assert.deepEqual(first.slice(1), ['0', '', '/models']);
    assert.notEqual(first[0], second[0]);
    await until(() => ![first[0], second[0]].some(folder => existsSync(String(folder))), 'the folders are gone');
    await until(() => !existsSync(abandoned), 'what a killed gateway has left is gone');
    assert.deepEqual([existsSync(join(elsewhere, 'work')), existsSync(link)], [true, true]);
  });

  test('waits, warm, at its standard input, and is another when its file changes', async t => {
    const { gateway, file } = await startScript(t, `message("warm ", Sys.getpid()); ${DOUBLE}`, { more: 'warm: 1' });
    const { text } = await gateway.log.line(({ text: said }) => String(said).startsWith('warm'));
    const before = await firstInstance(gateway);

    assert.equal((await gateway.call('/model', post([4]))).text, '[8]');
    assert.ok(!isRunning(Number(String(text).slice(5))), 'the one that waited has answered');
    writeFileSync(file, `invisible(readLines(file("stdin"))); cat("changed")`);
    await until(async () => (await firstInstance(gateway))?.version !== before?.version, 'another version');

    assert.equal((await gateway.call('/model', post([4]))).text, 'changed');
  });
});
