import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { GatewayEvent } from '../../../../gateway/domain/events.ts';
import type { Answer, Ask } from '../../../../gateway/domain/exchange.ts';
import type { UpstreamMessage } from '../../../../gateway/domain/ports.ts';
import { examplesOf } from '../../../../gateway/domain/sharing/proof/batch-examples.ts';
import { createProver } from '../../../../gateway/domain/sharing/proof/batch-prover.ts';
import { createSubject } from '../../../../gateway/domain/sharing/batch/batch-subject.ts';
import { readParcel } from '../../../../gateway/domain/sharing/batch/row-parcel.ts';
import { manualClock } from '../../../support/manual-clock.ts';
import { aComplete } from '../../../support/requests.ts';

const PROTOTYPE = JSON.stringify({
  weight: { type: 'numeric', example: '2.62', details: [] },
  gears: { type: 'integer', example: '4', details: [] },
  month: { type: 'factor', example: 'May', details: { levels: ['May', 'Jun', 'Jul'] } },
  wet: { type: 'logical', example: 'FALSE', details: [] },
  name: { type: 'character', example: 'Zürich', details: [] },
});

describe('examples', () => {
  test('are rows of the types that the model publishes, none like another', () => {
    const examples = examplesOf(PROTOTYPE, 'array') ?? [];
    const rows = examples.map(
      ({ pieces }) => JSON.parse(Buffer.from(pieces[0] ?? '', 'latin1').toString()) as Record<string, unknown>,
    );

    assert.deepEqual(rows[0], { weight: 2.62, gears: 4, month: 'May', wet: true, name: 'Zürich' });
    assert.deepEqual(
      rows.slice(0, 4).map(row => row['month']),
      ['May', 'Jun', 'Jul', 'May'],
    );
    assert.equal(new Set(rows.map(row => row['weight'])).size, rows.length);
    assert.equal(new Set(examples.map(({ shape }) => shape)).size, 1, 'all of one shape');
    assert.equal(examples[0]?.shape, '"weight"d"gears"i"month"t"wet"l"name"t');
  });

  test('are made as columns, too', () => {
    assert.deepEqual(
      examplesOf('{"x":{"type":"integer","example":1}}', 'columns')?.map(({ pieces }) => pieces[0]),
      ['1', '2', '3', '4', '5', '6'],
    );
  });

  for (const [what, text] of [
    ['no JSON', '<html>'],
    ['no prototype', '{"error":"404 - Resource Not Found"}'],
    ['no columns', '{}'],
    ['nothing that varies', '{"x":{"type":"character","example":"a"}}'],
    ['a name that cannot travel', '{"_row":{"type":"numeric","example":"1"}}'],
  ] as const) {
    test(`are none where it publishes ${what}`, () => assert.equal(examplesOf(text, 'array'), undefined));
  }
});

/** What an R says to a message, and of which version it is. */
type R = (message: UpstreamMessage) => {
  readonly status?: number;
  readonly text: string;
  readonly version?: string;
  readonly fields?: readonly string[];
};

function xOf({ body }: UpstreamMessage): number[] {
  return [...body.toString().matchAll(/"x":([-\d.]+)/g)].map(([, x]) => Number(x));
}

const twice: R = message => {
  if (message.method === 'GET') return { text: '{"x":{"type":"numeric","example":"1.5"}}' };
  return {
    text: JSON.stringify({
      '.pred': xOf(message).length === 1 ? 2 * (xOf(message)[0] ?? 0) : xOf(message).map(x => 2 * x),
    }),
  };
};

