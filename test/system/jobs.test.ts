import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { post } from '../support/call.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { isRunning } from '../support/plumber/serve.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

const rowsOf = (body: Buffer) => (JSON.parse(body.toString()) as { x: number }[]).map(({ x }) => x);

describe('a gateway that is killed amid a job', () => {
  test('goes on with it: rows that were answered are not asked again, those in hand are', async t => {
    const requested: number[][] = [];
    let isHeld = false;
    const upstream = await startUpstream(t, (socket, request) => {
      const isCall = request.body.length > 0;
      if (isCall) requested.push(rowsOf(request.body));
      if (isCall && requested.length === 3)
        isHeld = true; // and gets no answer
      else answer(isCall ? JSON.stringify(rowsOf(request.body)) : '{}')(socket, request);
    });
    const folder = aFolder(t);
    const [script, pidFile] = [join(folder, 'endless.R'), join(folder, 'pid')];
    writeFileSync(script, `writeLines(format(Sys.getpid()), ${JSON.stringify(pidFile)}); Sys.sleep(600)`);
    const traits = {
      discovery: `{ static: [{ service: fuel, instances: ['${upstream.origin}'] }], local: [{ service: endless, script: ${script} }] }`,
      routes: `
services: { fuel: { health: { interval: 1h } } }
routes: [{ id: fuel, uri: lb://fuel, predicates: ['Path=/fuel/**'], pure: true, batch: { sizeMax: 2 } }, { uri: lb://endless, predicates: [Path=/endless] }]`,
      more: `jobs: { folder: ${join(folder, 'jobs')} }`,
      folder,
    };
    const first = await startGatewayProcess(t, traits);
    const headers = { 'content-type': 'text/csv' };
    const made = await first.call('/jobs/fuel', { method: 'POST', headers, body: 'x\n1\n2\n3\n4\n5\n6\n7\n' });
    const { location = '' } = made.headers;
    const endless = first.call('/endless', post([])).catch(() => undefined);
    const pid = () => (existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0);
    await until(() => pid() > 0, 'a script is at work');
    const isWritten = async () => (await first.call(location)).text.includes('"answered":4');
    await until(async () => isHeld && (await isWritten()), 'a call in hand, and the two before written down');
    first.child.kill('SIGKILL');
    await Promise.all([first.ended, endless]);
    await until(() => !isRunning(pid()), 'the script has ended as well');

    const second = await startGatewayProcess(t, traits);
    await until(async () => (await second.call(location)).text.includes('"state":"done"'), 'the job to be done');

    assert.deepEqual(requested, [[1, 2], [3, 4], [5, 6], [5, 6], [7]]); // prettier-ignore
    const result = await second.call(`${location}/result`);
    assert.equal(result.text, '.pred,error\r\n1,\r\n2,\r\n3,\r\n4,\r\n5,\r\n6,\r\n7,\r\n');
  });
});
