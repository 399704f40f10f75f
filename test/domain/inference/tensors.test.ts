import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '../../../gateway/domain/errors.ts';
import { inferenceTargetOf } from '../../../gateway/domain/inference/inference-target.ts';
import { readRaw, writeRaw } from '../../../gateway/domain/inference/raw-tensor.ts';
import { readInfer } from '../../../gateway/domain/inference/rest-form.ts';
import { chooseOutputs, rowsOfTensors, tensorsOfAnswer } from '../../../gateway/domain/inference/rows.ts';
import { inputsOf, type Datatype, type Element, type Tensor } from '../../../gateway/domain/inference/tensor.ts';
import type { Column } from '../../../gateway/domain/validation/prototype.ts';

const columnsOf = (...names: string[]): Column[] =>
  names.map(name => ({ name, type: 'numeric', example: 1, levels: [] }));

// eslint-disable-next-line max-params -- as short as the tensors are many
const tensor = (name: string, shape: number[], elements: Element[], datatype: Datatype = 'FP64'): Tensor => ({
  ...{ name, shape, elements, datatype },
});

interface Traits {
  readonly columns?: readonly Column[];
  readonly form?: 'array' | 'columns';
  readonly rowsMax?: number;
  readonly bytesMax?: number;
}

function rowsOf(inputs: readonly Tensor[], traits: Traits = {}): string {
  const { columns = columnsOf('a', 'b'), form = 'array', rowsMax = 10, bytesMax = 1_000 } = traits;
  return rowsOfTensors(inputs, { columns, form, rowsMax, bytesMax }).toString();
}

const A = tensor('a', [2], [1, null]);
const B = tensor('b', [2, 1], ['x', true]);

test('a column of whole numbers of 64 bits, as ONNX models have them, is INT64', () => {
  const column: Column = { name: 'id', type: 'integer64', example: 1, levels: [] };
  assert.deepEqual(inputsOf([column]), [{ name: 'id', datatype: 'INT64', shape: [-1] }]);
});

describe('tensors as rows', () => {
  test('are columns by name, or one matrix, as the model publishes its columns', () => {
    assert.equal(rowsOf([B, A]), '[{"a":1,"b":"x"},{"a":null,"b":true}]');
    assert.equal(rowsOf([A, B], { form: 'columns' }), '{"a":[1,null],"b":["x",true]}');
    assert.equal(rowsOf([tensor('m', [2, 2], [1, 2, Infinity, -Infinity])]), '[{"a":1,"b":2},{"a":"Inf","b":"-Inf"}]');
    assert.equal(rowsOf([tensor('m', [2, 1], [1, 2])], { columns: columnsOf('a') }), '[{"a":1},{"a":2}]');
    assert.equal(rowsOf([tensor('a', [1], [1])], { columns: columnsOf('a') }), '[{"a":1}]');
  });

  test('are refused where they are not the model’s', () => {
    const cases: readonly (readonly [readonly Tensor[], RegExp, Traits?])[] = [
      [[A], /`b` is missing/],
      [[A, A], /`a` comes twice/],
      [[A, tensor('c', [2], [1, 2])], /`c` is no input of the model, which takes a, b/],
      [[A, tensor('b', [1], [1])], /`b` has not as many rows/],
      [[A, tensor('b', [1, 2], [1, 2])], /`b`: a column has the shape/],
      [[A, tensor('b', [2], [1])], /`b`: its shape has 2 elements, and 1 came/],
      [[A, tensor('b', [-2], [1])], /shape must be of whole numbers/],
      [[tensor('m', [1, 3], [1, 2, 3])], /a matrix of 3 columns, and the model has 2: a, b/],
      [[tensor('a', [0], []), tensor('b', [0], [])], /no rows/],
      [[], /`a` is missing/],
      [[A, B], /more than 1 rows/, { rowsMax: 1 }],
      [[A, B], /larger/, { bytesMax: 20 }],
      [[tensor('m', Array<number>(9).fill(1), [1])], /more than 8 dimensions/],
    ];

    for (const [inputs, words, traits] of cases) {
      assert.throws(
        () => rowsOf(inputs, traits),
        (error: unknown) => error instanceof GatewayError && words.test(error.detail),
        String(words),
      );
    }
  });
});

