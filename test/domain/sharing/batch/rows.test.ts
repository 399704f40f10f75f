import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  firstRowOf,
  concatRows,
  readRows,
  type Rows,
  type RowFormat,
} from '../../../../gateway/domain/sharing/batch/rows.ts';
import { cpuMs } from '../../../support/cpu-time.ts';

const read = (text: string, format: RowFormat = 'array', rowsMax = 64) => readRows(Buffer.from(text), format, rowsMax);
const rowsOf = (text: string, format: RowFormat = 'array'): Rows => {
  const rows = read(text, format);
  assert.ok(rows, text);
  return rows;
};
const shape = (text: string, format: RowFormat = 'array') => read(text, format)?.shape;
const joined = (texts: readonly string[], format: RowFormat = 'array') =>
  concatRows(
    texts.map(text => rowsOf(text, format)),
    format,
  ).toString();

describe('the rows of a call', () => {
  test('stand beside others as they were written', () => {
    const bodies = [
      '[{"wt":2.620,"hp":1e2}]',
      ' [ {"wt":3.0, "hp":110.0} , {"wt":-1.5,"hp":0.1}] ',
      '[{"wt":12345678901234567890,"hp":2.5}]',
    ];

    assert.equal(
      joined(bodies),
      '[{"wt":2.620,"hp":1e2}, {"wt":3.0, "hp":110.0} , {"wt":-1.5,"hp":0.1},{"wt":12345678901234567890,"hp":2.5}]',
    );
    assert.deepEqual(
      bodies.map(body => read(body)?.count),
      [1, 2, 1],
    );
  });

  test('as columns are put end to end, a bare value as a column of one', () => {
    assert.equal(
      joined(['{"x":[1,2],"y":["a","b"]}', '{"x":3,"y":"c"}'], 'columns'),
      '{"x":[1,2,3],"y":["a","b","c"]}',
    );
  });

  test('keep their bytes, whatever the script', () => {
    assert.equal(joined(['[{"n":"Zürich"}]', '[{"n":"東京"}]']), '[{"n":"Zürich"},{"n":"東京"}]');
  });

  test('have a first one', () => {
    const first = (text: string, format: RowFormat) =>
      concatRows([firstRowOf(rowsOf(text, format))], format).toString();

    assert.equal(first('[{"a":"}","b":1},{"a":"","b":2}]', 'array'), '[{"a":"}","b":1}]');
    assert.equal(first('{"a":["x,y","z"],"b":[1,2]}', 'columns'), '{"a":["x,y"],"b":[1]}');
  });
});

// What jsonlite makes of a column was seen by asking it: `parse_json(text, simplifyVector = TRUE)`.
describe('the shape of a call', () => {
  for (const [text, kind] of [
    ['1', 'i'],
    ['-0', 'i'],
    ['2147483647', 'i'],
    ['-2147483647', 'i'],
    ['2147483648', 'd'],
    ['-2147483648', 'd'],
    ['12345678901', 'd'],
    ['-12345678901', 'd'],
    ['1.0', 'd'],
    ['1e0', 'd'],
    ['true', 'l'],
    ['null', 'l'],
    ['"NA"', 'l'],
    ['"\\u004eA"', 'l'],
    ['"NaN"', 'd'],
    ['"Inf"', 'd'],
    ['"-Inf"', 'd'],
    ['"na"', 't'],
    ['""', 't'],
    ['"1"', 't'],
    ['"a text that is longer than any of those that mean something"', 't'],
  ] as const) {
    test(`a column of ${text} is to R ${{ i: 'integer', d: 'double', l: 'logical', t: 'text' }[kind]}`, () => {
      assert.equal(shape(`[{"x":${text}}]`), `"x"${kind}`);
    });
  }

  test('goes by the greatest kind in a column', () => {
    const of = (...values: string[]) => shape(`[${values.map(value => `{"x":${value}}`).join(',')}]`);

    assert.deepEqual(
      [of('null', '1'), of('1', '2.5'), of('true', '"NaN"'), of('"NA"', '"a"'), of('null', '"NA"')],
      ['"x"i', '"x"d', '"x"d', '"x"t', '"x"l'],
    );
    assert.equal(shape('{"x":[null,1],"y":["NA","b"]}', 'columns'), '"x"i"y"t');
  });

  test('goes by the order of the fields', () => {
    assert.notEqual(shape('[{"x":1,"y":2}]'), shape('[{"y":2,"x":1}]'));
  });
});

