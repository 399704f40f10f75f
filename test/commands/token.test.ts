import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { run } from '../../gateway/commands/token.ts';
import { JwtScheme } from '../../gateway/edges/jsonwebtoken.ts';
import { aFolder } from '../support/folder.ts';

const SECRET = 'a-development-secret-of-forty-characters';
const DEV =
  'identity: { jwt: [{ issuer: dev, audience: penstock, algorithms: [HS256], secret: "${env:TOKEN_SECRET}" }] }';

/** Runs the command in a folder of its own that holds this gateway.yaml. */
function inFolder(t: TestContext, yaml: string) {
  const cwd = aFolder(t);
  writeFileSync(join(cwd, 'gateway.yaml'), yaml);
  return async (...args: string[]) => {
    const said = { stdout: '', stderr: '' };
    const status = await run(['--config', 'gateway.yaml', ...args], {
      stdout: { write: text => (said.stdout += text) },
      stderr: { write: text => (said.stderr += text) },
      env: { TOKEN_SECRET: SECRET },
      cwd,
    });
    return { status, ...said };
  };
}

const scheme = new JwtScheme({
  issuers: [{ issuer: 'dev', audience: 'penstock', algorithms: ['HS256'], secret: SECRET, leewayMs: 0 }],
  tokenBytesMax: 8192,
  clock: { wallMs: () => Date.now() },
});
const verify = (token: string) => scheme.identify({ kind: 'bearer', token });

describe('penstock token', () => {
  test('prints a token that the gateway takes, and nothing else', async t => {
    const token = inFolder(t, DEV);

    const { status, stdout, stderr } = await token(
      '--sub',
      'alice',
      '--scope',
      'predict',
      '--scope',
      'read',
      '--role',
      'x y',
    );

    assert.equal(status, 0);
    assert.equal(stderr, '');
    assert.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    assert.deepEqual(verify(stdout.trim()), {
      kind: 'valid',
      caller: {
        kind: 'jwt',
        id: 'dev/alice',
        issuer: 'dev',
        subject: 'alice',
        scopes: ['predict', 'read'],
        roles: ['x y'],
      },
    });
  });

  test('gives it an hour, or as long as asked for', async t => {
    const token = inFolder(t, DEV);
    const lifetimeOf = async (...args: string[]) => {
      const { stdout } = await token('--sub', 'alice', '--json', ...args);
      const { claims } = JSON.parse(stdout) as { claims: { iat: number; exp: number } };
      return claims.exp - claims.iat;
    };

    assert.equal(await lifetimeOf(), 3600);
    assert.equal(await lifetimeOf('--expires', '2m'), 120);
  });

  test('is of the first issuer that signs with HS256', async t => {
    const hs512 = `{ issuer: first, audience: a, algorithms: [HS512], secret: ${'x'.repeat(64)} }`;
    const hs256 = `{ issuer: second, audience: b, algorithms: [HS512, HS256], secret: ${'y'.repeat(64)} }`;
    const token = inFolder(t, `identity: { jwt: [${hs512}, ${hs256}] }`);

    const { stdout } = await token('--sub', 'alice', '--json');

    const { claims } = JSON.parse(stdout) as { claims: { iss: string; aud: string } };
    assert.deepEqual([claims.iss, claims.aud], ['second', 'b']);
  });

  test('asks for nothing that other parts of the file refer to', async t => {
    const others = `
listen: { port: '\${env:NOT_SET}', tls: { cert: nowhere.pem, key: nowhere.pem } }
plugins: [nowhere.ts]
jobs: { callbacks: [{ to: 'https://a', secret: '\${env:NOT_SET}' }] }`;
    const directory =
      "ldap: { servers: ['ldaps://a'], userDn: 'uid={user}', bindDn: 'cn=a', bindPassword: '${env:NOT_SET}' }";
    const token = inFolder(t, DEV.replace('identity: {', `identity: { ${directory},`) + others);

    const { status, stderr } = await token('--sub', 'alice');

    assert.deepEqual([status, stderr], [0, '']);
  });

  test('shows how it is used', async t => {
    const { status, stdout } = await inFolder(t, '')('--help');

    assert.equal(status, 0);
    assert.match(stdout, /--sub NAME/);
  });

  const refusals: [name: string, yaml: string, args: string[], message: RegExp, status?: number][] = [
    ['without a subject', DEV, [], /--sub/, 2],
    ['with a subject of blanks', DEV, ['--sub', '  '], /--sub/, 2],
    ['with a subject that is too long', DEV, ['--sub', 'x'.repeat(257)], /--sub/, 2],
    ['with two scopes in one', DEV, ['--sub', 'a', '--scope', 'b c'], /--scope/, 2],
    ['with a lifetime that is none', DEV, ['--sub', 'a', '--expires', 'soon'], /--expires/, 2],
    ['with no lifetime', DEV, ['--sub', 'a', '--expires', '0s'], /--expires/, 2],
    ['with an unknown option', DEV, ['--sub', 'a', '--admin'], /--admin/, 2],
    ['where no file is', DEV, ['--sub', 'a', '--config', 'nowhere.yaml'], /nowhere.yaml.*cannot be read/],
    ['where the file is wrong', 'identity: { jwtt: [] }', ['--sub', 'a'], /jwtt/],
    ['where no identity is configured', 'log: { level: info }', ['--sub', 'a'], /no identity/],
    [
      'larger than the gateway takes',
      DEV,
      ['--sub', 'a', ...Array.from({ length: 900 }, (_, i) => ['--role', `role${i}`]).flat()],
      /tokenBytesMax/,
    ],
  ];
  for (const [name, yaml, args, message, expected = 1] of refusals) {
    test(`refuses, and never shows the secret, ${name}`, async t => {
      const { status, stdout, stderr } = await inFolder(t, yaml)(...args);

      assert.equal(status, expected);
      assert.equal(stdout, '');
      assert.match(stderr, message);
      assert.ok(!stderr.includes(SECRET));
    });
  }

  test('says things where the issuer’s tokens have them, signed as its secret is meant', async t => {
    const secret = Buffer.alloc(32, 7);
    const issuer = `{ issuer: dev, audience: any, clientId: app, algorithms: [HS256], secret: { base64: '${secret.toString('base64')}' }, claims: { scopes: a.scp, roles: a.roles, subject: oid } }`;
    const token = inFolder(t, `identity: { jwt: [${issuer}] }`);

    const { stdout } = await token('--sub', 'alice', '--scope', 'predict', '--role', 'analyst', '--json');

    const { token: made, claims } = JSON.parse(stdout) as { token: string; claims: Record<string, unknown> };
    const { iat, exp, ...rest } = claims;
    assert.deepEqual([typeof iat, typeof exp], ['number', 'number']);
    const nested = { scp: 'predict', roles: ['analyst'] };
    assert.deepEqual(rest, { iss: 'dev', azp: 'app', sub: 'alice', oid: 'alice', a: nested });
    const signature = createHmac('sha256', secret).update(made.slice(0, made.lastIndexOf('.')));
    assert.ok(made.endsWith(`.${signature.digest('base64url')}`));
  });
});
