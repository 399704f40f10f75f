import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { invalidInput, NotJson } from '../../../gateway/domain/validation/findings.ts';
import { checkInput } from '../../../gateway/domain/validation/input.ts';
import { readValue, type InputBounds } from '../../../gateway/domain/validation/json-walk.ts';
import { readPrototype } from '../../../gateway/domain/validation/prototype.ts';
import { createRowCheck, type RowsForm } from '../../../gateway/domain/validation/records.ts';

const BOUNDS = { unknown: 'allow', rowsMax: 2, depthMax: 8 } as const;
const PUBLISHED = {
  wt: { type: 'numeric', example: '2.62', details: [] },
  gear: { type: 'integer', example: '4', details: {} },
  am: { type: 'logical', example: 'TRUE', details: [] },
  Species: { type: 'factor', example: 'setosa', details: { levels: ['setosa', 'versicolor', 'virginica'] } },
  cyl: { type: 'ordered', example: '4', details: { levels: ['4', '6', '1e+05'] } },
  note: { type: 'character', example: 'a', details: [] },
  day: { type: 'Date', example: '2024-02-29', details: [] },
  at: { type: 'POSIXct', example: '2024-02-29 10:00', details: { tzone: 'UTC' } },
};
const SOUND = { wt: 2.62, gear: 4, am: true, Species: 'setosa', cyl: '4', note: 'é', day: '2024-02-29', at: '2024' };

interface Traits extends Partial<InputBounds> {
  readonly form?: RowsForm;
  readonly query?: string;
  readonly published?: unknown;
}

function errorsOf(body: unknown, traits: Traits = {}): string[] {
  const { form = 'array', query = '', published = PUBLISHED, ...bounds } = traits;
  const columns = readPrototype(JSON.stringify(published));
  assert.ok(columns !== undefined);
  const content = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const request = { method: 'POST', path: '/predict', query, fields: [], content };
  const all = { unknown: 'allow', rowsMax: 100, depthMax: 8, ...bounds } as const;
  const errors = checkInput({ kind: 'rows', check: createRowCheck(columns), columns }, request, { bounds: all, form });
  return errors.map(({ pointer, detail }) => `${pointer} ${detail}`);
}

