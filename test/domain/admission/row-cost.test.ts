import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rowsIn } from '../../../gateway/domain/admission/limits.ts';

describe('the rows of a body', () => {
  const bodies: [body: string, rows: number][] = [
    ['[{"x":1},{"x":2},{"x":3}]', 3],
    [' [ {"x": [1,2,3]} , {"x": "a,b"} ] ', 2],
    ['[1,2,3,4]', 4],
    ['[[1,2],[3,4],[5,6]]', 3],
    ['["a]","\\",[",","]', 3],
    ['{"x":[1,2,3],"y":[4,5]}', 3],
    ['{"x":1,"y":2}', 1],
    ['{"x":{"y":[1,2,3]}}', 1],
    ['{"x":[[1,2,3],[4,5,6]]}', 2],
    ['\ufeff[1,2]', 2],
    ['[]', 1],
    ['{}', 1],
    ['', 1],
    ['"a,b"', 1],
    ['a,b\n1,2\n', 1],
    ['[1,2', 2],
    ['[[[[[[1]]]]]]', 1],
    ['["\\', 1],
  ];
  for (const [body, rows] of bodies) {
    test(`${JSON.stringify(body)} counts ${rows}`, () => assert.equal(rowsIn(Buffer.from(body)), rows));
  }

  test('are counted in one pass, however deep a body is nested', () => {
    const deep = Buffer.from('['.repeat(500_000) + ']'.repeat(500_000));

    assert.equal(rowsIn(deep), 1);
    assert.equal(rowsIn(Buffer.from(`[${'0,'.repeat(499_999)}0]`)), 500_000);
  });
});
