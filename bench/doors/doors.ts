import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { callRaw } from '../../test/support/grpc.ts';
import { ensureOnnxRuntime } from '../../test/support/npm-package.mjs';
import { ensureServer } from '../../test/support/servers.mjs';
import { rserveLibrary } from '../../test/support/rserve.ts';
import { INFERENCE_SERVICE } from '../../gateway/domain/inference/rpc-form.ts';
import { ROOT } from '../../gateway/setup/state.mjs';
import { wrk, type Load } from '../load/load.ts';
import { answers, CORES, createPlace, type Place } from '../place.ts';
import { cpuTimeOf, startNode } from '../process-figures.ts';
import type { Effort } from '../results.ts';
import { median } from '../summary.ts';
import { startNothing } from '../upstreams/upstreams.ts';
import { bareQap, type BareQap } from './bare-qap.ts';
import { forestFile } from './forest.ts';
import { CAR, inferCall, predictCall } from './messages.ts';
import { jobRate } from './job-rate.ts';
import type { DoorRow, Doors } from './table.ts';

interface Opened {
  readonly place: Place;
  readonly address: string;
  readonly adminUrl: string;
  readonly pid: number;
  readonly runtime: string;
  readonly model: string;
  /** By the size of the forest that it asks. */
  readonly bare: ReadonlyMap<number, BareQap>;
}

interface Measured extends Opened {
  readonly effort: Effort;
}

const BATCH_ROWS = 64;
const CALLERS = 32;
const CALL_ROWS = 8;
/** A run of R takes its time. */
const SCRIPT_CALLS = 5;
const WARM_CALLS = 40_000;
const WARM_SECONDS = 4;
const TURN_CALLS = 10_000;
/** Of the first job, by which the next ones are as long as a turn. */
const JOB_ROWS = 10_000;
/** The trees of a small model and of a larger one, whose calls take some 2 and some 10 ms. */
const FORESTS = [2_000, 10_000];
const functionOf = (trees: number) => `predict_${trees}`;

/** Measures every door beside what it leads to, in turns, in about five minutes. */
export async function measureDoors(effort: Effort, report: (text: string) => void): Promise<Doors> {
  const [takenAt, [loadBefore = 0]] = [new Date().toISOString(), loadavg()];
  const place = createPlace();
  try {
    const opened = { ...(await open(place)), effort: inShortTurns(effort) };
    try {
      const rows: DoorRow[] = [];
      for (const [what, measureIt] of DOORS) {
        report(`doors: ${what}`);
        rows.push(await measureIt(opened));
      }
      return { takenAt, loadBefore, rows };
    } finally {
      for (const bare of opened.bare.values()) bare.close();
    }
  } finally {
    await place.close();
  }
}

type Door = readonly [string, (opened: Measured) => Promise<DoorRow>];

/** Those of many calls come first: the gateway is compiled by then. */
const DOORS: readonly Door[] = [
  ['ONNX', measureOnnx],
  ['jobs', measureJobs],
  ['jobs beside a caller', measureCallerBesideJob],
  [
    'gRPC infer',
    measureGrpc(
      'gRPC infer, an upstream that does nothing: own CPU a call',
      `/${INFERENCE_SERVICE}/ModelInfer`,
      inferCall('nothing'),
    ),
  ],
  [
    'gRPC into REST',
    measureGrpc(
      'gRPC by a team’s own proto, an upstream that does nothing: own CPU a call',
      '/fuel.v1.Fuel/Predict',
      predictCall(),
    ),
  ],
  ...FORESTS.map((trees): Door => [`Rserve, ${trees} trees`, measureRserve(trees)]),
  ['Rscript', measureScripts],
];

/** The machine is quicker for some seconds than for others: what is compared must have had both. */
function inShortTurns({ rounds, seconds, ...effort }: Effort): Effort {
  return { ...effort, rounds: rounds * seconds, seconds: 1 };
}

