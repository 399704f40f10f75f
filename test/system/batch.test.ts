import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { Random } from '../../gateway/domain/clock.ts';
import { seeded } from '../support/service-at-work.ts';
import { call, type Received } from '../support/call.ts';
import { startGateway, type ComposedGateway } from '../support/composed-gateway.ts';
import { misbehave, startPlumberService } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

/** What a column is, so that inputs can be made of it that are right, nearly right, and wrong. */
type Column =
  | { readonly name: string; readonly from: number; readonly to: number; readonly isWhole?: boolean }
  | { readonly name: string; readonly levels: readonly string[] };

interface Model {
  readonly name: string;
  readonly columns: readonly Column[];
  /** How many bodies to try. */
  readonly bodies: number;
}

const MODELS: readonly Model[] = [
  {
    name: 'fuel',
    bodies: 150,
    columns: [
      { name: 'wt', from: 1.5, to: 5.5 },
      { name: 'hp', from: 50, to: 340 },
    ],
  },
  {
    name: 'iris',
    bodies: 100,
    columns: ['Sepal.Length', 'Sepal.Width', 'Petal.Length', 'Petal.Width'].map(name => ({ name, from: 0.1, to: 8 })),
  },
  {
    name: 'ozone',
    bodies: 24,
    columns: [
      // Few whole numbers: each has to be met before calls with it travel.
      { name: 'Solar.R', from: 180, to: 192, isWhole: true },
      { name: 'Wind', from: 1.7, to: 20.7 },
      { name: 'Temp', from: 70, to: 76, isWhole: true },
      { name: 'Month', levels: ['May', 'Jun', 'Jul', 'Aug', 'Sep'] },
    ],
  },
];

const one = <T>(random: Random, items: readonly T[]): T => items[random.below(items.length)] as T;

/** Values that some column may not be meant to have, as JSON. */
const ODD_VALUES = [
  ...['null', 'true', 'false', '0', '-0', '-1', '-0.0', '1e400', '1e-400', '2147483647', '2147483648', '-2147483648'],
  ...['12345678901234567890', '0.1000000000000000055511151231257827', '1E3', '"NA"', '"NaN"', '"Inf"', '"-Inf"', '""'],
  ...['"2.5"', '"abc"', '"Zürich"', '"東京 😀"', '"\\u00e9"', '"\\u004eA"', '"\\ud83d\\ude00"', '"a\\"b\\\\"', '"may"'],
  ...['"Feb"', '[1]', '[]', '{}', '{"a":1}', '"2024-02-29"'],
];

function rightValue(random: Random, column: Column): string {
  if ('levels' in column) return JSON.stringify(one(random, column.levels));
  const span = (column.to - column.from) * 1_000;
  const value = column.from + random.below(span) / 1_000;
  if (column.isWhole === true) return one(random, [String(Math.round(value)), `${Math.round(value)}.0`]);
  return one(random, [
    String(Math.round(value)),
    value.toFixed(1),
    value.toFixed(3),
    `${value.toFixed(2)}0`,
    value.toExponential(4),
  ]);
}

interface RowTraits {
  readonly random: Random;
  /** One value in so many is odd; 0: none. */
  readonly oddOneIn: number;
}

function aRow(columns: readonly Column[], { random, oddOneIn }: RowTraits): string {
  const isOdd = () => oddOneIn > 0 && random.below(oddOneIn) === 0;
  const members = columns.map(
    column => `"${column.name}":${isOdd() ? one(random, ODD_VALUES) : rightValue(random, column)}`,
  );
  if (isOdd()) members.splice(random.below(members.length), 1);
  if (isOdd()) members.push('"further":"column"');
  if (isOdd()) members.reverse();
  return `{${members.join(one(random, [',', ',', ', ', ' ,\n']))}}`;
}

const BROKEN = [
  '',
  '[',
  '{}',
  '[]',
  '[{}]',
  'null',
  '[1,2]',
  '[{"wt":2.62,"hp":110}',
  '[{"wt":2.62 "hp":110}]',
  'wt=1&hp=2',
  '\ufeff[]',
];

/** Most are right, so that batches form; the others try what R might read differently among others. */
function aBody(columns: readonly Column[], random: Random): string {
  const chance = random.below(100);
  if (chance < 2) return one(random, BROKEN);
  const oddOneIn = chance < 70 ? 0 : one(random, [2, 5, 12]);
  const rows = Array.from({ length: one(random, [1, 1, 1, 1, 2, 3, 7]) }, () => aRow(columns, { random, oddOneIn }));
  return one(random, ['', '', ' ']) + `[${rows.join(',')}]`;
}

/** The types under which R's clients send JSON (none, a form), and those that say so. */
const TYPES = [
  'application/json',
  'application/json',
  'application/json; charset=utf-8',
  'application/x-www-form-urlencoded',
  undefined,
];

