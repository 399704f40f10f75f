import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { protoText } from '../../../gateway/domain/grpc/proto-text.ts';
import { readProto } from '../../../gateway/edges/protobufjs.ts';

const column = (name: string, type: string, more: object = {}) => ({
  name,
  type,
  example: undefined,
  levels: [],
  ...more,
});

const COLUMNS = [
  ...[
    column('wt', 'numeric'),
    column('Sepal.Length', 'numeric'),
    column('n_cyl', 'integer'),
    column('is on', 'logical'),
  ],
  ...[column('"q"\\', 'character'), column('über', 'Date'), column('1st', '', { example: 3 }), column('wT', 'numeric')],
  column('kind', 'factor', { levels: ['a\n', 'b'] }),
];

/** The method of a text, which must be one. */
function methodOf(answer: unknown) {
  const text = protoText({ service: 'fuel-2', columns: COLUMNS, answer });
  const service = readProto(
    { name: 'made.proto', read: name => (name === 'made.proto' ? text : undefined) },
    'fuel_2.v1.Fuel2',
  );
  if ('problem' in service) throw new Error(`${service.problem}\n${text}`);
  return service.methods.get('Predict') ?? assert.fail();
}

describe('a .proto that is made', () => {
  test('has each column under its own name in JSON, and rows as the body', () => {
    const { request, rules } = methodOf(undefined);
    const row = {
      wt: 1.5,
      'Sepal.Length': 2,
      n_cyl: 3,
      'is on': true,
      '"q"\\': 'x',
      über: '2026-01-02',
      '1st': 4,
      wT: 5,
      kind: 'b',
    };

    assert.deepEqual(request.fromJson({ rows: [row, {}] }), { rows: [row, {}] });
    assert.deepEqual(
      [rules[0]?.method, rules[0]?.path.text, rules[0]?.body],
      ['POST', '/predict', { field: 'rows', names: ['rows'] }],
    );
  });

  test('returns what the model has answered, or vetiver’s vector', () => {
    const said = (answer: unknown, value: unknown) => {
      const { rules, response } = methodOf(answer);
      const [name] = rules[0]?.responseBody?.names ?? [];
      return response.toJson(name === undefined ? value : { [name]: value });
    };

    assert.deepEqual(said(undefined, { '.pred': [1, 2] }), { '.pred': [1, 2] });
    assert.deepEqual(said({ '.pred': 1, note: ['x'], more: {} }, { '.pred': 1, note: 'y' }), {
      '.pred': [1],
      note: ['y'],
    });
    const records = [{ '.pred_class': 'a', '.pred_a': 0.5 }];
    assert.deepEqual(said(records, records), { predictions: records });
    assert.deepEqual(said([true, false], [true]), { pred: [true] });
    assert.deepEqual(said('no such model', { '.pred': [1] }), { '.pred': [1] });
  });
});
