import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CsvCutter, csvRecords } from '../../../gateway/domain/jobs/csv-rows.ts';
import { createJsonCutter, RowsFault, type Cut, type JobForm } from '../../../gateway/domain/jobs/forms.ts';

/** What a file is cut into where it comes in blocks of so many bytes, beginning at this byte. */
function cutsOf(
  form: Exclude<JobForm, 'parquet'>,
  file: string,
  { block = 7, from = 0, rowBytesMax = 100 } = {},
): Cut[] {
  const options = { from, rowBytesMax };
  const cutter = form === 'csv' ? new CsvCutter(options) : createJsonCutter(form, options);
  const bytes = Buffer.from(file);
  const cuts: Cut[] = [];
  const take = (isEnd: boolean) => {
    for (let cut = cutter.next(isEnd); cut !== undefined; cut = cutter.next(isEnd)) cuts.push(cut);
  };
  for (let at = from; at < bytes.length; at += block) {
    cutter.push(Buffer.from(bytes.subarray(at, at + block)));
    take(false);
  }
  take(true);
  return cuts;
}

const START = { from: 0, rowBytesMax: 100 };

const textsOf = (cuts: readonly Cut[]) => cuts.map(({ text }) => text);

const ROWS = ['{"x":1}', '{"x":"a,]}\\"é"}', '{"y":[{"z":2},[]]}', '3'];
const CSV_ROWS = ['x,y', '"a, ""b""\n",1', 'é,"2"', ',', '"open"" ,",3'];
const FILES = {
  csv: `${CSV_ROWS.slice(0, 2).join('\r\n')}\r\n\r\n${CSV_ROWS.slice(2, 4).join('\r')}\n${CSV_ROWS[4] ?? ''}`,
  json: `\ufeff [ ${ROWS.join(' ,\n')}\n] \n`,
  jsonl: ROWS.join('\n\n'),
};

for (const form of ['json', 'jsonl', 'csv'] as const) {
  const rows = form === 'csv' ? CSV_ROWS : ROWS;
  describe(`a file in the form ${form}`, () => {
    test('is cut into the same rows wherever its blocks end', () => {
      for (let block = 1; block <= 20; block += 1) {
        assert.deepEqual(textsOf(cutsOf(form, FILES[form], { block })), rows, `blocks of ${block}`);
      }
    });

    test('is cut on from where any row ended', () => {
      const cuts = cutsOf(form, FILES[form]);

      for (const [i, { to }] of cuts.entries()) {
        assert.deepEqual(textsOf(cutsOf(form, FILES[form], { from: to, block: 3 })), rows.slice(i + 1));
      }
    });

    test('is refused where it is no UTF-8', () => {
      const cutter = form === 'csv' ? new CsvCutter(START) : createJsonCutter(form, START);
      cutter.push(Buffer.from('["\xff"]\n', 'latin1'));

      assert.throws(() => cutter.next(true), /not UTF-8/);
    });

    test('is refused where a row is longer than its bound', () => {
      const long = `[{"x":"${'a'.repeat(200)}"}]`;

      assert.throws(() => cutsOf(form, form === 'json' ? long : long.slice(1, -1)), RowsFault);
    });
  });
}

describe('an array of rows', () => {
  const faults: Readonly<Record<string, RegExp>> = {
    '{"x":1}': /must be a JSON array/,
    '': /has no end/,
    '[{"x":1}': /has no end/,
    '[{"x":1': /ends within it/,
    '[{"x":1} {"x":2}]': /no comma/,
    '[{"x":1},]': /no record behind/,
    '[{"x":1}] 2': /behind the end/,
  };
  for (const [file, fault] of Object.entries(faults)) {
    test(`is refused as ${JSON.stringify(file)}`, () => {
      assert.throws(() => cutsOf('json', file), fault);
    });
  }

  test('may be empty', () => {
    assert.deepEqual(cutsOf('json', ' [ ] '), []);
  });
});

describe('rows of CSV', () => {
  test('are records by their header line and the columns of the model, each for itself', () => {
    const read = csvRecords('x,id', [{ name: 'id', type: 'character', example: undefined, levels: [] }]);

    assert.deepEqual(read(['1,07', '2', '"a,7', 'TRUE,NA']), [
      { text: '{"x":1,"id":"07"}' },
      { problem: 'it has 1 field, and the header line has 2' },
      { problem: 'a quote is not closed' },
      { text: '{"x":true,"id":null}' },
    ]);
    assert.throws(() => csvRecords('x,x', undefined), /the header line: `x` comes twice/);
  });
});
