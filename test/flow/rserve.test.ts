import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { beginCall, post } from '../support/call.ts';
import { meet } from '../../gateway/edges/rserve/connection.ts';
import { aCertificate } from '../support/certificates.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { isRunning } from '../support/plumber/serve.ts';
import { rserveLibrary, startRserve, type Rserve } from '../support/rserve.ts';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

/** What R says of what it is given, without a word of JSON; and answers of every type. */
const CODE = `
describe <- function(rows) {
  said <- vapply(rows, function(x) {
    shown <- if (is.double(x)) paste(vapply(x, function(v) paste(rev(writeBin(v, raw())), collapse = ""), ""), collapse = " ")
             else if (is.character(x)) paste(ifelse(is.na(x), "<NA>", vapply(x, function(s) paste(charToRaw(s), collapse = ""), "")), collapse = " ")
             else paste(x, collapse = " ")
    paste0(typeof(x), ": ", shown)
  }, "")
  as.list(said)
}
counted <- function(rows) list(n = nrow(rows), names = names(rows), class = class(rows))
fuel <- lm(mpg ~ wt + hp, data = mtcars)
predict_fuel <- function(cars) predict(fuel, newdata = cars)
in_hex <- function(cars) vapply(predict_fuel(cars), function(v) paste(rev(writeBin(v, raw())), collapse = ""), "")
every <- function(rows) list(
  double = c(1.5, NA, NaN, Inf, -Inf, -0, 0.1 + 0.2, 1e-300, .Machine$double.xmin / 4), integer = c(1L, NA), logical = c(TRUE, NA, FALSE),
  string = c("\\u00fc \\u20ac \\U1F600", NA, "", "NA", "\\"\\\\"), one = 1, none = character(), null = NULL,
  factor = factor(c("b", NA)), date = as.Date("2024-01-02"), nested = list(a = list(1, "x"), list()),
  matrix = matrix(1:6, 2), raw = as.raw(1:3))
frame <- function(rows) {
  its <- data.frame(.pred_class = factor(c("a", "b")), p = c(0.25, NA), row.names = c("x", "y"))
  its$within <- data.frame(z = c("u", NA), m = I(matrix(1:4, 2)))
  its$l <- list(1:2, NULL)
  its
}
empty <- function(rows) list(.pred = numeric(0))
fail <- function(rows) stop("the file /srv/secret is missing")
env <- function(rows) environment()
pid <- function(rows) list(pid = Sys.getpid())
grow <- function(rows) { kept <<- c(get0("kept"), numeric(3e7)); pid(rows) }
crash <- function(rows) tools::pskill(Sys.getpid(), 9L)
wait <- function(rows) { Sys.sleep(rows$s); pid(rows) }
long <- function(rows) strrep("x", 3e6)
`;

interface Traits {
  readonly functions: readonly string[];
  readonly service?: string;
  readonly route?: string;
}

/** A gateway that calls the function NAME under `/NAME`. */
function startBefore(t: TestContext, { origin }: Rserve, { functions, service = '', route = '' }: Traits) {
  return startGateway(t, {
    services: { r: [origin] },
    routes: `
services: { r: { connection: { connectTimeout: 20s }${service && `, ${service}`} } }
routes: [${functions
      .map(
        name =>
          `{ id: ${name}, uri: 'lb://r', predicates: ['Path=/${name}'], rserve: { call: ${name} }${route && `, ${route}`} }`,
      )
      .join(', ')}]`,
  });
}

const jsonOf = (text: string) => JSON.parse(text) as Record<string, unknown>;
const CARS = [
  { wt: 2.62, hp: 110 },
  { wt: 5.25, hp: 205 },
];

