import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { run } from '../../gateway/commands/audit.ts';
import { linesOfTrail } from '../../gateway/edges/audit-file.ts';
import { post } from '../support/call.ts';
import { IDENTITY, startGatewayProcess } from '../support/gateway-process.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';
import { bearer } from '../support/cluster.ts';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

const ROUTES = `routes:
  - { id: fuel, uri: lb://fuel, predicates: [Path=/fuel], audit: true }
  - { id: other, uri: lb://fuel, predicates: [Path=/other] }
`;

/** A gateway with a trail, before a model that answers. */
async function startAudited(t: TestContext, audit: string) {
  const upstream = await startUpstream(t, answer('[1]'));
  const folder = aFolder(t);
  const gateway = await startGatewayProcess(t, {
    folder,
    discovery: `{ static: [{ service: fuel, instances: ['${upstream.origin}'] }] }`,
    routes: ROUTES,
    more: `${IDENTITY}\naudit: { file: audit.jsonl, ${audit} }`,
  });
  const file = join(folder, 'audit.jsonl');
  const entries = async () => {
    const read: Record<string, unknown>[] = [];
    for await (const line of linesOfTrail(file)) read.push(JSON.parse(line) as Record<string, unknown>);
    return read;
  };
  return { gateway, upstream, file, entries };
}

async function command(...args: readonly string[]) {
  let text = '';
  const write = (more: string) => (text += more);
  const code = await run(args, { stdout: { write }, stderr: { write }, env: {}, cwd: '/' });
  return { code, text };
}

describe('the audit trail', () => {
  test('holds every call of a route that asks for it, and every change, and nothing secret', async t => {
    const { gateway, file, entries } = await startAudited(t, 'required: false');
    const secret = { wt: 'my-private-value' };

    const good = await gateway.call('/fuel', post(secret, bearer('alice')));
    await gateway.call('/fuel', post(secret));
    await gateway.call('/other', post(secret, bearer('alice')));
    await gateway.order('fuel', 'x', 'eject'); // there is none: nothing changes
    await gateway.reload();
    writeFileSync(gateway.routesFile, `${ROUTES}  - { id: third, uri: lb://fuel, predicates: [Path=/third] }\n`);
    await until(async () => (await entries()).some(({ by }) => by === 'file'), 'the save is written down');

    const all = await entries();
    const calls = all.filter(({ kind }) => kind === 'call');
    assert.deepEqual(
      calls.map(({ caller, route, status }) => [caller, route, status]),
      [
        ['penstock-dev/alice', 'fuel', 200],
        [null, 'fuel', 401],
      ],
    );
    assert.equal(calls[0]?.['id'], good.headers['x-request-id']);
    assert.match(String(calls[0]?.['digest']), /^[\w-]{43}$/);
    const changes = all.filter(({ kind }) => kind === 'change');
    assert.deepEqual(
      changes.map(({ by, from, what, outcome }) => [
        by,
        from,
        String(what).replace(gateway.routesFile, 'FILE'),
        outcome,
      ]),
      [
        ['loopback', '127.0.0.1', 'reload', 'done'],
        ['file', null, 'reload: FILE was saved', 'done'],
      ],
    );
    assert.deepEqual(changes[1]?.['after'], { generation: 3, added: ['third'], removed: [], changed: [] });
    const text = JSON.stringify(all);
    for (const hidden of ['my-private-value', 'eyJ']) assert.ok(!text.includes(hidden), hidden);

    const head = (await gateway.get('/api/audit?lines=2')).text.split('\n');
    assert.equal(head.length, 3);
    assert.equal((await command('verify', '--file', file)).code, 0);
    assert.match((await command('report', '--by', 'caller', '--file', file)).text, /penstock-dev\/alice +1 +0/);
  });

  for (const { required, status } of [
    { required: false, status: 200 },
    { required: true, status: 503 },
  ]) {
    test(`that cannot be written ${required ? 'stops the calls that need it' : 'stops no call'}, and is whole afterwards`, async t => {
      const { gateway, upstream, file, entries } = await startAudited(t, `required: ${required}`);
      const limit = (bytes: string) => execFileSync('prlimit', ['--pid', String(gateway.pid), `--fsize=${bytes}:`]);
      assert.equal((await gateway.call('/fuel', post([], bearer('alice')))).status, 200);
      await until(async () => (await entries()).some(({ kind }) => kind === 'call'), 'it is written');

      limit(String(statSync(file).size + 10)); // the next line goes out in part
      await gateway.call('/fuel', post([], bearer('alice')));
      await gateway.log.line(({ text }) => text === 'the audit trail takes nothing');
      const requested = upstream.requests.length;
      const received = await gateway.call('/fuel', post([], bearer('alice')));
      assert.equal(received.status, status);
      if (required) assert.deepEqual([received.code, received.headers['retry-after']], ['AUDIT_UNAVAILABLE', '1']);
      assert.equal(upstream.requests.length - requested, required ? 0 : 1);
      assert.equal((await gateway.call('/other', post([], bearer('alice')))).status, 200);

      limit('unlimited');
      await gateway.log.line(({ text }) => text === 'the audit trail is written again');
      assert.equal((await gateway.call('/fuel', post([], bearer('alice')))).status, 200);
      await until(
        async () => (await entries()).filter(({ kind }) => kind === 'call').length === (required ? 3 : 4),
        'all',
      );
      assert.equal((await command('verify', '--file', file)).code, 0);
    });
  }
});
