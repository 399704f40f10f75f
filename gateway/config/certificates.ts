import type { GatewayConfig } from './gateway-config.ts';
import type { Complain, KeyPath } from './problem.ts';
import type { Surroundings } from './references.ts';

/** What is wrong with a certificate and its key beyond their form; empty: nothing. */
export type CertificateFlaws = (texts: { readonly cert: string; readonly key: string }) => readonly {
  readonly of: 'cert' | 'key';
  readonly message: string;
  readonly hint?: string;
  readonly severity?: 'warning';
}[];

interface CertificateIo {
  readonly surroundings: Surroundings;
  readonly complain: Complain;
  readonly certificateFlaws: CertificateFlaws;
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
      more: tls.more.map((pair, i) => judged(pair, [...path, 'more', i], io)),
    },
  };
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
