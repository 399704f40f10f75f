import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { callCommand } from '../../gateway/edges/rserve/qap.ts';
import { post, type Received } from './call.ts';
import { startGateway, type ComposedGateway } from './composed-gateway.ts';
import { diceFrom, type Dice } from './corpus.ts';
import { ensureOnnxRuntime } from './npm-package.mjs';
import { startRserve } from './rserve.ts';
import { until } from './until.ts';
import { aFolder } from './folder.ts';

/** How many mutated bodies, or answers, meet each door. */
export interface HostileCounts {
  readonly rserve: number;
  readonly onnx: number;
  readonly script: number;
  /** Answers of a server that is almost an Rserve. */
  readonly answers: number;
}

const ROWS = '[{"wt":2.62,"hp":110},{"wt":3.44,"hp":175}]';
const SANE: Readonly<Record<string, RegExp>> = {
  rserve: /^\{"\.pred":\[23\.5\d*,18\.3\d*\]\}$/,
  onnx: /^\{"\.pred":\[23\.5\d*,18\.3\d*\]\}$/,
  script: /^\[2\]$/,
};

const FUNCTIONS = `fuel <- lm(mpg ~ wt + hp, data = mtcars)
predict_fuel <- function(cars) unname(predict(fuel, newdata = cars))`;
const SCRIPT = `text <- readLines(file("stdin"), warn = FALSE)
cat(sprintf("[%d]", lengths(regmatches(paste(text, collapse = ""), gregexpr("wt", paste(text, collapse = ""))))))`;

/**
 * Sends each door what no caller should, and lets each way to R meet servers of another kind. Each call must be answered
 * clearly, others at the same doors as if nothing were, and nothing may be left behind.
 */
export async function seeThatDoorsHold(t: TestContext, counts: HostileCounts): Promise<void> {
  const rserve = await startRserve(t, { code: FUNCTIONS });
  const almost = await startAlmostRserve(t, diceFrom(3));
  const web = await startWeb(t);
  const gateway = await startDoors(t, { rserve, almost, web });
  await seeSane(gateway);
  const before = leftovers();

  for (const [door, count] of Object.entries({ rserve: counts.rserve, onnx: counts.onnx, script: counts.script })) {
    await seeBodies(gateway, door, count);
  }
  const said = new Map<string, number>();
  for (let i = 0; i < counts.answers; i++) {
    const { status, code } = await gateway.call('/almost/predict', post(ROWS));
    const outcome = `${status} ${code ?? ''}`.trim();
    said.set(outcome, (said.get(outcome) ?? 0) + 1);
    assert.match(
      outcome,
      /^(?:200|500 MODEL_FAILED|502 (?:UPSTREAM_FAULT|CONNECTION_LOST|CONNECT_FAILED)|503 SERVICE_UNAVAILABLE)$/,
    );
  }
  t.diagnostic(JSON.stringify(Object.fromEntries(said)));

  const crossed = await Promise.all([
    gateway.call('/web-as-rserve/predict', post(ROWS)),
    gateway.call('/rserve-as-web/predict', post(ROWS)),
  ]);
  for (const { status, code } of crossed)
    assert.match(
      `${status} ${code ?? ''}`,
      /^50[23] (?:UPSTREAM_FAULT|CONNECT_FAILED|CONNECTION_LOST|SERVICE_UNAVAILABLE)$/,
    );

  await seeSane(gateway);
  await gateway.untilIdle(20_000);
  await until(() => isNoMore(leftovers(), before), 'nothing is left behind');
}