interface RowRequest {
  readonly body: string;
  readonly type: string | undefined;
}

function send(url: string, { body, type }: RowRequest): Promise<Received> {
  return call(url, { method: 'POST', body, ...(type !== undefined && { headers: { 'content-type': type } }) });
}

/** What an answer is to a caller. */
function seen({ status, headers, text }: Received): string {
  return `${status} ${headers['content-type'] ?? ''} ${text}`;
}

const routeOf = (name: string, more = '') =>
  `{ id: ${name}, uri: 'lb://${name}', predicates: ['Path=/api/${name}/**'], filters: ['StripPrefix=2'], pure: true, timeout: 2m, batch: { sizeMax: 32${more} } }`;

async function isBatching(gateway: ComposedGateway, route: string): Promise<boolean> {
  return (await gateway.metric('penstock_batching', { route })) === 1;
}

/** How many batches R has met, and how many rows were in them. */
async function metOf(gateway: ComposedGateway, service: string): Promise<{ batches: number; rows: number }> {
  const { text } = await gateway.get('/metrics');
  const read = (name: string) =>
    Number(text.split(`penstock_batch_rows_${name}{service="${service}"} `)[1]?.split('\n')[0] ?? 0);
  return { batches: read('count'), rows: read('sum') };
}

async function startModel(t: TestContext, name: string, more = '') {
  const service = await startPlumberService(t, name);
  const gateway = await startGateway(t, {
    services: { [name]: [service.url] },
    routes: `routes: [${routeOf(name, more)}]\nservices: { ${name}: { queue: { waitMax: 2m } } }`,
    idleMsMax: 30_000,
  });
  return { service, gateway };
}

describe('calls that travel together', () => {
  for (const { name, columns, bodies } of MODELS) {
    test(`get, byte for byte, what ${name} would have answered to each alone`, async t => {
      const { service, gateway } = await startModel(t, name);
      const random = seeded(20_261_122);
      const requested = Array.from({ length: bodies }, (): RowRequest => ({
        body: aBody(columns, random),
        type: one(random, TYPES),
      }));
      const wanted: string[] = [];
      for (const each of requested) wanted.push(seen(await send(`${service.url}/predict`, each)));
      await until(() => isBatching(gateway, name), 'rows together were proven');
      await untilTrusted(gateway, { name, columns, random });

      const before = await metOf(gateway, name);
      const received: string[] = [];
      for (let i = 0; i < requested.length; i += 64) {
        const together = await Promise.all(
          requested.slice(i, i + 64).map(each => send(`${gateway.url}/api/${name}/predict`, each)),
        );
        received.push(...together.map(seen));
      }

      for (const [i, each] of requested.entries()) assert.equal(received[i], wanted[i], JSON.stringify(each));
      assert.ok(wanted.filter(line => line.startsWith('200')).length > bodies / 2);
      assert.ok(wanted.some(line => line.startsWith('422')));
      const after = await metOf(gateway, name);
      const [batches, rows] = [after.batches - before.batches, after.rows - before.rows];
      // How many depends on which of them meet: one that is refused divides its batch.
      assert.ok(rows > batches, `${rows} rows in ${batches} batches`);
      const rechecks = { service: name, result: 'contradicted' };
      assert.ok(!((await gateway.metric('penstock_batch_rechecks_total', rechecks)) > 0));
    });
  }
});

interface Trusting extends Pick<Model, 'name' | 'columns'> {
  readonly random: Random;
}

/** Right calls, many at once, until most of them travel together. */
async function untilTrusted(gateway: ComposedGateway, { name, columns, random }: Trusting): Promise<void> {
  const rightCalls = async () => {
    const bodies = Array.from({ length: 64 }, () => `[${aRow(columns, { random, oddOneIn: 0 })}]`);
    const received = await Promise.all(
      bodies.map(body => send(`${gateway.url}/api/${name}/predict`, { body, type: 'application/json' })),
    );
    for (const { status, text } of received) assert.equal(status, 200, text);
    const { batches, rows } = await metOf(gateway, name);
    return rows > batches + 64;
  };
  await until(rightCalls, 'right calls travel together', 120_000);
}

/** A route to each of the models of x, and to those without a prototype. */
const MISBEHAVING = `
services: { misbehave: { queue: { waitMax: 1m } } }
defaults: { pure: true, timeout: 2m, batch: {} }
routes:
${['twice', 'centred', 'first', 'random', 'boxed']
  .map(id => `  - { id: ${id}, uri: 'lb://misbehave', predicates: ['Path=/${id}/**'] }`)
  .join('\n')}
  - { id: double, uri: 'lb://misbehave', predicates: ['Path=/double'], batch: { rowsIndependent: true } }
  - { id: off-centre, uri: 'lb://misbehave', predicates: ['Path=/off-centre'], batch: { rowsIndependent: true } }
  - { id: sum, uri: 'lb://misbehave', predicates: ['Path=/sum'], batch: { rows: columns, rowsIndependent: true } }
`;

