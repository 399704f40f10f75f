import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { DatabaseSync } from 'node:sqlite';
import { parquetReadObjects } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { beginCall, type Received } from '../support/call.ts';
import { startGateway, type ComposedGateway } from '../support/composed-gateway.ts';
import { answer, startUpstream, type Script } from '../support/scripted-upstream.ts';
import { aToken, hmac } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

const JSON_FIELD = 'Content-Type: application/json\r\n';

const PROBLEM_FIELD = 'Content-Type: application/problem+json\r\n';

/** A model that doubles `x`; a row with `x: "bad"` makes it fail, and it names a row with `x: "odd"` in a problem of its own. */
const doubling: Script = (socket, request) => {
  if (request.body.length === 0) {
    answer('{}', { status: 404, fields: JSON_FIELD })(socket, request);
    return;
  }
  const rows = JSON.parse(request.body.toString()) as { x: unknown }[];
  const odd = rows.findIndex(({ x }) => x === 'odd');
  if (odd >= 0) {
    const errors = [{ pointer: `/${odd}/x`, detail: '`x`: "odd" is no number' }];
    answer(JSON.stringify({ detail: 'It fits not.', errors }), { status: 422, fields: PROBLEM_FIELD })(socket, request);
  } else if (rows.some(({ x }) => x === 'bad'))
    answer('{"error":"500"}', { status: 500, fields: JSON_FIELD })(socket, request);
  else answer(JSON.stringify({ '.pred': rows.map(({ x }) => 2 * Number(x)) }), { fields: JSON_FIELD })(socket, request);
};

interface Traits {
  readonly route?: string;
  readonly jobs?: string;
  readonly script?: Script;
  readonly folder?: string;
  /** More of either file. */
  readonly more?: string;
}

const SECRET = 'a secret of thirty-two bytes or more';
const IDENTITY = "identity: { jwt: [{ issuer: here, audience: penstock, algorithms: [HS256], secret: '${env:S}' }] }";
const tokenOf = (sub: string, scope: string) =>
  aToken({ alg: 'HS256' }, { iss: 'here', aud: 'penstock', sub, scope, exp: Date.now() / 1000 + 600 }, hmac(SECRET));

async function gatewayWithJobs(
  t: TestContext,
  { route = '', jobs = '', script = doubling, folder, more = '' }: Traits = {},
) {
  const upstream = await startUpstream(t, script);
  const made = folder ?? mkdtempSync(join(tmpdir(), 'penstock-jobs-'));
  if (folder === undefined) t.after(() => rmSync(made, { recursive: true }));
  const routes = `
services: { fuel: { health: { interval: 1h }, outlier: { failures: 1000 } } }
routes:
  - { id: fuel, uri: lb://fuel, predicates: ['Path=/api/fuel/**'], filters: ['StripPrefix=2'], pure: true, ${route} }${more === IDENTITY ? '' : more}
`;
  const gateway = await startGateway(t, {
    ...{ services: { fuel: [upstream.origin] }, routes, env: { S: SECRET } },
    more: `jobs: { folder: ${join(made, 'jobs')}, ${jobs} }\n${more === IDENTITY ? more : ''}`,
  });
  const calls = () => upstream.requests.filter(({ head }) => head.startsWith('POST'));
  return { gateway, upstream, calls, folder: join(made, 'jobs') };
}

const lines = (rows: readonly unknown[]) => rows.map(row => `${JSON.stringify(row)}\n`).join('');
const numbered = (count: number) => Array.from({ length: count }, (_, x) => ({ x }));

function bring(
  gateway: ComposedGateway,
  body: string | Buffer,
  headers: Record<string, string> = {},
): Promise<Received> {
  return gateway.call('/jobs/fuel', {
    method: 'POST',
    headers: { 'content-type': 'application/jsonl', ...headers },
    body,
  });
}

const viewOf = ({ text }: Received) => JSON.parse(text) as Record<string, unknown>;

