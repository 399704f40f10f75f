import { connect, type ClientHttp2Session } from 'node:http2';

/** What is waiting for an answer on one connection at most; more wait for a stream of their own. */
const STREAMS_MAX = 1_000;

/** Connections to instances that speak gRPC: one to each, opened with its first call, with its calls side by side. */
export class GrpcConnections {
  readonly #known = new Map<string, ClientHttp2Session>();

  /** The instance's connection; `connecting` while it comes about. */
  to(origin: string): ClientHttp2Session {
    const known = this.#known.get(origin);
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    const session = connect(origin.replace('grpc:', 'http:'), {
      settings: { enablePush: false },
      peerMaxConcurrentStreams: STREAMS_MAX,
    });
    const forget = () => {
      if (this.#known.get(origin) === session) this.#known.delete(origin);
    };
    session.on('error', forget); // its streams tell of it, each for itself
    session.once('close', forget).once('goaway', forget);
    this.#known.set(origin, session);
    return session;
  }

  /** Nothing new goes there; calls under way go on to their end. */
  forget(origin: string): void {
    this.#known.get(origin)?.close();
    this.#known.delete(origin);
  }

  close(): void {
    for (const session of this.#known.values()) session.destroy();
    this.#known.clear();
  }
}
