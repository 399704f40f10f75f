import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ClientCertificate } from '../../domain/caller.ts';
import type { Call } from '../../domain/call.ts';
import { GatewayError } from '../../domain/errors.ts';
import { isNamedBy, nameOfHost } from '../../domain/http/certificate-names.ts';
import type { Certificates } from './certificates.ts';

/** What TLS has shown of a caller's connection, and what is owed to it. */
export class SecurePeer {
  /** Undefined: none was asked for, or shown. */
  readonly certificate: ClientCertificate | undefined;
  readonly #hsts: string | undefined;
  /** The name that was asked for; empty: none, as with an address. */
  readonly #servername: string;
  readonly #names: ReadonlySet<string>;
  /** The last host that was looked at and is right: callers mostly stay with one. */
  #rightHost = '';
  #isTrusted = false;

  constructor({ servername, names, hsts, certificate }: AboutSecurePeer) {
    this.certificate = certificate;
    this.#servername = servername;
    this.#names = names;
    this.#hsts = hsts;
  }

  /** It opens its connections for many hosts, and may ask for none of them by name. */
  trust(): void {
    this.#isTrusted = true;
  }

  /**
   * Refuses a host that is neither the one that the connection was opened for, nor one that its certificate names (RFC
   * 9110 §15.5.20). Where no name was asked for there is nothing to be unlike.
   */
  refusalOf(host: string): GatewayError | undefined {
    if (this.#servername === '' || this.#isTrusted || host === this.#rightHost) return undefined;
    const name = nameOfHost(host);
    if (name !== this.#servername && !isNamedBy(this.#names, name)) {
      return new GatewayError('MISDIRECTED', 'neither the name that was asked for nor the certificate is of this host');
    }
    this.#rightHost = host;
    return undefined;
  }

  /** What every reply over TLS carries. */
  mark(call: Call): void {
    if (this.#hsts !== undefined) call.addReplyField('Strict-Transport-Security', this.#hsts);
  }
}

interface AboutSecurePeer {
  readonly servername: string;
  /** Of the certificate that was shown. */
  readonly names: ReadonlySet<string>;
  readonly hsts: string | undefined;
  readonly certificate: ClientCertificate | undefined;
}

/** A connection as TLS has shown it. */
export function securePeerOf(socket: Socket, { certificates, hstsSeconds }: AboutTls): SecurePeer {
  const { servername } = socket as Socket & { readonly servername?: string | false };
  const serverName = typeof servername === 'string' ? nameOfHost(servername) : '';
  const hsts = hstsSeconds > 0 ? `max-age=${hstsSeconds}` : undefined;
  const certificate = certificates.areRequested ? clientCertificateOf(socket) : undefined;
  return new SecurePeer({ servername: serverName, names: certificates.of(serverName).names, hsts, certificate });
}

/** What a stranger wrote into a certificate that no authority of ours signed is not even read. */
function clientCertificateOf(socket: Socket): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  if (!socket.authorized) return UNTRUSTED;
  const { subject, subjectAltName: altNames = '', validToDate } = certificate;
  return { kind: 'certificate', isTrusted: true, subject, altNames, endsMs: validToDate.getTime() };
}

const UNTRUSTED: ClientCertificate = {
  kind: 'certificate',
  isTrusted: false,
  subject: '',
  altNames: '',
  endsMs: Infinity,
};

/** What a listener has of TLS. */
export interface AboutTls {
  readonly certificates: Certificates;
  /** 0: browsers are not told to stay with https. */
  readonly hstsSeconds: number;
  /** How long a handshake may take. */
  readonly handshakeTimeoutMs: number;
}
