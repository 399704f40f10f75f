import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { readPrototype, type Column } from '../../gateway/domain/validation/prototype.ts';
import { call } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { diceFrom, malformed, wellFormed } from '../support/corpus.ts';
import { startPlumberService, type PlumberService } from '../support/plumber/serve.ts';

const MODELS = ['fuel', 'iris', 'ozone'];
const ROWS_MAX = 40;

/** How callers say, or do not say, that a body is JSON. */
const TYPES: readonly Readonly<Record<string, string>>[] = [
  { 'content-type': 'application/json' },
  {}, // vetiver's own client
  { 'content-type': 'application/x-www-form-urlencoded' },
  { 'content-type': 'application/json; charset=utf-8' },
];

async function startModels(t: TestContext) {
  const started = await Promise.all(MODELS.map(model => startPlumberService(t, model)));
  const services = Object.fromEntries(MODELS.map((model, i) => [model, [started[i]?.url ?? '']]));
  const routes = MODELS.map(
    model => `
  - { id: ${model}, uri: lb://${model}, predicates: ['Path=/api/${model}/**'], filters: ['StripPrefix=2'],
      validate: { rowsMax: ${ROWS_MAX} } }`,
  ).join('');
  const gateway = await startGateway(t, { services, routes: `routes:${routes}\n` });
  return { gateway, started };
}

async function columnsOf({ url }: PlumberService): Promise<readonly Column[]> {
  const columns = readPrototype((await call(`${url}/prototype`)).text);
  assert.ok(columns !== undefined);
  return columns;
}

test('a thousand malformed bodies never reach R, and a thousand well-formed ones get R’s own answers', async t => {
  const { gateway, started } = await startModels(t);
  const [MALFORMED, WELL_FORMED] = [
    [400, 300, 300],
    [480, 480, 40], // the forest takes tens of milliseconds an answer
  ];

  await Promise.all(
    MODELS.map(async (model, i) => {
      const service = started[i];
      assert.ok(service !== undefined);
      const columns = await columnsOf(service);
      const dice = diceFrom(i + 1);
      const path = `/api/${model}/predict`;
      const send = (body: Buffer, n: number) =>
        gateway.call(path, { method: 'POST', headers: TYPES[n % TYPES.length] ?? {}, body });

      for (const [n, { how, body }] of malformed(columns, MALFORMED[i] ?? 0, { dice, rowsMax: ROWS_MAX }).entries()) {
        const received = await send(body, n);
        const said = () => `${model}, ${how}: ${received.status} ${received.text} to ${body.toString().slice(0, 200)}`;
        assert.ok(received.code === 'INVALID_INPUT' || received.code === 'BAD_REQUEST', said());
        if (received.code !== 'INVALID_INPUT') continue;
        const { errors } = JSON.parse(received.text) as { errors: { pointer: string; detail: string }[] };
        assert.ok(errors.length > 0 && errors.length <= 20, said());
      }
      for (const [n, { body }] of wellFormed(columns, WELL_FORMED[i] ?? 0, dice).entries()) {
        const headers = TYPES[n % TYPES.length] ?? {};
        const own = await call(`${service.url}/predict`, { method: 'POST', headers, body });
        const received = await send(body, n);
        assert.equal(own.status, 200, `${own.text} to ${body.toString()}`);
        assert.deepEqual([received.status, received.text], [own.status, own.text], body.toString());
      }
    }),
  );

  const lines = gateway.requests();
  const refused = lines.filter(({ code }) => code !== null);
  assert.deepEqual([refused.length, lines.length], [1_000, 2_000]);
  assert.deepEqual(
    refused.filter(({ instance, attempts }) => instance !== null || attempts !== 0),
    [],
  );
  const counted = await gateway.metric('penstock_invalid_inputs_total');
  assert.equal(counted, refused.filter(({ code }) => code === 'INVALID_INPUT').length);

  const forest = started[MODELS.indexOf('ozone')];
  assert.ok(forest !== undefined);
  await t.test('docs/validation.md tells what is answered, to the letter', inner => followPage(inner, forest));
});

const PAGE = readFileSync(new URL('../../docs/validation.md', import.meta.url), 'utf8');

async function followPage(t: TestContext, service: PlumberService) {
  const [yaml = ''] = blocksOf('yaml');
  const gateway = await startGateway(t, { services: { ozone: [service.url] }, routes: yaml });
  const send = (body: string) =>
    gateway.call('/api/ozone/predict', { method: 'POST', headers: { 'x-request-id': 'docs-1' }, body });

  const [, requested = ''] = /This is the answer to `(.+)`:/.exec(PAGE) ?? [];
  const [answered = ''] = blocksOf('json');
  assert.deepEqual(JSON.parse((await send(requested)).text), JSON.parse(answered));
  const rows = [...PAGE.matchAll(/^\| `([[{].*)` \| (.+) \|$/gm)];
  for (const [, body = '', said] of rows) {
    const { status, text } = await send(body);
    assert.equal(status === 200 ? '200' : (JSON.parse(text) as { detail: string }).detail, said);
  }
  assert.ok(rows.length > 10);
  const query = await gateway.call('/api/ozone/predict?Temp=warm', { method: 'POST', body: rows[0]?.[1] ?? '' });
  assert.equal(query.code, 'INVALID_INPUT');
}

function blocksOf(language: string): string[] {
  return [...PAGE.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, code = '']) => code);
}
