import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { quantile, type Figures, type Load, type Turn } from './load.ts';

/** So many connections are opened at once: fewer than a listener keeps waiting. */
const OPENING_MAX = 100;

const ANSWER_MS_MAX = 60_000;

/** The request of a turn: all send the same in it, and something else in the next. */
export type RequestFor = (seed: number) => { readonly body: string };

/**
 * A crowd of callers, each with a token of their own, who have all connected and then all ask the same at once. The
 * instances count what gets as far as them (`GET /asked`).
 */
export function crowd(requestFor: RequestFor): Load {
  return async turn => {
    const before = await callsReceived(turn.instances);
    const figures = await sendAtOnce(turn, requestFor(turn.seed).body);
    return { ...figures, reached: (await callsReceived(turn.instances)) - before };
  };
}

async function callsReceived(instances: readonly string[]): Promise<number> {
  let sum = 0;
  for (const instance of instances) {
    const response = await fetch(`http://${instance}/asked`, { headers: { connection: 'close' } });
    sum += ((await response.json()) as { asked: number }).asked;
  }
  return sum;
}

async function sendAtOnce(turn: Turn, body: string): Promise<Figures> {
  const sockets = await openAll(turn);
  const requests = sockets.map((_, i) => requestOf(turn, { subject: `caller-${i}`, body }));
  const beganMs = performance.now();
  const answers = await Promise.all(sockets.map((socket, i) => send(socket, requests[i] ?? '')));
  const durationMs = performance.now() - beganMs;

  const good = answers.filter(({ status }) => status >= 200 && status < 400);
  if (new Set(good.map(({ body: text }) => text)).size > 1)
    throw new Error('the same question was answered differently');
  const tookMs = good.map(answer => answer.tookMs).sort((a, b) => a - b);
  return {
    requests: answers.length,
    durationMs,
    p50Ms: quantile(tookMs, 0.5),
    p99Ms: quantile(tookMs, 0.99),
    refused: answers.filter(({ status }) => status >= 400).length,
    broken: answers.filter(({ status }) => status === 0).length,
  };
}

async function openAll({ front, connections }: Turn): Promise<Socket[]> {
  const [host = '', port = ''] = (front.addresses[0] ?? '').split(':');
  const sockets: Socket[] = [];
  while (sockets.length < connections) {
    const some = Array.from({ length: Math.min(OPENING_MAX, connections - sockets.length) }, () =>
      connect({ host, port: Number(port), noDelay: true }),
    );
    await Promise.all(some.map(socket => once(socket, 'connect')));
    sockets.push(...some);
  }
  return sockets;
}

function requestOf({ front, path, tokenOf }: Turn, { subject, body }: { subject: string; body: string }): string {
  return [
    `POST ${front.prefix}${path} HTTP/1.1`,
    `Host: ${front.addresses[0] ?? ''}`,
    `Authorization: Bearer ${tokenOf(subject)}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    `\r\n${body}`,
  ].join('\r\n');
}

interface Answer {
  readonly tookMs: number;
  /** 0: there was none. */
  readonly status: number;
  readonly body: string;
}

/** The answer ends where the connection does. */
function send(socket: Socket, request: string): Promise<Answer> {
  const sentMs = performance.now();
  const chunks: Buffer[] = [];
  return new Promise(resolve => {
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => socket.destroy()); // It shows in an answer that is none.
    socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy());
    socket.once('close', () => {
      const [head = '', ...rest] = Buffer.concat(chunks).toString().split('\r\n\r\n');
      const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
      resolve({ tookMs: performance.now() - sentMs, status, body: rest.join('') });
    });
    socket.write(request);
  });
}
