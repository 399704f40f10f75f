import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TokenFinding } from '../../../gateway/domain/ports.ts';
import { createTokenMemory } from '../../../gateway/domain/admission/token-memory.ts';

const finding: TokenFinding = { kind: 'refused', fault: 'expired' };
const until = (endsMs: number) => ({ finding, endsMs });

describe('the memory of tokens', () => {
  test('remembers until the end, and not a millisecond longer', () => {
    const memory = createTokenMemory(10);
    memory.keep('a', until(1000));

    assert.equal(memory.find('a', 999), finding);
    assert.equal(memory.find('a', 1000), undefined);
    assert.equal(memory.size, 0, 'what has ended takes no room');
  });

  test('never holds more than it may, whatever comes', () => {
    const memory = createTokenMemory(10);

    for (let i = 0; i < 1000; i++) {
      memory.keep(`t${i}`, until(Infinity));
      memory.find(`t${i - 7}`, 0);
      assert.ok(memory.size <= 10);
    }
  });

  test('holds a token once, also when it is kept anew', () => {
    const memory = createTokenMemory(4);

    for (const digest of ['a', 'b', 'c', 'a']) memory.keep(digest, until(Infinity));

    assert.equal(memory.size, 3);
  });

  test('keeps what is asked for again, and forgets what is not', () => {
    const memory = createTokenMemory(10);
    memory.keep('wanted', until(Infinity));
    memory.keep('unwanted', until(Infinity));

    for (let i = 0; i < 100; i++) {
      memory.keep(`t${i}`, until(Infinity));
      assert.equal(memory.find('wanted', 0), finding, `after ${i} others`);
    }

    assert.equal(memory.find('unwanted', 0), undefined);
  });
});
