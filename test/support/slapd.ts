import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { Client } from 'ldapts';
import { aCertificate } from './certificates.ts';
import { ensureServer } from './servers.mjs';
import { until } from './until.ts';

/** A real OpenLDAP, with people and groups of its own. */
export interface Slapd {
  readonly ldap: string;
  readonly ldaps: string;
  /** PEM of the authority that its certificate is verified by. */
  readonly ca: string;
  stop(): Promise<void>;
}

export const SUFFIX = 'dc=example,dc=org';
const NOBODY = 65_534;

/** Starts it on free ports, as a user of its own where the tests run as root. */
export async function startSlapd(
  t: TestContext,
  entries: readonly [dn: string, attributes: Record<string, string | string[]>][],
): Promise<Slapd> {
  const program = await ensureServer('slapd');
  const schema = join(dirname(program), 'root/etc/ldap/schema');
  const folder = mkdtempSync(join(tmpdir(), 'penstock-slapd-'));
  const [plain, secure] = await freePorts();
  mkdirSync(join(folder, 'data'));
  const { cert, key } = aCertificate({ isAuthority: true });
  writeFileSync(join(folder, 'cert.pem'), cert);
  writeFileSync(join(folder, 'key.pem'), key);
  writeFileSync(
    join(folder, 'slapd.conf'),
    `${['core', 'cosine', 'inetorgperson'].map(name => `include ${schema}/${name}.schema`).join('\n')}
TLSCertificateFile ${folder}/cert.pem
TLSCertificateKeyFile ${folder}/key.pem
database ldif
suffix "${SUFFIX}"
directory ${folder}/data
rootdn "cn=admin,${SUFFIX}"
rootpw secret
`,
  );
  const isRoot = process.getuid?.() === 0;
  if (isRoot)
    for (const path of ['', 'data', 'cert.pem', 'key.pem', 'slapd.conf']) chownSync(join(folder, path), NOBODY, NOBODY);
  chmodSync(folder, 0o700);
  const urls = { ldap: `ldap://localhost:${plain}`, ldaps: `ldaps://localhost:${secure}` };
  const server: ChildProcess = spawn(
    program,
    ['-f', join(folder, 'slapd.conf'), '-h', `${urls.ldap} ${urls.ldaps}`, '-d', '0'],
    {
      stdio: 'ignore',
      ...(isRoot && { uid: NOBODY, gid: NOBODY }),
    },
  );
  const stop = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  };
  t.after(async () => {
    await stop();
    rmSync(folder, { recursive: true, maxRetries: 3 });
  });
  await until(() => fill(urls.ldap, entries), 'slapd answers');
  return { ...urls, ca: cert, stop };
}

async function fill(url: string, entries: Parameters<typeof startSlapd>[1]): Promise<boolean> {
  const client = new Client({ url, timeout: 2_000, connectTimeout: 2_000 });
  try {
    await client.bind(`cn=admin,${SUFFIX}`, 'secret');
  } catch {
    return false; // not up yet
  }
  for (const [dn, attributes] of entries) await client.add(dn, attributes);
  await client.unbind();
  return true;
}

async function freePorts(): Promise<number[]> {
  const servers = [createServer(), createServer()];
  await Promise.all(servers.map(server => once(server.listen(0, '127.0.0.1'), 'listening')));
  const ports = servers.map(server => (server.address() as AddressInfo).port);
  await Promise.all(servers.map(server => once(server.close(), 'close')));
  return ports;
}