describe('an answer as tensors', () => {
  test('has one a column, of the datatype of its values', () => {
    assert.deepEqual(
      tensorsOfAnswer('{"n":[1,"NA",null],"t":["a",null,"b"],"l":[true,false,true],"i":["Inf",1,"NaN"]}'),
      [
        tensor('n', [3], [1, null, null]),
        tensor('t', [3], ['a', null, 'b'], 'BYTES'),
        tensor('l', [3], [true, false, true], 'BOOL'),
        tensor('i', [3], [Infinity, 1, null]),
      ],
    );
    assert.deepEqual(tensorsOfAnswer('[1.5,2]'), [tensor('.pred', [2], [1.5, 2])]);
  });

  test('has those that are wanted, in their order', () => {
    const tensors = tensorsOfAnswer('{"a":[1],"b":[2]}');

    assert.deepEqual(chooseOutputs(tensors, [{ name: 'b' }]), [tensor('b', [1], [2])]);
    assert.throws(() => chooseOutputs(tensors, [{ name: 'c' }]), { code: 'INVALID_INPUT' });
    assert.throws(() => tensorsOfAnswer('{"a":[true,null]}'), { code: 'UPSTREAM_FAULT' });
    assert.throws(() => tensorsOfAnswer('"text"'), { code: 'UPSTREAM_FAULT' });
  });
});

describe('the raw form', () => {
  test('is read little-endian for every datatype', () => {
    const cases: readonly (readonly [Datatype, string, Element[]])[] = [
      ['BOOL', '0001', [false, true]],
      ['UINT8', 'ff01', [255, 1]],
      ['INT8', 'ff7f', [-1, 127]],
      ['UINT16', 'ffff', [65_535]],
      ['INT16', '0080', [-32_768]],
      ['UINT32', 'ffffffff', [4_294_967_295]],
      ['INT32', 'feffffff', [-2]],
      ['UINT64', '0000000001000000ffffffffffff1f00', [4_294_967_296, 2 ** 53 - 1]],
      ['INT64', 'ffffffffffffffff010000000000e0ff', [-1, -(2 ** 53 - 1)]],
      ['FP16', '003c00c0007c007e0100', [1, -2, Infinity, null, 2 ** -24]],
      ['FP32', '0000c03f0000c07f', [1.5, null]],
      ['FP64', '000000000000f8bf', [-1.5]],
      ['BYTES', '00000000020000006162', ['', 'ab']],
    ];

    for (const [datatype, hex, elements] of cases) {
      const shape = [elements.length];
      assert.deepEqual(readRaw(Buffer.from(hex, 'hex'), { name: 'x', datatype, shape }), elements, datatype);
    }
  });

  test('is refused where it has not the size of its shape', () => {
    const cases: readonly (readonly [Datatype, string, number[]])[] = [
      ['FP64', '00', [1]],
      ['FP64', '', [2 ** 52]],
      ['BYTES', '05000000aa', [1]],
      ['BYTES', '00000000ff', [1]],
      ['BYTES', '', [2 ** 52]],
      ['BYTES', '01000000ff', [1]],
      ['INT64', '0100000000002000', [1]], // 2^53 + 1, which doubles round
      ['INT64', 'ffffffffffffdfff', [1]],
      ['UINT64', 'ffffffffffffffff', [1]],
    ];

    for (const [datatype, hex, shape] of cases) {
      assert.throws(() => readRaw(Buffer.from(hex, 'hex'), { name: 'x', datatype, shape }), { code: 'INVALID_INPUT' });
    }
  });

  test('is written as it is read', () => {
    for (const each of [
      tensor('n', [3], [1.5, null, Infinity]),
      tensor('t', [2], ['ä', ''], 'BYTES'),
      tensor('l', [2], [true, false], 'BOOL'),
    ]) {
      assert.deepEqual(readRaw(writeRaw(each), each), each.elements);
    }
  });
});

