import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Answer } from '../../gateway/domain/exchange.ts';
import type { Filter } from '../../gateway/domain/route.ts';
import { createAnswer } from '../../gateway/stages/answer.ts';
import { aCompleteFor, aService } from '../support/builders.ts';
import { aComplete } from '../support/requests.ts';

const saying = (status: number): Answer => ({ kind: 'answer', status, rawHeaders: [], body: Buffer.alloc(0) });
const silent: Filter = { name: 'Silent', text: 'Silent' };
const redirect = (status: number): Filter => ({ name: 'R', text: 'R', onBehalf: () => saying(status) });

describe('answer', () => {
  const answer = createAnswer();

  test('lets the first filter that can reply do so, and asks no instance', async () => {
    const complete = aComplete({ filters: [silent, redirect(302), redirect(307)] });

    const reply = await answer(complete, () => assert.fail('no instance was to be asked'));

    assert.deepEqual(reply, saying(302));
  });

  test('goes on where no filter can', async () => {
    const reply = await answer(aCompleteFor(aService().service, { filters: [silent] }), () =>
      Promise.resolve(saying(200)),
    );

    assert.deepEqual(reply, saying(200));
  });
});
