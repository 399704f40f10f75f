import type { GatewayConfig } from './gateway-config.ts';
import type { Complain, KeyPath } from './problem.ts';
import type { UpstreamTls } from '../domain/service.ts';
import type { WrittenService } from './written-route.ts';
import type { Surroundings } from './references.ts';

/** What is wrong with a certificate and its key beyond their form; empty: nothing. */
export type CertificateFlaws = (texts: { readonly cert: string; readonly key: string }) => readonly {
  readonly of: 'cert' | 'key';
  readonly message: string;
  readonly hint?: string;
  readonly severity?: 'warning';
}[];

/** The same of a file of authorities. */
export type AuthorityFlaws = (text: string) => readonly Omit<TlsFlaw, 'of'>[];

/** What a service says of TLS. */
export type WrittenTls = NonNullable<WrittenService['tls']>;

/** What a service's `tls` comes to, and what is wrong with the files that it names. */
export type TlsIn = (written: WrittenTls) => {
  readonly tls: UpstreamTls;
  readonly flaws: readonly TlsFlaw[];
};

/** What is wrong with a file that `tls` names. */
export interface TlsFlaw {
  readonly of: 'ca' | 'cert' | 'key';
  readonly message: string;
  readonly hint?: string;
  readonly severity?: 'warning';
}

/** Complains of what is wrong with the `tls` of services, and warns where any certificate would be believed. */
export function complainOfTls(
  services: ReadonlyMap<string, WrittenService>,
  tlsIn: TlsIn | undefined,
  complain: Complain,
): void {
  for (const [name, { tls }] of services) {
    if (tls === undefined) continue;
    const path = ['services', name, 'tls'];
    for (const { of, ...flaw } of tlsIn?.(tls).flaws ?? []) complain({ path: [...path, of], ...flaw });
    if (tls.verify) continue;
    complain({ path: [...path, 'verify'], ...BELIEVES_ANYONE, severity: 'warning' });
    if (tls.ca === undefined) continue;
    complain({ path: [...path, 'ca'], message: 'has no effect beside `verify: false`', severity: 'warning' });
  }
}

const BELIEVES_ANYONE = {
  message: 'any machine at an address is believed to be the instance: certificates are not verified',
  hint: 'leave it out, and name an authority of your own: `ca: FILE`',
};

interface CertificateIo {
  readonly surroundings: Surroundings;
  readonly complain: Complain;
  readonly certificateFlaws: CertificateFlaws;
  readonly authorityFlaws: AuthorityFlaws;
}

type Listen = GatewayConfig['listen'];
type Pair = NonNullable<Listen['tls']>['more'][number];

/** The certificates of `listen.tls` judged, and their paths made absolute. */
export function withCertificates(listen: Listen, io: CertificateIo): Listen {
  if (listen.tls === undefined) return listen;
  const { tls } = listen;
  const path = ['listen', 'tls'];
  return {
    ...listen,
    tls: {
      ...tls,
      ...judged(tls, path, io),
      ...(tls.clientCa !== undefined && { clientCa: judgedAuthorities(tls.clientCa, [...path, 'clientCa'], io) }),
      more: tls.more.map((pair, i) => judged(pair, [...path, 'more', i], io)),
    },
  };
}

function judgedAuthorities(
  file: string,
  path: KeyPath,
  { surroundings, complain, authorityFlaws }: CertificateIo,
): string {
  const { absolute, readText, whyUnread } = surroundings;
  const text = readText(absolute(file));
  if (text === undefined) complain({ path, message: `the file cannot be read: ${whyUnread(absolute(file))}` });
  else for (const flaw of authorityFlaws(text)) complain({ path, ...flaw });
  return absolute(file);
}

/** What is looked at of gateway.yaml for what callers' certificates count. */
interface AboutMtls {
  readonly listen: Pick<Listen, 'tls'>;
  readonly identity?: { readonly mtls?: unknown } | undefined;
}

/** Certificates are asked for in one place and count by another: neither does anything without the other. */
export function complainOfMtls({ listen: { tls }, identity }: AboutMtls, complain: Complain): void {
  const [isRequested, doesCount] = [tls?.clientCa !== undefined, identity?.mtls !== undefined];
  if (doesCount && !isRequested) {
    const hint = 'name the authorities of their certificates: `listen.tls.clientCa`';
    complain({ path: ['identity', 'mtls'], message: 'no caller is asked for a certificate', hint, isAboutKey: true });
  }
  if (!isRequested || doesCount) return;
  const message = 'callers are asked for certificates that count nowhere';
  const hint = 'write `mtls: {}` in `identity`, or leave it out here';
  complain({ path: ['listen', 'tls', 'clientCa'], message, hint, severity: 'warning' });
}

function judged(pair: Pair, path: KeyPath, { surroundings, complain, certificateFlaws }: CertificateIo): Pair {
  const { absolute, readText, whyUnread } = surroundings;
  const files = { cert: absolute(pair.cert), key: absolute(pair.key) };
  const textOf = (of: 'cert' | 'key') => {
    const text = readText(files[of]);
    if (text === undefined) {
      complain({ path: [...path, of], message: `the file cannot be read: ${whyUnread(files[of])}` });
    }
    return text;
  };
  const [cert, key] = [textOf('cert'), textOf('key')];
  if (cert === undefined || key === undefined) return files;
  for (const { of, ...flaw } of certificateFlaws({ cert, key })) complain({ path: [...path, of], ...flaw });
  return files;
}
