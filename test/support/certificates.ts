import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate and its key, in PEM. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

/** What a test may say of a certificate. */
export interface CertificateTraits {
  /** `DNS:` unless another kind is written: `IP:127.0.0.1`, `URI:spiffe://a`, `email:a@b`. None: no subjectAltName. */
  readonly names?: readonly string[];
  /** As OpenSSL writes it: `/CN=alice/O=Lab`. */
  readonly subject?: string;
  /** Who signs it; else it signs itself. */
  readonly by?: TestCertificate;
  readonly isAuthority?: boolean;
  /** How long it is good from now on. */
  readonly days?: number;
  /** As `openssl req -newkey` takes it. */
  readonly newkey?: readonly string[];
}

const EC = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];

const USUAL = { names: ['localhost'], subject: '/CN=test', by: undefined, isAuthority: false, days: 30, newkey: EC };

/** Makes a certificate with openssl. */
export function aCertificate(traits: CertificateTraits = {}): TestCertificate {
  const { names, subject, by, isAuthority, days, newkey } = { ...USUAL, ...traits };
  const folder = mkdtempSync(join(tmpdir(), 'penstock-certificate-'));
  try {
    const altNames = names.map(name => (/^(?:DNS|IP|URI|email):/.test(name) ? name : `DNS:${name}`)).join(',');
    const text = execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', ...newkey, '-nodes', '-subj', subject, '-keyout', '-', '-out', '-'],
        ...(altNames === '' ? [] : ['-addext', `subjectAltName=${altNames}`]),
        ...['-addext', `basicConstraints=critical,CA:${isAuthority ? 'TRUE' : 'FALSE'}`],
        ...(by === undefined ? [] : signedBy(by, folder)),
        ...['-days', String(days)],
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const at = text.indexOf('-----BEGIN CERTIFICATE-----');
    return { key: text.slice(0, at), cert: text.slice(at) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function signedBy({ cert, key }: TestCertificate, folder: string): string[] {
  writeFileSync(join(folder, 'ca.pem'), cert);
  writeFileSync(join(folder, 'ca.key'), key, { mode: 0o600 });
  return ['-CA', join(folder, 'ca.pem'), '-CAkey', join(folder, 'ca.key')];
}
