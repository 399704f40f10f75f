import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { parseRequestTarget } from '../../gateway/domain/http/request-target.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { FRAMING_CASES } from '../support/framing-cases.ts';
import type { Random } from '../../gateway/domain/clock.ts';
import { seeded } from '../support/service-at-work.ts';

// `npm run fuzz`: what no client would write, over raw sockets, for a minute. A finding becomes a case of framing-cases.ts.
//
//   PENSTOCK_FUZZ_SECONDS=600 npm run fuzz     for longer
//   PENSTOCK_SEED=4711 npm run fuzz            the same bytes once more

const SECONDS = Number(process.env['PENSTOCK_FUZZ_SECONDS'] ?? 60);
const SEED = Number(process.env['PENSTOCK_SEED'] ?? 1 + Math.floor(Math.random() * 2_000_000_000));
const AT_ONCE = 16;

/** Longer than anything that the gateway waits for here. */
const ANSWER_MS_MAX = 20_000;

const PIECES = [
  '\r\n', '\n', '\r', '\0', ' ', '\t', ':', ',', ';', '"', '%', '%2e', '%2f', '/', '//', '..', '?', '#', '\xff', '\x7f',
  'Content-Length: 0\r\n', 'Content-Length: 5\r\n', 'Content-Length: 00', 'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip, chunked\r\n', 'Transfer-Encoding:\r\n', 'Connection: close\r\n', 'Connection: upgrade\r\n',
  'Connection: Host\r\n', 'Upgrade: h2c\r\n', 'Upgrade: websocket\r\n', 'Expect: 100-continue\r\n', 'Host: b\r\n',
  'X_Penstock_Subject: admin\r\n', 'X-Penstock-Subject: admin\r\n', 'X-Forwarded-For: 10.0.0.1\r\n', 'HTTP/1.0', 'HTTP/2',
  '0\r\n\r\n', '5\r\nhello\r\n', 'ffffffffffffffff\r\n', 'GET /r/echo HTTP/1.1\r\nHost: a\r\n\r\n', 'HEAD ', 'OPTIONS * ',
  'a'.repeat(300), '\r\n\r\n',
]; // prettier-ignore

const CASES = FRAMING_CASES.map(([, say]) => say);
const LINES = CASES.flatMap(say => say.split(/(?<=\r\n)/)).filter(line => line.length < 500);

function pick(random: Random, from: readonly string[]): string {
  return from[random.below(from.length)] ?? '';
}

type Mutate = (text: string, at: number, random: Random) => string;

const MUTATIONS: readonly Mutate[] = [
  (text, at, random) => text.slice(0, at) + pick(random, PIECES) + text.slice(at),
  (text, at, random) => text.slice(0, at) + text.slice(at + 1 + random.below(8)),
  (text, at, random) => text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1),
  (text, at, random) => text.slice(0, at) + text.slice(at, at + random.below(60)).repeat(2) + text.slice(at),
  (text, _at, random) => text + pick(random, CASES),
  (text, at) => text.slice(0, at),
  (text, at, random) => {
    const line = text.indexOf('\r\n', at);
    return line < 0 ? text : text.slice(0, line + 2) + pick(random, LINES) + text.slice(line + 2);
  },
];

/** One of the cases, changed here and there, in the two pieces in which it is sent. */
function aSaying(random: Random): readonly [Buffer, Buffer] {
  let text = pick(random, CASES);
  for (let left = random.below(4); left > 0; left--) {
    const mutate = MUTATIONS[random.below(MUTATIONS.length)];
    text = mutate?.(text, random.below(text.length + 1), random) ?? text;
  }
  const bytes = Buffer.from(text, 'latin1');
  const cut = random.below(3) === 0 ? random.below(bytes.length + 1) : bytes.length;
  return [bytes.subarray(0, cut), bytes.subarray(cut)];
}

/** Says it, ends its half, and gives all that is heard. */
async function receivedFrom(port: number, [first, rest]: readonly [Buffer, Buffer]): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const received: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => received.push(chunk)).on('error', () => undefined);
  socket.setNoDelay(true);
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  socket.write(first, () => {
    if (!socket.writableEnded) socket.end(rest);
  });
  const late = setTimeout(() => socket.destroy(new Error('no end')), ANSWER_MS_MAX);
  await closed;
  clearTimeout(late);
  assert.ok(socket.errored?.message !== 'no end', 'neither answered nor closed');
  return Buffer.concat(received).toString('latin1');
}