/** Two at once, and a sane call beside them. */
async function seeBodies(gateway: ComposedGateway, door: string, count: number): Promise<void> {
  const dice = diceFrom(count + door.length);
  for (let i = 0; i < count; i += 2) {
    const bodies = [mutated(ROWS, dice), mutated(ROWS, dice)];
    const calls = bodies.map(body => gateway.call(`/${door}/predict`, { ...post(''), body }));
    if (i % 10 === 0) calls.push(sane(gateway, door));
    for (const [at, received] of (await Promise.all(calls)).entries()) {
      const body = bodies[at];
      if (body !== undefined) seeClear(received, `${door} ${JSON.stringify(body.subarray(0, 200).toString('latin1'))}`);
    }
  }
  const bombs = [
    '['.repeat(100_000),
    `${'[{"wt":'.repeat(50_000)}1`,
    `[{"wt":${'9'.repeat(200_000)},"hp":1}]`,
    `[${'{},'.repeat(200_000)}{}]`,
  ];
  for (const bomb of count < 10 ? bombs.slice(0, 1) : bombs)
    seeClear(await gateway.call(`/${door}/predict`, post(bomb)), `${door} bomb ${bomb.slice(0, 20)}`);
  const tooLarge = await gateway.call(`/${door}/predict`, post('x'.repeat(2 * 1024 * 1024)));
  assert.equal(tooLarge.code, 'BODY_TOO_LARGE');
}

function seeClear({ status, code, text }: Received, of: string): void {
  const outcome = status === 200 ? '200' : `${status} ${code ?? text}`;
  assert.match(outcome, /^(?:200|400 BAD_REQUEST|422 INVALID_INPUT|500 MODEL_FAILED)$/, of);
}

async function sane(gateway: ComposedGateway, door: string): Promise<Received> {
  const received = await gateway.call(`/${door}/predict`, post(ROWS));
  assert.equal(received.status, 200, `${door}: ${received.text}`);
  assert.match(received.text, SANE[door] ?? /./);
  return received;
}

async function seeSane(gateway: ComposedGateway): Promise<void> {
  for (const door of Object.keys(SANE)) await sane(gateway, door);
}

/** A body with some of its bytes changed, lost, doubled or brought in. */
export function mutated(text: string, dice: Dice): Buffer {
  let bytes = Buffer.from(text);
  for (let n = dice(4); n >= 0; n--) {
    const [at, length] = [dice(bytes.length + 1), dice(8)];
    const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
    const piece = PIECES[dice(PIECES.length)] ?? '';
    const ways = [
      () => Buffer.concat([head, Buffer.from([dice(256)]), tail.subarray(1)]),
      () => Buffer.concat([head, tail.subarray(length)]),
      () => Buffer.concat([head, Buffer.from(piece), tail]),
      () => Buffer.concat([head, Buffer.from(piece), tail.subarray(length)]),
      () => Buffer.concat([head, tail, tail.subarray(0, length)]),
      () => head,
    ];
    bytes = (ways[dice(ways.length)] ?? (() => bytes))();
  }
  return bytes;
}

const PIECES = [
  ...[
    'null',
    'true',
    '1e999',
    '-0',
    '"NA"',
    '"\\ud83d"',
    '"\\u0000"',
    '{}',
    '[]',
    '9'.repeat(40),
    '__proto__',
    'wt',
    '","',
  ],
  ...['\0', '\u{1f600}', '");q("no")', '`ls`', '$(id)', '<-', 'Infinity', '"wt":[1,2]', '{"wt":{"hp":1}}', '\ufeff'],
];

interface Behind {
  readonly rserve: { readonly origin: string; readonly port: number };
  readonly almost: string;
  readonly web: number;
}

