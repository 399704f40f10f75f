import { createHmac } from 'node:crypto';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { toBeSigned, type WebhookMessage } from '../../domain/jobs/callback.ts';

const TIMEOUT_MS = 10_000;

/** Sends a message, signed, and resolves with the status of its answer; undefined: there was none. It follows no redirect. */
export function sendWebhook(message: WebhookMessage): Promise<number | undefined> {
  const { url, id, body, secret, seconds, signal } = message;
  const request = url.toLowerCase().startsWith('https:') ? requestHttps : requestHttp;
  const signature = createHmac('sha256', keyOf(secret)).update(toBeSigned({ id, seconds, body })).digest('base64');
  return new Promise(resolve => {
    const exchange = request(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'penstock',
        'webhook-id': id,
        'webhook-timestamp': String(seconds),
        'webhook-signature': `v1,${signature}`,
      },
      agent: false, // a connection of its own: a receiver is told rarely
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    exchange.on('error', () => resolve(undefined));
    exchange.on('response', answer => {
      resolve(answer.statusCode);
      answer.destroy(); // what it says beyond that is of no interest
    });
    exchange.on('upgrade', answer => {
      resolve(answer.statusCode);
      exchange.destroy(); // it was not asked for
    });
    exchange.end(body);
  });
}

/** As Standard Webhooks writes keys, or any text. */
function keyOf(secret: string): Buffer {
  return secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret);
}
