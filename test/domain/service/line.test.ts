import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Line, type Seat } from '../../../gateway/domain/service/line.ts';
import { seeded } from '../../support/builders.ts';

test('a line keeps its order, whoever leaves from wherever (seeded)', () => {
  const random = seeded(2);
  const line = new Line<number>();
  let seats: Seat<number>[] = [];

  for (let i = 0; i < 1_000; i++) {
    if (random.below(5) < 3) seats.push(line.join(i));
    const leaver = seats[random.below(seats.length)];
    if (leaver !== undefined && random.below(2) === 0) {
      line.leave(leaver);
      line.leave(leaver);
      seats = seats.filter(seat => seat !== leaver);
    }
    const values = seats.map(({ value }) => value);
    assert.deepEqual([[...line], line.length], [values, values.length]);
    assert.deepEqual([line.first, line.last], [values[0], values.at(-1)]);
  }
});
