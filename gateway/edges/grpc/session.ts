import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import type { GatewayError } from '../../domain/errors.ts';
import type { UpstreamTls } from '../../domain/service.ts';
import { distrustOf, tlsTowards } from '../tls/upstream.ts';

/** What is waiting for an answer on one connection at most; more wait for a stream of their own. */
const STREAMS_MAX = 1_000;

const OPTIONS = { settings: { enablePush: false }, peerMaxConcurrentStreams: STREAMS_MAX };

const distrusts = new WeakMap<ClientHttp2Session, GatewayError>();

/** Opens a connection to an instance that speaks gRPC; `grpcs:` is by TLS, verified as the service's `tls` says. */
export function openSession(origin: string, tls: UpstreamTls | undefined): ClientHttp2Session {
  const address = origin.replace('grpc', 'http');
  if (!origin.startsWith('grpcs:')) return connectHttp2(address, OPTIONS);
  const { hostname, port } = new URL(address);
  const host = hostname.replace(/^\[|\]$/g, '');
  const about = {
    host,
    port: port === '' ? SECURE_PORT : Number(port),
    ...tlsTowards(host, tls),
    ALPNProtocols: ['h2'],
  };
  const socket = connectTls(about);
  const session = connectHttp2(address, { ...OPTIONS, createConnection: () => socket });
  socket.prependListener('error', error => {
    const distrust = distrustOf(socket, error);
    if (distrust !== undefined) distrusts.set(session, distrust); // before the session and its streams report the end
  });
  return session;
}

/** What a URL of https leaves out. */
const SECURE_PORT = 443;

/** Why a connection that failed is not trusted; undefined: it failed otherwise. */
export function distrustIn(session: ClientHttp2Session): GatewayError | undefined {
  return distrusts.get(session);
}
