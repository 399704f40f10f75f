import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { call, post } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';

const JSON_FIELD = 'Content-Type: application/json\r\n';
const PROTOTYPE = { wt: { type: 'numeric', example: 2.6, details: [] }, code: { type: 'character', example: 'a' } };

/** A model whose answer is what the test says, with its prototype. */
async function startModel(t: TestContext, route: string, said: unknown = { '.pred': [21.5, null] }) {
  const upstream = await startUpstream(t, (socket, request) => {
    const isPrototype = request.head.startsWith('GET /prototype ');
    const fields = request.head.startsWith('GET /text ')
      ? 'Content-Type: text/plain\r\n'
      : `${JSON_FIELD}ETag: "v1"\r\n`;
    answer(JSON.stringify(isPrototype ? PROTOTYPE : said), { fields })(socket, request);
  });
  const routes = `
services: { fuel: { health: { interval: 1h } } }
routes:
  - { id: fuel, uri: lb://fuel, predicates: ['Path=/api/**'], filters: ['StripPrefix=1'], ${route} }
`;
  const gateway = await startGateway(t, { services: { fuel: [upstream.origin] }, routes });
  /** What R was asked, but for the gateway's own questions. */
  const requested = () => upstream.requests.filter(({ head }) => !head.startsWith('GET /prototype '));
  return { gateway, requested };
}

const csv = (body: string, headers: Readonly<Record<string, string>> = {}) => ({
  method: 'POST',
  body,
  headers: { 'content-type': 'text/csv', ...headers },
});

const ROWS = 'wt,code\r\n2.62,7\r\n,NA\r\n';

