import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiKeyScheme, type ApiKey } from '../../gateway/domain/admission/api-key.ts';
import { Schemes, type Scheme } from '../../gateway/domain/admission/scheme.ts';
import type { Call } from '../../gateway/domain/call.ts';
import type { Auth } from '../../gateway/domain/route.ts';
import { systemClock as clock } from '../../gateway/edges/clock.ts';
import { keyDigests } from '../../gateway/edges/digest.ts';
import { OpaqueScheme } from '../../gateway/edges/introspection.ts';
import { JwtScheme } from '../../gateway/edges/jsonwebtoken.ts';
import { LdapScheme } from '../../gateway/edges/ldap-scheme.ts';
import { aToken, asymmetric, hmac } from '../../test/support/tokens.ts';

/** What a call's credential takes of the processor, in nanoseconds. */
export interface SchemeRow {
  readonly what: string;
  /** A credential that was not seen before; undefined: its provider decides, and takes longer than we do. */
  readonly firstNs: number | undefined;
  /** One that is cached, on a connection that brought others before. */
  readonly cachedNs: number;
}

const ROUNDS = 15;
const CREDENTIALS = 500;
const WARM_UP_TIMES = 20;
const TIMES = 20;

/** One way to say who one is, and callers who do. */
interface Measured {
  readonly what: string;
  /** Of a scheme that has nothing cached. */
  readonly make: () => Scheme;
  readonly authorizations: readonly string[];
  /** A provider is asked, whose time a first call would show. */
  readonly isRemote: boolean;
}

/** What each scheme costs a call: 500 callers, first all of them new, then all of them known. */
export async function measureSchemes(): Promise<SchemeRow[]> {
  const provider = createServer((_req, res) => res.end(JSON.stringify({ active: true, sub: 'a', exp: soon() })));
  await once(provider.listen(0, '127.0.0.1'), 'listening');
  const rows: SchemeRow[] = [];
  try {
    const url = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/`;
    for (const measured of [...ofTokens(), ofKeys(), ofOpaque(url), ofPeople()])
      rows.push(await measureScheme(measured));
  } finally {
    provider.closeAllConnections();
    provider.close();
  }
  return rows;
}

function soon(): number {
  return Math.floor(Date.now() / 1000) + 3_600;
}

function ofTokens(): Measured[] {
  const secret = randomBytes(32).toString('hex');
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const issuer = { issuer: 'here', audience: 'penstock', leewayMs: 0 };
  const schemeOf = (keys: object) => () =>
    new JwtScheme({ issuers: [{ ...issuer, algorithms: ['HS256'], ...keys }], tokenBytesMax: 8192, clock });
  const tokens = (alg: string, sign: ReturnType<typeof hmac>) =>
    callers(i => {
      const claims = { iss: 'here', aud: 'penstock', sub: `caller-${i}`, scope: 'predict', exp: soon() };
      return `Bearer ${aToken({ alg }, claims, sign)}`;
    });
  const pem = publicKey.export({ type: 'spki', format: 'pem' });
  const rsa = tokens('RS256', asymmetric(privateKey, 256));
  return [
    {
      what: 'a JWT, HS256',
      make: schemeOf({ secret }),
      authorizations: tokens('HS256', hmac(secret)),
      isRemote: false,
    },
    {
      what: 'a JWT, RS256',
      make: schemeOf({ algorithms: ['RS256'], publicKey: pem }),
      authorizations: rsa,
      isRemote: false,
    },
  ];
}

function ofKeys(): Measured {
  const texts = callers(() => randomBytes(24).toString('base64url'));
  const keys = texts.map((text, i): ApiKey => {
    const sha256 = createHash('sha256').update(text).digest('hex');
    return { id: `${i}`, sha256, subject: `caller-${i}`, scopes: [], roles: [], expiresMs: Infinity };
  });
  const options = { keys, field: 'x-api-key', keyBytesMax: 8192, clock, digests: keyDigests(), guessing: undefined };
  const make = () => new ApiKeyScheme({ ...options, onKeyInUrl: () => undefined });
  return { what: 'an API key', make, authorizations: texts.map(text => `ApiKey ${text}`), isRemote: false };
}

function ofOpaque(url: string): Measured {
  const endpoint = { url, issuer: 'here', clientId: 'a', clientSecret: 'b', cacheMs: 3_600_000, claims: {} };
  const endpoints = [{ ...endpoint, audience: undefined, match: undefined }];
  const options = { endpoints, tokenBytesMax: 8192, clock, guessing: undefined, onFailure: () => undefined };
  const authorizations = callers(() => `Bearer ${randomBytes(24).toString('base64url')}`);
  return { what: 'an opaque token', make: () => new OpaqueScheme(options), authorizations, isRemote: true };
}

function ofPeople(): Measured {
  const check = () => Promise.resolve({ kind: 'known', groups: ['team'] } as const);
  const options = {
    check,
    roles: new Map(),
    cacheMs: 3_600_000,
    clock,
    guessing: undefined,
    onFailure: () => undefined,
  };
  const authorizations = callers(i => `Basic ${Buffer.from(`caller-${i}:a password`).toString('base64')}`);
  return {
    what: 'a name and password of LDAP',
    make: () => new LdapScheme(options),
    authorizations,
    isRemote: true,
  };
}

function callers(credentialOf: (i: number) => string): string[] {
  return Array.from({ length: CREDENTIALS }, (_, i) => credentialOf(i));
}

async function measureScheme({ what, make, authorizations, isRemote }: Measured): Promise<SchemeRow> {
  const calls = authorizations.map(value => aCall(['Authorization', value]));
  const firsts: number[] = [];
  let scheme = make();
  for (let round = 0; round < ROUNDS && !isRemote; round++) {
    scheme = make();
    const schemes = new Schemes([scheme]);
    firsts.push(nsEach(1, () => calls.forEach(call => judge(schemes, call))) / CREDENTIALS);
  }
  const schemes = new Schemes([scheme]);
  for (const call of calls) await judge(schemes, call);
  const all = () => calls.forEach(call => judge(schemes, call));
  for (let i = 0; i < WARM_UP_TIMES; i++) all();
  const cached = Array.from({ length: ROUNDS }, () => nsEach(TIMES, all) / CREDENTIALS);
  return { what, firstNs: isRemote ? undefined : median(firsts), cachedNs: median(cached) };
}

/** As `admit` does it. */
function judge(schemes: Schemes, call: Call): unknown {
  const credential = schemes.credentialOf(call, AUTH);
  const found = schemes.of(credential)?.identify(credential, call);
  if (found === undefined) throw new Error('no scheme takes it');
  if (!(found instanceof Promise) && found.kind !== 'valid') throw new Error(found.fault);
  return found;
}

const AUTH: Auth = { allow: ['jwt', 'api-key', 'opaque', 'ldap'], scopes: [], roles: [], forwardToken: false };

/** What schemes look at of a call. */
function aCall(fields: readonly string[]): Call {
  return {
    fields,
    query: '',
    callerAddress: '127.0.0.1',
    wallMs: Date.now(),
    wire: { connection: {} },
  } as unknown as Call;
}

function nsEach(times: number, work: () => void): number {
  const before = process.cpuUsage(); // others on this machine take time, but not ours
  for (let i = 0; i < times; i++) work();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / times;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