test('whether rows may travel together', async t => {
  const service = await startPlumberService(t, misbehave); // for all of them
  const startMisbehaving = (own: TestContext, routes: string) =>
    startGateway(own, { services: { misbehave: [service.url] }, routes, idleMsMax: 30_000 });

  await t.test('is shown by the live model, and where it shows the contrary each travels alone', async own => {
    const gateway = await startMisbehaving(own, MISBEHAVING);
    const both = async (path: string, body: string) => {
      const requested = { body, type: 'application/json' };
      return {
        received: seen(await send(`${gateway.url}${path}`, requested)),
        wanted: seen(await send(`${service.url}${path}`, requested)),
      };
    };
    const verdictOf = (route: string) => gateway.log.of('batching').find(line => line['route'] === route);

    for (const [route, isOn, reason] of [
      ['twice', true, '/twice/predict: rows together are answered as each alone'],
      ['boxed', true, '/boxed/predict: rows together are answered as each alone'],
      ['centred', false, '/centred/predict: a row is answered otherwise among others than alone'],
      ['first', false, '/first/predict: 12 rows together get 1 answers'],
      ['random', false, '/random/predict: a row is answered otherwise among others than alone'],
    ] as const) {
      // A call to a path says that it is one; while others are being asked about, a later call has to say it again.
      await until(async () => {
        await both(`/${route}/predict`, '[{"x":1.5}]');
        return verdictOf(route) !== undefined;
      }, `a verdict on ${route}`);
      const verdict = verdictOf(route);
      assert.deepEqual([verdict?.['isOn'], verdict?.['reason']], [isOn, reason]);
      if (!isOn) assert.equal(await isBatching(gateway, route), false);
    }

    const calls = Array.from({ length: 24 }, (_, i) => `[{"x":${i}.5}]`);
    const together = await Promise.all(calls.map(body => both('/centred/predict', body)));
    for (const { received, wanted } of together) assert.equal(received, wanted);
  });

  await t.test(
    'is learned from what callers send, where the model publishes nothing and its rows are declared to be independent',
    async own => {
      const gateway = await startMisbehaving(own, MISBEHAVING);
      const receivedFrom = async (path: string, body: string) => {
        const requested = { body, type: 'application/json' };
        const [received, wanted] = await Promise.all([
          send(`${gateway.url}${path}`, requested),
          send(`${service.url}${path}`, requested),
        ]);
        assert.equal(seen(received), seen(wanted), body);
      };
      const bodies = {
        double: (i: number) => `[{"x":${i}.5}]`,
        'off-centre': (i: number) => `[{"x":${i}.5},{"x":1.0}]`,
        sum: (i: number) => `{"a":${i}.5,"b":2}`,
      };
      const hasVerdict = (route: string) => gateway.log.of('batching').some(line => line['route'] === route);

      for (const [route, bodyOf] of Object.entries(bodies)) {
        let i = 0;
        await until(
          async () => (await receivedFrom(`/${route}`, bodyOf(i++)), hasVerdict(route)),
          `a verdict on ${route}`,
        );
        await Promise.all(Array.from({ length: 24 }, (_, k) => receivedFrom(`/${route}`, bodyOf(k))));
      }

      assert.deepEqual(
        gateway.log.of('batching').map(({ route, isOn }) => [route, isOn]),
        [
          ['double', true],
          ['off-centre', false],
          ['sum', true],
        ],
      );
      await until(async () => {
        await Promise.all(
          Array.from({ length: 24 }, (_, k) => receivedFrom('/double', `[{"x":${k === 7 ? '-1.5' : `${k}.5`}}]`)),
        );
        const { batches, rows } = await metOf(gateway, 'misbehave');
        return rows > batches;
      }, 'calls travel together');
    },
  );

  await t.test(
    'is not asked of callers’ rows where nothing is declared: what to write is said, and each travels alone',
    async own => {
      const routes = MISBEHAVING.replaceAll(', rowsIndependent: true', '').replaceAll('rowsIndependent: true', '');
      const gateway = await startMisbehaving(own, routes);
      const isSaid = () => gateway.log.of('batching').find(line => line['route'] === 'double');
      await until(async () => {
        await send(`${gateway.url}/double`, { body: '[{"x":1.5}]', type: 'application/json' });
        return isSaid() !== undefined;
      }, 'what to write is said');

      assert.match(
        String(isSaid()?.['reason']),
        /^\/double: there are no examples .*write `batch: \{ rowsIndependent: true \}`/,
      );
      assert.equal(await isBatching(gateway, 'double'), false);
      assert.equal((await metOf(gateway, 'misbehave')).batches, 0);
    },
  );
});
