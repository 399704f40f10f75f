import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createPreflight } from '../../gateway/stages/preflight.ts';
import { aMatched } from '../support/requests.ts';

const cors = {
  origins: new Set(['https://a.example']),
  methods: ['GET'],
  headers: [],
  credentials: false,
  expose: [],
  maxAgeSeconds: 1,
};
const fields = ['Origin', 'https://a.example', 'Access-Control-Request-Method', 'GET'];

describe('preflight', () => {
  const preflight = createPreflight();

  test('answers a browser’s question, so that it needs no credential', () => {
    const call = aMatched({ policy: { cors }, request: { method: 'OPTIONS', fields, isPreflight: true } });

    assert.equal(preflight(call)?.status, 204);
  });

  test('lets every other call go on, and any where the route has no CORS', () => {
    const ordinary = aMatched({ policy: { cors }, request: { method: 'OPTIONS', fields } });
    const withoutCors = aMatched({ request: { method: 'OPTIONS', fields, isPreflight: true } });

    assert.equal(preflight(ordinary), undefined);
    assert.equal(preflight(withoutCors), undefined);
  });
});
