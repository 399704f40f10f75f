import { createPrivateKey, X509Certificate, type KeyObject, constants } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';

/**
 * What is spoken with callers: TLS 1.2 with forward secrecy and authenticated encryption alone, and TLS 1.3, whose ciphers
 * are all of that kind; Mozilla's "intermediate", but for its Diffie-Hellman over finite fields. No renegotiation: it
 * costs a server more than a caller.
 */
export const TLS_RULES = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  honorCipherOrder: true,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
} as const;

/** The texts of a certificate with its chain, and of its key: PEM. */
export interface CertificateTexts {
  readonly cert: string;
  readonly key: string;
  /** The authorities whose certificates callers may show; undefined: none is asked for. */
  readonly ca?: string | undefined;
}

/** A certificate that the gateway can show, and whom it is for. */
export interface Certificate {
  /** What it is called in logs and metrics: the first of its names. */
  readonly name: string;
  /** Hosts and addresses, in lower case; a wildcard as it stands there. */
  readonly names: ReadonlySet<string>;
  readonly context: SecureContext;
  /** Milliseconds since 1970. */
  readonly expiresMs: number;
}

/** What is wrong with a pair, and with which of the two. */
export interface CertificateFlaw {
  readonly of: 'cert' | 'key';
  readonly message: string;
  readonly hint?: string;
  readonly severity?: 'warning';
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** A certificate with its key, ready to be shown. Throws in words what keeps it from that. */
export function toCertificate(texts: CertificateTexts): Certificate {
  const read = readPair(texts);
  if ('message' in read) throw new Error(`the ${read.of === 'cert' ? 'certificate' : 'key'} ${read.message}`);
  const { leaf, context } = read;
  const names = namesOf(leaf);
  const [name = leaf.serialNumber] = names;
  return { name, names: new Set(names), context, expiresMs: leaf.validToDate.getTime() };
}

interface Judging {
  readonly nowWallMs: number;
  /** It is shown to callers, who look for the host in it. */
  readonly isForCallers: boolean;
}

/** All that an operator should know of a pair before it is used; an error keeps it from being used. */
export function certificateFlaws(texts: CertificateTexts, { nowWallMs, isForCallers }: Judging): CertificateFlaw[] {
  const read = readPair(texts);
  if ('message' in read) return [read];
  const { leaf } = read;
  const messages = untimely(leaf, nowWallMs);
  if (isForCallers && leaf.subjectAltName === undefined) {
    messages.push('names no host as its subjectAltName: most callers refuse it');
  }
  return messages.map(message => ({ of: 'cert', message, severity: 'warning' }));
}

/** The same of a file of authorities. */
export function authorityFlaws(text: string, nowWallMs: number): Omit<CertificateFlaw, 'of'>[] {
  const authorities = readChain(text);
  if ('message' in authorities) return [{ message: authorities.message }];
  const messages = authorities.flatMap(authority => untimely(authority, nowWallMs));
  return messages.map(message => ({ message, severity: 'warning' }));
}

function untimely({ validToDate, validFromDate }: X509Certificate, nowWallMs: number): string[] {
  if (validToDate.getTime() < nowWallMs) return [`expired on ${validToDate.toISOString()}`];
  return validFromDate.getTime() > nowWallMs ? [`is not valid before ${validFromDate.toISOString()}`] : [];
}

interface ReadPair {
  readonly leaf: X509Certificate;
  readonly context: SecureContext;
}

function readPair({ cert, key, ca }: CertificateTexts): ReadPair | CertificateFlaw {
  const chain = readChain(cert);
  if ('message' in chain) return chain;
  const secret = readKey(key);
  if ('message' in secret) return secret;
  const [leaf, ...others] = chain;
  if (leaf?.checkPrivateKey(secret) !== true) {
    return others.some(other => other.checkPrivateKey(secret))
      ? {
          of: 'cert',
          message: 'does not come first in its file',
          hint: 'write the certificate itself before its chain',
        }
      : { of: 'key', message: 'does not belong to the certificate' };
  }
  try {
    return { leaf, context: createSecureContext({ cert, key, ca, ...TLS_RULES }) };
  } catch (error) {
    return { of: 'cert', message: `cannot be used: ${reasonOf(error)}` };
  }
}

function readChain(cert: string): readonly X509Certificate[] | CertificateFlaw {
  const blocks = cert.match(PEM_CERTIFICATE);
  if (blocks === null) {
    const isKey = cert.includes('PRIVATE KEY-----');
    return { of: 'cert', message: isKey ? 'is a private key: here belongs the certificate' : 'is not in PEM form' };
  }
  try {
    return blocks.map(block => new X509Certificate(block));
  } catch (error) {
    return { of: 'cert', message: `cannot be read: ${reasonOf(error)}` };
  }
}

function readKey(key: string): KeyObject | CertificateFlaw {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key)) return { of: 'key', message: 'is no private key in PEM form' };
  try {
    return createPrivateKey(key);
  } catch (error) {
    const isEncrypted = /-----BEGIN ENCRYPTED |Proc-Type: 4,ENCRYPTED/.test(key);
    return isEncrypted
      ? { of: 'key', message: 'is encrypted', hint: 'write it without: openssl pkey -in KEY -out key.pem' }
      : { of: 'key', message: `cannot be read: ${reasonOf(error)}` };
  }
}

/** What OpenSSL says, without its numbers. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/^error:[^:]*:[^:]*:[^:]*:/, '') : 'unusable';
}

/** Those of the subjectAltName, or the common name where there are none. */
function namesOf({ subjectAltName, subject }: X509Certificate): string[] {
  const names = (subjectAltName ?? '')
    .split(', ')
    .map(entry => /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1]?.toLowerCase())
    .filter(name => name !== undefined);
  if (names.length > 0) return names;
  const common = /^CN=(.+)$/m.exec(subject)?.[1];
  return common === undefined ? [] : [common.toLowerCase()];
}