describe('an inference request', () => {
  const read = (value: unknown) => readInfer(Buffer.from(JSON.stringify(value)), undefined);
  const input = (more: object) => ({ inputs: [{ name: 'a', shape: [1], datatype: 'FP64', data: [1], ...more }] });

  test('may have integers of 64 bits, and is refused where R’s doubles would round one', () => {
    const of = (datatype: string, integer: string) =>
      readInfer(
        Buffer.from(`{"inputs":[{"name":"a","shape":[1],"datatype":"${datatype}","data":[${integer}]}]}`),
        undefined,
      );

    for (const datatype of ['INT64', 'UINT64']) {
      assert.deepEqual(of(datatype, '9007199254740991').inputs[0]?.elements, [2 ** 53 - 1]);
      for (const integer of ['9007199254740993', '9223372036854775807', '1e30'])
        assert.throws(() => of(datatype, integer), { code: 'INVALID_INPUT' }, integer);
    }
    assert.deepEqual(of('INT64', '-9007199254740991').inputs[0]?.elements, [1 - 2 ** 53]);
    assert.throws(() => of('INT64', '-9007199254740993'), { detail: /^`a`: .*from 2\^53 on/ });
  });

  test('may nest its data, or not', () => {
    const nested = read(input({ shape: [2, 2], data: [[1, 2], [3, 4]] })); // prettier-ignore
    assert.deepEqual(nested.inputs[0]?.elements, [1, 2, 3, 4]);
    assert.deepEqual(read(input({ data: ['NaN'] })).inputs[0]?.elements, [null]);
  });

  test('is refused with what is wrong in it', () => {
    const cases: readonly (readonly [unknown, RegExp])[] = [
      [[], /must be a JSON object/],
      [{}, /`inputs` must be a list/],
      [{ inputs: [1] }, /`inputs` must be a list of objects/],
      [{ ...input({}), id: 1 }, /`id` must be text/],
      [{ ...input({}), parameters: { a: [] } }, /`parameters` must be an object/],
      [{ ...input({}), outputs: [{}] }, /each of `outputs` must have a `name`/],
      [input({ name: 1 }), /must have a `name`/],
      [input({ shape: 1 }), /must have a `shape`/],
      [input({ shape: [1.5] }), /whole numbers/],
      [input({ datatype: 'FP128' }), /its datatype must be one of BOOL/],
      [input({ data: 1 }), /has no `data`/],
      [input({ data: [1, 2] }), /more elements than its shape/],
      [input({ data: [[[1]]] }), /nested deeper/],
      [input({ data: ['x'] }), /"x" is no FP64/],
      [input({ datatype: 'INT8', data: [128] }), /128 is no INT8/],
      [input({ datatype: 'INT8', data: [1.5] }), /1.5 is no INT8/],
      [input({ datatype: 'BOOL', data: [{}] }), /a list or object is no BOOL/],
      [input({ parameters: { binary_data_size: 8 } }), /has not the bytes/],
    ];

    for (const [value, words] of cases) {
      assert.throws(
        () => read(value),
        (error: unknown) => error instanceof GatewayError && words.test(error.detail),
        JSON.stringify(value),
      );
    }
    assert.throws(() => readInfer(Buffer.from('{"inputs":[]}x'), 13), /no inference request/);
    assert.throws(() => readInfer(Buffer.from('{"inputs":[]}'), 14), /no inference request/);
  });
});

test('what is asked by the protocol is read from the path', () => {
  const cases: Readonly<Record<string, unknown>> = {
    '/v2': { kind: 'server' },
    '/v2/health/ready': { kind: 'ready' },
    '/v2/models/a%20b': { kind: 'metadata', model: 'a b', version: undefined },
    '/v2/models/a/versions/1.0/infer': { kind: 'infer', model: 'a', version: '1.0' },
    '/v2/models/a/ready': { kind: 'model-ready', model: 'a', version: undefined },
    '/v2/models/a/explain': undefined,
    '/v2/models': undefined,
    '/v2x/models/a': undefined,
    '/v1/models/a': undefined,
  };

  for (const [path, target] of Object.entries(cases)) assert.deepEqual(inferenceTargetOf(path, '/v2'), target, path);
});
