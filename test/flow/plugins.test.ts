import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { startGateway, type ComposedGateway } from '../support/composed-gateway.ts';
import { beginCall } from '../support/call.ts';
import { answer, startUpstream, type ScriptedUpstream } from '../support/scripted-upstream.ts';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

interface Traits {
  readonly plugin: string;
  readonly routes?: string;
  /** Another file beside it. */
  readonly beside?: string;
  readonly listen?: string;
}

const ROUTES = 'routes: [{ id: a, uri: lb://a, predicates: [Path=/**] }]';

const IMPORT = `import { defineFilter, defineMiddleware, definePredicate } from 'penstock';\n`;

async function gatewayWith(t: TestContext, { plugin, routes = ROUTES, beside, listen = '' }: Traits) {
  const folder = aFolder(t);
  const file = join(folder, 'plugin.ts');
  writeFileSync(file, IMPORT + plugin);
  if (beside !== undefined) writeFileSync(join(folder, 'beside.ts'), beside);
  const upstream = await startUpstream(t, answer('[1]'));
  const more = `plugins: [${file}]`;
  const gateway = await startGateway(t, { services: { a: [upstream.origin] }, routes, more, listen });
  return { gateway, upstream, file, folder };
}

/** Every way in which a part of a plug-in may fail, with the part's name. */
const FAILING: readonly (readonly [name: string, says: RegExp, definition: string])[] = [
  ['PredicateThrows', /threw/, `definePredicate({ name: 'PredicateThrows', holds() { throw new Error('x'); } })`],
  ['PredicateLies', /rubbish/, `definePredicate({ name: 'PredicateLies', holds: () => 1 })`],
  ['PredicateCaptures', /rubbish/, `definePredicate({ name: 'PredicateCaptures', holds: () => ({ a: 'b' }) })`],
  [
    'PredicatePromises',
    /belongs into .prepare/,
    `definePredicate({ name: 'PredicatePromises', holds: async () => { throw new Error('x'); } })`,
  ],
  [
    'PredicateRejects',
    /rejected/,
    `definePredicate({ name: 'PredicateRejects', prepare: async () => { throw new Error('x'); }, holds: () => true })`,
  ],
  [
    'PredicateWaits',
    /did not settle within 20 ms/,
    `definePredicate({ name: 'PredicateWaits', timeoutMs: 20, prepare: () => new Promise(() => {}), holds: () => true })`,
  ],
  ['FilterThrows', /threw/, `defineFilter({ name: 'FilterThrows', onRequest() { throw 'x'; } })`],
  ['FilterReturns', /rubbish/, `defineFilter({ name: 'FilterReturns', onRequest: () => 1 })`],
  [
    'FilterPath',
    /threw/,
    `defineFilter({ name: 'FilterPath', onRequest: ({ request }) => { request.path = 'a b'; } })`,
  ],
  [
    'FilterField',
    /threw/,
    `defineFilter({ name: 'FilterField', onRequest: ({ request }) => request.headers.set('X-A', 'a\\r\\nX-B: b') })`,
  ],
  [
    'FilterFrames',
    /threw/,
    `defineFilter({ name: 'FilterFrames', onReply: ({ reply }) => reply.headers.set('Content-Length', '7') })`,
  ],
  ['FilterStatus', /threw/, `defineFilter({ name: 'FilterStatus', onReply: ({ reply }) => { reply.status = 99; } })`],
  ['FilterAnswers', /rubbish/, `defineFilter({ name: 'FilterAnswers', answer: () => ({ status: 'ok' }) })`],
  [
    'FilterWaits',
    /did not settle within 20 ms/,
    `defineFilter({ name: 'FilterWaits', timeoutMs: 20, prepare: () => new Promise(() => {}), answer: () => undefined })`,
  ],
  [
    'FilterRejects',
    /rejected/,
    `defineFilter({ name: 'FilterRejects', prepare: () => Promise.reject(new Error('x')), answer: () => undefined })`,
  ],
];

/** Every way in which middleware may fail, by the header that provokes it. */
const MIDDLEWARE = `export const slow = defineMiddleware({ name: 'OddSlow', timeoutMs: 20, handler(req, _res, next) {
  if (req.headers['x-do'] !== 'hang') next();
} });
export const odd = defineMiddleware({ name: 'Odd', timeoutMs: 30000, handler(req, res, next) {
  switch (req.headers['x-do']) {
    case 'throw': throw new Error('x');
    case 'reject': return Promise.reject(new Error('x'));
    case 'error': return next(new Error('x'));
    case 'read': return req.on('data', () => {}).on('end', () => next());
    case 'wrap': res.end = () => {}; return next();
    case 'twice': next(); next(); throw new Error('late');
    case 'answer': return res.status(418).json({ by: 'middleware', ip: req.ip, host: req.get('host') });
    case 'cut': res.write('half'); throw new Error('x');
    case 'nothing': res.set('X-Plugin', 'seen'); return setImmediate(next);
    default: return next();
  }
} });`;

