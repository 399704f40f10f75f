import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { answerOf, answerPlanOf, withoutZipMaps } from '../../../gateway/domain/onnx/answer.ts';
import { parseExact } from '../../../gateway/domain/onnx/cells.ts';
import { planOf } from '../../../gateway/domain/onnx/columns.ts';
import { readOnnxModel, type OnnxModel } from '../../../gateway/domain/onnx/model-file.ts';
import { feedsOf } from '../../../gateway/domain/onnx/rows.ts';
import { anOnnxFile, type GraphInput } from '../../support/onnx/file.ts';

const NAMES = ['fuel', 'chicks', 'forest', 'gear', 'types', 'pick', 'endless'];
const bytesOf = (name: string) => readFileSync(new URL(`../../support/onnx/${name}.onnx`, import.meta.url));

function modelOf(bytes: Uint8Array): OnnxModel {
  const model = readOnnxModel(bytes);
  assert.ok(!('flaw' in model), JSON.stringify(model));
  return model;
}

function flawOf(...inputs: readonly GraphInput[]): string {
  const plan = planOf(modelOf(anOnnxFile({ inputs })));
  return 'flaw' in plan ? plan.flaw : '';
}

function columnsOf(inputs: readonly GraphInput[], metadata: Readonly<Record<string, string>> = {}): string[] {
  const plan = planOf(modelOf(anOnnxFile({ inputs, metadata })));
  assert.ok(!('flaw' in plan), JSON.stringify(plan));
  return plan.columns.map(({ name }) => name);
}

const [FLOAT, COMPLEX] = [1, 14];

describe('the columns of an ONNX model', () => {
  test('are its inputs, the columns of its matrices by number or by `feature_names`, and its arrays', () => {
    const inputs = [
      { name: 'age', type: FLOAT, dims: [0, 1] },
      { name: 'x', type: FLOAT, dims: [0, 3] },
      { name: 'image', type: FLOAT, dims: [0, 8, 8] },
    ];

    assert.deepEqual(columnsOf(inputs), ['age', 'x1', 'x2', 'x3', 'image']);
    assert.deepEqual(columnsOf(inputs, { feature_names: '["a","b","c"]' }), ['age', 'a', 'b', 'c', 'image']);
    assert.deepEqual(columnsOf(inputs, { feature_names: 'a, b, c' }), ['age', 'a', 'b', 'c', 'image']);
  });

  for (const [what, inputs, flaw] of [
    ['nothing that varies', [], 'takes no input'],
    ['a scalar', [{ name: 'n', type: FLOAT, dims: [] }], /one value for all rows as its input `n`/],
    ['eight rows at once', [{ name: 'x', type: FLOAT, dims: [8, 2] }], /takes 8 rows as its input `x`/],
    ['complex numbers', [{ name: 'z', type: COMPLEX, dims: [0] }], /type complex64 as its input `z`/],
    ['a type that is none', [{ name: 'z', type: 99, dims: [0] }], /type unknown as its input `z`/],
    ['no shape', [{ name: 'x', type: FLOAT, dims: undefined }], /which shape its input `x` has/],
    ['a sequence', [{ name: 's', type: FLOAT, dims: [0], isSequence: true }], /takes a sequence as its input `s`/],
    [
      'two columns of one name',
      [
        { name: 'x', type: FLOAT, dims: [0] },
        { name: 'x', type: FLOAT, dims: [0] },
      ],
      /two columns `x`/,
    ],
  ] as const) {
    test(`are none where it takes ${what}`, () => {
      const said = flawOf(...inputs);
      if (typeof flaw === 'string') assert.equal(said, flaw);
      else assert.match(said, flaw);
    });
  }

  test('are none where `feature_names` are of another number', () => {
    const file = anOnnxFile({ inputs: [{ name: 'x', type: FLOAT, dims: [0, 3] }], metadata: { feature_names: 'a,b' } });
    assert.deepEqual(planOf(modelOf(file)), { flaw: 'has 2 `feature_names` for 3 columns of matrices' });
  });
});

