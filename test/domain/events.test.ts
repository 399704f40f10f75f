import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type GatewayEvent, createHeldEvents } from '../../gateway/domain/events.ts';
import { manualClock } from '../support/manual-clock.ts';

const one: GatewayEvent = { kind: 'batch', service: 'fuel', rows: 1 };
const other: GatewayEvent = { kind: 'batch', service: 'fuel', rows: 2 };
const back: GatewayEvent = { kind: 'source-back', source: 'consul' };

function startHolding() {
  const clock = manualClock();
  const reported: [GatewayEvent, number][] = [];
  const held = createHeldEvents(clock, (event, wallMs) => reported.push([event, wallMs]));
  return { clock, reported, held, startMs: clock.wallMs() };
}

describe('held events', () => {
  test('are emitted together, in their order, each with the time it happened', () => {
    const { clock, reported, held, startMs } = startHolding();

    held.observe(one);
    clock.advance(4);
    held.observe(other);
    assert.deepEqual(reported, []);
    clock.advance(6);

    assert.deepEqual(reported, [
      [one, startMs],
      [other, startMs + 4],
    ]);
  });

  test('do not let what is rare wait, nor overtake them', () => {
    const { clock, reported, held } = startHolding();

    held.observe(one);
    held.observe(back);
    assert.deepEqual(
      reported.map(([event]) => event),
      [one, back],
    );
    clock.advance(1_000);

    assert.equal(reported.length, 2);
  });

  test('are emitted when they are asked for, and not again', () => {
    const { clock, reported, held } = startHolding();

    held.observe(one);
    held.flush();
    held.flush();
    clock.advance(1_000);

    assert.equal(reported.length, 1);
  });

  test('take no more memory than that of a few hundred', () => {
    const { reported, held } = startHolding();

    for (let i = 0; i < 1_000; i += 1) held.observe(one);

    assert.ok(reported.length >= 744, `${reported.length} emitted`);
  });

  test('are not lost where one fails to be emitted', () => {
    const clock = manualClock();
    const reported: GatewayEvent[] = [];
    const held = createHeldEvents(clock, event => {
      if (event === other) throw new Error('no');
      reported.push(event);
    });

    for (const event of [one, other, one]) held.observe(event);
    assert.throws(() => held.flush(), /no/);
    held.flush();

    assert.deepEqual(reported, [one, one]);
  });

  test('keep their order where emitting brings another', () => {
    const clock = manualClock();
    const reported: GatewayEvent[] = [];
    const held = createHeldEvents(clock, event => {
      reported.push(event);
      if (reported.length === 1) held.observe(back);
    });

    held.observe(one);
    held.observe(other);
    held.flush();

    assert.deepEqual(reported, [one, other, back]);
  });
});
