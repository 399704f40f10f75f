import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, test } from 'node:test';
import { MtlsScheme } from '../../../gateway/domain/admission/mtls.ts';
import type { ClientCertificate } from '../../../gateway/domain/caller.ts';
import { aCertificate } from '../../support/certificates.ts';
import { aMatched } from '../../support/requests.ts';

const call = Object.assign(aMatched(), { wallMs: 1_000 });

function found(traits: Partial<ClientCertificate>, caller: 'san' | 'subject' = 'san'): string | undefined {
  const certificate = { kind: 'certificate', isTrusted: true, subject: '', altNames: '', endsMs: 2_000 } as const;
  const finding = new MtlsScheme({ caller }).identify({ ...certificate, ...traits }, call);
  return finding.kind === 'valid' ? finding.caller.id : finding.fault;
}

describe('a caller with a certificate', () => {
  const names: readonly (readonly [altNames: string, id: string])[] = [
    ['DNS:Alice.Example, URI:spiffe://lab/alice, email:a@b', 'mtls/spiffe:%2F%2Flab%2Falice'],
    ['DNS:Alice.Example, DNS:bob.example, email:a@b', 'mtls/alice.example'],
    ['IP Address:10.0.0.1, email:a@b', 'mtls/a@b'],
    ['IP Address:0:0:0:0:0:0:0:1', 'mtls/0:0:0:0:0:0:0:1'],
    ['othername:<unsupported>, DNS:a.example', 'mtls/a.example'],
    [String.raw`URI:"spiffe://a\u002c DNS:admin/b", DNS:c.example`, 'mtls/spiffe:%2F%2Fa, DNS:admin%2Fb'],
    [String.raw`email:"x\"\u002c URI:admin", DNS:c.example`, 'mtls/c.example'],
  ];
  for (const [altNames, id] of names) {
    test(`is ${id} by ${altNames}`, () => {
      assert.equal(found({ altNames }), id);
    });
  }

  test('is known by the distinguished name where that is wanted, in the order of RFC 4514', () => {
    assert.equal(found({ subject: 'C=DE\nO=Lab\\, Inc\nCN=alice' }, 'subject'), 'mtls/CN=alice,O=Lab\\, Inc,C=DE');
  });

  test('is known by the very names of a real certificate', () => {
    const { cert } = aCertificate({ names: ['a.example', 'URI:spiffe://lab/x'], subject: '/O=Lab, Inc/CN=alice' });
    const { subject, subjectAltName: altNames = '' } = new X509Certificate(cert);

    assert.equal(found({ subject, altNames }), 'mtls/spiffe:%2F%2Flab%2Fx');
    assert.equal(found({ subject, altNames }, 'subject'), 'mtls/CN=alice,O=Lab\\, Inc');
  });

  const refused: Record<string, readonly [Partial<ClientCertificate>, string]> = {
    'of another authority': [{ isTrusted: false, altNames: 'DNS:a' }, 'untrusted-certificate'],
    'that has ended, though its connection has not': [{ altNames: 'DNS:a', endsMs: 1_000 }, 'expired-certificate'],
    'without any name': [{}, 'nameless-certificate'],
    'with an empty name': [{ altNames: 'DNS:' }, 'nameless-certificate'],
    'with a line break in its name': [{ altNames: String.raw`URI:"a\u000d\u000aX-Admin: 1"` }, 'nameless-certificate'],
    'with a null byte in its name': [{ altNames: String.raw`DNS:"good.example\u0000.evil"` }, 'nameless-certificate'],
    'with a name that turns the writing round': [{ altNames: String.raw`URI:"a\u202eb"` }, 'nameless-certificate'],
    'with an endless name': [{ altNames: `URI:${'x'.repeat(513)}` }, 'nameless-certificate'],
  };
  for (const [what, [traits, fault]] of Object.entries(refused)) {
    test(`is refused with one ${what}`, () => {
      assert.equal(found(traits), fault);
    });
  }

  test('is found among 100 KiB of names, or not, in no time', () => {
    const many = Array.from({ length: 5_000 }, (_, i) => `DNS:host-${i}.example`).join(', ');
    const beganMs = performance.now();

    assert.equal(found({ altNames: `${many}, URI:spiffe://last` }), 'mtls/spiffe:%2F%2Flast');
    assert.equal(found({ altNames: `URI:"${'\\'.repeat(100_001)}` }), 'nameless-certificate');

    assert.ok(performance.now() - beganMs < 1_000);
  });

  test('is one object as long as the connection lasts', () => {
    const scheme = new MtlsScheme({ caller: 'san' });
    const certificate = { kind: 'certificate', isTrusted: true, subject: '', altNames: 'DNS:a', endsMs: 9e15 } as const;

    assert.equal(scheme.identify(certificate, call), scheme.identify(certificate, call));
  });
});
