import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Deadlines } from '../../gateway/domain/deadlines.ts';
import { GatewayError } from '../../gateway/domain/errors.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type { VaryKey } from '../../gateway/domain/route.ts';
import { examplesOf } from '../../gateway/domain/sharing/batch/proof.ts';
import { readRows } from '../../gateway/domain/sharing/batch/rows.ts';
import { Subject } from '../../gateway/domain/sharing/batch/subject.ts';
import type { SendUpstream, UpstreamMessage, Via } from '../../gateway/domain/upstream.ts';
import { OwnRequests, Prover } from '../../gateway/stages/batch-proof.ts';
import { aBatchRoute } from '../support/batching.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aBatchPolicy } from '../support/sharing.ts';

const PROTOTYPE = JSON.stringify({
  weight: { type: 'numeric', example: '2.62', details: [] },
  gears: { type: 'integer', example: '4', details: [] },
  month: { type: 'factor', example: 'May', details: { levels: ['May', 'Jun', 'Jul'] } },
  wet: { type: 'logical', example: 'FALSE', details: [] },
  name: { type: 'character', example: 'Zürich', details: [] },
});

describe('examples', () => {
  const textsOf = (prototype: string, format: 'array' | 'columns' = 'array') =>
    (examplesOf(prototype, format) ?? []).map(({ pieces }) => Buffer.from(pieces.join('|'), 'latin1').toString());

  test('begin with ordinary rows of the types that the model publishes, none like another', () => {
    const examples = examplesOf(PROTOTYPE, 'array') ?? [];
    const rows = textsOf(PROTOTYPE).map(text => JSON.parse(`[${text}]`) as Record<string, unknown>[]);
    const ordinary = rows.slice(0, 6).flat();

    assert.deepEqual(ordinary[0], { weight: 2.62, gears: 4, month: 'May', wet: true, name: 'Zürich' });
    assert.equal(new Set(ordinary.map(row => row['weight'])).size, 6);
    assert.equal(new Set(examples.map(({ shape }) => shape)).size, 1, 'all of one shape');
    assert.equal(examples[0]?.shape, '"weight"d"gears"i"month"t"wet"l"name"t');
  });

  test('have levels in another order, extremes, texts of other lengths, and a missing value in each column', () => {
    const rows = textsOf(PROTOTYPE).map(text => JSON.parse(`[${text}]`) as Record<string, unknown>[]);
    const ofOne = (name: string) => new Set(rows.flat().map(row => row[name]));
    const months = rows.flat().map(row => row['month']);

    assert.deepEqual(months.slice(0, 6), ['May', 'Jun', 'Jul', 'Jul', 'Jun', 'May']);
    assert.deepEqual(
      [0, -1.5, 1e300].filter(value => !ofOne('weight').has(value)),
      [],
    );
    assert.deepEqual(
      [0, -1, 2_147_483_647].filter(value => !ofOne('gears').has(value)),
      [],
    );
    assert.deepEqual(
      ['', 'Zürich', 'Zürich Zürich and more'].filter(value => !ofOne('name').has(value)),
      [],
    );
    for (const name of ['weight', 'gears', 'month', 'wet', 'name']) {
      const lacking = rows.filter(call => call.some(row => row[name] === null));
      assert.ok(lacking.length > 0, name);
      for (const call of lacking)
        assert.ok(
          call.some(row => row[name] !== null),
          `${name}: beside a present one`,
        );
    }
  });

  test('are made as columns, too', () => {
    assert.deepEqual(textsOf('{"x":{"type":"integer","example":1}}', 'columns'), [
      ...['1', '2', '3', '4', '5', '6'],
      ...['0', '-1', '123456', '1', '2147483647'],
      'null,2',
    ]);
  });

  for (const [what, text] of [
    ['no JSON', '<html>'],
    ['no prototype', '{"error":"404 - Resource Not Found"}'],
    ['no columns', '{}'],
    ['nothing that varies', '{"x":{"type":"whatever","example":"a"}}'],
    ['a name that cannot travel', '{"_row":{"type":"numeric","example":"1"}}'],
  ] as const) {
    test(`are none where it publishes ${what}`, () => assert.equal(examplesOf(text, 'array'), undefined));
  }
});

/** What an R says to a message, and of which version it is. */
type R = (message: UpstreamMessage) => {
  readonly status?: number;
  /** In place of an answer, as of a way that is not HTTP. */
  readonly failure?: GatewayError;
  readonly text: string;
  readonly version?: string;
  readonly fields?: readonly string[];
};