function aProver(r: R, { versions = '1', target = '/predict' } = {}) {
  const clock = manualClock();
  const events: GatewayEvent[] = [];
  const asked: string[] = [];
  const subject = createSubject();
  const { route: bare } = aComplete();
  const route = { ...bare, service: { ...bare.service, versions } };
  const ask: Ask = async question => {
    const message = question.message();
    asked.push(`${question.route.policy.priority} ${message.method} ${message.target}`);
    const { status = 200, text, version = '1', fields = [] } = r(message);
    await setImmediate();
    question.notes.version = version;
    return { kind: 'answer', status, rawHeaders: fields, body: Buffer.from(text) } satisfies Answer;
  };
  const prover = createProver({ ask, clock, observe: event => events.push(event) });
  const message = {
    method: 'POST',
    target,
    host: undefined,
    rawHeaders: ['Content-Type', 'application/json', 'X-Tenant', 'a'],
  };
  /** Until it has come to an end. */
  const prove = async () => {
    prover.consider({ subject, route, message, format: 'array' });
    while (subject.proof.isRunning) await setImmediate();
  };
  const notice = (...bodies: string[]) => {
    for (const body of bodies) subject.notice(readParcel(Buffer.from(body), 'array', 64) ?? assert.fail(body));
  };
  const told = () =>
    events.flatMap(event => (event.kind === 'batching' ? [`${event.isOn ? 'on' : 'off'} ${event.reason}`] : []));
  return {
    clock,
    subject,
    asked,
    prove,
    notice,
    told,
    prover,
    standing: () => subject.standing(versions, clock.nowMs()),
  };
}

