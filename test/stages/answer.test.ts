import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sha256 } from '../../gateway/edges/digest.ts';
import type { Answer, Ask } from '../../gateway/domain/exchange.ts';
import type { Filter } from '../../gateway/domain/route.ts';
import { createAnswer } from '../../gateway/stages/answer.ts';
import { aComplete, type RequestTraits } from '../support/requests.ts';
import { aSharing } from '../support/sharing.ts';

const saying = (status: number): Answer => ({ kind: 'answer', status, rawHeaders: [], body: Buffer.alloc(0) });
const silent: Filter = { name: 'Silent', text: 'Silent' };
const redirect = (status: number): Filter => ({ name: 'R', text: 'R', onBehalf: () => saying(status) });

/** An answer stage whose parts tell in which order they were asked. */
function anAnswer() {
  const asked: string[] = [];
  const answer = createAnswer({
    digest: sha256,
    remember: (_, ask) => (asked.push('remember'), ask(undefined)),
    join: ({ complete }, _, ask) => {
      asked.push('join');
      return ask({ ...complete, callerId: '', affinity: '', message: () => assert.fail('nothing is sent') });
    },
    gather: (_, question, ask) => (asked.push('gather'), ask(question)),
    noteWrite: ({ method }, { status }) => void asked.push(`note ${method} ${status}`),
  });
  const ask: Ask = () => (asked.push('R'), Promise.resolve(saying(200)));
  return { answer, asked, put: (traits: RequestTraits) => answer(aComplete(traits), ask) };
}

describe('answer', () => {
  test('lets the first filter that can reply do so, and asks nobody', async () => {
    const { put, asked } = anAnswer();

    const reply = await put({ filters: [silent, redirect(302), redirect(307)] });

    assert.deepEqual([reply, asked], [saying(302), []]);
  });

  test('asks for one caller alone where the route shares nothing, and says so to who remembers', async () => {
    const { put, asked } = anAnswer();

    const reply = await put({ filters: [silent], request: { method: 'POST' } });

    assert.deepEqual([reply, asked], [saying(200), ['R', 'note POST 200']]);
  });

  test('asks the memory, then the flights, then the batches, and R last', async () => {
    const { put, asked } = anAnswer();

    await put({ policy: { sharing: aSharing() } });

    assert.deepEqual(asked, ['remember', 'join', 'gather', 'R']);
  });

  test('shares only by the methods that the route shares', async () => {
    const { put, asked } = anAnswer();

    await put({ policy: { sharing: aSharing({ methods: new Set(['GET']) }) }, request: { method: 'POST' } });

    assert.deepEqual(asked, ['R', 'note POST 200']);
  });
});
