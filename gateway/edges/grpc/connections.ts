import type { ClientHttp2Session } from 'node:http2';
import type { UpstreamTls } from '../../domain/service.ts';
import { openSession } from './session.ts';

/** Connections to instances that speak gRPC: one to each, opened with its first call, with its calls side by side. */
export class GrpcConnections {
  readonly #known = new Map<string, ClientHttp2Session>();

  /** The instance's connection; `connecting` while it comes about. */
  to(origin: string, tls?: UpstreamTls): ClientHttp2Session {
    const key = tls === undefined ? origin : `${origin} ${tls.id}`;
    const known = this.#known.get(key);
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    const session = openSession(origin, tls);
    const forget = () => {
      if (this.#known.get(key) === session) this.#known.delete(key);
    };
    session.on('error', forget); // its streams report it, each for itself
    session.once('close', forget).once('goaway', forget);
    this.#known.set(key, session);
    return session;
  }

  /** Nothing new goes there; calls under way go on to their end. */
  forget(origin: string): void {
    for (const [key, session] of this.#known) {
      if (key !== origin && !key.startsWith(`${origin} `)) continue;
      session.close();
      this.#known.delete(key);
    }
  }

  close(): void {
    for (const session of this.#known.values()) session.destroy();
    this.#known.clear();
  }
}