/** The statuses of the answers, read to the last byte; throws where what came is anything else. */
function statusesIn(received: string): number[] {
  const statuses: number[] = [];
  let at = 0;
  while (at < received.length) {
    const [head, status] =
      /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n(?:[!-9;-~]+: [^\0\r\n]*\r\n)*\r\n/.exec(received.slice(at)) ?? [];
    assert.ok(head !== undefined, `no answer: ${JSON.stringify(received.slice(at, at + 200))}`);
    const length = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1] ?? 0);
    const isBodiless =
      status === '304' || status === '204' || status === '100' || received.startsWith('HTTP/1.1', at + head.length);
    at += head.length + (isBodiless ? 0 : Math.min(length, received.length - at - head.length));
    statuses.push(Number(status));
  }
  return statuses;
}

/** An instance that answers whatever it is sent, and finds fault with any request that it could read in two ways. */
async function startStrict(t: TestContext) {
  const faults: string[] = [];
  let requests = 0;
  const server = createServer(socket => {
    let came = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      came += chunk.toString('latin1');
      const end = came.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = came.slice(0, end + 2);
      const length = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1] ?? 0);
      if (came.length < end + 4 + length) return;
      requests += 1;
      const fault = faultOf(head) ?? (came.length > end + 4 + length ? 'more than one request' : undefined);
      if (fault !== undefined) faults.push(`${fault}: ${JSON.stringify(came)}`);
      came = '';
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(async () => {
    await once(server.close(), 'close');
  });
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    faults,
    get requests() {
      return requests;
    },
  };
}

function faultOf(head: string): string | undefined {
  const [line = '', ...fields] = head.trimEnd().split('\r\n');
  return faultOfLine(line) ?? faultOfFields(fields);
}

function faultOfLine(line: string): string | undefined {
  const [method = '', target = '', version = '', ...more] = line.split(' ');
  if (!/^[A-Z-]+$/.test(method) || version !== 'HTTP/1.1' || more.length > 0) return 'request line';
  const read = parseRequestTarget(target, { mergeSlashes: false });
  if (typeof read === 'string') return `path (${read})`;
  return read.path === target.split('?')[0] ? undefined : 'a path that is not normal';
}

const NEVER = /^(?:transfer-encoding|upgrade|te|trailer|expect|http2-settings|x-penstock-subject|.*_.*)$/;

function faultOfFields(fields: readonly string[]): string | undefined {
  const names = fields.map(field => /^([!-9;-~]+): ([^\0-\x08\x0a-\x1f\x7f]*)$/.exec(field)?.[1]?.toLowerCase());
  if (names.includes(undefined)) return 'a field';
  if (names.filter(name => name === 'content-length').length > 1) return 'two lengths';
  if (names.filter(name => name === 'host').length !== 1) return 'Host';
  const wrong = names.find(name => name !== undefined && NEVER.test(name));
  return wrong === undefined ? undefined : `a field that ends here (${wrong})`;
}

test(`whatever comes over a connection is answered or refused, for ${SECONDS} s with PENSTOCK_SEED=${SEED}`, async t => {
  const strict = await startStrict(t);
  const gateway = await startGateway(t, {
    services: { r: [strict.origin] },
    listen: 'headersTimeout: 1s, bodyIdleTimeout: 1s, keepAliveTimeout: 1s',
    routes: `
services: { r: { concurrency: 64, queue: { waitMax: 10s }, health: { interval: 1h } } }
routes: [{ id: r, uri: lb://r, predicates: ['Path=/**'], timeout: 15s }]
`,
  });
  const tally = new Map<string, number>();
  const until = performance.now() + SECONDS * 1_000;
  let said = 0;

  const sayOn = async () => {
    while (performance.now() < until) {
      said += 1;
      const saying = aSaying(seeded(((SEED + said * 7_919) % 2_147_483_646) + 1)); // each its own, on whichever connection
      try {
        const statuses = statusesIn(await receivedFrom(gateway.port, saying));
        for (const status of statuses.length === 0 ? ['closed'] : statuses) {
          assert.ok(status !== 500 && status !== 502 && status !== 504, `answered ${status}`);
          tally.set(String(status), (tally.get(String(status)) ?? 0) + 1);
        }
      } catch (error) {
        const text = saying.map(piece => JSON.stringify(piece.toString('latin1'))).join(' and then ');
        throw new Error(`PENSTOCK_SEED=${SEED}, after ${text}`, { cause: error });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sayOn));

  t.diagnostic(
    `${said} sayings, ${strict.requests} requests at the instance; ${JSON.stringify(Object.fromEntries(tally))}`,
  );
  assert.deepEqual(strict.faults, []);
  assert.deepEqual(gateway.log.of('internal-error'), []);
  assert.ok(strict.requests > 0 && tally.has('400'), 'it took, and it refused');
});