describe('a route with `csv`', () => {
  test('takes CSV as the JSON that it means, typed by the prototype, from the first call on', async t => {
    const { gateway, requested } = await startModel(t, 'csv: true');

    const received = await gateway.call('/api/predict', csv(ROWS, { 'content-md5': 'x', accept: 'text/csv' }));

    const [request] = requested();
    assert.ok(request !== undefined);
    assert.equal(request.body.toString(), '[{"wt":2.62,"code":"7"},{"wt":null,"code":null}]');
    assert.match(request.head, /\r\ncontent-type: application\/json\r\n/i);
    assert.match(request.head, /\r\naccept: application\/json\r\n/i);
    assert.doesNotMatch(request.head, /csv|content-md5/i);
    assert.deepEqual([received.status, received.text], [200, '.pred\r\n21.5\r\n\r\n']);
    assert.equal(received.headers['content-type'], 'text/csv; charset=utf-8; header=present');
    assert.deepEqual([received.headers.vary, received.headers.etag], ['Accept', undefined]);
  });

  test('answers as the caller likes it: JSON unless CSV is preferred', async t => {
    const { gateway } = await startModel(t, 'csv: true');
    const typeOf = async (accept: string, body = post([{ wt: 1 }])) => {
      const { status, headers, code } = await gateway.call('/api/predict', {
        ...body,
        headers: { ...body.headers, accept },
      });
      return code ?? `${status} ${headers['content-type']?.split(';')[0] ?? ''}`;
    };

    assert.deepEqual(
      [
        await typeOf('*/*', csv(ROWS)),
        await typeOf('application/json', csv(ROWS)),
        await typeOf('text/csv, */*;q=0.1'),
        await typeOf('application/json, text/csv'),
        await typeOf('image/png'),
      ],
      ['200 application/json', '200 application/json', '200 text/csv', '200 application/json', 'NOT_ACCEPTABLE'],
    );
  });

  test('refuses CSV as a call only where nothing else will do', async t => {
    const { gateway } = await startModel(t, 'csv: true', { deep: [[1]] });
    const metadataAs = (accept: string) => gateway.call('/api/metadata', { headers: { accept } });

    const [only, either, text] = [
      await metadataAs('text/csv'),
      await metadataAs('text/csv, */*;q=0.1'),
      await gateway.call('/api/text', { headers: { accept: 'text/csv' } }),
    ];

    assert.deepEqual([only.status, only.code], [406, 'NOT_ACCEPTABLE']);
    assert.match(only.text, /no table/);
    assert.deepEqual([either.status, either.text], [200, '{"deep":[[1]]}']);
    assert.equal(text.status, 200); // what is no JSON is not negotiated about
  });

  test('checks rows as those of JSON are, and names row and column', async t => {
    const { gateway, requested } = await startModel(t, 'csv: true, validate: { rowsMax: 2 }');
    const detailOf = async (body: string, type = 'text/csv') => {
      const { code, text } = await gateway.call('/api/predict', csv(body, { 'content-type': type }));
      return `${code ?? ''} ${(JSON.parse(text) as { detail: string }).detail}`;
    };

    assert.deepEqual(
      [
        await detailOf('wt,code\n1,a\nheavy,b\n'),
        await detailOf('wt\n1\n'),
        await detailOf('wt,code\n1,a\n2\n'),
        await detailOf('wt,code\n1,"a\n'),
        await detailOf('wt,code\n1,a\n2,b\n3,c\n'),
        await detailOf(''),
        await detailOf(ROWS, 'text/csv; charset=utf-16'),
      ],
      [
        'INVALID_INPUT row 2: `wt`: "heavy" is not a number',
        'INVALID_INPUT `code` is missing',
        'INVALID_INPUT row 2: it has 1 field, and the header line has 2',
        'BAD_REQUEST The body is not CSV: row 1: a quote is not closed.',
        'INVALID_INPUT the body has more than 2 records, which is the most at once',
        'INVALID_INPUT the body has no rows behind a header line',
        'UNSUPPORTED_MEDIA_TYPE CSV is taken in UTF-8, with a header line.',
      ],
    );
    assert.equal(requested().length, 0);
  });

  test('shares what is cached with callers who speak JSON', async t => {
    const { gateway, requested } = await startModel(t, 'csv: true, pure: true, cache: { ttl: 1m }');

    const rest = await gateway.call(
      '/api/predict',
      post([
        { wt: 2.62, code: '7' },
        { wt: null, code: null },
      ]),
    );
    const received = await gateway.call('/api/predict', csv(ROWS, { accept: 'text/csv' }));

    assert.equal(rest.text, '{".pred":[21.5,null]}');
    assert.equal(received.text, '.pred\r\n21.5\r\n\r\n');
    assert.match(String(received.headers['cache-status']), /hit/);
    assert.equal(requested().length, 1);
  });

  test('is explained with the JSON that R would be sent, and with what validation says of it', async t => {
    const { gateway } = await startModel(t, 'csv: true, validate: {}');
    await gateway.call('/api/predict', csv(ROWS)); // the service has said what it takes
    const explained = async (body: string) => {
      const requested = { method: 'POST', url: '/api/predict', headers: { 'content-type': 'text/csv' }, body };
      const { text } = await call(`${gateway.adminUrl}/api/explain`, post(requested));
      return (
        JSON.parse(text) as { answers: Record<string, { code?: string; refusal?: unknown; body?: string } | null> }
      ).answers;
    };

    const [good, bad, broken] = [await explained('wt\n1\n'), await explained('wt,code\nx,y\n'), await explained('"')];

    assert.deepEqual(good['transcoded'], { form: 'text/csv', body: '[{"wt":1}]', refusal: null });
    assert.deepEqual([good['refused']?.code, bad['refused']?.code], ['INVALID_INPUT', 'INVALID_INPUT']);
    assert.deepEqual([broken['sent'], broken['transcoded']?.body], [null, '']);
  });

  test('tells the head of a CSV answer alone', async t => {
    const { gateway } = await startModel(t, 'csv: true');

    const head = await gateway.call('/api/predict', { method: 'HEAD', headers: { accept: 'text/csv' } });

    assert.deepEqual([head.text, head.headers['content-length']], ['', String('.pred\r\n21.5\r\n\r\n'.length)]);
  });
});

test('a route that validates and has no `csv` says that it takes none', async t => {
  const { gateway, requested } = await startModel(t, 'validate: {}');

  const received = await gateway.call('/api/predict', csv(ROWS));

  assert.deepEqual([received.status, received.code, requested().length], [415, 'UNSUPPORTED_MEDIA_TYPE', 0]);
});
