import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { startGateway } from '../support/composed-gateway.ts';
import { startNode } from '../support/node-server.ts';
import { aFolder } from '../support/folder.ts';

const manual = readFileSync('docs/plugins.md', 'utf8');

/** The block of the manual that begins with this comment. */
function blockOf(first: string): string {
  const block = [...manual.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].find(([, text = '']) => text.startsWith(first));
  assert.ok(block?.[1] !== undefined, `no block begins with ${first}`);
  return block[1];
}

/** The manual's example, in a folder of its own. */
function fileOf(t: TestContext, name: string): string {
  const folder = aFolder(t);
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  mkdirSync(join(folder, 'plugins'));
  const file = join(folder, 'plugins', name);
  writeFileSync(file, blockOf(`// plugins/${name}`));
  return file;
}

describe('the manual’s plug-ins run as they stand', () => {
  test('a predicate and a filter', async t => {
    const r = await startNode(t, (req, res) => res.end(String(req.headers['x-rows-paid'])));
    const plugin = fileOf(t, 'tenant.ts');
    const gateway = await startGateway(t, {
      services: { fuel: [r] },
      routes: blockOf('# routes.yaml, with plugins/tenant.ts'),
      more: `plugins: [${plugin}]`,
    });

    const known = await gateway.call('/fuel/predict', { method: 'POST', headers: { 'x-tenant': 'acme' } });
    const unknown = await gateway.call('/fuel/predict', { method: 'POST', headers: { 'x-tenant': 'nobody' } });

    assert.deepEqual([known.status, known.text, known.headers['x-tenant']], [200, '500', 'acme']);
    assert.deepEqual([unknown.status, unknown.code], [404, 'NO_ROUTE']);
  });

  test('a filter that waits, and helmet', async t => {
    const requested: (string | undefined)[] = [];
    const r = await startNode(t, (_req, res) => res.setHeader('X-Frame-Options', 'ALLOWALL').end('predicted'));
    const contracts = await startNode(t, (req, res) => {
      requested.push(req.url);
      res.writeHead(requested.length === 1 ? 200 : 404).end();
    });
    const plugin = fileOf(t, 'edge.ts');
    const routes = blockOf('# routes.yaml, with plugins/edge.ts').replace('http://127.0.0.1:7000', contracts);
    const gateway = await startGateway(t, { services: { fuel: [r] }, routes, more: `plugins: [${plugin}]` });

    const inForce = await gateway.call('/fuel/predict');
    const ended = await gateway.call('/fuel/predict');

    assert.deepEqual([inForce.status, inForce.text, ended.status], [200, 'predicted', 402]);
    assert.deepEqual(JSON.parse(ended.text), { detail: 'No contract is in force.' });
    assert.deepEqual(requested, ['/contracts/anonymous', '/contracts/anonymous']);
    for (const { headers } of [inForce, ended]) {
      assert.equal(headers['x-frame-options'], 'SAMEORIGIN', 'the edge’s word, not R’s');
      assert.ok(headers['content-security-policy'], 'helmet’s');
    }
  });
});
