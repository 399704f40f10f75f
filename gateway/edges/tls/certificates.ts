import type { SecureContext } from 'node:tls';
import type { Observe } from '../../domain/events.ts';
import { isNamedBy } from '../../domain/http/certificate-names.ts';
import { readText, watchFiles, whyUnread } from '../config-file.ts';
import { authorityFlaws, toCertificate, type Certificate, type CertificateTexts } from './certificate.ts';

/** Where a certificate and its key lie: absolute paths. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** Until when a certificate is good. */
export interface CertificateExpiry {
  readonly name: string;
  /** Seconds since 1970. */
  readonly atSeconds: number;
}

/** The certificates of a listener, as their files are now. */
export interface Certificates {
  /** Callers are asked for theirs. */
  readonly areRequested: boolean;
  /** Reads them, and again whenever a file changes; throws where one cannot be used. */
  open(): void;
  /** The certificate for a host that was asked for by name; the first one where none names it, or no name was said. */
  of(servername: string): Certificate;
  /** The first one, which is shown to callers who ask for no name, has changed. */
  onDefault(listener: (texts: CertificateTexts) => void): void;
  expiries(): readonly CertificateExpiry[];
  close(): void;
}

interface CertificatesParts {
  /** The first is shown where no other fits. */
  readonly files: readonly CertificateFiles[];
  /** The file of the authorities that callers' certificates are verified by; undefined: none is asked for. */
  readonly clientCa: string | undefined;
  readonly observe: Observe;
}

interface Shown extends Certificate {
  readonly files: CertificateFiles;
  readonly texts: CertificateTexts;
}

/**
 * Keeps certificates by name, and takes new ones when their files change: connections that stand keep the one they began
 * with. Files that do not fit together change nothing; the log says so, and those in force stay.
 */
export function createCertificates({ files, clientCa, observe }: CertificatesParts): Certificates {
  let shown: readonly Shown[] = [];
  let watch: ReturnType<typeof watchFiles> | undefined;
  let reading: NodeJS.Immediate | undefined;
  let defaultListener: (texts: CertificateTexts) => void = () => undefined;

  function take(): void {
    const ca = clientCa === undefined ? undefined : authoritiesOf(clientCa);
    shown = files.map(pair => readShown(pair, ca));
    const [first] = shown;
    if (first !== undefined) defaultListener(first.texts);
  }

  /** Both files of a pair are reported one by one; they are read when all that have changed are known. */
  function onChange(): void {
    reading ??= setImmediate(() => {
      reading = undefined;
      try {
        take();
        const text = 'certificates were read again: new connections are shown the new ones';
        observe({ kind: 'notice', level: 'info', text, about: { names: shown.map(({ name }) => name).join(', ') } });
      } catch (error) {
        const text = 'the certificates have changed and cannot be used: those in force stay';
        observe({ kind: 'notice', level: 'error', text, about: { problem: (error as Error).message } });
      }
    });
  }

  return {
    areRequested: clientCa !== undefined,
    open() {
      take();
      const texts = shown.flatMap(({ files, texts }) => [
        ...[[files.cert, texts.cert] as const, [files.key, texts.key] as const],
        ...(clientCa === undefined ? [] : [[clientCa, texts.ca] as const]),
      ]);
      watch = watchFiles({ files: new Map(texts), onChange });
    },
    of(servername) {
      const exact = shown.find(({ names }) => names.has(servername));
      const found = exact ?? shown.find(({ names }) => isNamedBy(names, servername)) ?? shown[0];
      if (found === undefined) throw new Error('no certificate was read');
      return found;
    },
    onDefault(listener) {
      defaultListener = listener;
    },
    expiries: () => shown.map(({ name, expiresMs }) => ({ name, atSeconds: expiresMs / 1_000 })),
    close() {
      clearImmediate(reading);
      watch?.close();
    },
  };
}

/** OpenSSL would take a file without a certificate for one that trusts none. */
function authoritiesOf(file: string): string {
  const text = textOf(file);
  const flaw = authorityFlaws(text, 0).find(({ severity }) => severity !== 'warning');
  if (flaw !== undefined) throw new Error(`${file} ${flaw.message}`);
  return text;
}

function readShown(files: CertificateFiles, ca: string | undefined): Shown {
  const texts = { cert: textOf(files.cert), key: textOf(files.key), ca };
  try {
    return { ...toCertificate(texts), files, texts };
  } catch (cause) {
    throw new Error(`${files.cert}, ${files.key}: ${(cause as Error).message}`, { cause });
  }
}

function textOf(file: string): string {
  const text = readText(file);
  if (text === undefined) throw new Error(`the file ${file} cannot be read: ${whyUnread(file)}`);
  return text;
}

/** What Node asks for a name with. */
export type ChooseContext = (servername: string, done: (error: Error | null, context?: SecureContext) => void) => void;

/** Chooses by the name that a caller asks for; a certificate of that very name goes before one with a wildcard. */
export function chooserOf(certificates: Certificates): ChooseContext {
  return (servername, done) => {
    done(null, certificates.of(servername.toLowerCase()).context);
  };
}
