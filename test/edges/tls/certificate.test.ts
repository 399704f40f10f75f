import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { certificateFlaws, toCertificate } from '../../../gateway/edges/tls/certificate.ts';
import { aCertificate } from '../../support/certificates.ts';

const good = aCertificate({ names: ['a.example.org', '*.b.example.org', 'IP:10.0.0.5'] });
const other = aCertificate();
const nameless = aCertificate({ names: [] });
const weak = aCertificate({ newkey: ['rsa:1024'] });
const encrypted = execFileSync('openssl', ['pkcs8', '-topk8', '-v2', 'aes256', '-passout', 'pass:secret'], {
  input: good.key,
  encoding: 'utf8',
  stdio: ['pipe', 'pipe', 'pipe'],
});

const NOW_MS = Date.now(); // not before the last of them was made

const said = (texts: { cert: string; key: string }, nowMs = NOW_MS) =>
  certificateFlaws(texts, { nowWallMs: nowMs, isForCallers: true }).map(
    ({ of, message, hint, severity = 'error' }) =>
      `${severity} ${of} ${message}${hint === undefined ? '' : ` (${hint})`}`,
  );

describe('a certificate and its key', () => {
  test('that are sound are not remarked on, in one file or with a chain', () => {
    const chain = `${good.cert}${other.cert}`;
    const oneFile = `${good.cert}${good.key}`;

    assert.deepEqual(said(good), []);
    assert.deepEqual(said({ ...good, cert: chain }), []);
    assert.deepEqual(said({ cert: oneFile, key: oneFile }), []);
  });

  for (const [name, texts, expected] of [
    ['of two pairs', { cert: good.cert, key: other.key }, ['error key does not belong to the certificate']],
    [
      'with the chain before the certificate',
      { cert: other.cert + good.cert, key: good.key },
      ['error cert does not come first in its file (write the certificate itself before its chain)'],
    ],
    [
      'changed about',
      { cert: good.key, key: good.cert },
      ['error cert is a private key: here belongs the certificate'],
    ],
    ['without a certificate', { cert: 'none', key: good.key }, ['error cert is not in PEM form']],
    ['without a key', { cert: good.cert, key: 'none' }, ['error key is no private key in PEM form']],
    [
      'whose key is encrypted',
      { cert: good.cert, key: encrypted },
      ['error key is encrypted (write it without: openssl pkey -in KEY -out key.pem)'],
    ],
    [
      'without a subjectAltName',
      nameless,
      ['warning cert names no host as its subjectAltName: most callers refuse it'],
    ],
  ] as const) {
    test(`${name} are reported`, () => {
      assert.deepEqual(said(texts), expected);
    });
  }

  test('that are no longer good, or not yet, are reported with the day', () => {
    const day = (days: number) => NOW_MS + days * 86_400_000;

    assert.match(said(good, day(31))[0] ?? '', /^warning cert expired on 20\d\d-/);
    assert.match(said(good, day(-1))[0] ?? '', /^warning cert is not valid before 20\d\d-/);
  });

  test('too weak for TLS as it is spoken are reported', () => {
    assert.match(said(weak)[0] ?? '', /^error cert cannot be used: .*key too small/);
  });

  test('cut in the middle are reported, and nothing of a key is shown', () => {
    const cut = { cert: good.cert, key: good.key.replace(/\n.{20}/, '\n') };

    assert.match(said(cut)[0] ?? '', /^error key cannot be read: /);
    for (const part of good.key.split('\n').slice(1, -2)) assert.ok(!said(cut).join().includes(part));
  });

  test('are for the names of the subjectAltName, or else for the common name', () => {
    assert.deepEqual([...toCertificate(good).names], ['a.example.org', '*.b.example.org', '10.0.0.5']);
    assert.equal(toCertificate(good).name, 'a.example.org');
    assert.deepEqual([...toCertificate(aCertificate({ names: [], subject: '/O=Lab/CN=Gate' })).names], ['gate']);
  });
});