async function open(place: Place): Promise<Opened> {
  const [port, adminPort] = [await place.port(), await place.port()];
  const runtime = join(await ensureOnnxRuntime(), 'onnxruntime-node', 'dist', 'index.js');
  const [nothing = ''] = await startNothing(place, 'nothing', { core: CORES.rest, answersTo: ANSWERS });
  const model = place.write('forest.onnx', '');
  writeFileSync(model, forestFile());
  place.write('functions.R', FUNCTIONS);
  place.write('script.R', SCRIPT);
  place.write('fuel.proto', PROTO);
  place.write('routes.yaml', ROUTES);
  const config = place.write('gateway.yaml', gatewayOf({ port, adminPort, nothing }));
  const started = startNode(place, 'gateway', {
    args: [join(ROOT, 'gateway', 'main.ts'), 'serve', '--config', config],
    env: { R_LIBS: await rserveLibrary(), NODE_PATH: await ensureOnnxRuntime() },
  });
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  await place.until(started, () => answers(`${adminUrl}/readyz`, true));
  await place.until(started, async () => (await instancesAt(adminUrl)).every(({ state }) => state === 'in-rotation'));
  const rserve = (await instancesAt(adminUrl)).find(({ address }) => address.startsWith('rserve:'))?.address ?? '';
  const bare = new Map<number, BareQap>();
  for (const trees of FORESTS) bare.set(trees, await bareQap(rserve, functionOf(trees)));
  return { place, address: `127.0.0.1:${port}`, adminUrl, pid: started.pid, runtime, model, bare };
}

async function instancesAt(adminUrl: string): Promise<{ state: string; address: string }[]> {
  const services = (await (await fetch(`${adminUrl}/api/services`)).json()) as {
    instances: { state: string; address: string }[];
  }[];
  return services.flatMap(({ instances }) => (instances.length === 0 ? [{ state: 'none', address: '' }] : instances));
}

const FUNCTIONS = FORESTS.map(
  trees => `model_${trees} <- randomForest::randomForest(mpg ~ wt + hp, data = mtcars, ntree = ${trees})
${functionOf(trees)} <- function(cars) unname(predict(model_${trees}, cars))
`,
).join('');
const SCRIPT = `fit <- lm(mpg ~ wt + hp, data = mtcars)
cars <- jsonlite::fromJSON(file("stdin"))
cat(jsonlite::toJSON(list(.pred = unname(predict(fit, cars))), digits = NA))
`;
const PROTO = `syntax = "proto3";
package fuel.v1;
import "google/api/annotations.proto";
service Fuel {
  rpc Predict(PredictRequest) returns (PredictResponse) {
    option (google.api.http) = { post: "/predict" body: "cars" };
  }
}
message Car { optional double wt = 1; optional double hp = 2; }
message PredictRequest { repeated Car cars = 1; }
message PredictResponse { repeated double pred = 1 [json_name = ".pred"]; }
`;

interface Addresses {
  readonly port: number;
  readonly adminPort: number;
  readonly nothing: string;
}

function gatewayOf({ port, adminPort, nothing }: Addresses): string {
  return `
listen: { host: 127.0.0.1, port: ${port}, h2c: true }
admin: { host: 127.0.0.1, port: ${adminPort} }
discovery:
  local:
    - { service: rserve, rserve: functions.R, instances: 1 }
    - { service: cold, script: script.R }
    - { service: warm, script: script.R, warm: 1 }
    - { service: onnx, onnx: forest.onnx }
  static:
    - { service: nothing, instances: ['http://${nothing}'] }
log: { level: warn, access: true }
jobs: { folder: jobs }
inference: {}
drain: { grace: 0s, timeout: 5s }
`;
}

const ROUTES = `
services:
  nothing: { concurrency: 64, connection: { reuse: true } }
routes:
${FORESTS.map(trees => `  - { id: rserve-${trees}, uri: 'lb://rserve', predicates: ['Path=/rserve-${trees}/**'], rserve: { call: ${functionOf(trees)} } }`).join('\n')}
  - { id: cold, uri: 'lb://cold', predicates: ['Path=/cold/**'] }
  - { id: warm, uri: 'lb://warm', predicates: ['Path=/warm/**'] }
  - { id: onnx, uri: 'lb://onnx', predicates: ['Path=/onnx/**'], filters: ['StripPrefix=1'], pure: true, batch: { sizeMax: ${BATCH_ROWS} } }
  - { id: nothing, uri: 'lb://nothing', predicates: ['Path=/nothing/**'], filters: ['StripPrefix=1'], grpc: { proto: fuel.proto } }
`;

