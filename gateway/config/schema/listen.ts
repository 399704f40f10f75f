import { z } from 'zod';
import { isAddressRange, addressRules } from '../../domain/http/address-range.ts';
import { duration, flaw, listeningPort, size, text, whole } from './scalars.ts';

/** An address, or a range of them. */
const AddressRange = z
  .string()
  .meta({ examples: ['10.0.0.0/8', '::1'] })
  .check(({ value, issues }) => {
    if (!isAddressRange(value)) {
      issues.push(flaw(value, 'must be an address or a range of addresses', 'write 10.0.0.0/8, or fd00::/8'));
    }
  });

const CertificatePair = z.strictObject({
  cert: text().describe('A PEM file: the certificate, then those that lead from it to its authority.'),
  key: text().describe('A PEM file: its private key, not encrypted.'),
});

const Tls = z
  .strictObject({
    ...CertificatePair.shape,
    clientCa: text()
      .optional()
      .describe(
        'A PEM file with the authorities of callers’ certificates. Callers are asked for one, and need none: whether it counts is each route’s to say (`auth.allow: [mtls]`, by `identity.mtls`).',
      ),
    more: z
      .array(CertificatePair)
      .default([])
      .describe('Certificates for other names: each caller is shown the one that names the host it asks for.'),
    hsts: duration({ min: '0ms', max: '1000d' })
      .prefault('0s')
      .describe(
        'How long browsers are told to use nothing but https (`Strict-Transport-Security`); 0s: they are told nothing.',
      ),
  })
  .transform(({ hsts, ...rest }) => ({ ...rest, hstsSeconds: Math.floor(hsts / 1_000) }));

/** Where callers come in, and what they may cost before anything is known of them. */
export const Listen = z
  .strictObject({
    host: text().default('0.0.0.0').describe('The address to listen on.'),
    port: listeningPort().default(8080).describe('The port to listen on; 0 takes any that is free.'),
    trustedProxies: z
      .array(AddressRange)
      .default([])
      .describe('Addresses and ranges whose `X-Forwarded-*` are believed. None by default.'),
    urlBytesMax: size({ min: '256B', max: '64KiB' })
      .prefault('8KiB')
      .describe('A longer URL is refused with URL_TOO_LONG.'),
    headerBytesMax: size({ min: '1KiB', max: '1MiB' })
      .prefault('16KiB')
      .describe('Larger header fields are refused with HEADERS_TOO_LARGE.'),
    headersTimeout: duration({ min: '100ms', max: '1h' })
      .prefault('10s')
      .describe('How long a caller may take to send the header fields.'),
    bodyIdleTimeout: duration({ min: '100ms', max: '1h' })
      .prefault('30s')
      .describe('The longest pause within a body; then REQUEST_TIMEOUT.'),
    keepAliveTimeout: duration({ min: '0ms', max: '1h' })
      .prefault('65s')
      .describe('How long an idle connection is kept. Longer than what a balancer before the gateway keeps.'),
    connectionsMax: whole(1, 1_000_000).default(10_000).describe('Connections at once; one more is closed.'),
    requestsPerConnectionMax: whole(1, 10_000)
      .default(32)
      .describe(
        'Requests in flight at once on one connection; the next is read when one of them is answered. In HTTP/2 its streams at once.',
      ),
    bytesPerConnectionMax: size({ min: '1KiB', max: '1GiB' })
      .prefault('1MiB')
      .describe('While so many bytes of answers wait on one connection, unread, no further request on it is begun.'),
    mergeSlashes: z
      .boolean()
      .default(false)
      .describe(
        '`//` in a path is read as `/`. Otherwise it is refused with BAD_REQUEST, since R would read another path.',
      ),
    tls: Tls.optional().describe(
      'Callers speak TLS 1.2 or later, and in it HTTP/2 or HTTP/1.1. The files are read again when they change, and no connection is lost.',
    ),
    redirectFrom: listeningPort()
      .optional()
      .describe('A plain port that only redirects to https; 0 takes any that is free. Needs `tls`.'),
    h2c: z
      .boolean()
      .default(false)
      .describe(
        'HTTP/2 without TLS, by prior knowledge, beside HTTP/1.1 on the same port: for gRPC and the like within a cluster. With `tls` HTTP/2 is there without it.',
      ),
  })
  .check(({ value: { tls, redirectFrom, port, h2c }, issues }) => {
    if (h2c && tls !== undefined) {
      issues.push({
        ...flaw(h2c, 'has no place beside `tls`: there callers agree on HTTP/2 in the handshake'),
        path: ['h2c'],
      });
    }
    if (redirectFrom === undefined) return;
    const add = (message: string) => issues.push({ ...flaw(redirectFrom, message), path: ['redirectFrom'] });
    if (tls === undefined) add('redirects to https, and the gateway has no `listen.tls`');
    if (redirectFrom !== 0 && redirectFrom === port) add('is `port` itself: it must be another one');
  })
  .transform(({ headersTimeout, bodyIdleTimeout, keepAliveTimeout, ...rest }) => ({
    ...rest,
    headersTimeoutMs: headersTimeout,
    bodyIdleTimeoutMs: bodyIdleTimeout,
    keepAliveTimeoutMs: keepAliveTimeout,
  }));

/** From where callers may come. */
export const Addresses = z
  .strictObject({
    allow: z.array(AddressRange).default([]).describe('Only from these addresses and ranges; empty: from anywhere.'),
    deny: z.array(AddressRange).default([]).describe('Not from these, whatever `allow` says.'),
  })
  .transform(addressRules);
