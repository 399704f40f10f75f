import { request as requestHttp, type ClientRequest } from 'node:http';
import { request as requestHttps } from 'node:https';
import { GatewayError } from '../domain/errors.ts';
import { SHARED_SECRET_FIELD } from '../domain/http/upstream-request.ts';
import { printable } from '../domain/printable.ts';
import type { UpstreamTls } from '../domain/service.ts';
import { distrustOf, tlsTowards } from './tls/upstream.ts';

/** How an instance is checked. */
export interface ProbeRequest extends Omit<BriefRequest, 'path'> {
  /** Undefined: none is written. */
  readonly path: string | undefined;
}

/** A check of an instance. */
export interface BriefRequest {
  readonly origin: string;
  readonly path: string;
  readonly timeoutMs: number;
  /** Sent as PLUMBER_SHARED_SECRET. */
  readonly sharedSecret: string | undefined;
  /** How it is secured, where the origin asks for that. */
  readonly tls?: UpstreamTls | undefined;
  readonly signal: AbortSignal;
}

/** How an instance answered. */
export interface ProbeResult {
  readonly isWell: boolean;
  /** Its certificate does not verify: nothing was asked, and nothing is known of its health. */
  readonly isUntrusted?: boolean;
  /** What it said, or why it could not be asked; for operators. */
  readonly note: string;
}

/** Asks an instance whether it is well. It never rejects. */
export type Probe = (request: ProbeRequest) => Promise<ProbeResult>;

interface BriefAnswer {
  readonly status: number;
  readonly body: string;
}

const BODY_BYTES_MAX = 64 * 1024;
const NOTE_CHARS_MAX = 200;

/** What is asked for where no path is written. */
const USUAL_PATH = '/ping';

/**
 * An instance is well that answers with a 2xx or 3xx. Where no path is written, an application that has no /ping is well
 * if it takes a connection and answers anything that is the application's own: not a 5xx; nor a 400, Plumber's answer to
 * a wrong shared secret, which every call would meet as well.
 */
export const probeHttp: Probe = async request => {
  const path = request.path ?? USUAL_PATH;
  try {
    const { status } = await fetchBriefly({ ...request, path });
    if (status === 400) return { isWell: false, note: `${path} answered 400: is the shared secret right?` };
    if (status < 400) return { isWell: true, note: `${path} answered ${status}` };
    if (request.path !== undefined || status >= 500) return { isWell: false, note: `${path} answered ${status}` };
    return { isWell: true, note: `it takes connections (${path} answered ${status}; no \`health.path\` is written)` };
  } catch (error) {
    const reason = error instanceof Error ? printable(error.message, NOTE_CHARS_MAX) : 'unknown';
    const isUntrusted = error instanceof GatewayError && error.code === 'UPSTREAM_UNTRUSTED';
    return isUntrusted ? { isWell: false, isUntrusted, note: reason } : { isWell: false, note: `${path}: ${reason}` };
  }
};

/** A GET on a fresh connection, whose answer is read to its end within the time, up to 64 KiB of it. */
export function fetchBriefly(briefRequest: BriefRequest): Promise<BriefAnswer> {
  return new Promise((resolve, reject) => {
    const late = AbortSignal.timeout(briefRequest.timeoutMs);
    const request = createRequest(briefRequest, AbortSignal.any([briefRequest.signal, late]));
    request.once('error', error => {
      reject(
        late.aborted
          ? new Error(`no answer within ${briefRequest.timeoutMs} ms`)
          : (distrustOf(request.socket, error) ?? error),
      );
    });
    request.once('upgrade', () => {
      reject(new Error('it answered 101, which was not asked for'));
      request.destroy();
    });
    request.once('response', response => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      const answer = () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') });
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes <= BODY_BYTES_MAX) return;
        answer();
        response.destroy();
      });
      response.once('end', answer);
      response.once('error', reject);
    });
    request.end();
  });
}

function createRequest({ origin, path, sharedSecret, tls }: BriefRequest, signal: AbortSignal): ClientRequest {
  const secret = sharedSecret === undefined ? {} : { [SHARED_SECRET_FIELD]: sharedSecret };
  const headers = { 'user-agent': 'penstock', connection: 'close', ...secret };
  const options = { agent: false, headers, signal } as const;
  if (!origin.startsWith('https:')) return requestHttp(`${origin}${path}`, options);
  const hostname = new URL(origin).hostname.replace(/^\[|\]$/g, '');
  return requestHttps(`${origin}${path}`, { ...options, ...tlsTowards(hostname, tls) });
}