/** Of the upstream that does nothing: what a model would answer. */
const ANSWERS = {
  predict: '{".pred":[21.5]}',
  prototype: '{"wt":{"type":"numeric","example":2.62,"details":[]},"hp":{"type":"numeric","example":110,"details":[]}}',
};
const ROWS = JSON.stringify([CAR]);
const oneRow = wrk('fuel.lua');
/** `CALL_ROWS` in each. */
const someRows = wrk('rows.lua');

/** Calls a route by HTTP/1.1 for a turn. */
function load(
  run: Load,
  { address, effort: { seconds } }: Measured,
  traits: { readonly prefix: string; readonly connections: number },
) {
  const { prefix, connections } = traits;
  return run({
    ...{ front: { addresses: [address], prefix, process: undefined }, path: '/predict', connections },
    ...{ seconds, isClosedByCallers: false, tokenOf: () => 'none', seed: 1, core: undefined, instances: [] },
  });
}

function warmUp(run: Load, opened: Measured, traits: Parameters<typeof load>[2]) {
  return load(run, { ...opened, effort: { ...opened.effort, seconds: WARM_SECONDS } }, traits);
}

function measureRserve(trees: number) {
  return async (opened: Measured): Promise<DoorRow> => {
    const bare = opened.bare.get(trees);
    if (bare === undefined) throw new Error(`no function of ${trees} trees`);
    const [own, other]: [number[], number[]] = [[], []];
    const caller = { prefix: `/rserve-${trees}`, connections: 1 };
    await warmUp(oneRow, opened, caller);
    for (let round = 0; round < opened.effort.rounds; round++) {
      own.push((await load(oneRow, opened, caller)).p50Ms);
      other.push(await bare.p50Ms(opened.effort.seconds * 1_000));
    }
    const what = `Rserve, one caller, a forest of ${trees.toLocaleString('en')} trees: p50`;
    return rowOf({ what, unit: 'ms', against: 'a bare QAP1 client', atMost: 1.25 }, own, other);
  };
}

async function measureScripts({ address }: Opened): Promise<DoorRow> {
  const [warm, cold]: [number[], number[]] = [[], []];
  const call = async (route: string) => {
    const beganMs = performance.now();
    const response = await fetch(`http://${address}/${route}/predict`, { method: 'POST', body: ROWS });
    const text = await response.text();
    if (!response.ok) throw new Error(`${route}: ${text}`);
    return performance.now() - beganMs;
  };
  for (let i = 0; i < SCRIPT_CALLS; i++) {
    cold.push(await call('cold')); // meanwhile the next warm one starts
    warm.push(await call('warm'));
  }
  const what = 'Rscript, one caller, an interpreter started before: p50';
  return rowOf({ what, unit: 'ms', against: 'started for the call', atMost: 1 }, warm, cold);
}

async function measureOnnx(opened: Measured): Promise<DoorRow> {
  const [own, other]: [number[], number[]] = [[], []];
  const { runtime, model, effort } = opened;
  const alone = [
    join(ROOT, 'bench', 'doors', 'onnx-alone.mjs'),
    runtime,
    model,
    String(BATCH_ROWS),
    String(effort.seconds),
  ];
  await warmUp(someRows, opened, { prefix: '/onnx', connections: CALLERS }); // it is proven and compiled meanwhile
  for (let round = 0; round < opened.effort.rounds; round++) {
    const { requests, refused, durationMs } = await load(someRows, opened, { prefix: '/onnx', connections: CALLERS });
    own.push(((requests - refused) * CALL_ROWS * 1_000) / durationMs);
    other.push(Number((await promisify(execFile)(process.execPath, alone)).stdout));
  }
  const what = `ONNX, ${CALLERS} callers, ${CALL_ROWS} rows a call, batched: rows a second`;
  const against = `onnxruntime alone, ${BATCH_ROWS} rows at once`;
  return rowOf({ what, unit: 'rows a second', against, atLeast: 0.8 }, own, other);
}

