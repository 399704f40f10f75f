import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { answersIn, bodyOf, remedyOf, type CallOutcome } from '../../../gateway/domain/jobs/answers.ts';
import { namedFile, Settled } from '../../../gateway/domain/jobs/inbox.ts';
import { callbackIn } from '../../../gateway/domain/jobs/callback.ts';
import { CallSize, callsAtOnce, prefersAsync } from '../../../gateway/domain/jobs/job-route.ts';
import { resultForm } from '../../../gateway/domain/jobs/results.ts';
import type { InstanceState, InstanceView } from '../../../gateway/domain/service.ts';

const outcome = (traits: Partial<CallOutcome>): CallOutcome => ({
  ...{ status: 200, code: null, body: Buffer.from('[1,2]'), detail: 'why', errors: [], retryAfterMs: undefined },
  ...traits,
});

describe('a call of a job', () => {
  test('has as many rows as are answered while another caller would hardly notice, and few where rows are refused', () => {
    const size = new CallSize();
    const after = (ms: number, rows = size.rows) => {
      size.took(ms, rows);
      return size.rows;
    };

    assert.deepEqual([size.rows, after(10), after(49), after(50), after(150)], [64, 128, 256, 256, 256]);
    assert.equal(after(10, 3), 256, 'the last rows of a file say nothing of a whole call');
    assert.deepEqual([after(151), after(1), after(1), after(1)], [128, 256, 512, 1_024]);
    assert.equal(after(1), 1_024);
    size.refused();
    assert.deepEqual([size.rows, after(1), after(1_000)], [64, 64, 64]);
  });
});

describe('the answer to rows', () => {
  test('is one answer a row, of a list or of columns', () => {
    const of = (text: string, rows: number) => answersIn(Buffer.from(text), rows);

    assert.deepEqual(of('[{".pred":1},{".pred":2}]', 2), ['{".pred":1}', '{".pred":2}']);
    assert.deepEqual(of('{".pred":[1,null],"id":["a","b"]}', 2), ['{".pred":1,"id":"a"}', '{".pred":null,"id":"b"}']);
    assert.deepEqual(of('{".pred":1}', 1), ['{".pred":1}']);
    for (const text of ['[1]', '{"a":[1,2,3]}', '{}', '7', 'no', '{"a":[1,2],"b":[1]}']) {
      assert.equal(of(text, 2), undefined, text);
    }
  });

  test('is asked for in the form of the route', () => {
    const records = ['{"a":1,"b":"x"}', '{"b":"y"}'];

    assert.equal(bodyOf(records, 'array').toString(), '[{"a":1,"b":"x"},{"b":"y"}]');
    assert.equal(bodyOf(records, 'columns').toString(), '{"a":[1,null],"b":["x","y"]}');
  });
});

describe('a call for rows that brought no answers', () => {
  test('is made again for as long as its failure passes, and a few times where the instance may be at fault', () => {
    for (const code of ['SERVICE_UNAVAILABLE', 'QUEUE_FULL', 'RATE_LIMITED', 'DRAINING'] as const) {
      assert.equal(remedyOf(outcome({ status: 503, code }), 2).kind, 'wait', code);
    }
    for (const code of ['CONNECTION_LOST', 'DEADLINE_EXCEEDED'] as const) {
      assert.equal(remedyOf(outcome({ status: 502, code }), 2).kind, 'again', code);
    }
    assert.equal(remedyOf(outcome({ status: 503 }), 2).kind, 'again');
  });

  test('names the rows that are refused, or is parted to find them', () => {
    const errors = [
      { pointer: '/1/wt', detail: 'row 2: `wt`: "heavy" is not a number' },
      { pointer: '/1/hp', detail: 'row 2: `hp` is missing' },
      { pointer: '/9', detail: 'no such row' },
    ];

    assert.deepEqual(remedyOf(outcome({ status: 422, code: 'INVALID_INPUT', errors }), 2), {
      kind: 'rows',
      errors: new Map([[1, { code: 'INVALID_INPUT', detail: '`wt`: "heavy" is not a number' }]]),
    });
    assert.deepEqual(remedyOf(outcome({ status: 500 }), 2), {
      kind: 'apart',
      error: { code: 'MODEL_FAILED', detail: 'why' },
    });
    assert.equal(remedyOf(outcome({ body: Buffer.from('[1]') }), 2).kind, 'apart');
  });
});

