import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { csvOfJson } from '../../../gateway/domain/table/answer-table.ts';
import { CsvReader, NotCsv } from '../../../gateway/domain/table/csv-reader.ts';
import { jsonOfCsv } from '../../../gateway/domain/table/csv-rows.ts';
import { GatewayError } from '../../../gateway/domain/errors.ts';
import type { Column } from '../../../gateway/domain/validation/prototype.ts';
import type { RowsForm } from '../../../gateway/domain/validation/records.ts';

const BOUNDS = { fieldsMax: 8, rowLengthMax: 1_000 };

function rowsOf(pieces: readonly (string | Buffer)[], bounds = BOUNDS): string[][] {
  const rows: string[][] = [];
  const reader = new CsvReader(({ fields }) => void rows.push([...fields]), bounds);
  for (const piece of pieces) reader.write(Buffer.from(piece as string));
  reader.end();
  return rows;
}

describe('a reader of CSV', () => {
  test('reads what RFC 4180 writes, and the line ends that others write', () => {
    const cases: Readonly<Record<string, string[][]>> = {
      'a,b\r\n1,2\r\n': [['a', 'b'], ['1', '2']], // prettier-ignore
      'a,b\n1,2': [['a', 'b'], ['1', '2']], // prettier-ignore
      'a\r1\r2\r': [['a'], ['1'], ['2']],
      '\ufeffa\r\n1': [['a'], ['1']],
      'a,"b ""c"", d"\n': [['a', 'b "c", d']],
      '"a\r\nb",\n': [['a\r\nb', '']],
      'a,\n,b\n,\n': [['a', ''], ['', 'b'], ['', '']], // prettier-ignore
      '""\n"",""': [[''], ['', '']],
      'ä,😀\n': [['ä', '😀']],
      '\n\r\na\n\n\nb\n\n': [['a'], ['b']],
      '': [],
    };

    for (const [text, rows] of Object.entries(cases)) assert.deepEqual(rowsOf([text]), rows, JSON.stringify(text));
  });

  test('reads the same however the text is cut into pieces', () => {
    const bytes = Buffer.from('\ufeffa,"ä ""😀""\r\n",c\r\n\r\n1,"",3\n"x"\r"y",\r\n');
    const whole = rowsOf([bytes]);

    for (let at = 0; at <= bytes.length; at++) {
      assert.deepEqual(rowsOf([bytes.subarray(0, at), bytes.subarray(at)]), whole, `cut at ${at}`);
    }
    assert.deepEqual(rowsOf([...bytes].map(byte => Buffer.from([byte]))), whole);
  });

  test('says in which row a text breaks the grammar', () => {
    const cases: readonly (readonly [string | Buffer, number | undefined, RegExp])[] = [
      ['a\n"b', 2, /not closed/],
      ['a\nb"c\n', 2, /a quote stands within/],
      ['a\n1\n"b"c\n', 3, /goes on behind its closing quote/],
      ['a\0\n', 1, /NUL/],
      ['"a\0"', 1, /NUL/],
      [Buffer.from([0x61, 0x0a, 0xff]), undefined, /UTF-8/],
      [Buffer.from([0x61, 0x0a, 0xc3]), undefined, /UTF-8/],
      ['a\n' + ','.repeat(8), 2, /more than 8 fields/],
      ['a\n"' + 'x'.repeat(1_001), 2, /longer than 1000/],
    ];

    for (const [text, row, what] of cases) {
      assert.throws(
        () => rowsOf([text]),
        (error: unknown) => error instanceof NotCsv && what.test(error.message) && error.row === row,
        JSON.stringify(text.toString()),
      );
    }
  });
});

const column = (name: string, type: string, levels: readonly string[] = []): Column => ({
  ...{ name, type, levels },
  example: null,
});

interface Traits {
  readonly columns?: readonly Column[];
  readonly form?: RowsForm;
  readonly rowsMax?: number;
  readonly bytesMax?: number;
}

function jsonOf(text: string, { columns, form = 'array', rowsMax = 100, bytesMax = 10_000 }: Traits = {}): string {
  return jsonOfCsv(Buffer.from(text), { columns, form, rowsMax, bytesMax }).toString();
}

function refusalOf(text: string, traits: Traits = {}): GatewayError {
  try {
    jsonOf(text, traits);
  } catch (error) {
    assert.ok(error instanceof GatewayError, String(error));
    return error;
  }
  return assert.fail('it was taken');
}