function xOf({ body }: UpstreamMessage): number[] {
  return [...body.toString().matchAll(/"x":(null|[-\d.e+]+)/g)].map(([, x]) => (x === 'null' ? Number.NaN : Number(x)));
}

const twice: R = message => {
  if (message.method === 'GET') return { text: '{"x":{"type":"numeric","example":"1.5"}}' };
  return {
    text: JSON.stringify({
      '.pred': xOf(message).length === 1 ? 2 * (xOf(message)[0] ?? 0) : xOf(message).map(x => 2 * x),
    }),
  };
};

interface Pair {
  readonly g: number;
  readonly x: number;
}

interface ProverTraits {
  readonly versions?: string;
  readonly target?: string;
  /** The operator declares the rows to be independent. */
  readonly isDeclared?: boolean;
  readonly sizeMax?: number;
  readonly varyBy?: readonly VaryKey[];
}

function aProver(r: R, traits: ProverTraits = {}) {
  const { versions = '1', target = '/predict', isDeclared = false, sizeMax = 2, varyBy = [] } = traits;
  const clock = manualClock();
  const events: GatewayEvent[] = [];
  const requested: string[] = [];
  const sent: UpstreamMessage[] = [];
  const subject = new Subject();
  const policy = aBatchPolicy({ rowsIndependent: isDeclared, sizeMax });
  const route = aBatchRoute({ versions, batch: policy, varyBy });
  const send: SendUpstream = options => {
    const { priority = '', waiting } = options;
    const message = options.message();
    requested.push(`${priority} ${message.method} ${message.target}`);
    sent.push(message);
    const via: Via = { instance: 'r', version: '1', attempts: 1, queueMs: 0, connectMs: 0, firstByteMs: 0 };
    const { status = 200, text, version = '1', fields = [], failure } = r(message);
    globalThis.setImmediate(() => {
      if (failure !== undefined) waiting.failed(failure, { ...via, version });
      else waiting.answered({ status, fields: [...fields], body: Buffer.from(text), via: { ...via, version } });
    });
    return { ...via, isSent: true, leave: () => undefined, extend: () => undefined };
  };
  const own = new OwnRequests({ send: send, clock, deadlines: new Deadlines(clock) });
  const prover = new Prover({ own, clock, observe: event => events.push(event) });
  const fields = [
    'Content-Type',
    'application/json',
    'X-Penstock-Subject',
    'alice',
    'Authorization',
    'Bearer of-alice',
  ];
  const message = { method: 'POST', target, host: undefined, fields };
  /** Until it has come to an end. */
  const prove = async () => {
    prover.consider({ subject, route, policy, message, isCalled: true });
    while (subject.proof.isRunning) await setImmediate();
  };
  const noticeOf = (group: string, body: string) => {
    const rows = readRows(Buffer.from(body), 'array', 64) ?? assert.fail(body);
    const groupsFields = ['Content-Type', 'application/json', 'X-Penstock-Subject', group];
    subject.notice(
      rows,
      { method: 'POST', target, host: undefined, fields: groupsFields, body: Buffer.from(body) },
      group,
    );
  };
  const notice = (...bodies: string[]) => {
    for (const body of bodies) noticeOf('alice', body);
  };
  const reported = () =>
    events.flatMap(event => (event.kind === 'batching' ? [`${event.isOn ? 'on' : 'off'} ${event.reason}`] : []));
  const standing = () => subject.standing(versions, clock.nowMs());
  return { clock, subject, requested, sent, prove, notice, noticeOf, reported, own, standing };
}

const DECLARE =
  'write `batch: { rowsIndependent: true }` if no row’s answer depends on the rows beside it: see docs/adding-a-model.md';

