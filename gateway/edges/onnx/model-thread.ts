import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parentPort } from 'node:worker_threads';
import { answerOf, answerPlanOf, type AnswerPlan, type Output, withoutZipMaps } from '../../domain/onnx/answer.ts';
import { parseExact, type Cells } from '../../domain/onnx/cells.ts';
import { planOf, prototypeOf, type OnnxPlan } from '../../domain/onnx/columns.ts';
import { readOnnxModel, type OnnxModel } from '../../domain/onnx/model-file.ts';
import { feedsOf, type Feed } from '../../domain/onnx/rows.ts';
import { GatewayError } from '../../domain/errors.ts';
import { invalidInput } from '../../domain/validation/findings.ts';
import { sha256 } from '../digest.ts';
import { KIND, VERSION_CHARS, type Loaded, type Refusal, type Wanted } from './frames.ts';
import type { ThreadMessage } from './model-main.ts';

// The thread that a model runs in: rows of JSON in, JSON out, one call after the other.

/** What is used of onnxruntime-node, which need not be installed. */
interface Runtime {
  readonly InferenceSession: { create(model: string | Uint8Array, options: unknown): Promise<Session> };
  readonly Tensor: new (type: string, data: Cells, dims: readonly number[]) => unknown;
}

interface Session {
  run(feeds: Readonly<Record<string, unknown>>, outputs: readonly string[]): Promise<Readonly<Record<string, Given>>>;
}

interface Given {
  readonly type: string;
  readonly data: Cells;
  readonly dims: readonly number[];
}

// onnxruntime's own code takes halves of floats as Uint16Array, and its JavaScript only where there is nothing better.
const Halves = Float16Array;
Reflect.deleteProperty(globalThis, 'Float16Array');

/** A model uses one processor: `instances` says how many. */
const OPTIONS = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 };

interface Running {
  readonly runtime: Runtime;
  readonly session: Session;
  readonly plan: OnnxPlan;
  readonly answers: AnswerPlan;
  /** Some column holds whole numbers that a double cannot hold. */
  readonly isWide: boolean;
}

let running: Running | undefined;

parentPort?.on('message', ({ kind, payload }: ThreadMessage) => {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (kind === KIND.open) void open(JSON.parse(bytes.toString('utf8')) as Wanted);
  else if (kind === KIND.call) void call(bytes.readUInt32LE(), bytes.subarray(4));
});

function say(kind: number, text: string): void {
  const message: ThreadMessage = { kind, payload: Buffer.from(text) };
  parentPort?.postMessage(message);
}

async function open({ file, runtime: path }: Wanted): Promise<void> {
  try {
    const bytes = readFileSync(file);
    const model = readOnnxModel(bytes);
    if ('flaw' in model) {
      say(KIND.unfit, `${file} ${model.flaw}`);
      return;
    }
    const plan = planOf(model);
    if ('flaw' in plan) {
      say(KIND.unfit, `${file} ${plan.flaw}`);
      return;
    }
    const runtime = createRequire(import.meta.url)(path) as Runtime;
    // Weights that lie beside it are found by its path.
    const session = await runtime.InferenceSession.create(
      model.hasExternalData ? file : withoutZipMaps(bytes, model),
      OPTIONS,
    );
    const isWide = plan.columns.some(({ type }) => type === 'int64' || type === 'uint64');
    running = { runtime, session, plan, answers: answerPlanOf(model), isWide };
    say(KIND.ready, JSON.stringify(loadedOf(sha256(bytes).slice(0, VERSION_CHARS), model, plan)));
  } catch (error) {
    say(KIND.unfit, `${file}: ${messageOf(error)}`);
  }
}

function loadedOf(version: string, model: OnnxModel, plan: OnnxPlan): Loaded {
  const { graph, producer, inputs, outputs } = model;
  return {
    ...{ version, model: graph === '' ? null : graph, prototype: prototypeOf(plan) },
    metadata: JSON.stringify({ version, model: graph, producer, inputs: shapesOf(inputs), outputs: shapesOf(outputs) }),
  };
}

