import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { run } from '../../gateway/commands/proto.ts';
import { post } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { answer, startUpstream, type Script } from '../support/scripted-upstream.ts';
import { aFolder } from '../support/folder.ts';

const JSON_TYPE = { fields: 'Content-Type: application/json\r\n' };
const PROTOTYPE =
  '{"wt":{"type":"numeric","example":2.6},"am":{"type":"factor","example":"0","details":{"levels":["0","1"]}}}';

/** A model that answers each row with its weight. */
const model: Script = (socket, request) => {
  const rows = request.head.startsWith('POST') ? (JSON.parse(String(request.body)) as { wt: number }[]) : [];
  answer(rows.length === 0 ? PROTOTYPE : JSON.stringify({ '.pred': rows.map(({ wt }) => wt) }), JSON_TYPE)(
    socket,
    request,
  );
};

async function made(t: TestContext, instances: readonly string[], ...args: string[]) {
  const cwd = aFolder(t);
  const known = JSON.stringify([{ service: 'fuel', instances }]);
  writeFileSync(join(cwd, 'gateway.yaml'), `admin: { port: 0 }\ndiscovery: { static: ${known} }\n`);
  writeFileSync(join(cwd, 'routes.yaml'), 'routes: [{ id: fuel, uri: lb://fuel }]');
  const said = { stdout: '', stderr: '' };
  const io = {
    stdout: { write: (text: string) => (said.stdout += text) },
    stderr: { write: (text: string) => (said.stderr += text) },
  };
  const status = await run(['--config', 'gateway.yaml', ...args], { ...io, env: {}, cwd });
  return { status, ...said, cwd };
}

describe('penstock proto', () => {
  test('prints what a route takes: the model is called by gRPC’s protocols as by REST', async t => {
    const upstream = await startUpstream(t, model);

    const { status, stdout, cwd } = await made(t, [upstream.origin], 'fuel');

    assert.equal(status, 0);
    writeFileSync(join(cwd, 'fuel.proto'), stdout);
    const gateway = await startGateway(t, {
      services: { fuel: [upstream.origin] },
      routes: `routes: [{ id: fuel, uri: lb://fuel, predicates: ['Path=/fuel/**'], filters: [StripPrefix=1], grpc: { proto: '${join(cwd, 'fuel.proto')}' } }]`,
    });
    const called = await gateway.call('/fuel.v1.Fuel/Predict', post({ rows: [{ wt: 3 }, { wt: 4, am: '1' }] }));
    assert.deepEqual(JSON.parse(called.text), { '.pred': [3, 4] });
    assert.equal(String(upstream.requests.at(-1)?.body), '[{"wt":3},{"wt":4,"am":"1"}]');
  });

  test('says why it cannot', async t => {
    const upstream = await startUpstream(t, answer('not found', { status: 404 }));

    const lines = [
      await made(t, [upstream.origin], 'fuel'),
      await made(t, ['rserve://127.0.0.1:1'], 'fuel'),
      await made(t, [upstream.origin], 'other'),
      await made(t, [upstream.origin]),
    ];

    const [unpublished, unfit, unknown, unnamed] = lines.map(
      ({ status, stderr, stdout }) => `${status} ${stdout}${stderr}`,
    );
    assert.equal(unpublished, `1 penstock proto: ${upstream.origin} publishes no columns at /prototype\n`);
    assert.match(unfit ?? '', /^1 penstock proto: no instance of fuel is known that speaks HTTP/);
    assert.match(unknown ?? '', /^1 penstock proto: no instance of other/);
    assert.match(unnamed ?? '', /^2 penstock proto: SERVICE is wanted/);
  });
});
