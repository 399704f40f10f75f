import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from '../../bench/two-gateways/simulation.ts';
import { COMPUTE_MS, TRAFFICS } from '../../bench/two-gateways/traffic.ts';

const traffic = TRAFFICS[0];
assert.ok(traffic);

/** What Erlang's formula C foretells for Poisson arrivals, exponential times and so many servers. */
function waitMsOf(servers: number, load: number): number {
  const offered = servers * load;
  let [limit, sum] = [1, 1];
  for (let i = 1; i < servers; i++) {
    limit *= offered / i;
    sum += limit;
  }
  const busy = (limit * offered) / servers / (1 - load);
  return ((busy / (sum + busy)) * COMPUTE_MS) / (servers * (1 - load));
}

test('the simulation agrees with Erlang, where there is a formula', () => {
  const { meanMs } = simulate('one gateway', { traffic, load: 0.7, calls: 40_000, seed: 3 });

  const foretoldMs = waitMsOf(4, 0.7);
  assert.ok(Math.abs(meanMs / foretoldMs - 1) < 0.15, `${meanMs} ms, not ${foretoldMs} ms`);
});

test('two gateways with the rule wait less than without, and more than one', () => {
  const setting = { traffic, load: 0.3, calls: 10_000, seed: 3 };

  const one = simulate('one gateway', setting);
  const ruled = simulate('two, with the rule', setting);
  const unruled = simulate('two, without', setting);

  assert.ok(
    one.meanMs < ruled.meanMs && ruled.meanMs < 0.6 * unruled.meanMs,
    `${ruled.meanMs} of ${unruled.meanMs} ms`,
  );
});
