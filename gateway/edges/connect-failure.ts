import type { Settled } from '../domain/ports.ts';

/** What no connection was made for: which end it was, and the system's word for it as the cause. */
export class ConnectFailure extends Error {
  override readonly name = 'ConnectFailure';
  readonly settled: Extract<Settled, 'refused' | 'connect-timeout' | 'abandoned'>;

  constructor(settled: ConnectFailure['settled'], cause: unknown) {
    super(`no connection: ${settled}`, { cause });
    this.settled = settled;
  }
}

/** What is lacking here, not there: descriptors, local ports, memory. */
const OUR_OWN_LACK: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM']);

/** Tells by the system's code why a connection did not come about. */
export function connectFailure(cause: unknown): ConnectFailure {
  const code = codeOf(cause);
  if (code === 'ETIMEDOUT') return new ConnectFailure('connect-timeout', cause);
  return new ConnectFailure(OUR_OWN_LACK.has(code) ? 'abandoned' : 'refused', cause);
}

/** The failure of a connection that did not come about in time. */
export function connectTimeout(timeoutMs: number): ConnectFailure {
  return new ConnectFailure('connect-timeout', new Error(`no connection within ${timeoutMs} ms`));
}

/** An address with several faces fails once for each (AggregateError); the first one's code counts for all. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