/** How a job stands once it is over. */
async function overOf(gateway: ComposedGateway, made: Received, headers = {}): Promise<Record<string, unknown>> {
  const { location } = made.headers;
  assert.ok(location !== undefined, made.text);
  let view: Record<string, unknown> = {};
  await until(async () => {
    view = viewOf(await gateway.call(location, { headers }));
    return !['queued', 'running'].includes(String(view['state']));
  }, 'the job to be over');
  return view;
}

const resultOf = (gateway: ComposedGateway, { headers }: Received) => gateway.call(`${headers.location ?? ''}/result`);

describe('a job', () => {
  test('answers a file of JSON lines row by row, in order, in calls of so many rows', async t => {
    const { gateway, calls, folder } = await gatewayWithJobs(t, { route: 'batch: { sizeMax: 10 }' });

    const made = await bring(gateway, lines(numbered(25)));
    const view = await overOf(gateway, made);
    const result = await resultOf(gateway, made);

    assert.deepEqual([made.status, view['state'], view['rows']], [202, 'done', { answered: 25, failed: 0 }]);
    assert.equal(result.headers['content-type'], 'application/jsonl');
    assert.equal(result.text, lines(numbered(25).map(({ x }) => ({ '.pred': 2 * x }))));
    assert.deepEqual(
      calls().map(({ head, body }) => [head.split(' ')[1], (JSON.parse(body.toString()) as unknown[]).length]),
      [
        ['/predict', 10],
        ['/predict', 10],
        ['/predict', 5],
      ],
    );
    assert.equal(await gateway.metric('penstock_job_rows_total', { route: 'fuel', result: 'ok' }), 25);
    assert.equal(await gateway.metric('penstock_jobs', { state: 'done' }), 1);
    const reported = gateway.log.of('job').map(({ state, rows }) => [state, rows]);
    assert.deepEqual(reported, [['queued', 0], ['done', 25]]); // prettier-ignore
    const modes = ['', ...readdirSync(folder)].map(name => (statSync(join(folder, name)).mode & 0o777).toString(8));
    assert.deepEqual(new Set(modes.slice(1)), new Set(['600']));
    assert.equal(modes[0], '700');
  });

  test('is made of a call whose caller prefers to come back, or whose route says so, of an array, and of a file that is packed', async t => {
    const more = "\n  - { id: all, uri: lb://fuel, predicates: ['Path=/predict'], pure: true, async: always }";
    const { gateway } = await gatewayWithJobs(t, { jobs: 'path: /later', more });
    const array = JSON.stringify(numbered(3));
    const send = (headers: Record<string, string>, body: string | Buffer, path = '/api/fuel/predict') =>
      gateway.call(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      });

    const made = [
      await send({ prefer: 'respond-async' }, array),
      await send({ prefer: 'respond-async', 'content-encoding': 'gzip' }, gzipSync(array)),
      await send({ prefer: 'respond-async' }, gzipSync(array)),
      await send({ prefer: 'respond-async', 'content-encoding': 'br' }, brotliCompressSync(array)),
      await send({}, array, '/predict'),
    ];
    const now = await send({}, array);

    const applied = made.map(({ status, headers }) => [status, headers['preference-applied']]);
    assert.deepEqual(applied, [...made.slice(1).map(() => [202, 'respond-async']), [202, undefined]]);
    for (const each of made) {
      assert.match(each.headers.location ?? '', /^\/later\//);
      await overOf(gateway, each);
      const answers = JSON.parse((await resultOf(gateway, each)).text) as unknown;
      assert.deepEqual(answers, [{ '.pred': 0 }, { '.pred': 2 }, { '.pred': 4 }]);
    }
    assert.deepEqual([now.status, now.text], [200, '{".pred":[0,2,4]}']);
  });

  test('has an error for each row that the model cannot take, and an answer for each other', async t => {
    const { gateway } = await gatewayWithJobs(t);
    const rows = [{ x: 1 }, { x: 'bad' }, { x: 2 }, { x: 'odd' }].map(row => JSON.stringify(row));

    const made = await bring(gateway, [...rows, 'no JSON', '[1]', '{"x":3}'].join('\n'));
    const view = await overOf(gateway, made);

    assert.deepEqual([view['state'], view['rows']], ['done', { answered: 7, failed: 4 }]);
    const failed = (code: string, detail: string) => ({ error: { code, detail } });
    assert.deepEqual(
      (await resultOf(gateway, made)).text
        .trim()
        .split('\n')
        .map(line => JSON.parse(line) as unknown),
      [
        { '.pred': 2 },
        failed('MODEL_FAILED', 'The model answered with the status 500.'),
        { '.pred': 4 },
        failed('INVALID_INPUT', '`x`: "odd" is no number'),
        failed('BAD_REQUEST', 'The row is no record: it is not JSON.'),
        failed('BAD_REQUEST', 'The row is no record: it is not a JSON object.'),
        { '.pred': 6 },
      ],
    );
  });

  test('answers a file of CSV by its header line, in CSV', async t => {
    const { gateway, calls } = await gatewayWithJobs(t);
    const headers = { 'content-type': 'text/csv' };

    const made = await bring(gateway, 'x,name\r\n1,"a, b"\r\n2\r\n3,07\r\n', headers);
    const view = await overOf(gateway, made);
    const result = await resultOf(gateway, made);
    const broken = await overOf(gateway, await bring(gateway, 'x,x\n1,2\n', headers));
    const endless = await overOf(gateway, await bring(gateway, 'x'.repeat(1.1 * 1024 * 1024), headers));

    assert.deepEqual([view['state'], view['rows']], ['done', { answered: 3, failed: 1 }]);
    assert.deepEqual(JSON.parse(calls()[0]?.body.toString() ?? ''), [
      { x: 1, name: 'a, b' },
      { x: 3, name: '07' },
    ]);
    assert.equal(result.headers['content-type'], 'text/csv');
    const problem = '"BAD_REQUEST: The row is no record: it has 1 field, and the header line has 2."';
    assert.equal(result.text, `.pred,error\r\n2,\r\n,${problem}\r\n6,\r\n`);
    assert.match(JSON.stringify(endless['error']), /The header line: it is longer than 1048576 bytes/);
    assert.deepEqual(broken['error'], { code: 'BAD_REQUEST', detail: 'the header line: `x` comes twice' });
  });

  test('answers a file of Parquet in Parquet, and refuses one that is none', async t => {
    const { gateway, calls } = await gatewayWithJobs(t);
    const headers = { 'content-type': 'application/vnd.apache.parquet' };
    const file = Buffer.from(parquetWriteBuffer({ columnData: [{ name: 'x', data: ['1', null, 'bad', '3'] }] }));

    const made = await bring(gateway, file, headers);
    const view = await overOf(gateway, made);
    const { location = '' } = made.headers;
    const results = [await gateway.call(`${location}/result`), await gateway.call(`${location}/result`)];
    const refused = await bring(gateway, file.subarray(0, -1), headers);

    assert.deepEqual([view['state'], view['rows']], ['done', { answered: 4, failed: 1 }]);
    assert.deepEqual(
      calls()
        .flatMap(({ body }) => JSON.parse(body.toString()) as unknown[])
        .slice(0, 4),
      [{ x: '1' }, { x: null }, { x: 'bad' }, { x: '3' }],
    );
    for (const { headers: fields, body } of results) {
      assert.equal(fields['content-type'], 'application/vnd.apache.parquet');
      assert.deepEqual(await parquetReadObjects({ file: Uint8Array.from(body).buffer }), [
        { '.pred': 2, error: null },
        { '.pred': 0, error: null },
        { '.pred': null, error: 'MODEL_FAILED: The model answered with the status 500.' },
        { '.pred': 6, error: null },
      ]);
    }
    assert.deepEqual([refused.status, refused.code], [400, 'BAD_REQUEST']);
    assert.match(refused.text, /it does not end with PAR1: it was cut off/);
  });

  test('whose file breaks off, or has too large answers, has failed, and what was answered before can be read', async t => {
    const { gateway } = await gatewayWithJobs(t, { route: 'batch: { sizeMax: 2 }', jobs: 'bytesMax: 1KiB' });

    const made = await bring(gateway, '[{"x":1},{"x":2},{"x":', { 'content-type': 'application/json' });
    const view = await overOf(gateway, made);

    assert.equal(view['state'], 'failed');
    assert.deepEqual(view['error'], { code: 'BAD_REQUEST', detail: 'Row 3: the file ends within it.' });
    assert.deepEqual(JSON.parse((await resultOf(gateway, made)).text), [{ '.pred': 2 }, { '.pred': 4 }]);
    const short = await bring(gateway, '1\n'.repeat(500)); // and why each is no record takes 40 times as much
    const { state, error } = await overOf(gateway, short);
    const detail = 'The answers are larger than 4096 bytes, the most for one job.';
    assert.deepEqual([state, error], ['failed', { code: 'BAD_REQUEST', detail }]);
    assert.match((await resultOf(gateway, short)).text, /^(?:\{"error":.*\}\n){40,60}$/);
  });

  test('is reported as it goes, and cancelled, and what it had in hand is let go of', async t => {
    let held = 0;
    const { gateway, upstream, calls, folder } = await gatewayWithJobs(t, { route: 'batch: { sizeMax: 2 }' });
    upstream.play((socket, request) => {
      if (request.body.length > 0 && held++ > 0) return; // the second call is never answered
      doubling(socket, request);
    });
    const made = await bring(gateway, lines(numbered(7)));
    const { location = '' } = made.headers;
    await until(() => calls().length === 2, 'the second call');

    const early = await gateway.call(`${location}/result`);
    const { answered } = beginCall(`${gateway.url}${location}`, { headers: { accept: 'text/event-stream' } });
    const events = await answered;
    events.setEncoding('utf8');
    const received: string[] = [];
    events.on('data', (text: string) => received.push(text));
    await until(() => received.length > 0, 'the first event');
    const gone = await gateway.call(location, { method: 'DELETE' });
    await once(events, 'end');

    assert.deepEqual([early.status, early.headers['retry-after'], viewOf(early)['state']], [202, '2', 'running']);
    assert.equal(events.headers['content-type'], 'text/event-stream');
    assert.match(received[0] ?? '', /^event: progress\ndata: \{.*"answered":2/);
    assert.match(received.at(-1) ?? '', /^event: cancelled\n/);
    assert.equal(gone.status, 204);
    assert.equal((await resultOf(gateway, made)).text, lines([{ '.pred': 0 }, { '.pred': 2 }]));
    await until(() => !readdirSync(folder).some(name => name.endsWith('.in')), 'the input to be removed');

    assert.equal((await gateway.call(location, { method: 'DELETE' })).status, 204);
    assert.equal((await gateway.call(location)).code, 'NO_JOB');
    await until(() => readdirSync(folder).every(name => name.startsWith('jobs.db')), 'its files to be removed');
    upstream.hangUp();
  });

  test('goes on where a gateway that ended has left it: what was answered is not asked again, what was kept long enough is gone', async t => {
    const folder = aFolder(t);
    const route = 'batch: { sizeMax: 2 }, retry: { attempts: 1 }';
    const first = await gatewayWithJobs(t, { route, folder });
    const rowsOf = (body: Buffer) => (JSON.parse(body.toString()) as { x: number }[]).map(({ x }) => x);
    const old = await bring(first.gateway, lines(numbered(1)));
    await overOf(first.gateway, old);
    let requested = 0;
    first.upstream.play((socket, request) => {
      if (request.body.length > 0 && requested++ === 2) return;
      doubling(socket, request);
    });
    const made = await bring(first.gateway, lines(numbered(9)));
    await until(() => first.calls().length === 4, 'the third call');
    await first.gateway.gateway.drain();
    const database = new DatabaseSync(join(folder, 'jobs', 'jobs.db'));
    database.exec("UPDATE jobs SET ended_ms = ended_ms - 7 * 86400000 WHERE state = 'done'"); // it is kept for so long
    database.close();

    const second = await gatewayWithJobs(t, { route, folder });
    const view = await overOf(second.gateway, made);

    assert.deepEqual([view['state'], view['rows']], ['done', { answered: 9, failed: 0 }]);
    assert.deepEqual(
      [...first.calls().slice(1, 3), ...second.calls()].flatMap(({ body }) => rowsOf(body)),
      [0, 1, 2, 3, 4, 5, 6, 7, 8],
    );
    const result = await resultOf(second.gateway, made);
    assert.equal(result.text, lines(numbered(9).map(({ x }) => ({ '.pred': 2 * x }))));
    const { location: forgotten = '' } = old.headers;
    assert.equal((await second.gateway.call(forgotten)).code, 'NO_JOB');
    const isThere = () =>
      readdirSync(join(folder, 'jobs')).some(name => name.startsWith(forgotten.slice('/jobs/'.length)));
    await until(() => !isThere(), 'the files of the job whose time is over to be removed');
    await second.gateway.gateway.drain(); // before the first is looked at for what it left
  });

  test('waits while the service or its route is not there, and goes on', async t => {
    const { gateway, upstream, calls } = await gatewayWithJobs(t);
    const routes = readFileSync(gateway.routesFile, 'utf8');
    upstream.play((socket, request) => {
      if (calls().length === 0) answer('{}', { status: 503 })(socket, request);
      else doubling(socket, request);
    });
    writeFileSync(gateway.routesFile, routes.replace('id: fuel', 'id: other'));
    const made = await bring(gateway, lines(numbered(2)));
    await gateway.reload();

    assert.equal((await gateway.call(made.headers.location ?? '')).code, 'NO_JOB');
    writeFileSync(gateway.routesFile, routes);
    await gateway.reload();

    assert.equal((await overOf(gateway, made))['state'], 'done');
  });

  test('is seen by its owner alone, with what its route asks for', async t => {
    const auth = 'auth: { scopes: [predict] }';
    const { gateway } = await gatewayWithJobs(t, { route: auth, more: IDENTITY });
    const as = (sub: string, scope = 'predict') => ({ authorization: `Bearer ${tokenOf(sub, scope)}` });
    const made = await bring(gateway, lines(numbered(1)), as('alice'));
    const { location = '' } = made.headers;
    await overOf(gateway, made, as('alice'));

    const codes = [
      await bring(gateway, lines(numbered(1))),
      await bring(gateway, lines(numbered(1)), as('alice', 'none')),
      await gateway.call(location),
      await gateway.call(location, { headers: as('bob') }),
      await gateway.call(`${location}/result`, { headers: as('bob') }),
      await gateway.call(location, { method: 'DELETE', headers: as('bob') }),
      await gateway.call(location, { headers: as('alice', 'none') }),
      await gateway.call(`${location}/other`, { headers: as('alice') }),
    ].map(({ code }) => code);

    assert.deepEqual(codes, [
      ...['UNAUTHENTICATED', 'FORBIDDEN', 'UNAUTHENTICATED', 'NO_JOB', 'NO_JOB', 'NO_JOB', 'FORBIDDEN', 'NO_JOB'],
    ]);
    const result = await gateway.call(`${location}/result`, { headers: as('alice') });
    assert.equal(result.text, '{".pred":0}\n');
    const call = gateway.requests().find(({ caller, path }) => caller === 'here/alice' && path === '/api/fuel/predict');
    assert.equal(call?.['status'], 200);
  });

  test('is refused where it is too large, one too many, in no form of ours, or its route takes none', async t => {
    const { gateway } = await gatewayWithJobs(t, {
      jobs: 'bytesMax: 1KiB, perCallerMax: 1',
      more: `
  - { id: plain, uri: lb://fuel, predicates: ['Path=/plain/**'] }
  - { id: never, uri: lb://fuel, predicates: ['Path=/never/**'], pure: true, async: refuse }
  - { id: open, uri: lb://fuel, predicates: ['Path=/{what}/open'], pure: true }
  - { id: hidden, uri: lb://fuel, predicates: ['Path=/hidden', 'Header=X-Inner'], pure: true }`,
    });
    const file = (path: string, body: string | Buffer = '{"x":1}', headers: Record<string, string> = {}) =>
      gateway.call(path, { method: 'POST', headers: { 'content-type': 'application/jsonl', ...headers }, body });
    const bomb = Buffer.alloc(16 * 1024 * 1024);

    const refused = [
      await file('/jobs/fuel', 'x'.repeat(2_000)),
      await file('/jobs/fuel', gzipSync('x'.repeat(2_000))),
      await file('/jobs/fuel', gzipSync(bomb)),
      await file('/jobs/fuel', brotliCompressSync(bomb), { 'content-encoding': 'br' }),
      await file('/jobs/fuel', gzipSync('{"x":1}').subarray(0, 12)),
      await file('/jobs/fuel', ''),
      await file('/jobs/fuel', 'x', { 'content-type': 'application/pdf' }),
      await file('/jobs/fuel', 'x', { 'content-encoding': 'zstd' }), // and is none on its way from then on
      await file('/jobs/none'),
      await file('/jobs/plain'),
      await file('/jobs/never'),
      await file('/jobs/open'),
      await file('/jobs/hidden'),
      await gateway.call('/jobs/fuel', { method: 'PUT' }),
    ];

    assert.match(refused[4]?.text ?? '', /begins as gzip does, and is cut off/);
    assert.deepEqual(
      refused.map(({ status, code }) => [status, code]),
      [
        ...Array.from({ length: 4 }, () => [413, 'BODY_TOO_LARGE']),
        [400, 'BAD_REQUEST'],
        [400, 'BAD_REQUEST'],
        [415, 'UNSUPPORTED_MEDIA_TYPE'],
        [415, 'UNSUPPORTED_MEDIA_TYPE'],
        ...Array.from({ length: 5 }, () => [404, 'NO_ROUTE']),
        [404, 'NO_JOB'],
      ],
    );
    const both = await Promise.all([file('/jobs/fuel'), file('/jobs/fuel')]);
    assert.deepEqual(both.map(({ code = 'made' }) => code).toSorted(), ['RATE_LIMITED', 'made']);
    const made = both.find(({ status }) => status === 202) ?? both[0];
    await overOf(gateway, made);
    const [unread, , read] = [await file('/jobs/fuel'), await resultOf(gateway, made), await file('/jobs/fuel')];
    assert.deepEqual([made.status, unread.code, read.status], [202, 'RATE_LIMITED', 202]);
    await overOf(gateway, read);
  });

  test('tells whom its owner named that it is over: signed, again where that fails, and no other', async t => {
    const received: { url: string; headers: IncomingHttpHeaders; body: string }[] = [];
    const receiver = createServer((req, res) => {
      let body = '';
      req.on('data', (chunk: Buffer) => (body += chunk.toString()));
      req.on('end', () => {
        received.push({ url: req.url ?? '', headers: req.headers, body });
        if (received.length === 1) res.writeHead(302, { location: '/hooks/elsewhere' });
        res.end();
      });
    });
    await once(receiver.listen(0, '127.0.0.1'), 'listening');
    t.after(() => receiver.close());
    const to = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hooks`;
    const folder = aFolder(t);
    const jobs = `callbacks: [{ to: '${to}', secret: 'whsec_c2VjcmV0' }]`;
    const first = await gatewayWithJobs(t, { jobs, folder });
    const callback = (url: string) => ({ prefer: `callback; url="${url}"` });

    const refused = [`${to}x`, to.replace('127', 'a@127'), `${to}/../x`, 'file:///etc', 'http://10.0.0.1/hooks'];
    for (const url of refused) {
      assert.equal((await bring(first.gateway, '{"x":1}', callback(url))).code, 'BAD_REQUEST', url);
    }
    const made = await bring(first.gateway, '{"x":1}', callback(`${to}/done?x=1`));
    await until(() => received.length === 1, 'the first attempt');
    await first.gateway.gateway.drain();
    const second = await gatewayWithJobs(t, { jobs, folder });
    await until(() => received.length === 2, 'the second attempt');

    const { url, headers, body } = received[1] ?? { url: '', headers: {}, body: '' };
    const [id, seconds] = [headers['webhook-id'], headers['webhook-timestamp']];
    const signed = createHmac('sha256', 'secret')
      .update(`${String(id)}.${String(seconds)}.${body}`)
      .digest('base64');
    assert.deepEqual([url, headers['webhook-signature']], ['/hooks/done?x=1', `v1,${signed}`]);
    assert.equal(received[0]?.headers['webhook-id'], id);
    const message = JSON.parse(body) as { type: string; data: { id: string } };
    assert.deepEqual([message.type, `/jobs/${message.data.id}`], ['job.done', made.headers.location]);
    await second.gateway.gateway.drain(); // before the first is looked at for what it left
  });

  test('leaves an instance to others, and its calls stand in the audit trail where its route asks for that', async t => {
    const held: Socket[] = [];
    const holding: Script = (socket, request) => {
      if (request.body.toString().includes('"x":0')) held.push(socket);
      else doubling(socket, request);
    };
    const upstreams = [await startUpstream(t, holding), await startUpstream(t, holding)];
    const folder = aFolder(t);
    const gateway = await startGateway(t, {
      services: { fuel: upstreams.map(({ origin }) => origin) },
      more: `jobs: { folder: ${folder}/jobs }\naudit: { file: ${folder}/audit.jsonl }`,
      routes: `
services: { fuel: { health: { interval: 1h } } }
routes:
  - { id: fuel, uri: lb://fuel, predicates: ['Path=/fuel/**'], pure: true, audit: true, batch: { sizeMax: 2 } }`,
    });
    const made = await bring(gateway, lines(Array.from({ length: 6 }, () => ({ x: 0 }))));
    await until(() => held.length > 0, 'a call of the job');

    const received = await gateway.call('/fuel/predict', { method: 'POST', body: '[{"x":2}]' });
    const atOnce = held.length;
    await gateway.call(made.headers.location ?? '', { method: 'DELETE' });
    for (const socket of held) socket.destroy();

    assert.deepEqual([received.status, received.text, atOnce], [200, '{".pred":[4]}', 1]);
    const id = (made.headers.location ?? '').split('/').at(-1) ?? '';
    const trail = () => readFileSync(join(folder, 'audit.jsonl'), 'utf8');
    await until(() => trail().includes(`"id":"${id}-0"`), 'the call of the job in the trail');
  });

  test('is made of each file in the inbox, whose answers, or errors, are written beside it', async t => {
    const inbox = aFolder(t);
    writeFileSync(join(inbox, 'cars.csv.gz'), gzipSync('x\n1\n2\n'));
    writeFileSync(join(inbox, 'broken.json'), '{"x":1}');
    const columnData = [{ name: 'x', data: [1.5] }];
    writeFileSync(join(inbox, 'part.parquet'), Buffer.from(parquetWriteBuffer({ columnData })));
    writeFileSync(join(inbox, 'bad.parquet'), 'PAR1');
    writeFileSync(join(inbox, 'no.csv.gz'), 'x\n1\n');
    const long = `${'é'.repeat(120)}.csv`;
    for (const name of ['notes.txt', '.hidden.csv', 'old.result.csv', 'a.csv', long])
      writeFileSync(join(inbox, name), 'x\n1\n');
    writeFileSync(join(inbox, 'b.csv'), 'x\n1\n');
    for (const name of ['a.result.csv', 'b.result.csv']) mkdirSync(join(inbox, name)); // which no file can replace
    writeFileSync(join(inbox, '.cars.result.csv.part'), 'half'); // of a gateway that was killed
    symlinkSync('/etc/hostname', join(inbox, 'link.csv'));
    const { gateway, folder } = await gatewayWithJobs(t, { jobs: `inbox: { folder: ${inbox}, route: fuel }` });
    const read = (name: string) => (existsSync(join(inbox, name)) ? readFileSync(join(inbox, name), 'utf8') : '');
    const isThere = (name: string) => () => read(name) !== '';
    const answered = ['cars.result.csv', 'part.result.parquet'];
    const results = [...answered, 'broken.error.json', 'no.error.json', 'bad.error.json'];

    for (const name of results) await until(isThere(name), name);
    const told = () =>
      gateway.log.of('notice').flatMap(({ about }) => (about as { readonly file?: string }).file ?? []);
    await until(() => told().length === 2, 'each file is told that cannot be worked off');
    for (const name of ['a.result.csv', 'b.result.csv']) rmSync(join(inbox, name), { recursive: true });
    for (const name of ['a.result.csv', 'b.result.csv']) await until(isThere(name), 'it can be written');
    await until(
      () => readdirSync(folder).every(name => name.startsWith('jobs.db')),
      'nothing to be left in the folder',
    );

    const [cars = '', , broken = '', packed = '', bad = ''] = results.map(read);
    const part = Uint8Array.from(readFileSync(join(inbox, 'part.result.parquet'))).buffer;
    assert.deepEqual(await parquetReadObjects({ file: part }), [{ '.pred': 3, error: null }]);
    assert.match(bad, /^\{"code":"BAD_REQUEST","detail":"The file cannot be read as Parquet: it is too short/);
    assert.deepEqual(told().toSorted(), ['a.csv', 'b.csv'], 'once each');
    assert.equal(cars, '.pred,error\r\n2,\r\n4,\r\n');
    assert.match(broken, /^\{"code":"BAD_REQUEST","detail":"Row 1: the file must be a JSON array/);
    assert.match(packed, /^\{"code":"BAD_REQUEST"/);
    const left = [
      long,
      'a.csv',
      'a.result.csv',
      'b.csv',
      'b.result.csv',
      '.hidden.csv',
      'bad.parquet',
      'broken.json',
      'part.parquet',
      'cars.csv.gz',
      'link.csv',
      'no.csv.gz',
      'notes.txt',
      'old.result.csv',
    ];
    assert.deepEqual(readdirSync(inbox).toSorted(), [...left, ...results].toSorted());
    assert.deepEqual(gateway.log.of('job').map(({ state }) => state).toSorted(), ['done', 'done', 'done', 'done', 'failed', 'queued', 'queued', 'queued', 'queued', 'queued']); // prettier-ignore
  });

  test('is told that it cannot be while its folder cannot be used, and all other calls are answered', async t => {
    const { gateway } = await gatewayWithJobs(t, { folder: '/dev/null' });

    assert.equal((await bring(gateway, '{"x":1}')).code, 'JOBS_UNAVAILABLE');
    const received = await gateway.call('/api/fuel/predict', { method: 'POST', body: '[{"x":1}]' });
    assert.equal(received.status, 200);
    const reported = gateway.log.of('notice').map(({ text }) => text);
    assert.ok(reported.includes('there are no jobs: `jobs.folder` cannot be used'));
  });

  test('is told so where its folder is lost, and the log says why, not for each', async t => {
    const { gateway, folder } = await gatewayWithJobs(t);
    rmSync(folder, { recursive: true });

    for (const call of [1, 2]) assert.equal((await bring(gateway, `{"x":${call}}`)).code, 'JOBS_UNAVAILABLE');

    const reported = gateway.log.of('notice').filter(({ text }) => text === 'jobs can be neither made nor read now');
    assert.deepEqual(
      reported.map(({ about }) => String((about as { problem: unknown }).problem).startsWith('ENOENT')),
      [true],
    );
  });
});
