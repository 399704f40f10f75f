import { once } from 'node:events';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { aToken, asymmetric } from './tokens.ts';

/** An identity provider that answers what a test says, and tells what it was asked. */
export interface ScriptedProvider {
  readonly url: string;
  /** Paths, in the order in which they were asked for. */
  readonly requests: string[];
  /** What it does from now on. */
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void;
}

/** Starts it on a free port. */
export async function startScriptedProvider(
  t: TestContext,
  answer: ScriptedProvider['answer'],
): Promise<ScriptedProvider> {
  const provider = { url: '', requests: [] as string[], answer };
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', chunk => (body += String(chunk)));
    request.on('end', () => {
      provider.requests.push(request.url ?? '');
      provider.answer(request, response, body);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  provider.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return provider;
}

/** Answers with this, as JSON. */
export function json(value: unknown, status = 200): ScriptedProvider['answer'] {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
}

/** A key that an issuer signs with, and as it publishes it. */
export interface SigningKey {
  readonly id: string;
  readonly publicKey: KeyObject;
  readonly published: object;
  sign(claims: object): string;
}

/** A new key of this name. */
export function signingKey(id: string): SigningKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = asymmetric(privateKey, 256, { dsaEncoding: 'ieee-p1363' });
  return {
    id,
    publicKey,
    published: { ...publicKey.export({ format: 'jwk' }), kid: id, use: 'sig', alg: 'ES256' },
    sign: claims => aToken({ alg: 'ES256', kid: id }, claims, signer),
  };
}