describe('a function behind Rserve', () => {
  test('is given rows as a data frame, of R’s own types, and answers as vetiver would', async t => {
    const r = await startRserve(t, { code: CODE });
    const called = ['describe', 'counted', 'predict_fuel', 'in_hex', 'every', 'frame', 'empty'];
    const failing = ['fail', 'env', 'long', 'nowhere'];
    const gateway = await startBefore(t, r, { functions: [...called, ...failing], service: 'concurrency: 3' });
    const send = async (name: string, rows: unknown) => (await gateway.call(`/${name}`, post(rows))).text;

    const given = await send('describe', [
      { d: 0.1, i: 1, s: 'é', l: true, n: 'NA', x: null, big: 3e9, neg: -0.5 },
      { d: 'NaN', i: null, s: null, l: null, n: 2.5, x: null, big: 1, neg: 'Inf' },
      { d: '-Inf', i: -7, s: 'NA', n: 'NA', neg: 'NA' },
    ]);
    assert.deepEqual(jsonOf(given), {
      d: 'double: 3fb999999999999a 7ff8000000000000 fff0000000000000',
      i: 'integer: 1 NA -7',
      s: 'character: c3a9 <NA> 4e41',
      l: 'logical: TRUE NA NA',
      n: 'double: 7ff00000000007a2 4004000000000000 7ff00000000007a2',
      x: 'logical: NA NA NA',
      big: 'double: 41e65a0bc0000000 3ff0000000000000 7ff00000000007a2',
      neg: 'double: bfe0000000000000 7ff0000000000000 7ff00000000007a2',
    });
    assert.equal(
      await send('counted', { a: [1, 2], 'b c': ['x', null] }),
      '{"n":2,"names":["a","b c"],"class":"data.frame"}',
    );
    assert.equal(await send('counted', []), '{"n":0,"names":[],"class":"data.frame"}');

    const predicted = jsonOf(await send('predict_fuel', CARS))['.pred'] as number[];
    const inHex = jsonOf(await send('in_hex', CARS))['.pred'];
    assert.deepEqual(predicted.map(hexOf), inHex, 'bit for bit');
    assert.match(await send('predict_fuel', CARS.slice(0, 1)), /^\{"\.pred":23\.57\d+\}$/, 'one is no array');
    assert.equal(
      await send('every', []),
      '{"double":[1.5,"NA","NaN","Inf","-Inf",-0,0.30000000000000004,1e-300,5.562684646268003e-309],"integer":[1,"NA"],"logical":[true,null,false],' +
        '"string":["ü € 😀",null,"","NA","\\"\\\\"],"one":1,"none":[],"null":null,"factor":["b",null],"date":"2024-01-02",' +
        '"nested":{"a":[1,"x"],"2":[]},"matrix":[[1,3,5],[2,4,6]],"raw":"AQID"}',
    );
    assert.equal(
      await send('frame', []),
      '[{".pred_class":"a","p":0.25,"within":{"z":"u","m":[1,3]},"l":[1,2]},{".pred_class":"b","within":{"m":[2,4]},"l":null}]',
    );
    assert.equal(await send('empty', []), '{".pred":[]}');

    for (const [name, detail] of [
      ['fail', 'The model ended with an error.'],
      ['env', 'The model ended with an error.'],
      ['nowhere', 'The model ended with an error.'],
      ['long', 'The model answered with more than the 1048576 bytes that this route takes.'],
    ] as const) {
      const received = await gateway.call(`/${name}`, post([]));
      assert.deepEqual(
        [received.status, received.code, jsonOf(received.text)['detail']],
        [500, 'MODEL_FAILED', detail],
        name,
      );
    }
    const reported = gateway.log.of('notice').map(({ text }) => text);
    assert.ok(reported.includes('the file /srv/secret is missing'), 'operators are told');
    assert.equal((await gateway.services())[0]?.instances[0]?.failures, 0, 'a model’s errors are not the instance’s');
  });

  test('takes nothing of a caller’s for code, and refuses what is no table', async t => {
    const r = await startRserve(t, {
      code: `${CODE}\necho <- function(rows) list(names = names(rows), first = rows[[1]])`,
    });
    const gateway = await startBefore(t, r, { functions: ['echo'] });
    const hostile = ['system("id")', '`x`', '"); quit() #', '$(id)', '\\u0041', "'; stop()", '.penstock', 'ÿþ'];

    for (const text of hostile) {
      const received = await gateway.call('/echo', post([{ [text]: text }]));
      assert.deepEqual(jsonOf(received.text), { names: text, first: text });
    }

    for (const [rows, pointer] of [
      [[{ a: 1 }, { a: 'x' }], '/1/a'],
      [[{ a: true }, { a: 1 }], '/1/a'],
      [[{ a: [1] }], '/0/a'],
      [[{ 'a/b~': 'x\0y' }], '/0/a~1b~0'],
      [[1], '/0'],
      [{ a: [1], b: [1, 2] }, '/b'],
      ['"rows"', ''],
      [Array.from({ length: 2_000 }, (_, i) => ({ [`c${i}`]: 1 })), ''],
    ] as const) {
      const received = await gateway.call('/echo', post(rows));
      assert.equal(received.code, 'INVALID_INPUT', JSON.stringify(rows).slice(0, 80));
      assert.equal((jsonOf(received.text)['errors'] as { pointer: string }[])[0]?.pointer, pointer);
    }
    assert.equal((await gateway.call('/echo', post('{'))).code, 'BAD_REQUEST');
    assert.equal((await gateway.call('/echo')).status, 405);
  });

  test('is one R a connection: kept between calls, as many as `concurrency`, and replaced when it has had enough', async t => {
    const r = await startRserve(t, { code: CODE });
    const functions = ['pid', 'wait', 'grow', 'crash'];
    const gateway = await startBefore(t, r, {
      functions,
      service: 'concurrency: 2, rserve: { callsMax: 20, memoryMax: 256MiB }, outlier: { failures: 100 }',
      route: 'answer: { errorMessages: true }',
    });
    const pid = async (name = 'pid', rows: unknown = [{ s: 0.3 }]) => {
      const received = await gateway.call(`/${name}`, post(rows));
      return received.status === 200 ? Number(jsonOf(received.text)['pid']) : received.code;
    };
    const pids = async (count: number) => {
      const found = [];
      while (found.length < count) found.push(await pid());
      return found;
    };

    const atOnce = await Promise.all([1, 2, 3, 4].map(() => pid('wait')));
    assert.equal(new Set(atOnce).size, 2, 'four calls at two Rs');
    const inTurn = await pids(19);
    assert.deepEqual(
      [new Set(inTurn.slice(0, 18)).size, inTurn[17] === inTurn[18]],
      [1, false],
      'its twentieth call was its last',
    );
    const grown = await pid('grow');
    assert.ok(
      (await pids(8)).some(its => its !== grown),
      'it has grown too large',
    );
    const alive = await pid();
    assert.equal(await pid('crash'), 'CONNECTION_LOST');
    assert.notEqual(await pid(), alive);

    const caller = new AbortController();
    const { answered } = beginCall(`${gateway.url}/wait`, { ...post([{ s: 1 }]), signal: caller.signal });
    await until(async () => (await gateway.services())[0]?.instances[0]?.inFlight === 1, 'R is at work');
    caller.abort();
    await answered.catch(() => undefined);
    assert.equal((await gateway.services())[0]?.instances[0]?.inFlight, 1, 'R computes on, and its permit is taken');
  });

  test('is started by the gateway from a file, and ends with it', async t => {
    const folder = aFolder(t);
    writeFileSync(join(folder, 'loaded.txt'), '7');
    writeFileSync(
      join(folder, 'my fuel.R'),
      `loaded <- scan("loaded.txt", quiet = TRUE)
announce <- function(rows) { for (s in rows$s) Sys.sleep(s); list(loaded = loaded, pid = Sys.getpid()) }`,
    );
    writeFileSync(join(folder, 'broken.R'), 'stop("no licence")');
    const { PATH = '', HOME = '' } = process.env;
    const started = (name: string, file: string) =>
      `{ service: ${name}, rserve: ${JSON.stringify(join(folder, file))}, instances: 2 }`;
    const gateway = await startGateway(t, {
      local: [started('fuel', 'my fuel.R'), started('broken', 'broken.R')],
      routes: `
services: { fuel: { connection: { connectTimeout: 20s } } }
routes: [{ uri: 'lb://fuel', predicates: ['Path=/fuel'], rserve: { call: announce } }, { uri: 'lb://broken', predicates: ['Path=/b'], rserve: { call: f } }]`,
      env: { PATH, HOME, R_LIBS: await rserveLibrary() },
    });
    const instance = async () => (await gateway.services()).find(({ service }) => service === 'fuel')?.instances[0];
    await until(async () => (await instance())?.state === 'in-rotation', 'Rserve greets');

    const { loaded, pid } = jsonOf((await gateway.call('/fuel', post([]))).text);

    assert.equal(loaded, 7);
    assert.match((await instance())?.version ?? '', /^\S{12}$/);
    await until(() => gateway.log.of('notice').some(({ text }) => String(text).includes('no licence')), 'R says why');
    for (let i = 0; i < 3; i++)
      await meet({ origin: String((await instance())?.address) }, AbortSignal.timeout(20_000));
    await until(() => siblingsOf(Number(pid)).length === 1, 'of those that ended no fork is left');
    const endless = gateway.call('/fuel', post([{ s: 600 }])).catch(() => undefined);
    await until(async () => (await instance())?.inFlight === 1, 'a fork computes');
    const forks = siblingsOf(Number(pid));
    const drained = performance.now();
    await gateway.gateway.drain();
    assert.ok(performance.now() - drained < 9_000, 'it ended by itself');
    await until(() => !forks.some(fork => isRunning(Number(fork))), 'its forks have ended');
    await endless;
  });

  test('may be a script of FastRWeb: run() with the query as arguments, or .http.request where that is', async t => {
    const script = `run <- function(who = "you", ...) { if (who == "file") c("html", "\\u00fc", "text/plain; charset=utf-8", "Status: 201 Made\\r\\nX-Of: R\\r\\nContent-Length: 7")
      else paste("Hello", who, request$method, rawToChar(request$body), class(who), length(list(...))) }`;
    const own = `.http.request <- function(url, query, body, headers) list(paste(url, names(query), query, attr(body, "content-type"), grepl("^Request-Method: POST", headers)), "text/plain", "X-Own: yes", 202L)`;
    const [plain, withOwn] = await Promise.all([
      startRserve(t, { files: { 'hello.R': script, 'none.R': 'x <- 1' } }),
      startRserve(t, { code: own }),
    ]);
    const gateway = await startGateway(t, {
      services: { plain: [plain.origin], own: [withOwn.origin] },
      routes: `
defaults: { rserve: { script: ${plain.folder} } }
services: { plain: { connection: { connectTimeout: 20s } }, own: { connection: { connectTimeout: 20s } } }
routes: [{ uri: 'lb://plain', predicates: ['Path=/web/**'], filters: [StripPrefix=1] }, { uri: 'lb://own', predicates: ['Path=/own/**'], filters: [StripPrefix=1] }]`,
    });

    const hello = await gateway.call('/web/hello?who=quit()&more=1', post('the body'));
    const made = await gateway.call('/web/hello?who=file');
    const requested = await gateway.call('/own/a/b?x=%C3%BC', post('1'));

    assert.equal(hello.text, 'Hello quit() POST the body character 1');
    assert.deepEqual(
      [made.status, made.text, made.headers['x-of'], made.headers['content-length']],
      [201, 'ü', 'R', '2'],
    );
    assert.deepEqual([requested.status, requested.headers['x-own']], [202, 'yes']);
    assert.match(requested.text, /^a\/b x ü \S* ?TRUE$/);
    assert.equal((await gateway.call('/web/unknown')).status, 404);
    assert.equal((await gateway.call('/web/none')).code, 'MODEL_FAILED');
    for (const path of ['/web/', '/web/.hidden', '/web/a%20b', '/web/a:b', `/web/${'x'.repeat(300)}`])
      assert.equal((await gateway.call(path)).code, 'NO_ROUTE', path);
  });

  test('is called after a login, and not after a wrong one, or none', async t => {
    const settings = { auth: 'required', plaintext: 'enable', pwdfile: 'users' };
    const r = await startRserve(t, { code: CODE, settings, files: { users: 'alice s3cret\n' } });
    const accounts = { right: 's3cret', wrong: 'wrong', none: undefined };
    const services = Object.entries(accounts).map(
      ([name, password]) =>
        `${name}: { ${password === undefined ? '' : `rserve: { user: alice, password: ${password} }`} }`,
    );
    const names = Object.keys(accounts);
    const gateway = await startGateway(t, {
      services: Object.fromEntries(names.map(name => [name, [r.origin]])),
      routes: `
services: { ${services.join(', ')} }
routes: [${names.map(name => `{ uri: 'lb://${name}', predicates: ['Path=/${name}'], rserve: { call: pid } }`).join(', ')}]`,
    });

    const received = await Promise.all(names.map(name => gateway.call(`/${name}`, post([]))));

    assert.deepEqual(
      received.map(({ status, code }) => [status, code]),
      [
        [200, undefined],
        [502, 'UPSTREAM_FAULT'],
        [502, 'UPSTREAM_FAULT'],
      ],
    );
  });

  test('is called by TLS where its certificate verifies, and only there; and is shown one where it asks', async t => {
    const authority = aCertificate({ subject: '/CN=authority', names: [], isAuthority: true });
    const [its, ours] = [aCertificate({ names: ['r.internal'], by: authority }), aCertificate({ by: authority })];
    const r = await startRserve(t, {
      code: CODE,
      settings: { 'tls.key': 'r.key', 'tls.cert': 'r.pem', 'tls.ca': 'ca.pem', 'tls.client': 'require' },
      files: {
        ...{ 'ca.pem': authority.cert, 'r.pem': its.cert, 'r.key': its.key },
        ...{ 'gateway.pem': ours.cert, 'gateway.key': ours.key },
      },
      isSecured: true,
    });
    const at = (name: string) => join(r.folder, name);
    const [known, shown] = [`ca: ${at('ca.pem')}`, `cert: ${at('gateway.pem')}, key: ${at('gateway.key')}`];
    const services = {
      right: `${known}, ${shown}, serverName: r.internal`,
      unverified: `verify: false, ${shown}`,
      misnamed: `${known}, ${shown}`,
      unknown: `${shown}, serverName: r.internal`,
    };
    const names = Object.keys(services);
    const gateway = await startGateway(t, {
      services: Object.fromEntries(names.map(name => [name, [r.securedOrigin]])),
      routes: `
services: { ${Object.entries(services)
        .map(([name, tls]) => `${name}: { health: { interval: 100ms, fails: 1 }, tls: { ${tls} } }`)
        .join(', ')} }
routes: [${names.map(name => `{ uri: 'lb://${name}', predicates: ['Path=/${name}'], rserve: { call: pid } }`).join(', ')}]`,
    });

    const received = await Promise.all(names.map(name => gateway.call(`/${name}`, post([]))));

    assert.deepEqual(
      received.map(({ status, code }) => code ?? status),
      [200, 200, 'UPSTREAM_UNTRUSTED', 'UPSTREAM_UNTRUSTED'],
    );
    const instance = async (name: string) => (await gateway.service(name)).instances[0];
    for (const name of ['misnamed', 'unknown']) {
      await until(
        async () => ((await instance(name))?.why ?? '').startsWith('untrusted: the cert'),
        'its check says so as well',
      );
      assert.equal((await instance(name))?.state, 'in-rotation', name);
    }
    assert.equal((await instance('right'))?.why, null);
  });
});

/** The processes that its parent has forked. */
function siblingsOf(pid: number): string[] {
  const ps = (...args: string[]) => execFileSync('ps', ['-o', ...args], { encoding: 'utf8' }).trim();
  return ps('pid=', '--ppid', ps('ppid=', '-p', String(pid))).split('\n');
}

function hexOf(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes.toString('hex');
}
