import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findAccount, isRoot } from '../../gateway/edges/user.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { aFolder } from '../support/folder.ts';

const services = fileURLToPath(new URL('../../plumber-services/', import.meta.url));
const LOCAL = `{ local: [{ service: fuel, entry: ${services}fuel }] }`;
const ROUTES = "routes: [{ id: fuel, uri: lb://fuel, predicates: ['Path=/predict'] }]";

/** A folder that every user may look into. */
function anOpenFolder(t: TestContext): string {
  const folder = aFolder(t);
  chmodSync(folder, 0o755);
  return folder;
}

/** The real, effective and saved user of a process. */
function usersOf(pid: number): string[] {
  const [, ids = ''] = /^Uid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return ids.split('\t').slice(0, 3);
}

const skip = isRoot() ? false : 'only root may become another user';

describe('a gateway that root started', { skip }, () => {
  const nobody = String(findAccount('nobody')?.uid);

  test('becomes the user of its file once it listens, R is that user, and a save still takes effect', async t => {
    const folder = anOpenFolder(t);

    const more = 'user: nobody\njobs: { folder: jobs }\naudit: { file: kept/trail.jsonl }';
    const gateway = await startGatewayProcess(t, { folder, discovery: LOCAL, routes: ROUTES, more });
    const { about } = await gateway.log.line(
      ({ about: said }) => (said as { rEvent?: string } | undefined)?.rEvent === 'listening',
    );
    writeFileSync(gateway.routesFile, `${ROUTES}\n# saved\n`);
    const saved = await gateway.log.line(({ event, generation }) => event === 'config-loaded' && generation === 2);

    const root = ['0', '0', '0'];
    assert.deepEqual(usersOf(process.pid), root);
    assert.deepEqual(usersOf(gateway.pid), [nobody, nobody, nobody]);
    assert.deepEqual(usersOf((about as { pid: number }).pid), [nobody, nobody, nobody]);
    assert.doesNotMatch(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'), /^Groups:\t0\b/m);
    assert.equal(saved['routes'], 1);
    for (const made of ['jobs/jobs.db', 'kept/trail.jsonl'])
      assert.equal(String(statSync(join(folder, made)).uid), nobody);
    const warnings = gateway.log.of('notice').filter(({ level }) => level === 'warn');
    assert.doesNotMatch(JSON.stringify(warnings), /root|cannot be read|cannot write/);
  });

  test('says what it can no longer read, and what it cannot write', async t => {
    const folder = anOpenFolder(t);
    const secret = join(folder, 'secrets', 'fuel');
    mkdirSync(join(folder, 'secrets'), { mode: 0o700 });
    writeFileSync(secret, 'of fuel');
    const routes = `services: { fuel: { sharedSecret: '\${file:${secret}}' } }\n${ROUTES}`;
    const discovery = "{ static: [{ service: fuel, instances: ['http://127.0.0.1:1'] }] }";

    const gateway = await startGatewayProcess(t, {
      folder,
      discovery,
      routes,
      more: 'user: nobody\njobs: { folder: . }',
    });

    const reported = await gateway.log.line(({ text }) => String(text).startsWith('what was read as root'));
    assert.equal(reported['level'], 'warn');
    assert.match(JSON.stringify(reported['about']), /secrets\/fuel cannot be read.*EACCES/);
    const closed = gateway.log.of('notice').find(({ text }) => String(text).includes('cannot write'));
    assert.match(String(closed?.['text']), /^nobody cannot write what `jobs.folder` names: give that user its folder/);
  });

  test('says that it stays root where no user is named', async t => {
    const discovery = "{ static: [{ service: fuel, instances: ['http://127.0.0.1:1'] }] }";

    const gateway = await startGatewayProcess(t, { discovery, routes: ROUTES });

    const reported = gateway.log.of('notice').find(({ text }) => String(text).includes('run as root'));
    assert.equal(reported?.['level'], 'warn');
  });
});
