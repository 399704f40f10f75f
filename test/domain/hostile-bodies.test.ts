import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Complete } from '../../gateway/domain/call.ts';
import { GatewayError } from '../../gateway/domain/errors.ts';
import { OwnRpc } from '../../gateway/domain/grpc/own-rpc.ts';
import { connectSpeech } from '../../gateway/domain/grpc/speech.ts';
import { readInfer, writeInferAnswer } from '../../gateway/domain/inference/rest-form.ts';
import { rowsOfTensors } from '../../gateway/domain/inference/rows.ts';
import { INFERENCE_FILE, INFERENCE_SERVICE, RpcForm, rpcTargetOf } from '../../gateway/domain/inference/rpc-form.ts';
import { jsonOfCsv } from '../../gateway/domain/table/csv-rows.ts';
import type { Column } from '../../gateway/domain/validation/prototype.ts';
import { readOwnProto } from '../../gateway/edges/protobufjs-own.ts';

/** As the library has it. */
interface Message {
  readonly $type: { encode(message: object): { finish(): Uint8Array } };
}

const BYTES_MAX = 20_000;
const MUTATIONS = 1_000;
const columns: Column[] = ['a', 'b'].map((name, i) => ({
  name,
  type: i === 0 ? 'numeric' : '',
  example: 1,
  levels: [],
}));
const bounds = { columns, form: 'array', rowsMax: 100, bytesMax: BYTES_MAX } as const;

/** Marsaglia's xorshift: the same numbers each time. */
function createDraw(seed: number): (below: number) => number {
  let state = seed;
  return below => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const TOKENS = [
  '"',
  '""',
  ',',
  '\r\n',
  '\r',
  '\0',
  '{',
  '[',
  ']',
  '}',
  ':',
  '-1',
  '1e999',
  'null',
  '\ufeff',
  '\\ud800',
  '__proto__',
  '9007199254740993',
];

/** Bytes cut out, doubled, changed, or replaced by what has a meaning. */
function mutated(original: Buffer, draw: (below: number) => number): Buffer {
  let bytes = original;
  for (let times = 1 + draw(4); times > 0; times--) {
    const [at, length] = [draw(bytes.length + 1), draw(12)];
    const [before, cut, after] = [bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at + length)];
    const put = [
      () => Buffer.alloc(0),
      () => Buffer.concat([cut, cut]),
      () => Buffer.from(cut.map(byte => byte ^ (1 << draw(8)))),
      () => Buffer.from(TOKENS[draw(TOKENS.length)] ?? ''),
    ][draw(4)];
    bytes = Buffer.concat([before, put?.() ?? cut, after]);
  }
  return bytes;
}

/** Each mutation is taken as sound JSON within its bound, or refused by the caller's fault. */
function survive(original: Buffer, take: (body: Buffer) => Buffer): void {
  const draw = createDraw(0x2545f491);
  let taken = 0;
  let refused = 0;
  for (let i = 0; i < MUTATIONS; i++) {
    const body = mutated(original, draw);
    try {
      const json = take(body);
      assert.ok(Array.isArray(JSON.parse(json.toString())) && json.length <= BYTES_MAX);
      taken += 1;
    } catch (error) {
      const isRefusal = error instanceof GatewayError && error.fault === 'caller' && error.detail.length < 4_000;
      assert.ok(isRefusal, `${JSON.stringify(body.toString('latin1'))}: ${String(error)}`);
      refused += 1;
    }
  }
  assert.ok(taken > 20 && refused > 20, `${taken} taken, ${refused} refused`);
}

test('a thousand mutations of CSV are each taken as JSON or refused', () => {
  survive(Buffer.from('\ufeffa,b\r\n1.5,"x ""y"", z"\r\n,NA\r\n-2e3,"two\r\nlines"\r\n'), body =>
    jsonOfCsv(body, bounds),
  );
});

const infer = Buffer.from(
  JSON.stringify({
    ...{ id: 'x', parameters: { k: true } },
    inputs: [
      { name: 'a', shape: [2, 1], datatype: 'FP64', data: [[1.5], [null]] },
      { name: 'b', shape: [2], datatype: 'BYTES', data: ['x', 'y'] },
    ],
    outputs: [{ name: '.pred', parameters: { binary_data: true } }],
  }),
);

test('a thousand mutations of an inference request are each taken as JSON or refused', () => {
  survive(infer, body => {
    const request = readInfer(body, undefined);
    writeInferAnswer({ model: 'm', version: undefined, tensors: [] }, request);
    return rowsOfTensors(request.inputs, bounds);
  });
});

test('a thousand mutations of a message of gRPC are each taken as JSON or refused', () => {
  const path = `/${INFERENCE_SERVICE}/ModelInfer`;
  const messages = readOwnProto(INFERENCE_FILE, INFERENCE_SERVICE).methods.get(path);
  assert.ok(messages !== undefined);
  const said = {
    ...{ modelName: 'm', id: 'x', parameters: { k: { boolParam: true } } },
    inputs: [
      { name: 'a', shape: [2, 1], datatype: 'FP64', contents: { fp64Contents: [1.5, 'NaN'] } },
      { name: 'b', shape: [2], datatype: 'BYTES', contents: { bytesContents: ['eA==', 'eQ=='] } },
    ],
    outputs: [{ name: '.pred' }],
  };
  const message = messages.read(Buffer.from(JSON.stringify(said)), 'json') as Message;
  const call = { method: 'POST', path, route: { policy: { bodyBytesMax: BYTES_MAX } } } as unknown as Complete;
  const via = null;

  survive(Buffer.from(message.$type.encode(message).finish()), body => {
    const rpc = new OwnRpc(call, connectSpeech('proto'), { path, messages, bounds: () => assert.fail() });
    rpc.understand(body);
    assert.equal(rpcTargetOf(rpc)?.kind, 'infer');
    const form = new RpcForm(rpc);
    const request = form.read(call);
    form.answered({ status: 200, fields: [], body, via }, { model: 'm', version: undefined, tensors: [] }, request);
    return rowsOfTensors(request.inputs, bounds);
  });
});

test('a thousand mutations of raw tensors are each taken as JSON or refused', () => {
  const inputs = [
    { name: 'a', shape: [1], datatype: 'FP64', parameters: { binary_data_size: 8 } },
    { name: 'b', shape: [1], datatype: 'BYTES', parameters: { binary_data_size: 6 } },
  ];
  const header = Buffer.from(JSON.stringify({ inputs }));
  const raw = Buffer.from('000000000000f83f020000006162', 'hex');

  survive(raw, mutation => {
    const { inputs: tensors } = readInfer(Buffer.concat([header, mutation]), header.length);
    return rowsOfTensors(tensors, bounds);
  });
});
