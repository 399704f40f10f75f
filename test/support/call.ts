import { once } from 'node:events';
import { request, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';

/** What a caller may say. */
export interface CallTraits {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string | Buffer;
  readonly signal?: AbortSignal;
}

/** What a caller heard, its body in whole. */
export interface Received {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** The code of the problem; undefined when it is none. */
  readonly code: string | undefined;
}

/** One call on a connection of its own, to its end. Rejects when the connection is cut. */
export async function call(url: string, traits: CallTraits = {}): Promise<Received> {
  const { answered } = beginCall(url, traits);
  const answer = await answered;
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const text = body.toString();
  const isProblem = answer.headers['content-type']?.startsWith('application/problem+json') === true;
  const code = isProblem ? (JSON.parse(text) as { code: string }).code : undefined;
  return { status: answer.statusCode ?? 0, headers: answer.headers, body, text, code };
}

/** A call under way: `answered` resolves with its head; the body is there to be read. */
export function beginCall(
  url: string,
  { method = 'GET', headers = {}, body, signal }: CallTraits = {},
): { readonly sent: ClientRequest; readonly answered: Promise<IncomingMessage> } {
  const sent = request(url, { method, headers, agent: false, ...(signal && { signal }) });
  const answered = once(sent, 'response').then(([answer]) => answer as IncomingMessage);
  answered.catch(() => undefined); // who asks is told; who hung up does not ask
  sent.on('error', () => undefined); // told by `answered`
  sent.end(body);
  return { sent, answered };
}

/** A POST of JSON. */
export function post(body: unknown, headers: Readonly<Record<string, string>> = {}): CallTraits {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: text };
}