describe('the calls of jobs', () => {
  const inState = (state: InstanceState) => ({ state }) as InstanceView;
  const [well, ill] = [inState('in-rotation'), inState('ejected')];

  test('are as many as all instances in rotation but one can work on, and one at least', () => {
    assert.equal(callsAtOnce({ instances: [well, well, ill, well] }, 1), 2);
    assert.equal(callsAtOnce({ instances: [well, well, well] }, 4), 8);
    assert.equal(callsAtOnce({ instances: [well] }, 4), 1);
    assert.equal(callsAtOnce({ instances: [ill] }, 1), 1);
  });
});

describe('a preference', () => {
  test('for an answer later is read from any line, by its name alone', () => {
    assert.equal(prefersAsync(['Prefer', 'return=minimal, Respond-Async; x=1']), true);
    assert.equal(prefersAsync(['prefer', 'wait=10', 'Prefer', 'respond-async']), true);
    assert.equal(prefersAsync(['Prefer', 'respond-async-later']), false);
  });

  test('may name whom to tell', () => {
    assert.equal(
      callbackIn(['Prefer', 'respond-async, callback; url="https://a.example/x?y=1"']),
      'https://a.example/x?y=1',
    );
    assert.equal(callbackIn(['Prefer', 'callback']), undefined);
  });
});

describe('a result', () => {
  const results = [
    { answer: '{".pred":1,"why":"a,\\"b\\""}' },
    { error: { code: 'MODEL_FAILED', detail: 'no' } },
    { answer: '{".pred":"NA","why":"NA"}' },
    { answer: '{".pred":2,"why":"b"}' },
  ] as const;
  const written = (form: 'json' | 'jsonl' | 'csv') => {
    const writer = resultForm(form, ['.pred', 'why']);
    return writer.head + writer.rows(results.slice(0, 1), true) + writer.rows(results.slice(1), false) + writer.tail;
  };

  test('is written in the form of its file, with each error in its row', () => {
    const error = '{"error":{"code":"MODEL_FAILED","detail":"no"}}';

    const [first, , third, last] = results;
    const texts = [first.answer, error, third.answer, last.answer];

    assert.equal(written('jsonl'), `${texts.join('\n')}\n`);
    assert.deepEqual(JSON.parse(written('json')), JSON.parse(`[${texts.join(',')}]`));
    const lines = ['.pred,why,error', '1,"a,""b""",', ',,MODEL_FAILED: no', ',"NA",', '2,b,', ''];
    assert.equal(written('csv'), lines.join('\r\n'), 'a missing number is empty, a text is not');
  });

  test('has a column of errors that no answer has', () => {
    assert.equal(resultForm('csv', ['error', '.error']).head, 'error,.error,..error\r\n');
  });
});

describe('a file in the inbox', () => {
  const file = (name: string, bytes: number, changedMs = 1) => ({ name, bytes, changedMs });

  test('is waited for while it is written', () => {
    const settled = new Settled();
    const looks = [
      [file('a', 1), file('b', 0)],
      [file('a', 2), file('b', 0)],
      [file('a', 2, 2), file('b', 0), file('c', 1)],
      [file('a', 2, 2), file('c', 1)],
    ];

    assert.deepEqual(
      looks.map(files => settled.of(files).map(({ name }) => name)),
      [[], [], [], ['a', 'c']],
    );
  });

  test('is known by its name', () => {
    const formOf = (name: string) => namedFile(name)?.form;

    assert.deepEqual(namedFile('cars.csv.gz'), {
      ...{ form: 'csv', isPacked: true, result: 'cars.result.csv', error: 'cars.error.json' },
    });
    assert.deepEqual(['a.JSON', 'a.b.ndjson', 'a.jsonl'].map(formOf), ['json', 'jsonl', 'jsonl']);
    for (const name of ['a.txt', 'csv', '.csv', '.a.csv', 'a.csv.part', 'a.result.csv', 'a.error.json', 'a.gz']) {
      assert.equal(formOf(name), undefined, name);
    }
  });
});