describe('an ONNX file', () => {
  test('that is none is told from one', () => {
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from('model <- lm()'),
      Buffer.from('PK\u0003\u0004'),
      Buffer.alloc(1_000),
    ]) {
      const model = readOnnxModel(bytes);
      assert.ok('flaw' in model && model.flaw.startsWith('is no ONNX file'), bytes.toString());
    }
  });

  test('is read in linear time, and never worse than with a flaw, whatever becomes of its bytes', () => {
    let state = 7;
    const below = (limit: number) => (state = (state * 48_271) % 2_147_483_647) % limit;
    const endsMs = performance.now() + 20_000;
    for (const name of NAMES) {
      const whole = bytesOf(name);
      for (let i = 0; i < 150; i++) {
        const bytes = Buffer.from(whole.subarray(0, below(4) === 0 ? below(whole.length) : whole.length));
        for (let n = below(8); n >= 0 && bytes.length > 0; n--) bytes[below(bytes.length)] = below(256);
        const model = readOnnxModel(bytes);
        if ('flaw' in model) continue;
        const plan = planOf(model);
        if (!('flaw' in plan)) feedsOf([{}], plan);
        answerPlanOf(model);
        withoutZipMaps(bytes, model);
      }
    }
    assert.ok(performance.now() < endsMs);
  });

  test('of a classifier loses its maps of probabilities, and nothing else', () => {
    const bytes = bytesOf('gear');
    const before = modelOf(bytes);

    const after = modelOf(withoutZipMaps(bytes, before));

    assert.deepEqual(after.zipMaps, []);
    assert.deepEqual(
      after.outputs.map(({ name, kind }) => [name, kind]),
      [
        ['output_label', 'tensor'],
        ['probability_tensor', 'tensor'],
      ],
    );
    assert.deepEqual(after.inputs, before.inputs);
    assert.equal(withoutZipMaps(bytesOf('fuel'), modelOf(bytesOf('fuel'))).length, bytesOf('fuel').length);
  });
});

describe('rows for an ONNX model', () => {
  test('keep whole numbers that a double cannot hold', () => {
    const plan = planOf(modelOf(bytesOf('pick')));
    assert.ok(!('flaw' in plan));
    const body = parseExact('[{"at": -9223372036854775808}, {"at": "9007199254740993"}, {"at": 5}]', true);

    const fed = feedsOf(body?.value, plan);

    assert.ok('feeds' in fed);
    assert.deepEqual([...(fed.feeds[0]?.data ?? [])], [-(2n ** 63n), 2n ** 53n + 1n, 5n]);
    assert.ok('errors' in feedsOf([{ at: 2n ** 63n }], plan));
  });

  test('may be records or columns, and their mistakes are placed', () => {
    const plan = planOf(modelOf(bytesOf('fuel')));
    assert.ok(!('flaw' in plan));
    const pointers = (body: unknown) => {
      const fed = feedsOf(body, plan);
      return 'errors' in fed ? fed.errors.map(({ pointer }) => pointer) : [...(fed.feeds[0]?.data ?? [])];
    };

    assert.deepEqual(
      pointers([
        { wt: 1, hp: '2' },
        { hp: 'NA', wt: null },
      ]),
      [1, 2, NaN, NaN],
    );
    assert.deepEqual(pointers({ wt: [1, 3], hp: [2, 4] }), [1, 2, 3, 4]);
    assert.deepEqual(pointers({ wt: 1, hp: 2 }), [1, 2]);
    assert.deepEqual(pointers([]), []);
    assert.deepEqual(pointers([{ wt: 1, hp: 2 }, { wt: true }]), ['/1/wt', '/1/hp']);
    assert.deepEqual(pointers([{ wt: 1, hp: 2 }, 3]), ['/1']);
    assert.deepEqual(pointers({ wt: [1, 2], hp: [1] }), ['/hp']);
    assert.deepEqual(pointers('rows'), ['']);
  });
});

describe('the answer of an ONNX model', () => {
  const output = (name: string, data: number[], dims: number[]) => ({
    name,
    data: Float64Array.from(data),
    dims,
    isBoolean: false,
  });

  test('is `.pred` of one value a row, and records of several', () => {
    const one = { outputs: ['y'], classes: undefined };
    const two = { outputs: ['y', 'z'], classes: undefined };

    assert.equal(answerOf([output('y', [1, -0], [2, 1])], 2, one), '{".pred":[1,-0]}');
    assert.equal(answerOf([output('y', [NaN, Infinity], [2])], 2, one), '{".pred":["NaN","Inf"]}');
    assert.equal(answerOf([output('y', [7], [])], 1, one), '{".pred":7}');
    assert.equal(answerOf([output('y', [1, 2], [1, 2])], 1, one), '[{".pred_1":1,".pred_2":2}]');
    assert.equal(answerOf([output('y', [1, 2, 3, 4], [1, 2, 2])], 1, one), '{".pred":[[[1,2],[3,4]]]}');
    assert.equal(
      answerOf([output('y', [1], [1]), output('z', [2, 3], [1, 2])], 1, two),
      '[{".pred_y":1,".pred_z_1":2,".pred_z_2":3}]',
    );
  });

  test('is none where it has not a value for each row', () => {
    assert.equal(answerOf([output('y', [1, 2, 3], [3])], 2, { outputs: ['y'], classes: undefined }), undefined);
  });
});
