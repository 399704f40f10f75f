import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../gateway/commands/audit.ts';
import { post } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';

const page = readFileSync(new URL('../../docs/audit.md', import.meta.url), 'utf8');
const blocks = (language: string) =>
  [...page.matchAll(/```(\w+)\n([^]*?)```/g)].flatMap(([, of, text = '']) => (of === language ? [text.trim()] : []));

test('the page on the audit trail: its files make one, and its commands read it', async t => {
  const [audit = '', routes = ''] = blocks('yaml');
  const upstream = await startUpstream(t, answer('[1]'));
  const gateway = await startGateway(t, { services: { fuel: [upstream.origin] }, more: audit, routes });
  await gateway.call('/fuel/predict', post([]));
  await gateway.gateway.drain();
  const reported = gateway.log
    .of('notice')
    .findLast(({ text }) => String(text).startsWith('the audit trail stands here'));
  const { head } = reported?.['about'] as { head: string };

  const said = [];
  for (const line of blocks('sh')) {
    let text = '';
    const write = (more: string) => (text += more);
    const [, ...args] = line.replace('HASH', head).replace('gateway/penstock.mjs ', '').split(' ');
    const cwd = join(dirname(gateway.routesFile), '..');
    said.push([line, await run(args, { stdout: { write }, stderr: { write }, env: {}, cwd }), text.includes(head)]);
  }

  assert.deepEqual(said, [
    ['gateway/penstock.mjs audit verify', 0, true],
    ['gateway/penstock.mjs audit verify --head HASH', 0, true],
    ['gateway/penstock.mjs audit report --by caller', 0, false],
  ]);
});