describe('rows of CSV as JSON', () => {
  test('are typed by what the model publishes', () => {
    const columns = [column('x', 'numeric'), column('n', 'integer'), column('l', 'logical'), column('s', 'character')];

    const cases: Readonly<Record<string, string>> = {
      '1.50,7,TRUE,a': '{"x":1.50,"n":7,"l":true,"s":"a"}',
      '+.5,007,F,007': '{"x":0.5,"n":7,"l":false,"s":"007"}',
      '-Inf,NA,0,NA': '{"x":"-Inf","n":null,"l":0,"s":null}',
      ',"","","NA"': '{"x":null,"n":null,"l":null,"s":"NA"}',
      '"2","3","T",""': '{"x":2,"n":3,"l":true,"s":""}',
      'heavy,1.5,yes,"a,b"': '{"x":"heavy","n":1.5,"l":"yes","s":"a,b"}',
      '12345678901234567890.123,1e3,t,TRUE': '{"x":12345678901234567890.123,"n":1e3,"l":"t","s":"TRUE"}',
    };

    for (const [line, record] of Object.entries(cases))
      assert.equal(jsonOf(`x,n,l,s\n${line}\n`, { columns }), `[${record}]`);
  });

  test('are typed as they read, where the model publishes nothing', () => {
    const text = 'a,b,c,d,e,f\n1,-2.5e3,TRUE,text,NA,01\n"1",.5,T,"TRUE",NaN,\n';

    assert.deepEqual(JSON.parse(jsonOf(text)), [
      { a: 1, b: -2.5e3, c: true, d: 'text', e: null, f: '01' },
      { a: 1, b: '.5', c: 'T', d: true, e: 'NaN', f: null },
    ]);
  });

  test('become columns where the model takes those, and leave R’s row names out', () => {
    assert.equal(jsonOf('"","x","s"\n"1",1,"a"\n"2",2,NA\n', { form: 'columns' }), '{"x":[1,2],"s":["a",null]}');
  });

  test('that are none of their table are named, all of them', () => {
    const { code, errors } = refusalOf('a,b\n1\n1,2\n1,2,3\n');

    assert.equal(code, 'INVALID_INPUT');
    assert.deepEqual(errors, [
      { pointer: '/0', detail: 'row 1: it has 1 field, and the header line has 2' },
      { pointer: '/2', detail: 'row 3: it has 3 fields, and the header line has 2' },
    ]);
  });

  test('are refused for their header, their number, their size and their grammar', () => {
    const cases: readonly (readonly [string, Traits, string, RegExp])[] = [
      ['', {}, 'INVALID_INPUT', /no rows/],
      ['a,b\n', {}, 'INVALID_INPUT', /no rows/],
      ['a,a\n1,2', {}, 'INVALID_INPUT', /the header line: `a` comes twice/],
      ['a,\n1,2', {}, 'INVALID_INPUT', /the header line: column 2 has no name/],
      ['a\n1\n2\n3', { rowsMax: 2 }, 'INVALID_INPUT', /more than 2 records/],
      ['a\n1\n"2', {}, 'BAD_REQUEST', /row 2: a quote is not closed/],
      ['a"\n1', {}, 'BAD_REQUEST', /the header line: a quote stands/],
      ['x'.repeat(90) + '\n1\n2\n3', { bytesMax: 200 }, 'BODY_TOO_LARGE', /larger as the JSON/],
      ['x\n' + 'ä'.repeat(90), { bytesMax: 150 }, 'BODY_TOO_LARGE', /larger as the JSON/],
    ];

    for (const [text, traits, code, detail] of cases) {
      const refusal = refusalOf(text, traits);
      assert.equal(refusal.code, code, text);
      assert.match(refusal.detail, detail);
    }
  });

  test('cost no more memory than the bound, however long their names', () => {
    const text = `${'n'.repeat(100_000)}\n${'1\n'.repeat(100_000)}`;

    assert.equal(refusalOf(text, { bytesMax: 1_000_000, rowsMax: Infinity }).code, 'BODY_TOO_LARGE');
  });
});

describe('an answer as CSV', () => {
  test('is the table in it', () => {
    const cases: readonly (readonly [unknown, string])[] = [
      [{ '.pred': [1.5, 2] }, '.pred\r\n1.5\r\n2\r\n'],
      [{ '.pred': [1, 2], model: 'a' }, '.pred,model\r\n1,a\r\n2,a\r\n'],
      [[1, null, 3], '.pred\r\n1\r\n\r\n3\r\n'],
      [[], '.pred\r\n'],
      [[{ a: 1, b: 'x' }, { b: 'y' }], 'a,b\r\n1,x\r\n,y\r\n'],
      [{ a: true, b: '' }, 'a,b\r\nTRUE,""\r\n'],
      [{ n: [1, 'NA', 'NaN', '-Inf'], s: ['a', 'NA', null, 'Inf'] }, 'n,s\r\n1,a\r\n,"NA"\r\nNaN,\r\n-Inf,Inf\r\n'],
      [
        [{ 's,"': 'a"b' }, { 's,"': 'NA' }, { 's,"': ' x' }, { 's,"': '=1+1' }],
        '"s,"""\r\n"a""b"\r\n"NA"\r\n" x"\r\n=1+1\r\n',
      ],
    ];

    for (const [value, csv] of cases) assert.equal(csvOfJson(JSON.stringify(value)), csv);
  });

  test('is none where there is no table in it', () => {
    const sparse = Array.from({ length: 2_000 }, (_, i) => ({ [`n${i}`]: 1 }));
    const cases = [
      1,
      'a',
      null,
      {},
      [{}],
      [[1], [2]],
      [{ a: [1] }],
      { a: [1], b: [1, 2] },
      { a: { b: 1 } },
      [1, {}],
      sparse,
    ];

    for (const value of cases)
      assert.equal(csvOfJson(JSON.stringify(value)), undefined, JSON.stringify(value).slice(0, 40));
    assert.equal(csvOfJson('{'), undefined);
  });
});