describe('rows held against a prototype', () => {
  test('are taken as R takes them', () => {
    const values: Record<string, unknown[]> = {
      wt: [1, 1.5, -1e300, '2.5', ' 2.5 ', '0x1A', 'inf', 'Inf', 'NaN', null, 'NA', ''],
      gear: [4, 4.0, 4e1, '4', '4.0', -2_147_483_647, null, 'NA', '', 'NaN'],
      am: [true, false, 0, 1, 'T', 'false', null, 'NA', ''],
      Species: ['virginica', null, 'NA'],
      cyl: [4, '6', 4.0, 100_000, null],
      note: ['', 'NaN', 'x'.repeat(500), '😀', null],
      day: ['2024-02-29', '1969-12-31', null, 'NA', ''],
      at: [1, 'any', null, [1, 2], { a: 1 }],
    };
    for (const [name, all] of Object.entries(values)) {
      for (const value of all)
        assert.deepEqual(errorsOf([{ ...SOUND, [name]: value }]), [], `${name} ${String(value)}`);
    }
    assert.deepEqual(errorsOf(JSON.stringify([SOUND]).replace('setosa', 'seto\\u0073a')), []);
    assert.deepEqual(errorsOf(JSON.stringify([SOUND]).replace('"é"', '"\\ud83d\\ude00"')), []);
  });

  test('are refused in the words of a data scientist', () => {
    const refused: [string, unknown, string][] = [
      ['wt', 'abc', '/0/wt `wt`: "abc" is not a number'],
      ['wt', true, '/0/wt `wt`: true is not a number'],
      ['wt', '1,5', '/0/wt `wt`: "1,5" is not a number'],
      ['gear', 2.5, '/0/gear `gear`: 2.5 is not a whole number'],
      ['gear', 3e9, '/0/gear `gear`: 3000000000 is out of range'],
      ['gear', -2_147_483_648, '/0/gear `gear`: -2147483648 is out of range'],
      ['am', 2, '/0/am `am`: 2 is not true or false'],
      ['am', 'yes', '/0/am `am`: "yes" is not true or false'],
      ['Species', 'setsoa', '/0/Species `Species`: "setsoa" is not one of setosa, versicolor, virginica'],
      ['Species', '', '/0/Species `Species`: "" is not one of setosa, versicolor, virginica'],
      ['cyl', 8, '/0/cyl `cyl`: 8 is not one of 4, 6, 1e+05'],
      ['note', 5, '/0/note `note`: 5 is not text'],
      ['day', '2023-02-29', '/0/day `day`: "2023-02-29" is not a date such as 2024-02-29'],
      ['day', 20_240_229, '/0/day `day`: 20240229 is not a date such as 2024-02-29'],
      ['wt', [1], '/0/wt `wt` must hold one value'],
    ];
    for (const [name, value, said] of refused) assert.deepEqual(errorsOf([{ ...SOUND, [name]: value }]), [said]);
    assert.deepEqual(errorsOf(JSON.stringify([SOUND]).replace('2.62', '1e400')), ['/0/wt `wt`: 1e400 is out of range']);
  });

  test('are told with their row where there are several, each in its place', () => {
    assert.deepEqual(errorsOf([{ ...SOUND, wt: 'a' }, SOUND, { ...SOUND, gear: undefined }]), [
      '/0/wt row 1: `wt`: "a" is not a number',
      '/2/gear row 3: `gear` is missing',
    ]);
  });

  test('must each have every column, once', () => {
    const text = JSON.stringify([SOUND]);
    assert.deepEqual(errorsOf([{}]).length, 8);
    assert.deepEqual(errorsOf(text.replace('{', '{"w\\u0074":1,')), ['/0/wt `wt` comes twice']);
    assert.deepEqual(errorsOf(text.replace('{', '{"x":1,"x":2,')), ['/0/x `x` comes twice']);
    assert.deepEqual(errorsOf(text.replace('{', '{"x":{"a":1,"a":2},')), ['/0/x/a `a` comes twice']);
  });

  test('may have further fields, unless the route refuses them; names of rows always', () => {
    const more = { ...SOUND, 'x/y~z': [{ a: 1 }], _row: 'Mazda' };
    assert.deepEqual(errorsOf([more]), []);
    assert.deepEqual(errorsOf([more], { unknown: 'refuse' }), ['/0/x~1y~0z `x/y~z` is not a column of the model']);
  });

  test('are bounded in number, in depth and in what is said of them', () => {
    assert.deepEqual(errorsOf(Array(3).fill(SOUND), { rowsMax: 3 }), []);
    assert.deepEqual(errorsOf(Array(4).fill(SOUND), { rowsMax: 3 }), [
      ' the body has more than 3 records, which is the most at once',
    ]);
    const nested = (depth: number) => [{ ...SOUND, x: JSON.parse('['.repeat(depth) + ']'.repeat(depth)) as unknown }];
    assert.deepEqual(errorsOf(nested(6)), []);
    assert.match(errorsOf(nested(7)).join(), /nested deeper than 8/);
    assert.match(errorsOf('['.repeat(1_000_000)).join(), /nested deeper than 8/);
    assert.equal(errorsOf(Array(50).fill({})).length, 20);
    const [long = ''] = errorsOf([{ ...SOUND, wt: 'x'.repeat(10_000) }]);
    assert.ok(long.length < 200);
  });

  test('must be text that R can read', () => {
    const [head = '', tail = ''] = JSON.stringify([SOUND]).split('é');
    const with_ = (bytes: number[]) => Buffer.concat([Buffer.from(head), Buffer.from(bytes), Buffer.from(tail)]);
    assert.deepEqual(errorsOf(with_([0xc3, 0x28])), ['/0/note the text is not in UTF-8']);
    assert.deepEqual(errorsOf(with_([0xc3, 0xa9])), []);
    assert.deepEqual(errorsOf(`${head}\\ud83d${tail}`), ['/0/note the text is no Unicode, or has a NUL in it']);
    assert.deepEqual(errorsOf(`${head}a\\u0000${tail}`), ['/0/note the text is no Unicode, or has a NUL in it']);
  });

  test('are an array of records; another value is no such thing', () => {
    for (const body of ['{}', 'null', '"a"', '1', '{"wt":[1]}'])
      assert.match(errorsOf(body).join(), /must be a JSON array/);
    assert.deepEqual(errorsOf('[]'), [' the body has no records']);
    assert.deepEqual(errorsOf([SOUND, 1]), ['/1 row 2 is not a JSON object']);
  });

  test('what is no JSON is told where it ceases to be', () => {
    const broken: [string, number][] = [
      ['', 1],
      ['[', 2],
      ['[{"wt":1,}]', 10],
      ['[{"wt":01}]', 10],
      ['[{"wt":1}] x', 12],
      ["[{'wt':1}]", 3],
      ['\ufeff[]', 1],
      ['[{"wt":NaN}]', 8],
      ['[{"wt":"a\nb"}]', 8],
    ];
    for (const [body, position] of broken) {
      assert.throws(
        () => errorsOf(body),
        (error: unknown) => error instanceof NotJson && error.position === position,
        body,
      );
    }
  });

  test('a query is held against the columns as well, since R may prefer it', () => {
    assert.deepEqual(errorsOf([SOUND], { query: 'wt=2.5&Species=virginica&other=1&bad' }), []);
    assert.deepEqual(errorsOf([SOUND], { query: 'w%74=two+tons&Species=%ff' }), [
      ' query parameter `wt`: "two tons" is not a number',
      ' query parameter `Species`: "" is not in UTF-8',
    ]);
    assert.deepEqual(errorsOf([SOUND], { query: 'other=1', unknown: 'refuse' }), [
      ' query parameter `other` is not a column of the model',
    ]);
  });

  test('may come as columns where the route says so', () => {
    const columns = Object.fromEntries(Object.entries(SOUND).map(([name, value]) => [name, [value, value]]));
    const form = 'columns';
    assert.deepEqual(errorsOf(columns, { form }), []);
    assert.deepEqual(errorsOf(SOUND, { form }), []);
    assert.deepEqual(errorsOf({ ...columns, wt: [1, 'x'] }, { form }), ['/wt/1 row 2: `wt`: "x" is not a number']);
    assert.deepEqual(errorsOf({ ...columns, wt: [1] }, { form }), [' the columns differ in their length']);
    assert.deepEqual(errorsOf({ ...columns, wt: undefined }, { form }), ['/wt `wt` is missing']);
    assert.match(errorsOf([SOUND], { form }).join(), /must be a JSON object of columns/);
    assert.throws(() => errorsOf('{"wt":[1],}', { form }), NotJson);
  });

  test('one level is one, as vetiver writes it', () => {
    const published = { sex: { type: 'factor', example: 'f', details: { levels: 'f' } } };
    assert.deepEqual(errorsOf([{ sex: 'f' }], { published }), []);
    assert.deepEqual(errorsOf([{ sex: 'm' }], { published }), ['/0/sex `sex`: "m" is not one of f']);
  });
});

