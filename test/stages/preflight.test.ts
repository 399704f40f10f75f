import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Answer } from '../../gateway/domain/exchange.ts';
import { createPreflight } from '../../gateway/stages/preflight.ts';
import { aMatched } from '../support/requests.ts';

const onwards: Answer = { kind: 'answer', status: 200, rawHeaders: [], body: Buffer.alloc(0) };
const goOn = () => Promise.resolve(onwards);
const cors = {
  origins: new Set(['https://a.example']),
  methods: ['GET'],
  headers: [],
  credentials: false,
  maxAgeSeconds: 1,
};
const rawHeaders = ['Origin', 'https://a.example', 'Access-Control-Request-Method', 'GET'];

describe('preflight', () => {
  const preflight = createPreflight();

  test('answers a browser’s question, so that it needs no credential', async () => {
    const matched = aMatched({ policy: { cors }, request: { method: 'OPTIONS', rawHeaders, isPreflight: true } });

    const reply = await preflight(matched, () => assert.fail('the question went on'));

    assert.equal(reply.kind === 'answer' ? reply.status : 0, 204);
  });

  test('lets every other request go on, and any where the route has no CORS', async () => {
    const ordinary = aMatched({ policy: { cors }, request: { method: 'OPTIONS', rawHeaders } });
    const withoutCors = aMatched({ request: { method: 'OPTIONS', rawHeaders, isPreflight: true } });

    assert.equal(await preflight(ordinary, goOn), onwards);
    assert.equal(await preflight(withoutCors, goOn), onwards);
  });
});
