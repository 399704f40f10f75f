import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  differenceOf,
  findForm,
  splitAnswer,
  type AnswerForm,
} from '../../../../gateway/domain/sharing/batch/answer-form.ts';

function formOf(alone: readonly string[], together: string): AnswerForm {
  const found = findForm(alone, together);
  assert.ok('form' in found, 'flaw' in found ? found.flaw : '');
  return found.form;
}

/** Each shape as R answers two rows alone, the two together, and three calls of one, two and one row. */
const SHAPES: readonly {
  readonly what: string;
  readonly alone: readonly string[];
  readonly together: string;
  readonly answer: string;
  readonly split: readonly string[];
}[] = [
  {
    what: 'a column, unboxed where it is one (vetiver’s lm, glm, ranger)',
    alone: ['{".pred":1.5}', '{".pred":2}'],
    together: '{".pred":[1.5,2]}',
    answer: '{".pred":[1,null,"NA",4]}',
    split: ['{".pred":1}', '{".pred":[null,"NA"]}', '{".pred":4}'],
  },
  {
    what: 'records (vetiver’s tidymodels)',
    alone: ['[{".pred":1}]', '[{".pred":2}]'],
    together: '[{".pred":1},{".pred":2}]',
    answer: '[{"a":"x,]}"},{},{"a":[{"b":1}]},{"a":"\\""}]',
    split: ['[{"a":"x,]}"}]', '[{},{"a":[{"b":1}]}]', '[{"a":"\\""}]'],
  },
  {
    what: 'a boxed vector (Plumber’s default)',
    alone: ['[1]', '[2]'],
    together: '[1,2]',
    answer: '[1,2,3,4]',
    split: ['[1]', '[2,3]', '[4]'],
  },
  {
    what: 'an unboxed vector',
    alone: ['1', '2'],
    together: '[1,2]',
    answer: '["a","b","c","d"]',
    split: ['"a"', '["b","c"]', '"d"'],
  },
  {
    what: 'a matrix',
    alone: ['[[1,2]]', '[[3,4]]'],
    together: '[[1,2],[3,4]]',
    answer: '[[1],[2],[3],[4]]',
    split: ['[[1]]', '[[2],[3]]', '[[4]]'],
  },
  {
    what: 'several columns, boxed or not, and what is the same in every answer',
    alone: ['{"p":1,"q":["a"],"of":["x","y"],"v":"1.0"}', '{"p":2,"q":["b"],"of":["x","y"],"v":"1.0"}'],
    together: '{"p":[1,2],"q":["a","b"],"of":["x","y"],"v":"1.0"}',
    answer: '{"p":[1,2,3,4],"q":["a","b","c","d"],"of":["x","y"],"v":"1.0"}',
    split: [
      '{"p":1,"q":["a"],"of":["x","y"],"v":"1.0"}',
      '{"p":[2,3],"q":["b","c"],"of":["x","y"],"v":"1.0"}',
      '{"p":4,"q":["d"],"of":["x","y"],"v":"1.0"}',
    ],
  },
];

describe('the answer to several callers', () => {
  for (const { what, alone, together, answer, split } of SHAPES) {
    test(`is split as R would have answered each: ${what}`, () => {
      assert.deepEqual(splitAnswer(answer, formOf(alone, together), [1, 2, 1]), split);
    });
  }

  const LIST = formOf(['[1]', '[2]'], '[1,2]');
  const MEMBERS = formOf(['{"p":1,"v":"1"}', '{"p":2,"v":"1"}'], '{"p":[1,2],"v":"1"}');
  for (const [what, form, text] of [
    ['has one answer too few', LIST, '[1]'],
    ['has one too many', LIST, '[1,2,3]'],
    ['is an object instead of an array', LIST, '{"p":[1,2]}'],
    ['is an array instead of an object', MEMBERS, '[1,2]'],
    ['has a column too short', MEMBERS, '{"p":[1],"v":"1"}'],
    ['has another member', MEMBERS, '{"q":[1,2],"v":"1"}'],
    ['has one member more', MEMBERS, '{"p":[1,2],"v":"1","w":1}'],
    ['has another value where it was always the same', MEMBERS, '{"p":[1,2],"v":"2"}'],
    ['says what is wrong', MEMBERS, '{"error":"bad row"}'],
    ['is no JSON', LIST, 'An exception occurred.'],
    ['is cut off', LIST, '[1,2'],
    ['is nothing', LIST, ''],
    ['has blanks, which R does not write', LIST, '[1, 2]'],
    ['has something behind it', LIST, '[1,2]\n'],
  ] as const) {
    test(`is not split where it ${what}`, () => assert.equal(splitAnswer(text, form, [1, 1]), undefined));
  }
});

describe('the form of answers is not found', () => {
  for (const [what, alone, together] of [
    ['where rows are answered with one', ['{".pred":1}', '{".pred":2}'], '{".pred":1}'],
    ['where a row is lost', ['[1]', '[2]'], '[1]'],
    ['where an answer depends on the rows around it', ['[1]', '[2]'], '[1,2.5]'],
    ['where answers are in another order', ['[1]', '[2]'], '[2,1]'],
    ['where one is boxed and the other is not', ['[1]', '2'], '[1,2]'],
    ['where something beside the rows differs', ['{"p":1,"n":1}', '{"p":2,"n":1}'], '{"p":[1,2],"n":2}'],
    ['where nothing grows with the rows', ['{"p":1}', '{"p":1}'], '{"p":1}'],
    ['where the answer is no JSON', ['a', 'b'], 'ab'],
    ['where one row is answered with other members', ['{"p":1}', '{"q":2}'], '{"p":[1,2]}'],
  ] as const) {
    test(what, () => assert.ok('flaw' in findForm(alone, together)));
  }
});

describe('the difference of two answers', () => {
  for (const [together, alone, said] of [
    ['{".pred":2.2}', '{".pred":2}', '.pred is a number in both, 9.1 % apart'],
    ['{".pred":[1,2]}', '{".pred":[1,3]}', '.pred[1] is a number in both, 33 % apart'],
    [
      '{".pred":["secret-of-bob"]}',
      '{".pred":["eve"]}',
      '.pred[0] is a text of 13 characters beside others, of 3 alone',
    ],
    ['["ann"]', '["bob"]', 'the answer[0] is another text of 3 characters'],
    ['[1]', '["a"]', 'the answer[0] is a number beside others, a text alone'],
    ['[null]', '[1]', 'the answer[0] is null beside others, a number alone'],
    ['{".pred":[{"id-of-bob":1}]}', '{".pred":[{"id-of-bob":2}]}', '.pred[0][0] is a number in both, 50 % apart'],
    ['[1]', '[1,2]', 'the answer has 1 parts beside others, 2 alone'],
    ['[1.0]', '[1]', 'it is written otherwise beside others than alone'],
    ['oops', '[1]', '4 bytes beside others, 3 alone'],
  ] as const) {
    test(`is told without their values: ${said}`, () => assert.equal(differenceOf(together, alone), said));
  }
});