describe('a body held against a JSON Schema', () => {
  const value = (text: string) => readValue(Buffer.from(text), BOUNDS);

  test('of too many records is read no further than those', () => {
    const { errors } = value(`[{},{},{}${',{}'.repeat(1_000)} and what is no JSON`);

    assert.deepEqual(errors, [{ pointer: '', detail: 'the body has more than 2 records, which is the most at once' }]);
    assert.deepEqual(value('{"a":[1,2,3],"b":[[4,5,6]]}').errors, []);
  });

  test('tells where each mistake stands', () => {
    const { errors } = value('[{"a~":[1,{"b/":"\\ud800"}],"é":{"x":1,"x":2}}]');

    assert.deepEqual(
      errors.map(({ pointer }) => pointer),
      ['/0/a~0/1/b~1', '/0/é/x'],
    );
  });
});

test('a refusal is no longer than what is wrong, however long the names are that a caller writes', () => {
  const name = 'k'.repeat(100_000);
  const { errors } = readValue(Buffer.from(`[{"a":{"${name}":["\\ud800","\\ud800"]}}]`), BOUNDS);
  const refusal = invalidInput(errors);

  assert.deepEqual(
    refusal.errors?.map(({ pointer }) => pointer),
    ['/0/a', '/0/a'],
  );
});
