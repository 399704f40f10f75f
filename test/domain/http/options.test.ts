import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { answerOfOurOwn, oneForwardLess } from '../../../gateway/domain/http/options.ts';

const answerTo = (method: string, path: string, ...fields: string[]) => answerOfOurOwn({ method, path, fields });

describe('what is asked of the gateway itself', () => {
  for (const [path, ...fields] of [['*'], ['/a', 'Max-Forwards', '0'], ['/a', 'max-forwards', '00']] as const) {
    test(`is answered here: OPTIONS ${[path, ...fields].join(' ')}`, () => {
      const answer = answerTo('OPTIONS', path, ...fields);

      assert.equal(answer?.status, 204);
      assert.equal(answer.fields[0], 'Allow');
      assert.doesNotMatch(answer.fields[1] ?? '', /TRACE/);
    });
  }

  for (const fields of [[], ['Max-Forwards', '1'], ['Max-Forwards', ''], ['Max-Forwards', '-0']]) {
    test(`is nothing that a route may answer: OPTIONS /a ${fields.join(' ')}`, () => {
      assert.equal(answerTo('OPTIONS', '/a', ...fields), undefined);
    });
  }

  test('is nothing of another method, whatever its Max-Forwards', () => {
    assert.equal(answerTo('GET', '/a', 'Max-Forwards', '0'), undefined);
  });

  test('is TRACE, always, and it is refused', () => {
    assert.throws(() => answerTo('TRACE', '/a'), { code: 'METHOD_NOT_ALLOWED' });
    assert.throws(() => answerTo('TRACE', '/a', 'Max-Forwards', '0'), { code: 'METHOD_NOT_ALLOWED' });
  });
});

describe('how often it may be forwarded', () => {
  for (const [before, after] of [
    ['10', '9'],
    ['1', '0'],
    ['0', '0'],
    ['many', 'many'],
    ['9'.repeat(40), '9'.repeat(40)],
  ] as const) {
    test(`is ${after} behind this gateway where it was ${before}`, () => assert.equal(oneForwardLess(before), after));
  }
});
