import type { Socket } from 'node:net';
import type { Call } from '../../domain/call.ts';
import { GatewayError } from '../../domain/errors.ts';
import { isNamedBy, nameOfHost } from '../../domain/http/certificate-names.ts';
import type { Certificates } from './certificates.ts';

/** What TLS has shown of a caller's connection, and what is owed to it. */
export class SecurePeer {
  readonly #hsts: string | undefined;
  /** The name that was asked for; empty: none, as with an address. */
  readonly #servername: string;
  readonly #names: ReadonlySet<string>;
  /** The last host that was looked at and is right: callers mostly stay with one. */
  #rightHost = '';
  #isTrusted = false;

  constructor({ servername, names, hsts }: AboutSecurePeer) {
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
}

/** A connection as TLS has shown it. */
export function securePeerOf(socket: Socket, { certificates, hstsSeconds }: AboutTls): SecurePeer {
  const { servername } = socket as Socket & { readonly servername?: string | false };
  const asked = typeof servername === 'string' ? nameOfHost(servername) : '';
  const hsts = hstsSeconds > 0 ? `max-age=${hstsSeconds}` : undefined;
  return new SecurePeer({ servername: asked, names: certificates.of(asked).names, hsts });
}

/** What a listener has of TLS. */
export interface AboutTls {
  readonly certificates: Certificates;
  /** 0: browsers are not told to stay with https. */
  readonly hstsSeconds: number;
  /** How long a handshake may take. */
  readonly handshakeTimeoutMs: number;
}