async function measureJobs(opened: Measured): Promise<DoorRow> {
  const [own, other]: [number[], number[]] = [[], []];
  const { address, effort } = opened;
  const rate = await jobRate(`http://${address}`, 'onnx', JOB_ROWS);
  for (let round = 0; round < effort.rounds; round++) {
    own.push(await jobRate(`http://${address}`, 'onnx', Math.ceil(rate * effort.seconds)));
    const { requests, refused, durationMs } = await load(someRows, opened, { prefix: '/onnx', connections: CALLERS });
    other.push(((requests - refused) * CALL_ROWS * 1_000) / durationMs);
  }
  const against = `${CALLERS} callers, ${CALL_ROWS} rows a call, batched`;
  const what = `A job of CSV, ${BATCH_ROWS} rows a call: rows a second`;
  return rowOf({ what, unit: 'rows a second', against, atLeast: 0.9 }, own, other);
}

/** A method of gRPC beside the same as REST, which is what R is sent for it. */
/** One who waits for an answer may wait for one call of a job, and for no more. */
async function measureCallerBesideJob(opened: Measured): Promise<DoorRow> {
  const [own, other]: [number[], number[]] = [[], []];
  const { address, effort } = opened;
  const jobUrl = `http://${address}`;
  const caller = { prefix: '/onnx', connections: 1 };
  for (let round = 0; round < effort.rounds; round++) {
    const rate = await jobRate(jobUrl, 'onnx', JOB_ROWS);
    const alone = await load(oneRow, opened, caller);
    const rows = Math.ceil(2 * rate * effort.seconds); // more than it comes to meanwhile
    const [beside] = await Promise.all([load(oneRow, opened, caller), jobRate(jobUrl, 'onnx', rows)]);
    own.push(beside.p50Ms);
    other.push(alone.p50Ms + (BATCH_ROWS * 1_000) / rate);
  }
  const against = 'without the job, and one of its calls more';
  const what = `One caller beside a job of ${BATCH_ROWS} rows a call: p50`;
  return rowOf({ what, unit: 'ms', against, atMost: 1.1 }, own, other);
}

function measureGrpc(what: string, path: string, message: Buffer) {
  return async (opened: Measured): Promise<DoorRow> => {
    const { place, address } = opened;
    const rest = ['-d', place.write('rest.body', ROWS), '-H', 'content-type: application/json'];
    const file = place.write('grpc.body', '');
    writeFileSync(file, message);
    const asRest = [...rest, `http://${address}/nothing/predict`];
    const asGrpc = [
      '-d',
      file,
      '-H',
      'content-type: application/grpc',
      '-H',
      'te: trailers',
      `http://${address}${path}`,
    ];
    await seePrediction(address, path, message);
    for (const args of [asRest, asGrpc]) await cpuUsACall(opened, args, WARM_CALLS);
    const [own, other]: [number[], number[]] = [[], []];
    for (let round = 0; round < opened.effort.rounds; round++) {
      own.push(await cpuUsACall(opened, asGrpc, TURN_CALLS));
      other.push(await cpuUsACall(opened, asRest, TURN_CALLS));
    }
    const row = {
      what,
      unit: 'µs of CPU a call',
      against: 'the same as REST, over HTTP/2 as well',
      atMost: 1.3,
    } as const;
    return rowOf(row, own, other);
  };
}

/** A refusal of gRPC's is a 200 to h2load. */
async function seePrediction(address: string, path: string, message: Buffer): Promise<void> {
  const session = connect(`http://${address}`);
  const { head, trailers } = await callRaw(session, message, { ':path': path });
  session.destroy();
  if (trailers['grpc-status'] !== '0') throw new Error(`${path}: ${JSON.stringify({ ...head, ...trailers })}`);
}

/** The gateway's own processor time for a call by h2load. */
async function cpuUsACall({ pid }: Opened, args: readonly string[], calls: number): Promise<number> {
  const before = cpuTimeOf(pid)?.totalUs ?? NaN;
  const some = ['-n', String(calls), '-c', '8', '-m', '8'];
  const { stdout } = await promisify(execFile)(await ensureServer('h2load'), [...some, ...args]);
  if (!stdout.includes(`${calls} 2xx`)) throw new Error(`h2load:\n${stdout}`);
  return ((cpuTimeOf(pid)?.totalUs ?? NaN) - before) / calls;
}

function rowOf(row: Omit<DoorRow, 'own' | 'other' | 'ratio'>, owns: number[], others: number[]): DoorRow {
  const [own, other] = [median(owns), median(others)];
  return { ...row, own, other, ratio: own / other };
}
