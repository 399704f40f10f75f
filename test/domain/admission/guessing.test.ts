import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Guessing } from '../../../gateway/domain/admission/guessing.ts';
import type { Finding } from '../../../gateway/domain/admission/scheme.ts';
import { anonymousCaller } from '../../../gateway/domain/caller.ts';
import { manualClock } from '../../support/manual-clock.ts';

const wrong: Finding = { kind: 'refused', fault: 'wrong-password' };
const good: Finding = { kind: 'valid', caller: anonymousCaller('192.0.2.1') };

function aGuard(failures = 3) {
  const clock = manualClock();
  const guessing = new Guessing({ failures, perMs: 60_000 }, clock);
  let checks = 0;
  const guess = (address: string, subject = 'alice', finding = wrong) =>
    guessing.judge({ address, subject }, () => {
      checks += 1;
      return finding;
    });
  return { clock, guessing, guess, checks: () => checks };
}

describe('guessing', () => {
  test('is refused before the check, after so many failures, until the window ends', () => {
    const { clock, guess, checks } = aGuard();
    for (let i = 0; i < 3; i++) guess('192.0.2.1');

    clock.advance(10_000);
    assert.throws(() => guess('192.0.2.1'), { code: 'RATE_LIMITED', retryAfterMs: 50_000 });
    assert.equal(checks(), 3);

    clock.advance(50_000);
    guess('192.0.2.1');
    assert.equal(checks(), 4);
  });

  test('from one address locks no caller out elsewhere, whichever name was tried', () => {
    const { guess } = aGuard();
    for (let i = 0; i < 3; i++) guess('192.0.2.1', `name-${i}`);

    assert.throws(() => guess('192.0.2.1', 'another'), { code: 'RATE_LIMITED' });
    assert.equal(guess('192.0.2.2', 'name-1', good), good);
  });

  test('counts an IPv6 network of one holder as one address', () => {
    const { guess } = aGuard();
    for (let i = 0; i < 3; i++) guess(`2001:db8:1:2::${i}`);

    assert.throws(() => guess('2001:db8:1:2:ffff::9'), { code: 'RATE_LIMITED' });
  });

  test('is not what a credential shows that was once good', () => {
    const { guess, checks } = aGuard();

    for (let i = 0; i < 9; i++) guess('192.0.2.1', 'alice', { kind: 'refused', fault: 'expired' });

    assert.equal(checks(), 9);
  });

  test('is bounded while its answers are awaited, and counted when they come', async () => {
    const { guessing } = aGuard(100);
    let resolve: (finding: Finding) => void = () => undefined;
    const promise = new Promise<Finding>(settle => (resolve = settle));
    const judge = async () => guessing.judge({ address: '192.0.2.1' }, () => promise);
    const waiting = Array.from({ length: 64 }, judge);

    await assert.rejects(judge(), { code: 'RATE_LIMITED' });
    resolve(wrong);
    await Promise.all(waiting);
    await Promise.all(Array.from({ length: 36 }, judge));

    await assert.rejects(judge(), { code: 'RATE_LIMITED' });
  });

  test('that costs nothing to check never keeps out a good credential', () => {
    const { guessing } = aGuard();
    for (let i = 0; i < 3; i++) guessing.note('192.0.2.1', wrong);

    assert.throws(() => guessing.note('192.0.2.1', wrong), { code: 'RATE_LIMITED' });
    assert.equal(guessing.note('192.0.2.1', good), good);
  });

  test('by many is kept in bounded room', () => {
    const { guess } = aGuard(1);
    for (let i = 0; i < 30_000; i++) guess(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, '');

    assert.throws(() => guess('10.0.117.47', ''), { code: 'RATE_LIMITED' }, 'the last is kept');
    guess('10.0.0.0', '');
  });
});
