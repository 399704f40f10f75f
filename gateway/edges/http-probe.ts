import { request as requestHttp, type ClientRequest } from 'node:http';
import { request as requestHttps } from 'node:https';
import { SHARED_SECRET_FIELD } from '../domain/http/upstream-request.ts';
import { printable } from '../domain/printable.ts';

/** A question to an instance about itself. */
export interface ProbeRequest {
  readonly origin: string;
  readonly path: string;
  readonly timeoutMs: number;
  /** Sent as PLUMBER_SHARED_SECRET. */
  readonly sharedSecret: string | undefined;
  readonly signal: AbortSignal;
}

/** How an instance answered. */
interface ProbeResult {
  readonly isWell: boolean;
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

/**
 * Well is who answers, with anything but a fault: an application without the path that is asked for answers 404 and
 * works. A 400 is Plumber's answer to a wrong shared secret, which every call would meet as well.
 */
export const probeHttp: Probe = async request => {
  try {
    const { status } = await askBriefly(request);
    if (status === 400) return { isWell: false, note: `${request.path} answered 400: is the shared secret right?` };
    return { isWell: status < 500, note: `${request.path} answered ${status}` };
  } catch (error) {
    const reason = error instanceof Error ? printable(error.message, NOTE_CHARS_MAX) : 'unknown';
    return { isWell: false, note: `${request.path}: ${reason}` };
  }
};

/** A GET on a fresh connection, whose answer is read to its end within the time, up to 64 KiB of it. */
export function askBriefly(asked: ProbeRequest): Promise<BriefAnswer> {
  return new Promise((resolve, reject) => {
    const late = AbortSignal.timeout(asked.timeoutMs);
    const request = createRequest(asked, AbortSignal.any([asked.signal, late]));
    request.once('error', error => {
      reject(late.aborted ? new Error(`no answer within ${asked.timeoutMs} ms`) : error);
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

function createRequest({ origin, path, sharedSecret }: ProbeRequest, signal: AbortSignal): ClientRequest {
  const secret = sharedSecret === undefined ? {} : { [SHARED_SECRET_FIELD]: sharedSecret };
  const headers = { 'user-agent': 'penstock', connection: 'close', ...secret };
  const send = origin.startsWith('https:') ? requestHttps : requestHttp;
  return send(`${origin}${path}`, { agent: false, headers, signal });
}