describe('a proof', () => {
  test('asks six examples alone and together, after everyone else', async () => {
    const { prove, asked, told, standing, subject } = aProver(twice);
    await prove();

    assert.deepEqual(asked, ['low GET /prototype', ...Array<string>(7).fill('low POST /predict')]);
    assert.deepEqual(
      [standing(), told()],
      ['proven', ['on /predict of version 1: rows together are answered as each alone']],
    );
    assert.deepEqual(subject.formOf('1'), { kind: 'members', members: [{ name: '".pred"', value: 'unboxed' }] });
  });

  test('shows the contrary', async () => {
    const centred: R = message =>
      message.method === 'GET'
        ? twice(message)
        : { text: JSON.stringify(xOf(message).map((x, _, all) => x - (all[0] ?? 0))) };
    const { prove, told, standing } = aProver(centred);
    await prove();

    assert.deepEqual(
      [standing(), told()],
      ['refuted', ['off /predict of version 1: a row is answered otherwise among others than alone']],
    );
  });

  for (const [what, order] of [
    ['sorts its rows', (xs: number[]) => xs.toSorted((a, b) => a - b)],
    ['sorts them the other way', (xs: number[]) => xs.toSorted((a, b) => b - a)],
    ['drops those it has seen', (xs: number[]) => [...new Set(xs)]],
  ] as const) {
    test(`is refused to a model that ${what}, in whatever order the examples are`, async () => {
      const { prove, standing } = aProver(message =>
        message.method === 'GET' ? twice(message) : { text: JSON.stringify(order(xOf(message))) },
      );
      await prove();

      assert.equal(standing(), 'refuted');
    });
  }

  for (const [what, field, reason] of [
    ['sets a cookie', ['Set-Cookie', 'a=b'], 'the field Set-Cookie differs from call to call'],
    ['counts its calls', undefined, 'the field x-calls differs from call to call'],
  ] as const) {
    test(`is refused to a model that ${what}: what several get must be meant for all`, async () => {
      let calls = 0;
      const { prove, told } = aProver(message => ({
        ...twice(message),
        fields: field ?? ['X-Calls', String(++calls), 'Date', String(calls)],
      }));
      await prove();

      assert.deepEqual(told(), [`off /predict of version 1: ${reason}`]);
    });
  }

  test('is made of what callers have sent where nothing is published, but not before they have', async () => {
    const { prove, notice, asked, standing } = aProver(twice, { target: '/double' });
    await prove();
    notice('[{"x":1.5}]', '[{"x":1.5}]');
    await prove();
    assert.deepEqual([asked, standing()], [[], 'open'], 'one row shows nothing');
    notice('[{"x":2.5},{"x":3.5}]');
    await prove();

    assert.deepEqual([asked.length, standing()], [3, 'proven']);
  });

  test('is made of what callers have sent where the examples are no good', async () => {
    const picky: R = message => {
      if (message.method === 'GET') return { text: '{"x":{"type":"numeric","example":"-9.5"}}' };
      return xOf(message).some(x => x < 0) ? { status: 500, text: '{}' } : twice(message);
    };
    const { prove, notice, standing, told, clock } = aProver(picky);
    await prove();
    assert.deepEqual(
      [standing(), told()],
      ['open', ['off /predict of version 1: with the examples of /prototype a row alone is answered with 500']],
    );
    notice('[{"x":1.5}]', '[{"x":2.5}]');
    clock.advance(60_000);
    await prove();

    assert.equal(standing(), 'proven');
  });

  test('with rows of callers’ choice that shows the contrary holds for ten minutes, and others are tried then', async () => {
    const lenient: R = message => ({ text: xOf(message).length === 0 ? '[5]' : JSON.stringify(xOf(message)) });
    const { prove, notice, standing, clock } = aProver(lenient, { target: '/lenient' });
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
    const { prove, notice, asked, told } = aProver(twice, { target: '/reset?key=secret/predict' });
    notice('[{"x":1.5}]', '[{"x":2.5}]');
    await prove();

    assert.deepEqual(asked, Array<string>(3).fill('low POST /reset?key=secret/predict'));
    assert.deepEqual(told(), ['on /reset of version 1: rows together are answered as each alone']);
  });

  test('is not made of rows so long that remembering them would fill the memory', () => {
    const { notice, subject } = aProver(twice);
    const long = 'a'.repeat(10_000);
    notice(`[{"x":1,"y":"${long}"}]`, `[{"x":2,"y":"${long}"}]`);
    assert.deepEqual(subject.rowsSeen(), []);
    notice('[{"x":1}]', '[{"x":2}]');

    assert.equal(subject.rowsSeen().length, 2);
  });

  test('that got no answer is tried again, ever more seldom', async () => {
    const { prove, asked, clock, standing } = aProver(() => {
      throw new Error('no place');
    });
    const tries: number[] = [];
    for (let s = 0; s < 64; s++) {
      const before = asked.length;
      await prove();
      if (asked.length > before) tries.push(s);
      clock.advance(1_000);
    }

    assert.deepEqual([tries, standing()], [[0, 2, 6, 14, 30, 62], 'open']);
  });

  test('needs every version that the service has now', async () => {
    let turn = 0;
    const { prove, standing, subject, asked } = aProver(
      message => ({ ...twice(message), version: turn++ % 3 === 0 ? 'b' : 'a' }),
      { versions: 'a,b' },
    );
    await prove();

    assert.deepEqual(
      [standing(), subject.standing('a', 0), subject.standing('b', 0), subject.standing('c', 0)],
      ['proven', 'proven', 'proven', 'open'],
    );
    assert.ok(asked.length <= 1 + 6 * 7);
  });

  test('holds for ten minutes where a model has no version', async () => {
    const { prove, standing, clock } = aProver(message => ({ ...twice(message), version: '' }), { versions: '' });
    await prove();
    assert.equal(standing(), 'proven');
    clock.advance(10 * 60_000);

    assert.equal(standing(), 'open');
  });

  test('of many paths of one service leaves room for those of another', () => {
    const asked: string[] = [];
    const ask: Ask = question => {
      asked.push(`${question.route.service.name} ${question.message().target}`);
      return new Promise(() => undefined);
    };
    const prover = createProver({ ask, clock: manualClock(), observe: () => undefined });
    const { route: bare } = aComplete();
    for (const [name, target] of [
      ['fuel', '/a/predict'],
      ['fuel', '/b/predict'],
      ['fuel', '/c/predict'],
      ['iris', '/predict'],
    ] as const) {
      const route = { ...bare, service: { ...bare.service, name } };
      const message = { method: 'POST', target, host: undefined, rawHeaders: [] };
      prover.consider({ subject: createSubject(), route, message, format: 'array' });
    }

    assert.deepEqual(asked, ['fuel /a/prototype', 'fuel /b/prototype', 'iris /prototype']);
    prover.close();
  });

  test('is broken off when the gateway ends, and none begins', async () => {
    const { prove, asked, prover } = aProver(twice);
    prover.close();
    await prove();

    assert.deepEqual(asked, []);
  });
});
