import { errors } from 'undici';
import { GatewayError, type FailureCode } from '../domain/errors.ts';
import type { Settled } from '../domain/ports.ts';
import { ConnectFailure } from './connect-failure.ts';

/** Codes of undici's that are about us, not about the instance. */
const CLOSED_HERE: ReadonlySet<string> = new Set(['UND_ERR_DESTROYED', 'UND_ERR_CLOSED']);
const UNSENDABLE: ReadonlySet<string> = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED']);

/** What undici's error says of the instance, and what it is for whoever asked. */
export interface Diagnosis {
  readonly settled: Settled;
  readonly failure: GatewayError;
}

/** How far an exchange had come. */
export interface Progress {
  readonly isSent: boolean;
  readonly isHeadThere: boolean;
}

/** Tells what an error that undici ends an exchange with means. */
export function diagnose(error: Error, { isSent, isHeadThere }: Progress): Diagnosis {
  const told = (settled: Settled, code: FailureCode, message: string): Diagnosis => ({
    settled,
    failure: new GatewayError(code, message, { cause: error }),
  });
  if (error instanceof ConnectFailure) return told(error.settled, 'CONNECT_FAILED', error.message);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  if (UNSENDABLE.has(code)) return told('abandoned', 'INTERNAL', 'unsendable request');
  if (CLOSED_HERE.has(code)) {
    return told('abandoned', isSent ? 'CONNECTION_LOST' : 'CONNECT_FAILED', 'closed by the gateway');
  }
  if (isBadGrammar(error, code, isHeadThere)) return told('malformed', 'UPSTREAM_FAULT', `not HTTP: ${error.message}`);
  return told('lost', 'CONNECTION_LOST', `broken off: ${code}`);
}

/** True where the instance switched protocols (101), which nobody had asked it to. */
export function isSwitched(error: Error): boolean {
  return error instanceof errors.SocketError && error.message === 'bad upgrade';
}

/** The parser complains of a connection that ended too early, too; it has nothing left to point at then. */
function isBadGrammar(error: Error, code: string, isHeadThere: boolean): boolean {
  if (error instanceof errors.HTTPParserError) return !('data' in error) || error.data !== '';
  return code === 'UND_ERR_HEADERS_OVERFLOW' || (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH' && !isHeadThere);
}
