import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test, type TestContext } from 'node:test';
import type { Random } from '../../gateway/domain/clock.ts';
import { seeded } from '../support/service-at-work.ts';
import { call, post, type Received } from '../support/call.ts';
import { startGateway, type ComposedGateway } from '../support/composed-gateway.ts';
import { startPlumberService, type PlumberService } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

const FOLDER = fileURLToPath(new URL('row-dependence', import.meta.url));

/** A model whose rows influence one another, and the bodies it is asked with: what it is of the i-th call. */
interface Model {
  readonly name: string;
  readonly bodyOf: (random: Random, i: number) => string;
  /** Its answer to one call is not always the same: there is no right one to compare with. */
  readonly isFickle?: boolean;
}

const one = <T>(random: Random, items: readonly T[]): T => items[random.below(items.length)] as T;
/** Of few weights, since each has to be asked about alone. */
const weight = (random: Random) => (1.5 + random.below(50) * 0.08).toFixed(2);
const weights = (random: Random) => `[{"wt":${weight(random)}}]`;

const MODELS: readonly Model[] = [
  // The first eighty are all of one level.
  { name: 'levels', bodyOf: (random, i) => `[{"cyl":${i < 80 ? 4 : one(random, [4, 6, 8])}}]` },
  {
    name: 'imputed',
    bodyOf: (random, i) => `[{"wt":${weight(random)}},{"wt":${i > 80 && random.below(3) === 0 ? 'null' : '2.5'}}]`,
  },
  {
    name: 'filled',
    bodyOf: (random, i) => `[{"name":"${i > 80 && random.below(4) === 0 ? '' : one(random, ['ann', 'bob', 'eve'])}"}]`,
  },
  { name: 'padded', bodyOf: (random, i) => `[{"wt":${i > 40 && random.below(12) === 0 ? '4.50' : '2.50'}}]` },
  { name: 'crowded', bodyOf: weights },
  { name: 'ranked', bodyOf: (random, i) => `[{"wt":${i > 80 && random.below(10) === 0 ? '5.10' : '2.50'}}]` },
  { name: 'summed', bodyOf: (random, i) => `[{"wt":${i > 80 && random.below(10) === 0 ? '1.50' : weight(random)}}]` },
  { name: 'grouped', bodyOf: random => `[{"wt":${2 + random.below(20) / 100},"hp":${one(random, [93, 110])}}]` },
  { name: 'merged', bodyOf: random => `[{"cyl":${one(random, [4, 6, 8])},"wt":${weight(random)}}]` },
  {
    name: 'rounded',
    bodyOf: (random, i) => `[{"wt":${i > 80 && random.below(10) === 0 ? '1234.5' : weight(random)}}]`,
  },
  { name: 'counted', bodyOf: weights, isFickle: true },
];

const CALLERS = 32;
const CALLS_EACH = 6;
const LONG = { timeout: 540_000 };

const ROUTES = `
defaults: { pure: true, timeout: 2m, batch: { rowsIndependent: true } }
services: { rows: { queue: { waitMax: 1m } } }
routes:
${[...MODELS.map(({ name }) => name), 'twice']
  .map(id => `  - { id: ${id}, uri: 'lb://rows', predicates: ['Path=/${id}'] }`)
  .join('\n')}
`;

const seen = ({ status, text }: Received) => `${status} ${text}`;

/** A refusal or a failure may come of a busy machine, and misleads no caller. */
const isWrong = (line: string, right: string | undefined) =>
  right !== undefined && line.startsWith('200 ') && line !== right;

interface Run {
  readonly gateway: ComposedGateway;
  readonly name: string;
  readonly bodies: readonly string[];
}

/** All bodies in their order, by so many callers at once, each of which goes on when it is answered. */
async function callWith({ gateway, name, bodies }: Run): Promise<string[]> {
  const received: string[] = [];
  let next = 0;
  const caller = async () => {
    for (let i = next++; i < bodies.length; i = next++) {
      received[i] = seen(await call(`${gateway.url}/${name}`, post(bodies[i] ?? '')));
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return received;
}

async function sendEach(url: string, bodies: readonly string[]): Promise<Map<string, string>> {
  const answers = new Map<string, string>();
  for (const body of new Set(bodies)) answers.set(body, seen(await call(url, post(body))));
  return answers;
}

// One after the other before one R: on a busy machine longer than a test may usually take.
test('of models whose rows are declared to be independent', LONG, async t => {
  const service = await startPlumberService(t, FOLDER);
  const gateway = await startGateway(t, { services: { rows: [service.url] }, routes: ROUTES, idleMsMax: 30_000 });

  for (const model of MODELS) {
    await t.test(`${model.name}, which is not so, is refuted before a hundred callers get a wrong answer`, own =>
      refute(own, { service, gateway }, model),
    );
  }
  await t.test('twice, which is so, is trusted, and stays so', () => trust({ service, gateway }));
});

interface Started {
  readonly service: PlumberService;
  readonly gateway: ComposedGateway;
}

const verdictsOn = (gateway: ComposedGateway, name: string) =>
  gateway.log.of('batching').filter(({ route }) => route === name);

async function refute(t: TestContext, { service, gateway }: Started, { name, bodyOf, isFickle = false }: Model) {
  const random = seeded(20_261_128);
  const bodies = Array.from({ length: CALLERS * CALLS_EACH }, (_, i) => bodyOf(random, i));
  const wanted = isFickle ? new Map<string, string>() : await sendEach(`${service.url}/${name}`, bodies);
  const refuted = () => verdictsOn(gateway, name).find(({ isOn }) => isOn === false);

  let [wrong, requested] = [0, 0];
  await until(async () => {
    const received = await callWith({ gateway, name, bodies });
    requested += received.length;
    wrong += received.filter((line, i) => isWrong(line, isFickle ? undefined : wanted.get(bodies[i] ?? ''))).length;
    return refuted() !== undefined;
  }, `${name} is refuted`);

  t.diagnostic(`${wrong} of ${requested} answers were wrong; ${String(refuted()?.['reason'])}`);
  assert.ok(wrong < 100, `${wrong} of ${requested} answers were wrong`);
  assert.equal(await gateway.metric('penstock_batching', { route: name }), 0);
}

async function trust({ service, gateway }: Started) {
  const random = seeded(20_261_128);
  const bodies = Array.from({ length: CALLERS * CALLS_EACH }, () => weights(random));
  const wanted = await sendEach(`${service.url}/twice`, bodies);

  await until(async () => {
    const received = await callWith({ gateway, name: 'twice', bodies });
    for (const [i, body] of bodies.entries()) assert.equal(received[i], wanted.get(body));
    return (await gateway.metric('penstock_batching', { route: 'twice' })) === 1;
  }, 'most calls travel with others');

  assert.deepEqual(
    verdictsOn(gateway, 'twice').map(({ isOn }) => isOn),
    [true],
  );
}