describe('a proof', () => {
  test('asks the examples of the model alone, and together in sizes on both sides of powers of two, after all callers', async () => {
    const { prove, requested, sent, reported, standing, subject } = aProver(twice, { sizeMax: 9 });
    await prove();

    const counts = sent.slice(1).map(message => xOf(message).length);
    assert.deepEqual(new Set(requested), new Set(['low GET /prototype', 'low POST /predict']));
    assert.deepEqual(counts, [...Array<number>(11).fill(1), 2, 12, 2, 3, 4, 5, 7, 8, 9, 9, 5]);
    assert.deepEqual(
      [standing(), reported()],
      ['proven', ['on /predict of version 1: rows together are answered as each alone']],
    );
    assert.deepEqual(subject.formOf('1'), { kind: 'members', members: [{ name: '".pred"', value: 'unboxed' }] });
    assert.equal(subject.trustOf('1')?.rowsMax, 12);
  });

  test('carries nothing of the caller whose call it is made for, where the model publishes examples', async () => {
    const { prove, sent } = aProver(twice, { varyBy: [{ kind: 'caller' }, { kind: 'header', name: 'authorization' }] });
    await prove();

    assert.ok(sent.length > 2);
    for (const { fields } of sent) assert.ok(!fields.join().includes('alice'), fields.join());
  });

  test('with rows of callers stays within the group that may share: none meets what R is sent for another', async () => {
    const { prove, noticeOf, sent, standing } = aProver(twice, { target: '/double?q=2', isDeclared: true });
    noticeOf('alice', '[{"x":1.5}]');
    noticeOf('bob', '[{"x":7.5}]');
    noticeOf('alice', '[{"x":2.5}]');
    await prove();

    assert.equal(standing(), 'proven');
    for (const { body, fields } of sent) {
      assert.ok(!body.includes('7.5'));
      assert.deepEqual(fields, ['Content-Type', 'application/json', 'X-Penstock-Subject', 'alice']);
    }
  });

  for (const [what, answerTo] of [
    ['looks at the first row', (xs: number[]) => xs.map(x => x - (xs[0] ?? 0))],
    ['fills missing values with a mean', (xs: number[]) => xs.map(x => (Number.isNaN(x) ? meanOf(xs) : x))],
    ['takes another branch for more than six rows', (xs: number[]) => xs.map(x => (xs.length > 6 ? x + 1 : x))],
    ['looks at the last row where that is negative', (xs: number[]) => xs.map(x => x + Math.min(0, xs.at(-1) ?? 0))],
    ['scales by an extreme', (xs: number[]) => xs.map(x => (xs.some(each => each > 1e9) ? 0 : x))],
    ['counts what stood before', (xs: number[]) => xs.map((x, i) => xs.indexOf(x) - i)],
    ['sorts its rows', (xs: number[]) => xs.toSorted((a, b) => a - b)],
    ['sorts them the other way', (xs: number[]) => xs.toSorted((a, b) => b - a)],
    ['drops those it has seen', (xs: number[]) => [...new Set(xs)]],
  ] as const) {
    test(`is refused to a model that ${what}`, async () => {
      const { prove, standing, reported } = aProver(
        message => (message.method === 'GET' ? twice(message) : { text: JSON.stringify(answerTo(xOf(message))) }),
        { sizeMax: 9 },
      );
      await prove();

      assert.equal(standing(), 'refuted', reported().join());
    });
  }

  const inGroups = [
    [
      'their mean',
      (of: readonly Pair[]) => of.map(({ g }) => meanOf(of.flatMap(each => (each.g === g ? [each.x] : [])))),
    ],
    ['whether another is there', (of: readonly Pair[]) => of.map(({ g, x }) => of.some(o => o.g === g && o.x !== x))],
    ['their order', (of: readonly Pair[]) => of.map(({ g, x }) => of.filter(o => o.g === g && o.x < x).length)],
  ] as const;
  for (const sizeMax of [2, 5, 64]) {
    for (const [what, answerTo] of inGroups) {
      const grouping: R = ({ method, body }) => {
        if (method !== 'GET') return { text: JSON.stringify(answerTo(JSON.parse(body.toString()) as Pair[])) };
        return { text: '{"g":{"type":"numeric","example":"1.5"},"x":{"type":"numeric","example":"7"}}' };
      };

      test(`is refused to a model that tells rows of equal \`g\` ${what}, with up to ${sizeMax} of them`, async () => {
        const { prove, standing, reported } = aProver(grouping, { sizeMax });
        await prove();

        assert.equal(standing(), 'refuted', reported().join());
      });

      test(`is refused to it by what two callers have sent, with ${what}, ${sizeMax}`, async () => {
        const { prove, notice, standing, reported } = aProver(grouping, {
          target: '/grouped',
          isDeclared: true,
          sizeMax,
        });
        notice('[{"g":1.25,"x":3.5}]', '[{"g":2.25,"x":4.5}]');
        await prove();

        assert.equal(standing(), 'refuted', reported().join());
      });
    }
  }

  for (const [what, field, reason] of [
    ['sets a cookie', ['Set-Cookie', 'a=b'], 'the field Set-Cookie differs from call to call'],
    ['counts its calls', undefined, 'the field x-calls differs from call to call'],
  ] as const) {
    test(`is refused to a model that ${what}: what several get must be meant for all`, async () => {
      let calls = 0;
      const { prove, reported } = aProver(message => ({
        ...twice(message),
        fields: field ?? ['X-Calls', String(++calls), 'Date', String(calls)],
      }));
      await prove();

      assert.deepEqual(reported(), [`off /predict of version 1: ${reason}`]);
    });
  }

  test('is not made where nothing is published and nothing declared: what to write is told once', async () => {
    const { prove, notice, requested, reported, standing, clock } = aProver(() => ({ status: 404, text: '{}' }));
    notice('[{"x":1.5}]', '[{"x":2.5}]');
    await prove();
    assert.deepEqual(reported(), []);
    for (let i = 0; i < 3; i++) {
      await prove();
      clock.advance(60_000);
    }

    assert.deepEqual([requested, standing()], [['low GET /prototype'], 'open']);
    assert.deepEqual(reported(), [`off /predict: there are no examples at /prototype to prove by: ${DECLARE}`]);
  });

  test('is tried again after ten minutes where nothing was published', async () => {
    const { prove, requested, clock } = aProver(() => ({ status: 404, text: '{}' }));
    await prove();
    clock.advance(10 * 60_000);
    await prove();

    assert.equal(requested.length, 2);
  });

  test('is made of what callers have sent where they are declared to be independent, but not before they have', async () => {
    const { prove, notice, requested, standing } = aProver(twice, { target: '/double', isDeclared: true });
    await prove();
    notice('[{"x":1.5}]', '[{"x":1.5}]');
    await prove();
    assert.deepEqual([requested, standing()], [[], 'open'], 'one row shows nothing');
    notice('[{"x":2.5},{"x":3.5}]');
    await prove();

    assert.deepEqual([requested.length, standing()], [4, 'proven']);
  });

  test('runs from the examples even where rows are declared to be independent', async () => {
    const { prove, notice, requested } = aProver(twice, { isDeclared: true });
    notice('[{"x":1.5}]', '[{"x":2.5}]');
    await prove();

    assert.equal(requested[0], 'low GET /prototype');
  });

  test('goes on without the examples that the model does not answer well', async () => {
    const picky: R = message => {
      if (message.method === 'GET') return twice(message);
      return xOf(message).some(x => Number.isNaN(x) || x < 0 || x > 1e5) ? { status: 422, text: '{}' } : twice(message);
    };
    const { prove, standing } = aProver(picky, { sizeMax: 9 });
    await prove();

    assert.equal(standing(), 'proven');
  });

  test('is made of what callers have sent where all examples are no good, if that is declared', async () => {
    const picky: R = message => {
      if (message.method === 'GET') return { text: '{"x":{"type":"numeric","example":"-9.5"}}' };
      return xOf(message).some(x => !(x > 0 && x < 10)) ? { status: 500, text: '{}' } : twice(message);
    };
    const picky5: R = message => (xOf(message).some(x => x < 1) ? { status: 500, text: '{}' } : picky(message));
    const { prove, notice, standing, reported, clock } = aProver(picky5, { isDeclared: true });
    await prove();
    assert.deepEqual(
      [standing(), reported()],
      ['open', ['off /predict of version 1: with the examples of /prototype a row alone is answered with 500']],
    );
    notice('[{"x":1.5}]', '[{"x":2.5}]');
    clock.advance(60_000);
    await prove();

    assert.equal(standing(), 'proven');
  });

  test('comes to an end where the model is not reached by HTTP, and fails', async () => {
    const failure = new GatewayError('MODEL_FAILED', 'object of type closure is not subsettable');
    const noPost = new GatewayError('METHOD_NOT_ALLOWED', 'a function is called by POST');
    const failing: R = ({ method }) => ({ text: '', failure: method === 'GET' ? noPost : failure });
    const picky: R = message => (xOf(message).some(x => x > 2) ? { text: '', failure } : twice(message));
    const declared = aProver(failing, { isDeclared: true });
    declared.notice('[{"x":1.5}]', '[{"x":2.5}]');
    await declared.prove();
    const published = aProver(picky, { sizeMax: 4 });
    await published.prove();

    assert.deepEqual([declared.standing(), declared.subject.proof.failures], ['open', 1], 'other rows may do better');
    assert.equal(declared.subject.rowsSeen(), undefined);
    assert.equal(published.standing(), 'proven');
  });

  test('with rows of callers’ choice that shows the contrary holds for ten minutes, and others are tried then', async () => {
    const lenient: R = message => ({ text: xOf(message).length === 0 ? '[5]' : JSON.stringify(xOf(message)) });
    const { prove, notice, standing, clock } = aProver(lenient, { target: '/lenient', isDeclared: true });
    notice('[{"y":1}]', '[{"y":2}]');
    await prove();
    assert.equal(standing(), 'refuted');
    clock.advance(10 * 60_000 - 1);
    assert.equal(standing(), 'refuted');
    clock.advance(1);
    notice('[{"x":1}]', '[{"x":2}]');
    await prove();

    assert.equal(standing(), 'proven');
  });

  test('asks for no examples where a caller’s query says, and tells nothing of the query', async () => {
    const { prove, notice, requested, reported } = aProver(twice, {
      target: '/reset?key=secret/predict',
      isDeclared: true,
    });
    notice('[{"x":1.5}]', '[{"x":2.5}]');
    await prove();

    assert.deepEqual(new Set(requested), new Set(['low POST /reset?key=secret/predict']));
    assert.deepEqual(reported(), ['on /reset of version 1: rows together are answered as each alone']);
  });

  test('is not made of rows so long that keeping them would fill the memory', () => {
    const { notice, subject } = aProver(twice, { isDeclared: true });
    const long = 'a'.repeat(10_000);
    notice(`[{"x":1,"y":"${long}"}]`, `[{"x":2,"y":"${long}"}]`);
    assert.equal(subject.rowsSeen(), undefined);
    notice('[{"x":1}]', '[{"x":2}]');

    assert.equal(subject.rowsSeen()?.rows.length, 2);
  });

  test('that got no answer is tried again, ever more seldom', async () => {
    const { prove, requested, clock, standing } = aProver(() => ({ status: 503, text: '' }));
    const tries: number[] = [];
    for (let s = 0; s < 64; s++) {
      const before = requested.length;
      await prove();
      if (requested.length > before) tries.push(s);
      clock.advance(1_000);
    }

    assert.deepEqual([tries, standing()], [[0, 2, 6, 14, 30, 62], 'open']);
  });

  test('needs every version that the service has now', async () => {
    let turn = 0;
    const { prove, standing, subject } = aProver(
      message => ({ ...twice(message), version: (turn++ * 7) % 10 < 4 ? 'b' : 'a' }),
      { versions: 'a,b' },
    );
    await prove();

    assert.deepEqual(
      [standing(), subject.standing('a', 0), subject.standing('b', 0), subject.standing('c', 0)],
      ['proven', 'proven', 'proven', 'open'],
    );
  });

  test('holds for ten minutes where a model has no version', async () => {
    const { prove, standing, clock } = aProver(message => ({ ...twice(message), version: '' }), { versions: '' });
    await prove();
    assert.equal(standing(), 'proven');
    clock.advance(10 * 60_000);

    assert.equal(standing(), 'open');
  });

  test('of many paths of one service leaves room for those of another', () => {
    const requested: string[] = [];
    const none: Via = { instance: null, version: null, attempts: 0, queueMs: 0, connectMs: null, firstByteMs: null };
    const send: SendUpstream = options => {
      requested.push(`${options.route.service.name} ${options.message().target}`);
      return { ...none, isSent: false, leave: () => undefined, extend: () => undefined };
    };
    const clock = manualClock();
    const own = new OwnRequests({ send: send, clock, deadlines: new Deadlines(clock) });
    const prover = new Prover({ own, clock, observe: () => undefined });
    for (const [service, target] of [
      ['fuel', '/a/predict'],
      ['fuel', '/b/predict'],
      ['fuel', '/c/predict'],
      ['iris', '/predict'],
    ] as const) {
      const message = { method: 'POST', target, host: undefined, fields: [] };
      prover.consider({
        subject: new Subject(),
        route: aBatchRoute({ service }),
        policy: aBatchPolicy(),
        message,
        isCalled: true,
      });
    }

    assert.deepEqual(requested, ['fuel /a/prototype', 'fuel /b/prototype', 'iris /prototype']);
    own.close();
  });

  test('is broken off when the gateway ends, and none begins', async () => {
    const { prove, requested, own } = aProver(twice);
    own.close();
    await prove();

    assert.deepEqual(requested, []);
  });
});

function meanOf(xs: readonly number[]): number {
  const known = xs.filter(x => !Number.isNaN(x));
  return known.reduce((sum, x) => sum + x, 0) / known.length;
}