async function startDoors(t: TestContext, { rserve, almost, web }: Behind): Promise<ComposedGateway> {
  const folder = aFolder(t);
  symlinkSync(await ensureOnnxRuntime(), join(folder, 'node_modules'));
  copyFileSync(fileURLToPath(new URL('./onnx/fuel.onnx', import.meta.url)), join(folder, 'fuel.onnx'));
  writeFileSync(join(folder, 'script.R'), SCRIPT);
  const { PATH = '', HOME = '' } = process.env;
  const call = ', rserve: { call: predict_fuel }';
  const doors = { rserve: call, almost: call, 'web-as-rserve': call, 'rserve-as-web': '', onnx: '', script: '' };
  const gateway = await startGateway(t, {
    services: {
      rserve: [rserve.origin],
      almost: [almost],
      'web-as-rserve': [`rserve://127.0.0.1:${web}`],
      'rserve-as-web': [`http://127.0.0.1:${rserve.port}`],
    },
    local: [
      `{ service: onnx, onnx: ${JSON.stringify(join(folder, 'fuel.onnx'))} }`,
      `{ service: script, script: ${JSON.stringify(join(folder, 'script.R'))}, instances: 2, warm: 2 }`,
    ],
    routes: `
services: { rserve: { concurrency: 2 }, almost: { outlier: { failures: 10000 } } }
routes:
${Object.entries(doors)
  .map(([id, more]) => `  - { id: ${id}, uri: 'lb://${id}', predicates: ['Path=/${id}/**']${more} }`)
  .join('\n')}`,
    env: { PATH, HOME },
    idleMsMax: 20_000,
  });
  await until(async () => (await gateway.service('onnx')).instances[0]?.state === 'in-rotation', 'the model answers');
  return gateway;
}

/** It greets as Rserve does, and answers with bytes that began as an answer. */
async function startAlmostRserve(t: TestContext, dice: Dice): Promise<string> {
  const value = callCommand('f', [
    { type: 'list', values: [{ type: 'double', values: [1] }, { type: 'null' }, { type: 'double', values: [1] }] },
  ]);
  const head = Buffer.alloc(16);
  head.writeUInt32LE(0x10001);
  const inner = value.subarray(32);
  const parameter = Buffer.from([10, 0, 0, 0]);
  parameter.writeUIntLE(inner.length, 1, 3);
  head.writeUInt32LE(inner.length + 4, 4);
  const answer = Buffer.concat([head, parameter, inner]);
  const fine = Buffer.alloc(16);
  fine.writeUInt32LE(0x10001);
  const server = createServer(socket => {
    let received = 0;
    socket.on('error', () => undefined);
    socket.write('Rsrv0103QAP1\r\n\r\n--------------\r\n');
    socket.on('data', () => {
      received += 1;
      if (received <= 2)
        socket.write(fine); // what sets the connection up
      else socket.write(mutatedBytes(answer, dice), () => (dice(3) === 0 ? socket.destroy() : undefined));
      if (received > 2) setImmediate(() => socket.end()); // half an answer would be waited for
    });
  });
  return `rserve://127.0.0.1:${await listen(t, server)}`;
}

function mutatedBytes(bytes: Buffer, dice: Dice): Buffer {
  const changed = Buffer.from(bytes.subarray(0, dice(5) === 0 ? dice(bytes.length) : bytes.length));
  for (let n = dice(4); n > 0 && changed.length > 0; n--) changed[dice(changed.length)] = dice(256);
  return changed;
}

async function startWeb(t: TestContext): Promise<number> {
  return listen(
    t,
    createHttpServer((_, response) => response.end('{"status":"OK"}')),
  );
}

async function listen(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', socket => sockets.add(socket));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await once(server.close(), 'close');
  });
  return (server.address() as AddressInfo).port;
}

/** What could be left: descriptors of this process, folders of scripts, processes it has started. */
function leftovers() {
  const children = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(pid => isChild(pid));
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    folders: readdirSync(tmpdir()).filter(name => name.startsWith('penstock-script-')).length,
    children: children.length,
  };
}

function isChild(pid: string): boolean {
  try {
    return new RegExp(`^PPid:\\s+${process.pid}$`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false; // it has ended
  }
}

type Leftovers = ReturnType<typeof leftovers>;

/** Warm interpreters may stand or be starting; a connection to Rserve may be kept. */
function isNoMore(now: Leftovers, before: Leftovers): boolean {
  const [spareDescriptors, spareChildren] = [12, 2];
  return (
    now.descriptors <= before.descriptors + spareDescriptors &&
    now.children <= before.children + spareChildren &&
    now.folders <= before.folders + spareChildren
  );
}
