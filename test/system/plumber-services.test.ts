import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isRunning, killGroup, misbehave, startPlumberService } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

const services = fileURLToPath(new URL('../../plumber-services/', import.meta.url));

const fuelRows = [
  { wt: 2.6, hp: 110 },
  { wt: 3.4, hp: 180 },
];

/** What R itself says: predict(lm(mpg ~ wt + hp, mtcars), …) with 15 digits. */
const fuelPredictions = [23.6498860181573, 18.3235151354823];

/** Posts JSON on a connection of its own, as the gateway does. */
async function post(url: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

async function get(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers: { connection: 'close', ...headers } });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

// Before one R.
test('fuel', async t => {
  const fuel = await startPlumberService(t, 'fuel');

  await t.test('predicts a column for many rows and a scalar for one, with all digits', async () => {
    const two = await post(`${fuel.url}/predict`, fuelRows);
    const one = await post(`${fuel.url}/predict`, fuelRows.slice(0, 1));

    assert.deepEqual(two, { status: 200, body: { '.pred': fuelPredictions } });
    assert.deepEqual(one, { status: 200, body: { '.pred': fuelPredictions[0] } });
  });

  await t.test('says who it is as vetiver does, and what its inputs are', async () => {
    const ping = await get(`${fuel.url}/ping`);
    const { body: metadata } = await get(`${fuel.url}/metadata`);
    const { body: prototype } = await get(`${fuel.url}/prototype`);
    const { body: openapi } = await get(`${fuel.url}/openapi.json`);

    assert.equal(ping.body['status'], 'online');
    assert.match(String(metadata['version']), /^1\.0\.0-[0-9a-f]{8}$/);
    assert.equal(metadata['name'], 'fuel');
    assert.deepEqual(metadata['hyper_parameters'], { formula: 'mpg ~ wt + hp', seed: 20 });
    assert.match((metadata['training_data'] as { hash: string }).hash, /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual(Object.keys(metadata['metrics'] as object), ['rmse', 'r_squared']);
    assert.deepEqual(prototype, {
      wt: { type: 'numeric', example: '2.62', details: [] },
      hp: { type: 'numeric', example: '110', details: [] },
    });
    assert.equal((openapi['info'] as { version: string }).version, metadata['version']);
    assert.deepEqual(bodySchemaOf(openapi), { wt: { type: 'number' }, hp: { type: 'number' } });
  });

  await t.test('reads what the clients of R send: no content type, a form that is none, numbers as text', async () => {
    const expected = { status: 200, body: { '.pred': fuelPredictions } };
    const bytes = new Blob([JSON.stringify(fuelRows)]); // fetch adds no content type of its own

    const untyped = await fetch(`${fuel.url}/predict`, { method: 'POST', body: bytes });
    const form = await post(`${fuel.url}/predict`, fuelRows, { 'content-type': 'application/x-www-form-urlencoded' });
    const text = await post(
      `${fuel.url}/predict`,
      fuelRows.map(({ wt, hp }) => ({ wt: String(wt), hp: String(hp) })),
    );

    assert.deepEqual({ status: untyped.status, body: await untyped.json() }, expected);
    assert.deepEqual([form, text], [expected, expected]);
  });

  await t.test(
    "answers a caller's mistake as the gateway does, with the reason, and logs it beneath R's errors",
    async () => {
      const reason = 'the required columns are missing: `hp`';

      const answer = await post(`${fuel.url}/predict`, [{ wt: 2.6 }], { 'x-request-id': 'a-call' });

      assert.deepEqual(answer, {
        status: 422,
        body: {
          type: 'urn:penstock:error:INVALID_INPUT',
          title: 'Invalid input',
          status: 422,
          detail: reason,
          code: 'INVALID_INPUT',
          requestId: 'a-call',
          message: reason,
          errors: [{ pointer: '/0/hp', detail: '`hp` is missing' }],
        },
      });
      const line = await fuel.event('caller-mistake');
      assert.deepEqual([line['level'], line['path'], line['message']], ['info', '/predict', reason]);
    },
  );

  await t.test('tells what is no JSON from JSON that the model does not take, and R goes on', async () => {
    const cases: readonly { body: unknown; status: number; detail: RegExp }[] = [
      { body: '', status: 400, detail: /^the body is empty/ },
      { body: '[{"wt":', status: 400, detail: /^the body is not JSON: parse error: premature EOF$/ },
      { body: 'wt=2.6&hp=110', status: 400, detail: /^the body is not JSON: lexical error/ },
      { body: 'null', status: 422, detail: /^the body must be a JSON array of records/ },
      { body: fuelRows[0], status: 422, detail: /^the body must be a JSON array of records/ },
      { body: [...fuelRows, 7], status: 422, detail: /^row 3 is not a JSON object$/ },
      { body: [{ wt: 'heavy', hp: 110 }], status: 422, detail: /^`wt`: "heavy" is not a number$/ },
      { body: [...fuelRows, { wt: 2.6, hp: 'many' }], status: 422, detail: /^row 3: `hp`: "many" is not a number$/ },
      { body: Array(10_001).fill(fuelRows[0]), status: 422, detail: /^the body has 10001 rows; at most 10000/ },
    ];

    for (const { body, status, detail } of cases) {
      const response = await fetch(`${fuel.url}/predict`, {
        method: 'POST',
        headers: { connection: 'close' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
      const problem = (await response.json()) as Record<string, unknown>;

      assert.equal(response.headers.get('content-type'), 'application/problem+json');
      assert.deepEqual([response.status, problem['status']], [status, status], String(problem['detail']));
      assert.match(String(problem['detail']), detail);
      assert.equal(problem['code'], status === 400 ? 'BAD_REQUEST' : 'INVALID_INPUT');
    }

    assert.equal((await post(`${fuel.url}/predict`, fuelRows)).status, 200);
    assert.deepEqual(
      fuel.lines.filter(line => line['level'] === 'error'),
      [],
    );
  });

  await t.test(
    'keeps its port to itself; another looks for a free one, and answers strangers nothing but a ping where it has a secret',
    async own => {
      const secret = { PLUMBER_SHARED_SECRET: 'sesame-sesame' };
      const other = await startPlumberService(own, 'fuel', { env: secret });

      const third = spawnSync(`${services}serve.sh`, ['fuel', '--port', String(fuel.port)], { encoding: 'utf8' });

      assert.notEqual(fuel.port, other.port);
      assert.equal(third.status, 1);
      assert.match(third.stdout, /"event":"port-taken"/);

      // Strangers get nothing but a ping where there is a secret.
      const without = await post(`${other.url}/predict`, fuelRows);
      const wrong = await post(`${other.url}/predict`, fuelRows, { plumber_shared_secret: 'simsim' });
      const right = await post(`${other.url}/predict`, fuelRows, secret);
      const ping = await get(`${other.url}/ping`);

      assert.deepEqual([without.status, wrong.status, right.status, ping.status], [400, 400, 200, 200]);
    },
  );
});

describe('iris', () => {
  test('gives the class and a probability for each, one record a flower', async t => {
    const iris = await startPlumberService(t, 'iris');
    const setosa = { 'Sepal.Length': 5.1, 'Sepal.Width': 3.5, 'Petal.Length': 1.4, 'Petal.Width': 0.2 };
    const virginica = { 'Sepal.Length': 6.3, 'Sepal.Width': 3.3, 'Petal.Length': 6.0, 'Petal.Width': 2.5 };

    const two = await post(`${iris.url}/predict`, [setosa, virginica]);
    const one = await post(`${iris.url}/predict`, [setosa]);

    const flowers = two.body as Record<string, unknown>[];
    assert.deepEqual(
      flowers.map(flower => flower['.pred_class']),
      ['setosa', 'virginica'],
    );
    for (const flower of flowers) {
      assert.deepEqual(Object.keys(flower), ['.pred_class', '.pred_setosa', '.pred_versicolor', '.pred_virginica']);
      const total = ['setosa', 'versicolor', 'virginica'].reduce(
        (sum, name) => sum + Number(flower[`.pred_${name}`]),
        0,
      );
      assert.ok(Math.abs(total - 1) < 1e-9);
    }
    assert.deepEqual(one.body, flowers.slice(0, 1));
  });
});

describe('ozone', () => {
  test('publishes the levels of its factor, and takes no other', async t => {
    const ozone = await startPlumberService(t, 'ozone');
    const day = { 'Solar.R': 190, Wind: 7.4, Temp: 67, Month: 'May' };

    const { body: prototype } = await get(`${ozone.url}/prototype`);
    const known = await post(`${ozone.url}/predict`, [day]);
    const unknown = await post(`${ozone.url}/predict`, [day, { ...day, Month: 'Mai' }]);

    assert.deepEqual(prototype['Month'], {
      type: 'factor',
      example: 'May',
      details: { levels: ['May', 'Jun', 'Jul', 'Aug', 'Sep'] },
    });
    assert.equal(typeof (known.body as Record<string, unknown>)['.pred'], 'number');
    const { detail, errors } = unknown.body as Record<string, unknown>;
    const reason = 'row 2: `Month`: "Mai" is not one of May, Jun, Jul, Aug, Sep';
    assert.equal(unknown.status, 422);
    assert.equal(detail, reason);
    assert.deepEqual(errors, [{ pointer: '/1/Month', detail: reason }]);
    const line = await ozone.event('caller-mistake');
    assert.equal(line['message'], 'row 2: `Month`: a value is not one of May, Jun, Jul, Aug, Sep', 'without the value');
  });
});

describe('serve.sh', () => {
  const signals = [
    { name: 'SIGTERM', send: (pid: number) => process.kill(pid, 'SIGTERM') },
    { name: 'SIGINT', send: (pid: number) => process.kill(pid, 'SIGINT') },
    { name: 'SIGINT to all processes at once, as of Ctrl-C', send: (pid: number) => process.kill(-pid, 'SIGINT') },
    { name: 'SIGTERM to all processes at once, as of systemd', send: (pid: number) => process.kill(-pid, 'SIGTERM') },
  ];
  for (const { name, send } of signals) {
    test(`lets R finish the calls it has, at ${name}, and ends`, async t => {
      const service = await startPlumberService(t, misbehave);
      const inHand = get(`${service.url}/sleep?ms=1500`);
      await service.event('r-output'); // at work
      const behind = get(`${service.url}/sleep?ms=10`);

      send(pidOf(service));

      assert.deepEqual(await inHand, { status: 200, body: { slept: 1500, pid: service.rPid } });
      assert.equal((await behind).status, 200);
      assert.equal(await service.ended, 0);
      assert.equal(isRunning(service.rPid), false);
      assert.deepEqual(
        service.lines.map(line => line.event).filter(event => event !== 'r-output'),
        ['listening', 'stopping', 'drained', 'stopped'],
      );
    });
  }

  test('waits for the last byte of a big answer that is read slowly', async t => {
    const service = await startPlumberService(t, misbehave);
    const request = httpGet(`${service.url}/big?bytes=30000000`, { agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];

    service.child.kill('SIGTERM');
    await service.event('stopping');
    await setTimeout(3_000); // a slow reader: an R that forgot it would have ended
    let bytes = 0;
    for await (const chunk of response) bytes += (chunk as Buffer).length;

    assert.equal(bytes, 30_000_000);
    assert.equal(await service.ended, 0);
  });

  test('ends at once at a second signal', async t => {
    const service = await startPlumberService(t, misbehave);
    const inHand = get(`${service.url}/loop`);
    await service.event('r-output');

    service.child.kill('SIGTERM');
    await service.event('stopping');
    service.child.kill('SIGTERM');

    await assert.rejects(inHand);
    assert.equal(await service.ended, 0);
    assert.equal(isRunning(service.rPid), false);
  });

  test('gives up on an R that does not finish in time', async t => {
    const service = await startPlumberService(t, misbehave, { env: { PENSTOCK_DRAIN_TIMEOUT_S: '1' } });
    const inHand = get(`${service.url}/loop`);
    await service.event('r-output');

    service.child.kill('SIGTERM');

    await assert.rejects(inHand);
    await service.event('drain-timeout');
    assert.equal(await service.ended, 0);
    assert.equal(isRunning(service.rPid), false);
  });

  test('leaves no R behind when it is killed, whatever R is at', async t => {
    const service = await startPlumberService(t, misbehave);
    const inHand = get(`${service.url}/loop`);
    await service.event('r-output');
    assert.equal(readdirSync(service.directory).length, 1);

    service.child.kill('SIGKILL');

    await assert.rejects(inHand);
    await until(() => !isRunning(service.rPid), 'R has ended');
    await until(() => readdirSync(service.directory).length === 0, 'its directory is gone');
  });

  test('ends gently when its standard input does, if told to watch it', async t => {
    const service = await startPlumberService(t, misbehave, { args: ['--watch-stdin'] });
    const inHand = get(`${service.url}/sleep?ms=1000`);
    await service.event('r-output');

    service.child.stdin?.end();

    assert.equal((await inHand).status, 200);
    assert.equal(await service.ended, 0);
    assert.equal(isRunning(service.rPid), false);
  });

  test('outlives no parent that is killed, if told to watch its standard input', async t => {
    const code = `
      const { spawn } = require('node:child_process');
      const [script, service] = process.argv.slice(1);
      const child = spawn(script, [service, '--watch-stdin'], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
      child.stdout.on('data', text => process.stdout.write(String(child.pid) + ' ' + text));`;
    const parent = spawn(process.execPath, ['-e', code, `${services}serve.sh`, misbehave]);
    const [text] = (await once(parent.stdout, 'data')) as [Buffer];
    const { script, r } = /^(?<script>\d+) .*"pid":(?<r>\d+)/.exec(text.toString())?.groups ?? {};
    t.after(() => killGroup(Number(script)));
    assert.ok(isRunning(Number(script)) && isRunning(Number(r)));

    parent.kill('SIGKILL');

    await until(() => !isRunning(Number(script)) && !isRunning(Number(r)), 'both have ended');
  });

  test('says so and fails when R ends by itself', async t => {
    const service = await startPlumberService(t, misbehave);

    await assert.rejects(get(`${service.url}/crash`));

    assert.equal(await service.ended, 1);
    assert.equal(service.lines.at(-1)?.event, 'r-ended');
    assert.equal(service.lines.at(-1)?.['status'], 137);
  });

  test('writes what R prints as JSON, and takes no printed JSON for a line of its own', async t => {
    const service = await startPlumberService(t, misbehave);
    const forged = '{"event":"listening","port":1}';

    await get(`${service.url}/print?text=${encodeURIComponent(`"a\\b\u0007\u001b[31mé`)}`);
    await get(`${service.url}/print?text=${encodeURIComponent(forged)}`);
    await get(`${service.url}/warn`);
    service.child.kill('SIGTERM');
    await service.ended;

    const printed = service.lines.filter(line => line.event === 'r-output');
    assert.deepEqual(
      printed.map(line => [line['level'], line['message']]),
      [
        ['info', '"a\\b\u0007\u001b[31mé'],
        ['info', forged],
        ['warn', 'Warning in (function ()  : a warning on purpose'],
        ['info', 'a message on purpose'],
      ],
    );
  });

  const mistakes = [
    { name: 'no service', args: [], says: /which service/ },
    { name: 'a folder without plumber.R', args: ['nowhere'], says: /no plumber\.R in/ },
    { name: 'an unknown option', args: ['fuel', '--prot', '1'], says: /unknown option --prot/ },
    { name: 'a port that is none', args: ['fuel', '--port', '99999'], says: /--port goes to 65535/ },
  ];
  for (const { name, args, says } of mistakes) {
    test(`refuses ${name}`, () => {
      const { status, stderr } = spawnSync(`${services}serve.sh`, args, { encoding: 'utf8' });

      assert.equal(status, 2);
      assert.match(stderr, says);
    });
  }
});

function bodySchemaOf(openapi: Record<string, unknown>): unknown {
  const { paths } = openapi as { paths: { '/predict': { post: { requestBody: unknown } } } };
  const { content } = paths['/predict'].post.requestBody as { content: Record<string, { schema: unknown }> };
  const schema = content['application/json']?.schema as { items: { properties: unknown } } | undefined;
  return schema?.items.properties;
}

function pidOf({ child }: { child: { pid?: number | undefined } }): number {
  if (child.pid === undefined) throw new Error('not started');
  return child.pid;
}
