import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { preflightAnswer } from '../../../gateway/domain/http/cors.ts';
import { payOwedFields } from '../../../gateway/domain/http/owed-fields.ts';
import type { Cors } from '../../../gateway/domain/route.ts';
import { aMatched } from '../../support/requests.ts';

const cors: Cors = {
  origins: new Set(['https://app.example.org']),
  methods: ['GET'],
  headers: [],
  credentials: false,
  maxAgeSeconds: 600,
};

const paid = (fields: string[], received = aMatched()): string[] => {
  payOwedFields(fields, received);
  return fields;
};

describe('what every reply owes', () => {
  test('is the request’s id, in place of any other', () => {
    assert.deepEqual(paid(['X-A', '1', 'x-request-id', 'of-R']), ['X-A', '1', 'X-Request-Id', 'request-1']);
  });

  test('is what was noted on the way, in place of the instance’s', () => {
    const received = aMatched();
    received.notes.owedFields.push('RateLimit', '"default";r=9');

    const fields = paid(['ratelimit', 'of-R', 'Retry-After', '3'], received);

    assert.deepEqual(fields, ['Retry-After', '3', 'X-Request-Id', 'request-1', 'RateLimit', '"default";r=9']);
  });

  test('is the route’s CORS fields, in place of the instance’s', () => {
    const received = aMatched({ policy: { cors }, request: { rawHeaders: ['Origin', 'https://app.example.org'] } });

    const fields = paid(['Access-Control-Allow-Origin', '*'], received);

    assert.equal(fields.filter(field => /^access-control-allow-origin$/i.test(field)).length, 1);
    assert.ok(fields.includes('https://app.example.org'));
  });

  test('leaves the instance’s CORS fields alone on a route that has no word on them', () => {
    assert.ok(paid(['Access-Control-Allow-Origin', '*']).includes('*'));
  });

  test('leaves the answer to a preflight as it is', () => {
    const rawHeaders = ['Origin', 'https://app.example.org', 'Access-Control-Request-Method', 'GET'];
    const received = aMatched({ policy: { cors }, request: { method: 'OPTIONS', rawHeaders, isPreflight: true } });
    const answer = [...preflightAnswer(cors, rawHeaders).rawHeaders];

    assert.deepEqual(paid([...answer], received), [...answer, 'X-Request-Id', 'request-1']);
  });

  test('is the route’s CORS fields where an instance answers what looks like a preflight', () => {
    const rawHeaders = ['Origin', 'https://evil.example', 'Access-Control-Request-Method', 'PUT'];
    const received = aMatched({ policy: { cors }, request: { method: 'OPTIONS', rawHeaders, isPreflight: false } });

    const fields = paid(['Vary', 'Accept', 'Access-Control-Allow-Origin', '*'], received);

    assert.ok(!fields.includes('Access-Control-Allow-Origin'));
  });
});
