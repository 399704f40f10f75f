import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  corsFields,
  corsProblem,
  isCorsField,
  isPreflight,
  preflightAnswer,
} from '../../../gateway/domain/http/cors.ts';
import { fieldOf, hasField } from '../../../gateway/domain/http/fields.ts';
import type { Cors } from '../../../gateway/domain/route.ts';

const APP = 'https://app.example.org';
const aCors = (traits: Partial<Cors> = {}): Cors => ({
  origins: new Set([APP]),
  methods: ['GET', 'POST'],
  headers: ['authorization', 'content-type'],
  credentials: false,
  expose: [],
  maxAgeSeconds: 600,
  ...traits,
});
const anyOrigin = new Set(['*']);
const preflight = (...more: string[]) => ['Origin', APP, 'Access-Control-Request-Method', 'POST', ...more];

describe('CORS fields of an answer', () => {
  test('an origin of the list may read it, and caches are told that it depends on the origin', () => {
    const fields = corsFields(aCors(), ['Origin', APP]);

    assert.equal(fieldOf(fields, 'access-control-allow-origin'), APP);
    assert.equal(fieldOf(fields, 'vary'), 'Origin');
    assert.match(
      fieldOf(fields, 'access-control-expose-headers') ?? '',
      /X-Request-Id.*Age.*Cache-Status.*Retry-After/,
    );
    assert.ok(!hasField(fields, 'access-control-allow-credentials'));
  });

  const strangers = [[], ['Origin', 'https://evil.example.org'], ['Origin', 'null'], ['Origin', `${APP}.evil.org`]];
  for (const fields of [...strangers, ['Origin', APP.toUpperCase()], ['Origin', APP, 'Origin', APP]]) {
    test(`${JSON.stringify(fields)} is told nothing but that it depends on the origin`, () => {
      assert.deepEqual(corsFields(aCors(), fields), ['Vary', 'Origin']);
    });
  }

  test('any page may read it where the origins are *, and nothing depends on the origin', () => {
    for (const sent of [[], ['Origin', 'https://a.example']]) {
      const fields = corsFields(aCors({ origins: anyOrigin }), sent);
      assert.equal(fieldOf(fields, 'access-control-allow-origin'), '*');
      assert.ok(!hasField(fields, 'vary'));
    }
  });

  test('credentials are allowed to the origins of the list', () => {
    const fields = corsFields(aCors({ credentials: true }), ['Origin', APP]);

    assert.equal(fieldOf(fields, 'access-control-allow-credentials'), 'true');
    assert.equal(fieldOf(fields, 'access-control-allow-origin'), APP);
  });

  test('credentials for * are a mistake to be reported, and allow no origin', () => {
    const cors = aCors({ origins: anyOrigin, credentials: true });

    assert.match(corsProblem(cors) ?? '', /by name/);
    assert.deepEqual(corsFields(cors, ['Origin', APP]), ['Vary', 'Origin']);
    assert.equal(corsProblem(aCors({ credentials: true })), undefined);
  });

  test('an instance’s own are known by name, except what may well be said twice', () => {
    assert.ok(isCorsField('access-control-allow-origin'));
    assert.ok(isCorsField('access-control-max-age'));
    assert.ok(!isCorsField('access-control-expose-headers'));
  });
});

describe('a preflight', () => {
  test('is an OPTIONS with an origin and a method asked for', () => {
    assert.ok(isPreflight(preflight()));
    assert.ok(!isPreflight(['Origin', APP]));
    assert.ok(!isPreflight(['Access-Control-Request-Method', 'POST']));
  });

  test('is answered with what is allowed, and for how long', () => {
    const { status, fields, body } = preflightAnswer(aCors(), preflight());

    assert.equal(status, 204);
    assert.deepEqual(body, Buffer.alloc(0));
    assert.deepEqual(fields, [
      ...['Access-Control-Allow-Origin', APP],
      ...['Access-Control-Allow-Methods', 'GET, POST'],
      ...['Access-Control-Allow-Headers', 'authorization, content-type'],
      ...['Access-Control-Max-Age', '600'],
      ...['Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
    ]);
  });

  test('of another origin is answered with nothing that would allow it', () => {
    const { status, fields } = preflightAnswer(aCors(), ['Origin', 'https://evil.example', ...preflight().slice(2)]);

    assert.equal(status, 204);
    assert.deepEqual(
      fields.filter((_, i) => i % 2 === 0),
      ['Vary'],
    );
  });

  test('says * as it is where no credentials are meant', () => {
    const { fields } = preflightAnswer(aCors({ methods: ['*'], headers: ['*', 'authorization'] }), preflight());

    assert.equal(fieldOf(fields, 'access-control-allow-methods'), '*');
    assert.equal(fieldOf(fields, 'access-control-allow-headers'), '*, authorization');
  });

  test('names what is asked for where credentials rob * of its meaning, but never Authorization', () => {
    const cors = aCors({ methods: ['*'], headers: ['*'], credentials: true });
    const { fields } = preflightAnswer(
      cors,
      preflight('Access-Control-Request-Headers', 'x-a, Authorization,x-b, b@d'),
    );

    assert.equal(fieldOf(fields, 'access-control-allow-methods'), 'POST');
    assert.equal(fieldOf(fields, 'access-control-allow-headers'), 'x-a, x-b');
  });

  test('names no headers where none are allowed', () => {
    assert.ok(!hasField(preflightAnswer(aCors({ headers: [] }), preflight()).fields, 'access-control-allow-headers'));
  });
});