const FAILURES = ['throw', 'reject', 'error', 'hang', 'read', 'wrap'];

const callsIn = ({ requests }: ScriptedUpstream) => requests.length;

const failuresIn = (gateway: ComposedGateway) => gateway.log.of('plugin-failed');

describe('plug-ins', () => {
  test('that fail cost their own call a 500 that names them, and no other', async t => {
    const routes = FAILING.map(([name]) => {
      const kind = name.startsWith('Predicate') ? `'Path=/${name}', ${name}=` : `'Path=/${name}'`;
      const filters = name.startsWith('Filter') ? `, filters: [${name}]` : '';
      return `  - { id: ${name}, uri: lb://a, predicates: [${kind}]${filters} }`;
    });
    const { gateway, upstream } = await gatewayWith(t, {
      plugin: FAILING.map(([, , definition], i) => `export const e${i} = ${definition} as never;`).join('\n'),
      routes: `routes:\n${routes.join('\n')}\n  - { id: well, uri: lb://a, predicates: [Path=/well] }\n`,
    });

    for (const [name, says] of FAILING) {
      const [failed, well] = await Promise.all([gateway.call(`/${name}`), gateway.call('/well')]);

      const { code, detail } = JSON.parse(failed.text) as { code: string; detail: string };
      assert.deepEqual([failed.status, code], [500, 'PLUGIN_FAILED'], name);
      assert.equal(detail, `The plug-in ${name} of this gateway failed.`);
      assert.equal(well.status, 200);
      const reported = failuresIn(gateway).at(-1);
      assert.deepEqual([reported?.['plugin'], reported?.['requestId']], [name, failed.headers['x-request-id']]);
      assert.match(String(reported?.['error']), says, name);
    }
    const replies = FAILING.filter(([, , definition]) => definition.includes('onReply')).length;
    assert.equal(callsIn(upstream), FAILING.length + replies, 'R was asked for the others, and before a reply');
    assert.equal(await gateway.metric('penstock_plugin_failures_total', { plugin: 'FilterWaits' }), 1);
  });

  test('wait, and learn that their caller is gone', async t => {
    const { gateway, upstream } = await gatewayWith(t, {
      plugin: `export const waits = defineFilter({ name: 'Waits', timeoutMs: 30000, args: { note: { type: 'text' } },
        prepare: ({ call, signal }) => new Promise(resolve => {
          Object.assign(globalThis, { waiting: { path: call.path, signal } });
          if (call.query !== 'wait') resolve(call.headers.get('x-note'));
        }),
        onRequest: ({ request, args, prepared }) => request.headers.set('X-Note', args.note + prepared),
      });
      export const held = definePredicate({ name: 'Held', prepare: async ({ call }) => call.path === '/a',
        holds: ({ prepared }) => prepared });`,
      routes: `routes:
  - { id: a, uri: lb://a, predicates: [Held=], filters: ['Waits=n'] }
  - { id: b, uri: lb://a, predicates: [Path=/b] }`,
    });
    const world = globalThis as { waiting?: { path: string; signal: AbortSignal } };

    assert.equal((await gateway.call('/a', { headers: { 'x-note': '7' } })).status, 200);
    assert.equal((await gateway.call('/b')).status, 200, 'its predicate has waited, and does not hold');
    assert.equal((await gateway.call('/c')).code, 'NO_ROUTE');
    assert.deepEqual(
      upstream.requests.map(({ head }) => /^x-note: (.*)$/im.exec(head)?.[1]),
      ['n7', undefined],
    );

    const { sent } = beginCall(`${gateway.url}/a?wait`);
    await until(() => world.waiting?.signal.aborted === false && sent.writableFinished, 'it waits');
    sent.destroy();

    await until(() => world.waiting?.signal.aborted === true, 'it is told');
    await until(() => gateway.requests().some(({ code }) => code === 'CALLER_GONE'), 'the call is over');
    delete world.waiting;
  });

  test('answer a stream in R’s place too', async t => {
    const { gateway, upstream } = await gatewayWith(t, {
      plugin: `export const no = defineFilter({ name: 'No', answer: ({ call }) => call.query === 'no' ? { status: 403, body: 'no' } : undefined });`,
      routes: 'routes: [{ id: a, uri: lb://a, stream: true, filters: [No] }]',
    });

    const [refused, carried] = [await gateway.call('/a?no'), await gateway.call('/a')];

    assert.deepEqual([refused.status, refused.text, carried.status], [403, 'no', 200]);
    assert.equal(callsIn(upstream), 1);
  });

  test('are reloaded when they, or a file that they import, are saved; one that does not load changes nothing', async t => {
    const plugin = `import { version } from './beside.ts';
      export const says = defineFilter({ name: 'Says', onReply: ({ reply }) => reply.headers.set('X-Version', version) });
      export const edge = defineMiddleware({ name: 'Edge', handler(_req, res, next) { res.setHeader('X-Edge', version); next(); } });`;
    const { gateway, file, folder } = await gatewayWith(t, {
      plugin,
      beside: `export const version = 'one';`,
      routes: 'routes: [{ id: a, uri: lb://a, filters: [Says] }]',
    });
    const versions = async () => {
      const { headers } = await gateway.call('/a');
      return [headers['x-version'], headers['x-edge']];
    };
    const loaded = (generation: number) =>
      until(() => gateway.log.of('config-loaded').some(line => line['generation'] === generation), 'loaded');
    assert.deepEqual(await versions(), ['one', 'one']);

    writeFileSync(join(folder, 'beside.ts'), `export const version = 'two';`);
    await loaded(2);
    assert.deepEqual(await versions(), ['two', 'two']);

    writeFileSync(file, `${IMPORT}export const says = ;`);
    await until(() => gateway.log.of('config-refused').length === 1, 'refused');
    assert.match(JSON.stringify(gateway.log.of('config-refused')), /plugin\.ts.*cannot be loaded: Expression expected/);
    assert.deepEqual(await versions(), ['two', 'two']);

    writeFileSync(file, `${IMPORT}${plugin.replaceAll(', version)', ", 'three')")}`);
    await loaded(3);
    assert.deepEqual(await versions(), ['three', 'three']);
  });
});