function shapesOf(values: OnnxModel['inputs']) {
  return values.map(({ name, kind, type, dims }) => ({
    name,
    type: type ?? kind,
    dims: dims?.map(dim => dim ?? null),
  }));
}

async function call(bytesMax: number, body: Buffer): Promise<void> {
  try {
    if (running === undefined) throw new Error('no model is loaded');
    const answer = await answerTo(body, running);
    if (Buffer.byteLength(answer) > bytesMax) throw tooLarge(bytesMax);
    say(KIND.answer, answer);
  } catch (error) {
    if (!(error instanceof GatewayError)) {
      say(KIND.failed, messageOf(error));
      return;
    }
    const { code, detail, errors } = error;
    const refusal: Refusal = { code, detail, errors };
    say(KIND.refused, JSON.stringify(refusal));
  }
}

async function answerTo(body: Buffer, { runtime, session, plan, answers, isWide }: Running): Promise<string> {
  const written = isUtf8(body) ? parseExact(body.toString('utf8'), isWide) : undefined;
  if (written === undefined) throw notJson();
  const fed = feedsOf(written.value, plan);
  if ('errors' in fed) throw invalidInput(fed.errors);
  if (fed.rows === 0) return answers.outputs.length === 1 ? '{".pred":[]}' : '[]';
  const run = async (feeds: readonly Feed[]): Promise<Output[]> => {
    const tensors = feeds.map(
      ({ name, type, data, dims }) => [name, new runtime.Tensor(type, toRuntime(data), dims)] as const,
    );
    const given = await session.run(Object.fromEntries(tensors), answers.outputs);
    return answers.outputs.map(name => outputOf(name, given[name]));
  };
  const outputs = plan.isOneRow && fed.rows > 1 ? await rowByRow(fed, run) : await run(fed.feeds);
  const answer = answerOf(outputs, fed.rows, answers);
  if (answer !== undefined) return answer;
  const shapes = outputs.map(({ name, dims }) => `\`${name}\` of ${dims.join(' by ')}`);
  throw new Error(`it gave ${shapes.join(', ')} for ${fed.rows} rows`);
}

function outputOf(name: string, given: Given | undefined): Output {
  if (given === undefined) throw new Error(`it gave no \`${name}\``);
  return { name, data: fromRuntime(given), dims: given.dims, isBoolean: given.type === 'bool' };
}

function toRuntime(data: Cells): Cells {
  return data instanceof Halves ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data;
}

function fromRuntime({ type, data }: Given): Cells {
  if (type !== 'float16' || !(data instanceof Uint16Array)) return data;
  return new Halves(data.buffer, data.byteOffset, data.length);
}

type Fed = Extract<ReturnType<typeof feedsOf>, { rows: number }>;

/** A model that takes one row is asked for each. */
async function rowByRow({ rows, feeds }: Fed, run: (feeds: readonly Feed[]) => Promise<Output[]>): Promise<Output[]> {
  const each: Output[][] = [];
  for (let row = 0; row < rows; row++) each.push(await run(feeds.map(feed => rowOf(feed, row))));
  return (each[0] ?? []).map((first, i) => {
    const parts = each.map(outputs => outputs[i] ?? first);
    if (parts.some(({ dims }) => dims.join() !== first.dims.join()))
      throw new Error(`\`${first.name}\` differs in shape`);
    const values = parts.flatMap(({ data }) => Array.from<string | number | bigint>(data));
    const [, ...dims] = first.dims;
    return { ...first, data: values as unknown as Cells, dims: [rows, ...dims] };
  });
}

function rowOf({ data, dims: [rows = 1, ...dims], ...feed }: Feed, row: number): Feed {
  const width = data.length / rows;
  return { ...feed, data: data.slice(row * width, (row + 1) * width), dims: [1, ...dims] };
}

function notJson(): GatewayError {
  const detail = 'The body is not JSON.';
  return new GatewayError('BAD_REQUEST', detail, { detail });
}

function tooLarge(bytesMax: number): GatewayError {
  const detail = `The model answered with more than the ${bytesMax} bytes that this route takes.`;
  return new GatewayError('MODEL_FAILED', detail, { detail });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