describe('a body goes alone', () => {
  const alone: Readonly<Record<string, string>> = {
    'that is empty': '',
    'that is no JSON': 'x=1&y=2',
    'that is cut off': '[{"x":1}',
    'with something behind it': '[{"x":1}]x',
    'with a comment, which R would read': '[{"x":1} /* one */]',
    'with a byte order mark': '\ufeff[{"x":1}]',
    'that is one record': '{"x":1}',
    'of numbers': '[1,2]',
    'without rows': '[]',
    'with an empty row': '[{}]',
    'with nested values': '[{"x":[1]}]',
    'with objects in it': '[{"x":{"$date":1}}]',
    'with a field twice': '[{"x":1,"x":2}]',
    'with a field whose name is escaped': '[{"\\u0078":1}]',
    'with a field without a name': '[{"":1}]',
    'with row names': '[{"x":1,"_row":"a"}]',
    'with a name that means something to jsonlite': '[{"$date":1}]',
    'whose rows have different fields': '[{"x":1},{"y":1}]',
    'whose rows have more fields': '[{"x":1},{"x":1,"y":2}]',
    'whose rows have fewer fields': '[{"x":1,"y":2},{"x":1}]',
    'whose rows have their fields in another order': '[{"x":1,"y":2},{"y":2,"x":1}]',
    'with a zero before a number': '[{"x":01}]',
    'with a point and nothing behind it': '[{"x":1.}]',
    'with a power of nothing': '[{"x":1e}]',
    'with a plus': '[{"x":+1}]',
    'with a word that means nothing': '[{"x":nul}]',
    'with a line end in a string': '[{"x":"a\nb"}]',
    'with an escape that is none': '[{"x":"\\q"}]',
    'with a NUL, at which R would stop': '[{"x":"a\\u0000b"}]',
    'with half a pair': '[{"x":"\\ud83d"}]',
    'with a string that does not end': '[{"x":"a',
  };
  for (const [what, text] of Object.entries(alone)) {
    test(what, () => assert.equal(read(text), undefined));
  }

  test('that is not UTF-8', () => {
    assert.equal(readRows(Buffer.from('[{"x":"\xfc"}]', 'latin1'), 'array', 64), undefined);
  });

  test('with more rows than may travel', () => {
    assert.equal(read('[{"x":1},{"x":2},{"x":3}]', 'array', 2), undefined);
    assert.equal(read('{"x":[1,2,3]}', 'columns', 2), undefined);
  });

  for (const [what, text] of Object.entries({
    'of columns of different lengths': '{"x":[1,2],"y":[1]}',
    'of a column and a value, which R would repeat': '{"x":[1,2],"y":1}',
    'of no columns': '{}',
    'of empty columns': '{"x":[]}',
    'with a bare null, which to R is nothing': '{"x":null}',
    'with a bare "NA", which to R is text there': '{"x":"NA"}',
    'of records': '[{"x":1}]',
    'with a column twice': '{"x":[1],"x":[1]}',
  })) {
    test(what, () => assert.equal(read(text, 'columns'), undefined));
  }

  test('of hostile depth or length, in time that grows as it does', () => {
    const takenMs = cpuMs(() => {
      assert.equal(read('['.repeat(1_000_000)), undefined);
      assert.equal(read(`[{"x":"${'\\u0041'.repeat(200_000)}`), undefined);
      assert.equal(read(`[{"x":${'1'.repeat(1_000_000)}`), undefined);
      assert.equal(read(`[${'{"x":1},'.repeat(200_000)}`, 'array', 10_000), undefined);
    });
    assert.ok(takenMs < 2_000);
  });
});

describe('the marks of a call', () => {
  const marks = (text: string, format: RowFormat = 'array') => new Set(read(text, format)?.marks);
  const isNew = (text: string, ...known: string[]) => {
    const seen = new Set(known.flatMap(body => [...marks(body)]));
    return [...marks(text)].some(mark => !seen.has(mark));
  };

  for (const [what, text, known] of [
    ['another whole number', '[{"x":6}]', '[{"x":4}]'],
    ['another text', '[{"x":"eve"}]', '[{"x":"bob"}]'],
    ['an empty text', '[{"x":""}]', '[{"x":"bob"}]'],
    ['a longer text', '[{"x":"bobby"}]', '[{"x":"bob"}]'],
    ['a value that is missing beside others', '[{"x":1.5},{"x":null}]', '[{"x":1.5},{"x":2.5}]'],
    ['a number with more digits', '[{"x":12.5}]', '[{"x":2.5}]'],
    ['a negative number', '[{"x":-2.5}]', '[{"x":2.5}]'],
    ['a power of ten', '[{"x":2e9}]', '[{"x":2.5}]'],
    ['what is no number', '[{"x":1.5},{"x":"NaN"}]', '[{"x":1.5},{"x":2.5}]'],
  ] as const) {
    test(`tell ${what} from what came before`, () => assert.equal(isNew(text, known), true));
  }

  test('are the same for what comes again, in whatever row', () => {
    assert.equal(isNew('[{"x":1.5,"y":"a"},{"x":2.5,"y":"b"}]', '[{"x":3.5,"y":"b"}]', '[{"x":4.5,"y":"a"}]'), false);
    assert.equal(isNew('[{"x":null}]', '[{"x":1.5},{"x":null}]'), true, 'none beside it');
  });

  test('are the same for both kinds of bodies', () => {
    assert.deepEqual(
      marks('{"x":[1.5,null],"y":["a","b"]}', 'columns'),
      marks('[{"x":1.5,"y":"a"},{"x":null,"y":"b"}]'),
    );
  });
});