describe('middleware of plug-ins', () => {
  test('that fails costs its own request a 500 that names it', async t => {
    const { gateway, upstream } = await gatewayWith(t, { plugin: MIDDLEWARE });

    for (const what of FAILURES) {
      const failed = await gateway.call('/a', { method: 'POST', body: 'x', headers: { 'x-do': what } });
      assert.deepEqual([failed.status, failed.code], [500, 'PLUGIN_FAILED'], what);
      assert.match(failed.text, /The plug-in Odd/);
    }
    await assert.rejects(gateway.call('/a', { headers: { 'x-do': 'cut' } }));
    assert.equal(callsIn(upstream), 0);

    assert.equal((await gateway.call('/a', { headers: { 'x-do': 'twice' } })).status, 200, 'it has gone on');
    assert.equal((await gateway.call('/a')).status, 200);
    assert.equal(callsIn(upstream), 2);
    assert.equal(failuresIn(gateway).length, FAILURES.length + 2);
  });

  test('answers itself, and the log reports it', async t => {
    const { gateway, upstream } = await gatewayWith(t, { plugin: MIDDLEWARE });

    const answered = await gateway.call('/a', { headers: { 'x-do': 'answer', 'x-request-id': 'mine' } });

    assert.deepEqual(JSON.parse(answered.text), {
      by: 'middleware',
      ip: '127.0.0.1',
      host: `127.0.0.1:${gateway.port}`,
    });
    assert.deepEqual([answered.status, answered.headers['x-request-id']], [418, 'mine']);
    await until(() => gateway.requests().length === 1, 'the line');
    const [line] = gateway.requests();
    assert.deepEqual([line?.['id'], line?.['status'], line?.['route']], ['mine', 418, null]);
    assert.equal(callsIn(upstream), 0);
  });

  test('sees HTTP/2 as it sees HTTP/1.1', async t => {
    const { gateway } = await gatewayWith(t, { plugin: MIDDLEWARE, listen: 'h2c: true' });
    const session = connect(gateway.url);
    t.after(() => session.destroy());
    const send = async (what: string, body = '') => {
      const stream = session.request({ ':path': '/a', ':method': 'POST', 'x-do': what }).end(body);
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
      let text = '';
      for await (const piece of stream as AsyncIterable<Buffer>) text += piece.toString();
      return { status: headers[':status'], headers, text };
    };

    const passed = await send('nothing', 'x');
    const answered = await send('answer');

    assert.deepEqual([passed.status, passed.text, passed.headers['x-plugin']], [200, '[1]', 'seen']);
    assert.deepEqual(
      [answered.status, answered.headers['x-request-id'] !== undefined, JSON.parse(answered.text)],
      [418, true, { by: 'middleware', ip: '127.0.0.1', host: `127.0.0.1:${gateway.port}` }],
    );
    for (const what of FAILURES) {
      const { status, text } = await send(what, 'x');
      assert.equal(status, 500, what);
      assert.match(text, /"code":"PLUGIN_FAILED"/, what);
    }
    assert.equal((await send('twice')).status, 200);
  });
});
