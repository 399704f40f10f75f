import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';

/** What an identity provider is asked. */
export interface ProviderRequest {
  readonly url: string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For the whole exchange. */
  readonly timeoutMs: number;
  readonly bytesMax: number;
}

/** An identity provider gave no usable answer. Its message is fit for a log: it quotes no credential and no answer. */
class ProviderError extends Error {
  override readonly name = 'ProviderError';
}

/**
 * One exchange with an identity provider, whose answer is JSON. Rejects with a ProviderError for any answer but 200,
 * redirects among them: where a provider's answers come from is the operator's to say.
 */
export function fetchFromProvider(providerRequest: ProviderRequest): Promise<unknown> {
  const { url, method = 'GET', headers = {}, body, timeoutMs } = providerRequest;
  const request = url.toLowerCase().startsWith('https:') ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const exchange = request(url, {
      method,
      headers: { accept: 'application/json', 'user-agent': 'penstock', ...headers },
      agent: false, // a connection of its own: a provider is asked rarely
      signal: AbortSignal.timeout(timeoutMs),
    });
    const fail = (error: unknown) => {
      exchange.destroy();
      reject(error instanceof ProviderError ? error : new ProviderError(reasonOf(error, timeoutMs), { cause: error }));
    };
    exchange.on('error', fail);
    exchange.on('response', answer => void readAnswer(answer, providerRequest).then(resolve, fail));
    exchange.on('upgrade', () => fail(new ProviderError('it answered 101'))); // nothing else would report it
    exchange.end(body);
  });
}

async function readAnswer(answer: IncomingMessage, { bytesMax }: ProviderRequest): Promise<unknown> {
  if (answer.statusCode !== 200) throw new ProviderError(`it answered ${String(answer.statusCode)}`);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new ProviderError(`its answer is larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch {
    throw new ProviderError('its answer is not JSON'); // the parser would quote it
  }
}

function reasonOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return 'it could not be asked';
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return `no answer within ${timeoutMs} ms`;
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
