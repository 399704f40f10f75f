import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { aCertificate } from '../support/certificates.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { ensureServer } from '../support/servers.mjs';
import { listen } from '../support/node-server.ts';
import { aFolder } from '../support/folder.ts';

const run = promisify(execFile);

/** A gateway on a port with TLS, or with HTTP/2 by prior knowledge, before an instance that answers at once. */
async function startListening(t: TestContext, { isSecure }: { readonly isSecure: boolean }) {
  const instance = createServer((req, res) => void req.resume().on('end', () => res.end('[1]')));
  const port = await listen(t, instance);
  const folder = aFolder(t);
  const { cert, key } = aCertificate({ names: ['localhost', 'IP:127.0.0.1'], newkey: ['rsa:2048'], days: 300 });
  writeFileSync(join(folder, 'cert.pem'), cert);
  writeFileSync(join(folder, 'key.pem'), key);
  const gateway = await startGatewayProcess(t, {
    folder,
    discovery: `{ static: [{ service: a, instances: ['http://127.0.0.1:${port}'] }] }`,
    listen: isSecure ? 'port: 0, tls: { cert: cert.pem, key: key.pem, hsts: 365d }' : 'port: 0, h2c: true',
    routes:
      'services: { a: { concurrency: 64, queue: { depthMax: 1000, waitMax: 1m } } }\nroutes: [{ id: a, uri: lb://a }]',
  });
  return { gateway, folder, host: gateway.url.replace('http://', '') };
}

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** What comes of signing by itself, and of no authority that could be asked whether it was revoked. */
const OF_THE_TEST = ['cert_chain_of_trust', 'cert_revocation'];

describe('TLS and HTTP/2 as others see them', () => {
  test('testssl.sh finds nothing of weight, but that a test’s certificate signs itself', async t => {
    const { gateway, folder, host } = await startListening(t, { isSecure: true });
    const program = await ensureServer('testssl');
    const report = join(folder, 'report.json');
    const checks = ['--protocols', '--std', '--fs', '--server-preference', '--server-defaults', '--vulnerable'];
    const quietly = ['--quiet', '--color', '0', '--warnings', 'off', '--ip', '127.0.0.1', '--jsonfile', report];

    await run(program, [...checks, ...quietly, host.replace('127.0.0.1', 'localhost')]).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && typeof error.code === 'number')) throw error; // it counts findings
    });

    const findings = JSON.parse(readFileSync(report, 'utf8')) as Finding[];
    const weighty = findings.filter(({ severity }) => ['LOW', 'MEDIUM', 'HIGH', 'CRITICAL'].includes(severity));
    t.diagnostic(JSON.stringify(weighty.map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`)));
    assert.ok(findings.length > 60, `${findings.length} things were looked at`);
    assert.deepEqual(
      weighty.filter(({ id, severity }) => /HIGH|CRITICAL/.test(severity) && !OF_THE_TEST.includes(id)),
      [],
    );
    assert.equal(findings.find(({ id }) => id === 'TLS1_3')?.severity, 'OK');
    assert.deepEqual(gateway.log.of('internal-error'), []);
  });

  for (const isSecure of [true, false]) {
    test(`h2load runs clean ${isSecure ? 'over TLS' : 'without, by prior knowledge'}`, async t => {
      const { gateway, folder, host } = await startListening(t, { isSecure });
      const body = join(folder, 'body');
      writeFileSync(body, JSON.stringify(Array(2_000).fill(1)));
      const url = `${isSecure ? 'https' : 'http'}://${host}/a`;
      const program = await ensureServer('h2load');

      for (const more of [[], ['-d', body], ['-d', body, '-m', '1']]) {
        const { stdout } = await run(program, ['-n', '10000', '-c', '16', '-m', '30', ...more, url]);

        assert.match(stdout, /10000 done, 10000 succeeded, 0 failed, 0 errored, 0 timeout/);
        assert.match(stdout, /status codes: 10000 2xx, 0 3xx, 0 4xx, 0 5xx/);
        t.diagnostic(/finished in [^\n]*/.exec(stdout)?.[0] ?? '');
      }

      await gateway.untilIdle();
      assert.deepEqual(gateway.log.of('internal-error'), []);
    });
  }
});
