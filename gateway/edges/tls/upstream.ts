import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext, type ConnectionOptions, type SecureContext } from 'node:tls';
import { GatewayError } from '../../domain/errors.ts';
import type { UpstreamTls } from '../../domain/service.ts';

const ALPNProtocols = ['http/1.1'];

/** Reading certificates takes longer than a handshake: it is done once for each `tls` of a service. */
const contexts = new WeakMap<UpstreamTls, SecureContext>();

/**
 * How a connection to an instance is secured: its certificate is verified under the host of its address, or the service's
 * `serverName`, whatever a request says of its host (RFC 9110 §4.3.4).
 */
export function tlsTowards(hostname: string, tls: UpstreamTls | undefined): ConnectionOptions {
  const name = tls?.serverName ?? hostname;
  // Each is there, if undefined: an agent would take what is missing from the request, its `Host` for one.
  return {
    ALPNProtocols,
    servername: isIP(name) === 0 ? name : '', // no address is ever asked for by SNI (RFC 6066 §3)
    checkServerIdentity: (_servername, certificate) => checkServerIdentity(name, certificate),
    rejectUnauthorized: tls?.isVerified !== false,
    ...(tls !== undefined && { secureContext: contextOf(tls) }),
  };
}

function contextOf(tls: UpstreamTls): SecureContext {
  const known = contexts.get(tls);
  if (known !== undefined) return known;
  const { ca, client } = tls;
  const context = createSecureContext({ minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }), ...client });
  contexts.set(tls, context);
  return context;
}

/** What an instance says that takes no certificate of ours (RFC 8446 §6.2), as OpenSSL puts it. */
const NOT_TAKEN = /^ERR_SSL_(?:SSLV3|TLSV1|TLSV13)_ALERT_(?:(?:\w+_)?CERTIFICATE(?:_\w+)?|UNKNOWN_CA|ACCESS_DENIED)$/;

/** What a failed connection has of certificates, whose ever: UPSTREAM_UNTRUSTED; undefined where it failed otherwise. */
export function distrustOf(socket: object | null | undefined, cause: unknown): GatewayError | undefined {
  const { message, code }: NodeJS.ErrnoException = cause instanceof Error ? cause : new Error('unknown');
  if (code !== undefined && NOT_TAKEN.test(code)) {
    return untrusted(`the instance does not take the gateway’s certificate: ${code}`, cause);
  }
  const isRefused = typeof socket === 'object' && socket !== null && 'authorizationError' in socket;
  if (!isRefused || !socket.authorizationError) return undefined;
  return untrusted(`the certificate of the instance does not verify: ${message}`, cause);
}

function untrusted(message: string, cause: unknown): GatewayError {
  return new GatewayError('UPSTREAM_UNTRUSTED', message, { cause });
}
