import assert from 'node:assert/strict';
import { constants, generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import jwt from 'jsonwebtoken';
import type { CredentialFault } from '../../gateway/domain/admission/challenge.ts';
import type { Finding } from '../../gateway/domain/admission/scheme.ts';
import type { Call } from '../../gateway/domain/call.ts';
import { JwtScheme, type ChangingKeys } from '../../gateway/edges/jsonwebtoken.ts';
import type { TokenIssuer, TrustedKey } from '../../gateway/edges/token-keys.ts';
import { signingKey, type SigningKey } from '../support/identity-provider.ts';
import { manualClock } from '../support/manual-clock.ts';
import { asymmetric, aToken, ecPair, encodePart, hmac, rsaPair, unsigned } from '../support/tokens.ts';

const START_MS = Date.UTC(2026, 0, 1);
const NOW = START_MS / 1000;
const SECRET = 'a-secret-of-at-least-thirty-two-bytes!';
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
const P1363 = { dsaEncoding: 'ieee-p1363' };

const rsa = rsaPair();
const otherRsa = rsaPair();
const p256 = ecPair('P-256');
const p384 = ecPair('P-384');
const p521 = ecPair('P-521');

const dev: TokenIssuer = {
  issuer: 'dev',
  audience: 'penstock',
  algorithms: ['HS256'],
  secret: SECRET,
  leewayMs: 30_000,
};
const idp: TokenIssuer = {
  issuer: 'https://id.example.org',
  audience: 'penstock',
  algorithms: ['RS256', 'PS256'],
  publicKey: rsa.pem,
  leewayMs: 0,
};

const claims = (more: object = {}) => ({ iss: 'dev', aud: 'penstock', sub: 'alice', exp: NOW + 600, ...more });
const hs256 = (payload: unknown = claims(), header: object = {}) =>
  aToken({ alg: 'HS256', typ: 'JWT', ...header }, payload, hmac(SECRET));

function aVerifier(issuers: readonly TokenIssuer[] = [dev, idp], tokensCachedMax = 100) {
  const clock = manualClock(START_MS);
  const scheme = new JwtScheme({ issuers, tokenBytesMax: 8192, clock, tokensCachedMax });
  return { clock, verify: (token: string) => scheme.identify({ kind: 'bearer', token }) };
}

/** Verifying with these issuers is done at once. */
function found(verify: (token: string) => Finding | Promise<Finding>, token: string): Finding {
  const finding = verify(token);
  assert.ok(!(finding instanceof Promise));
  return finding;
}

function faultOf(token: string, issuers?: readonly TokenIssuer[]): CredentialFault | 'none' {
  const finding = found(aVerifier(issuers).verify, token);
  return finding.kind === 'refused' ? finding.fault : 'none';
}

describe('a connection that brings the same token again', () => {
  /** Calls of one connection. */
  function onOneConnection() {
    const clock = manualClock(START_MS);
    const scheme = new JwtScheme({ issuers: [dev], tokenBytesMax: 8192, clock });
    const call = { callerAddress: '192.0.2.1', wire: { connection: {} } } as unknown as Call;
    const verify = (token: string) => scheme.identify({ kind: 'bearer', token }, call);
    return { clock, subjectOf: (token: string) => subjectOf(found(verify, token)) };
  }

  const subjectOf = (finding: Finding) => (finding.kind === 'valid' ? finding.caller.subject : finding.kind);

  test('is known as long as the token lasts, and as another with another token', () => {
    const { clock, subjectOf: subject } = onOneConnection();
    const [alice, bob] = [hs256(), hs256(claims({ sub: 'bob' }))];

    assert.deepEqual([alice, alice, alice, bob, bob, alice].map(subject), [
      'alice',
      'alice',
      'alice',
      'bob',
      'bob',
      'alice',
    ]);
    assert.equal(subject(`${alice.slice(0, -4)}AAAA`), 'refused');
    clock.advance(631_000);
    assert.equal(subject(alice), 'refused');
  });
});

describe('a token that is taken', () => {
  test('names its caller by issuer and subject, with scopes and roles', () => {
    const token = hs256(claims({ scope: 'predict read', roles: ['analyst'] }));

    const alice = { kind: 'jwt', id: 'dev/alice', issuer: 'dev', subject: 'alice' };

    assert.deepEqual(found(aVerifier().verify, token), {
      kind: 'valid',
      caller: { ...alice, scopes: ['predict', 'read'], roles: ['analyst'] },
    });
  });

  test('may be one that jsonwebtoken itself signed', () => {
    const token = jwt.sign({ iss: 'dev', aud: 'penstock', sub: 'bob', exp: NOW + 5 }, SECRET, { algorithm: 'HS256' });

    assert.equal(faultOf(token), 'none');
  });

  test('may name several audiences, ours among them', () => {
    assert.equal(faultOf(hs256(claims({ aud: ['other', 'penstock'] }))), 'none');
  });

  test('never shares its caller’s id with another subject or issuer', () => {
    const issuers = [dev, { ...dev, issuer: 'dev/x' }];
    const { verify } = aVerifier(issuers);
    const ids = [claims({ sub: 'x/y' }), claims({ iss: 'dev/x', sub: 'y' }), claims({ sub: 'x%2Fy' })].map(payload => {
      const finding = found(verify, hs256(payload));
      return finding.kind === 'valid' ? finding.caller.id : finding.fault;
    });

    assert.deepEqual(ids, ['dev/x%2Fy', 'dev/x/y', 'dev/x%252Fy']);
  });

  const families: [algorithm: string, bits: number, publicKey: string, signer: ReturnType<typeof hmac>][] = [
    ['RS256', 256, rsa.pem, asymmetric(rsa.privateKey, 256)],
    ['RS384', 384, rsa.pem, asymmetric(rsa.privateKey, 384)],
    ['RS512', 512, rsa.pem, asymmetric(rsa.privateKey, 512)],
    ['PS256', 256, rsa.pem, asymmetric(rsa.privateKey, 256, PSS)],
    ['PS384', 384, rsa.pem, asymmetric(rsa.privateKey, 384, PSS)],
    ['PS512', 512, rsa.pem, asymmetric(rsa.privateKey, 512, PSS)],
    ['ES256', 256, p256.pem, asymmetric(p256.privateKey, 256, P1363)],
    ['ES384', 384, p384.pem, asymmetric(p384.privateKey, 384, P1363)],
    ['ES512', 512, p521.pem, asymmetric(p521.privateKey, 512, P1363)],
  ];
  for (const [algorithm, , publicKey, signer] of families) {
    test(`is one signed with ${algorithm} by the issuer’s key, and no other`, () => {
      const issuer = { ...idp, algorithms: [algorithm], publicKey };
      const payload = claims({ iss: idp.issuer });

      assert.equal(faultOf(aToken({ alg: algorithm }, payload, signer), [issuer]), 'none');
      const swapped = aToken({ alg: algorithm }, payload, signer).replace(
        encodePart(payload),
        encodePart({ ...payload, sub: 'eve' }),
      );
      assert.equal(faultOf(swapped, [issuer]), 'wrong-signature');
    });
  }

  for (const [algorithm, bits] of [
    ['HS256', 256],
    ['HS384', 384],
    ['HS512', 512],
  ] as const) {
    test(`is one signed with ${algorithm} by the shared secret, and no other`, () => {
      const secret = 'x'.repeat(bits / 8);
      const issuer = { ...dev, algorithms: [algorithm], secret };

      assert.equal(faultOf(aToken({ alg: algorithm }, claims(), hmac(secret, bits)), [issuer]), 'none');
      assert.equal(
        faultOf(aToken({ alg: algorithm }, claims(), hmac(`${secret}y`, bits)), [issuer]),
        'wrong-signature',
      );
    });
  }

  test('may be by any key of a file that holds several, each with its own algorithms', () => {
    const issuer = {
      ...idp,
      algorithms: ['RS256', 'ES256'],
      publicKey: `# keys\n${rsa.pem}\n${p256.pem}${otherRsa.pem}`,
    };
    const payload = claims({ iss: idp.issuer });
    const tokens = [
      aToken({ alg: 'RS256' }, payload, asymmetric(rsa.privateKey, 256)),
      aToken({ alg: 'RS256' }, payload, asymmetric(otherRsa.privateKey, 256)),
      aToken({ alg: 'ES256' }, payload, asymmetric(p256.privateKey, 256, P1363)),
    ];

    assert.deepEqual(
      tokens.map(token => faultOf(token, [issuer])),
      ['none', 'none', 'none'],
    );
  });

  test('may be by either secret while an issuer that is listed twice changes its own', () => {
    const issuers = [{ ...dev, secret: 'n'.repeat(32) }, dev];

    assert.equal(faultOf(hs256(), issuers), 'none');
    assert.equal(faultOf(hs256(claims({ exp: NOW - 60 })), issuers), 'expired', 'the fault of the key that fits');
  });
});

describe('a token is refused', () => {
  const rs = asymmetric(rsa.privateKey, 256);
  const ofIdp = claims({ iss: idp.issuer });

  const confusions: [name: string, token: string, fault: CredentialFault][] = [
    ['without a signature and alg none', aToken({ alg: 'none' }, claims(), unsigned), 'wrong-algorithm'],
    ['with alg None', aToken({ alg: 'None' }, claims(), hmac(SECRET)), 'wrong-algorithm'],
    ['without a signature and alg HS256', aToken({ alg: 'HS256' }, claims(), unsigned), 'wrong-signature'],
    [
      'HS256, keyed with the public key of an RS issuer',
      aToken({ alg: 'HS256' }, ofIdp, hmac(rsa.pem)),
      'wrong-algorithm',
    ],
    ['RS256 under a name of HS256', aToken({ alg: 'HS256' }, claims(), rs), 'wrong-signature'],
    ['of the HS issuer, signed by the RS issuer', aToken({ alg: 'RS256' }, claims(), rs), 'wrong-algorithm'],
    ['of the RS issuer, signed by the HS issuer', aToken({ alg: 'HS256' }, ofIdp, hmac(SECRET)), 'wrong-algorithm'],
    [
      'of an algorithm the issuer does not use',
      aToken({ alg: 'RS512' }, ofIdp, asymmetric(rsa.privateKey, 512)),
      'wrong-algorithm',
    ],
    ['RS256 that is PS256', aToken({ alg: 'RS256' }, ofIdp, asymmetric(rsa.privateKey, 256, PSS)), 'wrong-signature'],
    ['with alg in lower case', hs256(claims(), { alg: 'hs256' }), 'wrong-algorithm'],
    ['with an alg that is no text', hs256(claims(), { alg: ['HS256'] }), 'malformed'],
    ['without alg', hs256(claims(), { alg: undefined }), 'malformed'],
    [
      'with a key of its own in the header',
      aToken({ alg: 'RS256', jwk: { kty: 'RSA' }, jku: 'http://evil' }, ofIdp, asymmetric(otherRsa.privateKey, 256)),
      'wrong-signature',
    ],
    ['with a critical header', hs256(claims(), { crit: ['exp'] }), 'critical-header'],
    ['with an empty critical header', hs256(claims(), { crit: [] }), 'critical-header'],
    ['of an unknown issuer', hs256(claims({ iss: 'elsewhere' })), 'unknown-issuer'],
    ['of no issuer', hs256(claims({ iss: undefined })), 'unknown-issuer'],
    ['of an issuer in a list', hs256(claims({ iss: ['dev'] })), 'unknown-issuer'],
    ['of an issuer that objects have anyway', hs256(claims({ iss: '__proto__' })), 'unknown-issuer'],
    ['for another audience', hs256(claims({ aud: 'other' })), 'wrong-audience'],
    ['for no audience', hs256(claims({ aud: undefined })), 'wrong-audience'],
    ['for a number', hs256(claims({ aud: 5 })), 'wrong-audience'],
    ['without expiry', hs256(claims({ exp: undefined })), 'no-expiry'],
    ['with an expiry that is a text', hs256(claims({ exp: String(NOW + 600) })), 'malformed'],
    ['with an expiry of null', hs256(claims({ exp: null })), 'malformed'],
    ['with a not-before that is a text', hs256(claims({ nbf: 'now' })), 'malformed'],
    ['without subject', hs256(claims({ sub: undefined })), 'no-subject'],
    ['with an empty subject', hs256(claims({ sub: '' })), 'no-subject'],
    ['with a subject of blanks', hs256(claims({ sub: ' \t ' })), 'no-subject'],
    ['with a subject that is a number', hs256(claims({ sub: 7 })), 'no-subject'],
    [
      'with half a character for a subject',
      hs256(`{"iss":"dev","aud":"penstock","exp":${NOW + 9},"sub":"a\\ud800"}`),
      'no-subject',
    ],
    ['with a subject of 257 characters', hs256(claims({ sub: 'x'.repeat(257) })), 'no-subject'],
    ['whose claims are a list', hs256([1]), 'malformed'],
    ['whose claims are null', hs256('null'), 'malformed'],
    ['whose claims are cut off', hs256('{"iss":"dev"'), 'malformed'],
    ['of more than tokenBytesMax', hs256(claims({ pad: 'x'.repeat(8192) })), 'too-large'],
    ['of four parts', `${hs256()}.x`, 'malformed'],
    ['of two parts', hs256().split('.').slice(0, 2).join('.'), 'malformed'],
    ['with padding', hs256().replace('.', '=.'), 'malformed'],
    ['empty', '', 'malformed'],
  ];
  for (const [name, token, fault] of confusions) {
    test(name, () => assert.equal(faultOf(token), fault));
  }

  test('whatever bytes it is made of, and nothing is thrown', () => {
    const { verify } = aVerifier();
    const good = hs256();
    let state = 20260101;
    const below = (limit: number) => (state = (state * 48_271) % 2_147_483_647) % limit;
    const alphabet = 'ABCabc019-_.=+/ {}":\0é';

    for (let i = 0; i < 5000; i++) {
      const at = below(good.length);
      const noise = Array.from({ length: 1 + below(4) }, () => alphabet[below(alphabet.length)] ?? '').join('');
      const mangled = good.slice(0, at) + noise + good.slice(at + below(6));
      const finding = found(verify, mangled);
      // The last character of a signature has two spare bits: some other spellings are the same signature.
      const isSame = Buffer.from(mangled.split('.')[2] ?? '', 'base64url').equals(
        Buffer.from(good.split('.')[2] ?? '', 'base64url'),
      );
      if (finding.kind === 'valid') assert.ok(isSame, mangled);
    }
  });

  test('whatever JSON it is made of, and nothing is thrown', () => {
    const values = [null, true, 0, -1, 1e308, '', 'dev', [], {}, [[]], { exp: 1 }, 'x'.repeat(300)];
    for (const value of values) {
      assert.notEqual(faultOf(aToken(value, claims(), hmac(SECRET))), 'none');
      for (const claim of ['iss', 'aud', 'sub', 'exp', 'nbf', 'scope', 'roles']) {
        faultOf(hs256(claims({ [claim]: value })));
        faultOf(hs256(claims(), { [claim]: value, kid: value, typ: value }));
      }
    }
  });
});

describe('time', () => {
  const edges: [name: string, payload: object, offsetMs: number, fault: CredentialFault | 'none'][] = [
    ['is taken just before its expiry and leeway', { exp: NOW + 10 }, 39_999, 'none'],
    ['is refused at its expiry and leeway', { exp: NOW + 10 }, 40_000, 'expired'],
    ['is taken at its not-before less the leeway', { nbf: NOW + 60, exp: NOW + 99 }, 30_000, 'none'],
    ['is refused before its not-before less the leeway', { nbf: NOW + 60, exp: NOW + 99 }, 29_999, 'not-yet-valid'],
    ['is refused when it never was valid', { exp: -1 }, 0, 'expired'],
  ];
  for (const [name, payload, offsetMs, fault] of edges) {
    test(`a token ${name}`, () => {
      const { clock, verify } = aVerifier();
      clock.advance(offsetMs);

      const finding = found(verify, hs256(claims(payload)));

      assert.equal(finding.kind === 'refused' ? finding.fault : 'none', fault);
    });
  }

  test('a cached token is the same finding again, and ends with its expiry and leeway', () => {
    const { clock, verify } = aVerifier();
    const token = hs256(claims({ exp: NOW + 10 }));
    const first = found(verify, token);

    clock.advance(39_999);
    assert.equal(found(verify, token), first, 'not verified anew');

    clock.advance(1);
    assert.deepEqual(found(verify, token), { kind: 'refused', fault: 'expired' });
  });

  test('what was refused is not cached', () => {
    const { clock, verify } = aVerifier();
    const token = hs256(claims({ nbf: NOW + 60 }));
    assert.equal(found(verify, token).kind, 'refused');

    clock.advance(60_000);

    assert.equal(found(verify, token).kind, 'valid');
  });

  test('more tokens than are cached are verified all the same', () => {
    const { verify } = aVerifier([dev], 4);

    for (let i = 0; i < 50; i++) assert.equal(found(verify, hs256(claims({ sub: `s${i % 9}` }))).kind, 'valid');
  });
});

describe('an issuer is refused at the start', () => {
  const ed25519 = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' });
  const privatePem = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' });

  const unsound: [name: string, traits: Partial<TokenIssuer>, message: RegExp][] = [
    ['with a secret shorter than its hash', { secret: 'x'.repeat(31) }, /31 bytes.*at least 32/],
    ['with a secret too short for the longest of its hashes', { algorithms: ['HS256', 'HS512'] }, /at least 64/],
    ['with a PEM text for a secret', { secret: rsa.pem }, /PEM/],
    ['with alg none', { algorithms: ['none'] }, /unknown algorithm none/],
    ['without algorithms', { algorithms: [] }, /name its algorithms/],
    ['with a secret for RS256', { algorithms: ['RS256'] }, /needs a publicKey/],
    ['with both HS and RS', { algorithms: ['HS256', 'RS256'] }, /needs a publicKey/],
    ['with a secret and a public key', { publicKey: rsa.pem }, /not both/],
    ['with neither', { secret: undefined }, /either/],
    ['with a private key', { secret: undefined, publicKey: privatePem, algorithms: ['RS256'] }, /private key/],
    ['with no PEM', { secret: undefined, publicKey: 'ssh-rsa AAAA', algorithms: ['RS256'] }, /not a PEM/],
    [
      'with a broken PEM',
      { secret: undefined, publicKey: rsa.pem.replace(/^MII.{20}/m, 'MII'), algorithms: ['RS256'] },
      /cannot be read/,
    ],
    ['with a short RSA key', { secret: undefined, publicKey: rsaPair(1024).pem, algorithms: ['RS256'] }, /1024 bits/],
    ['with HS256 for a public key', { secret: undefined, publicKey: rsa.pem }, /none of HS256/],
    [
      'with a key of the wrong kind',
      { secret: undefined, publicKey: p256.pem, algorithms: ['RS256'] },
      /none of RS256/,
    ],
    [
      'with a key of the wrong curve',
      { secret: undefined, publicKey: p384.pem, algorithms: ['ES256'] },
      /secp384r1.*ES256/,
    ],
    ['with a key of an unknown kind', { secret: undefined, publicKey: ed25519, algorithms: ['ES256'] }, /ed25519/],
  ];
  for (const [name, traits, message] of unsound) {
    test(name, () => {
      assert.throws(
        () => aVerifier([{ ...dev, ...traits }]),
        (error: Error) => {
          assert.match(error.message, message);
          assert.match(error.message, /issuer "dev"/);
          assert.ok(!error.message.includes(SECRET));
          return true;
        },
      );
    });
  }
});

describe('a token as its issuer makes it', () => {
  const judged = (issuer: Partial<TokenIssuer>, payload: object, header: object = {}) =>
    found(aVerifier([{ ...dev, ...issuer }]).verify, hs256(claims(payload), header));
  const callerOf = (finding: Finding) => (finding.kind === 'valid' ? finding.caller : assert.fail(finding.fault));
  const refusal = (finding: Finding) => (finding.kind === 'refused' ? finding.fault : 'none');

  test('has scopes, roles and subject where the issuer says', () => {
    const paths = { scopes: ['permissions'], roles: ['realm_access', 'roles'], subject: ['oid'] };
    const payload = {
      oid: 'o-1',
      permissions: ['predict'],
      realm_access: { roles: ['analyst'] },
      scope: 'x',
      roles: ['y'],
    };

    const caller = callerOf(judged({ claims: paths }, payload));

    assert.deepEqual([caller.id, caller.scopes, caller.roles], ['dev/o-1', ['predict'], ['analyst']]);
    assert.equal(refusal(judged({ claims: paths }, { oid: 7 })), 'no-subject');
  });

  test('says of a caller where scopes and roles were looked for', () => {
    const scheme = new JwtScheme({
      issuers: [{ ...dev, claims: { roles: ['cognito:groups'] } }],
      tokenBytesMax: 8192,
      clock: manualClock(START_MS),
    });
    const finding = found(token => scheme.identify({ kind: 'bearer', token }), hs256());

    assert.deepEqual(scheme.lookedFor(callerOf(finding)), {
      scopes: 'scope, scp and scopes',
      roles: "['cognito:groups']",
    });
  });

  test('is for any gateway where any audience is taken, and only then', () => {
    assert.equal(refusal(judged({ audience: undefined }, { aud: 'others' })), 'none');
    assert.equal(refusal(judged({ audience: undefined }, { aud: undefined })), 'none');
    assert.equal(refusal(judged({}, { aud: 'others' })), 'wrong-audience');
    assert.equal(refusal(judged({ audience: 'any' }, { aud: 'others' })), 'wrong-audience');
  });

  test('was issued to the client that is demanded, however that is called', () => {
    const issuer = { audience: undefined, clientId: 'app' };

    for (const name of ['azp', 'client_id', 'cid', 'appid']) {
      assert.equal(refusal(judged(issuer, { [name]: 'app' })), 'none');
      assert.equal(refusal(judged(issuer, { [name]: 'other' })), 'wrong-client');
    }
    assert.equal(refusal(judged(issuer, { azp: 'other', client_id: 'app' })), 'wrong-client');
    assert.equal(refusal(judged(issuer, {})), 'wrong-client');
    assert.equal(refusal(judged({ clientId: 'app' }, { azp: 'app', aud: 'others' })), 'wrong-audience');
  });

  test('is an access token: of a declared type that is none it is refused', () => {
    for (const typ of ['JWT', 'at+jwt', 'application/at+jwt', 'AT+JWT', undefined, 'whatever']) {
      assert.equal(refusal(judged({}, {}, { typ })), 'none', String(typ));
    }
    for (const typ of ['logout+jwt', 'dpop+jwt', 'secevent+JWT', 'rat+jwt']) {
      assert.equal(refusal(judged({}, {}, { typ })), 'wrong-type', typ);
    }
  });
});

describe('a token of an issuer that publishes its keys', () => {
  const [left, right] = [signingKey('left'), signingKey('right')];
  const keyOf = ({ publicKey, id }: SigningKey): TrustedKey => ({ key: publicKey, algorithms: ['ES256'], id });
  const aSet = (keys: readonly TrustedKey[], prepare: ChangingKeys['prepare'] = () => undefined) => {
    const keySet = { keys, prepare };
    const issuer = { issuer: 'idp', audience: 'penstock', algorithms: ['ES256'], isFetched: true, leewayMs: 0, keySet };
    const scheme = new JwtScheme({ issuers: [issuer], tokenBytesMax: 8192, clock: manualClock(START_MS) });
    return { keySet, scheme, judge: (token: string) => scheme.identify({ kind: 'bearer', token }) };
  };
  const token = left.sign(claims({ iss: 'idp' }));

  test('is judged by the key it names, and by no other', () => {
    assert.equal(found(aSet([keyOf(left), keyOf(right)]).judge, token).kind, 'valid');
    assert.deepEqual(found(aSet([keyOf(right)]).judge, token), { kind: 'refused', fault: 'unknown-key' });
    const renamed = { ...keyOf(right), id: 'left' };
    assert.deepEqual(found(aSet([renamed]).judge, token), { kind: 'refused', fault: 'wrong-signature' });
  });

  test('waits until the keys are there', async () => {
    const { keySet, judge } = aSet([], keyId => {
      assert.equal(keyId, 'left');
      keySet.keys = [keyOf(left)];
      return Promise.resolve();
    });

    assert.equal((await judge(token)).kind, 'valid');
  });

  test('is forgotten with the key that signed it, and with no other', () => {
    const [one, other] = [keyOf(left), keyOf(right)];
    const { keySet, scheme, judge } = aSet([one, other]);
    const first = found(judge, token);
    const second = found(judge, right.sign(claims({ iss: 'idp' })));

    keySet.keys = [other];
    assert.equal(found(judge, token), first, 'cached');
    scheme.forget(new Set([one]));

    assert.deepEqual(found(judge, token), { kind: 'refused', fault: 'unknown-key' });
    assert.equal(found(judge, right.sign(claims({ iss: 'idp' }))).kind, second.kind);
  });
});

describe('a secret written as base64', () => {
  const bytes = Buffer.alloc(32, 7);
  const written = bytes.toString('base64');
  const tokenBy = (secret: string | Buffer) => aToken({ alg: 'HS256' }, claims(), hmac(secret));
  const judgedBy = (issuer: TokenIssuer, token: string) => {
    const hints: string[] = [];
    const onOtherSecret = (name: string, hint: string) => hints.push(`${name}: ${hint}`);
    const clock = manualClock(START_MS);
    const scheme = new JwtScheme({ issuers: [issuer], tokenBytesMax: 8192, clock, onOtherSecret });
    return { finding: found(text => scheme.identify({ kind: 'bearer', token: text }), token), hints };
  };

  test('signs with the bytes it stands for', () => {
    const issuer = { ...dev, secret: written, isSecretBase64: true };

    assert.deepEqual(
      [judgedBy(issuer, tokenBy(bytes)).finding.kind, judgedBy(issuer, tokenBy(bytes)).hints],
      ['valid', []],
    );
  });

  test('is reported where a signature would fit it, and the token is refused all the same', () => {
    const asText = judgedBy({ ...dev, secret: written }, tokenBy(bytes));
    const asBytes = judgedBy({ ...dev, secret: written, isSecretBase64: true }, tokenBy(written));

    assert.deepEqual(
      [asText.finding, asBytes.finding].map(({ kind }) => kind),
      ['refused', 'refused'],
    );
    assert.deepEqual(asText.hints, ['dev: the signature fits the decoded secret: write `secret: { base64: … }`']);
    assert.deepEqual(asBytes.hints, ['dev: the signature fits the secret as it is written: write it without `base64`']);
    assert.deepEqual(judgedBy({ ...dev, secret: written }, tokenBy('another secret of thirty-two bytes')).hints, []);
  });
});
