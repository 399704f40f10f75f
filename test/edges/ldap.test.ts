import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { LdapScheme } from '../../gateway/edges/ldap-scheme.ts';
import { Directory, type DirectoryOptions } from '../../gateway/edges/ldapts.ts';
import { systemClock } from '../../gateway/edges/clock.ts';
import { aMatched } from '../support/requests.ts';
import { startSlapd, SUFFIX, type Slapd } from '../support/slapd.ts';

const person = (uid: string, password: string): [string, Record<string, string | string[]>] => [
  `uid=${uid.replace(/[*()+ ,]/g, sign => `\\${sign.charCodeAt(0).toString(16)}`)},ou=people,${SUFFIX}`,
  { objectClass: 'inetOrgPerson', uid, cn: uid, sn: uid, userPassword: password },
];
const group = (cn: string, ...member: string[]): [string, Record<string, string | string[]>] => [
  `cn=${cn},ou=groups,${SUFFIX}`,
  { objectClass: 'groupOfNames', cn, member },
];
const ENTRIES = [
  [SUFFIX, { objectClass: ['dcObject', 'organization'], dc: 'example', o: 'Example' }],
  [`ou=people,${SUFFIX}`, { objectClass: 'organizationalUnit', ou: 'people' }],
  [`ou=groups,${SUFFIX}`, { objectClass: 'organizationalUnit', ou: 'groups' }],
  person('alice', 'pässword:1'),
  person('bob', 'bobs'),
  person('a*(b)', 'odd'),
  group('Data-Team', `uid=alice,ou=people,${SUFFIX}`, `cn=all,ou=groups,${SUFFIX}`),
  group('all', `cn=Data-Team,ou=groups,${SUFFIX}`, `uid=bob,ou=people,${SUFFIX}`),
  group('odd', `uid=a\\2a\\28b\\29,ou=people,${SUFFIX}`),
] as [string, Record<string, string | string[]>][];

const basic = (user: string, password: string) =>
  ({ kind: 'basic', encoded: Buffer.from(`${user}:${password}`).toString('base64') }) as const;

function aScheme(t: TestContext, slapd: Pick<Slapd, 'ca'>, traits: Partial<DirectoryOptions> & { servers: string[] }) {
  const directory = new Directory({
    userDn: `uid={user},ou=people,${SUFFIX}`,
    groups: { base: `ou=groups,${SUFFIX}`, filter: '(member={dn})', nested: true },
    ...{ startTls: false, ca: slapd.ca, timeoutMs: 2_000, poolMax: 2, bindDn: undefined, bindPassword: undefined },
    clock: systemClock,
    ...traits,
  });
  t.after(() => directory.close());
  let checks = 0;
  const scheme = new LdapScheme({
    check: who => {
      checks += 1;
      return directory.check(who);
    },
    roles: new Map([
      ['data-team', 'scientist'],
      ['all', 'viewer'],
      ['odd', 'odd'],
    ]),
    ...{ cacheMs: 60_000, clock: systemClock, guessing: undefined, onFailure: () => undefined },
  });
  const judge = async (user: string, password: string) => scheme.identify(basic(user, password), aMatched());
  return { judge, checks: () => checks };
}

describe('a person of a real directory', () => {
  test('is known by their password, with the roles of their groups, nested ones too, over ldaps, StartTLS and plain', async t => {
    const slapd = await startSlapd(t, ENTRIES);
    const admin = { bindDn: `cn=admin,${SUFFIX}`, bindPassword: 'secret' };
    for (const traits of [
      { servers: [slapd.ldaps] },
      { servers: [slapd.ldap], startTls: true, ...admin },
      { servers: ['ldap://localhost:1', slapd.ldap] },
    ]) {
      const { judge, checks } = aScheme(t, slapd, traits);

      const alice = await judge('alice', 'pässword:1');
      assert.ok(alice.kind === 'valid', JSON.stringify(traits));
      assert.deepEqual([alice.caller.id, [...alice.caller.roles].sort()], ['ldap/alice', ['scientist', 'viewer']]);
      assert.equal(await judge('alice', 'pässword:1'), alice);
      assert.equal(checks(), 1, 'cached');
      const others = await Promise.all([judge('bob', 'bobs'), judge('a*(b)', 'odd')]);
      const roles = others.map(found => (found.kind === 'valid' ? [...found.caller.roles].sort() : found.fault));
      assert.deepEqual(roles, [['scientist', 'viewer'], ['odd']]);
    }

    const { judge, checks } = aScheme(t, slapd, { servers: [slapd.ldaps] });
    for (const [user, password] of [
      ['alice', 'wrong'],
      ['nobody', 'wrong'],
      ['*', 'odd'],
      ['alice,ou=people', 'pässword:1'],
      ['alice)(uid=*', 'pässword:1'],
    ] as const) {
      assert.deepEqual(await judge(user, password), { kind: 'refused', fault: 'wrong-password' }, user);
    }
    const before = checks();
    for (const [user, password] of [
      ['alice', ''],
      ['', 'x'],
      ['alice\0', 'x'],
      [' ', 'x'],
    ] as const) {
      assert.equal((await judge(user, password)).kind, 'refused');
    }
    assert.equal(checks(), before, 'the directory is never asked about an empty password');

    let nowMs = 0;
    const late = { ...systemClock, nowMs: () => (nowMs += 6_000) };
    const slow = aScheme(t, slapd, { servers: [slapd.ldaps], clock: late });
    await assert.rejects(slow.judge('alice', 'pässword:1'), /its groups take too long/, 'however many there are');

    const strict = aScheme(t, { ca: undefined as unknown as string }, { servers: [slapd.ldaps] });
    await assert.rejects(strict.judge('alice', 'pässword:1'), { code: 'IDENTITY_UNAVAILABLE' }, 'an unknown authority');
    await slapd.stop();
    await assert.rejects(judge('alice', 'pässword:1'), { code: 'IDENTITY_UNAVAILABLE' });
  });

  test('is not known while the directory says nothing: the wait is bounded', async t => {
    const silent = createServer(socket => socket.on('error', () => undefined));
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    t.after(() => silent.close());
    const server = `ldap://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const { judge } = aScheme(t, { ca: undefined as unknown as string }, { servers: [server], timeoutMs: 100 });

    await assert.rejects(judge('alice', 'x'), { code: 'IDENTITY_UNAVAILABLE', status: 503 });
  });
});
