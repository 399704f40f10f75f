import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileJsonSchema, compilePublishedSchema } from '../../gateway/edges/ajv.ts';

function checkBy(schema: unknown) {
  const check = compileJsonSchema(schema);
  assert.ok(typeof check === 'function', JSON.stringify(check));
  return (value: unknown) => check(value).map(({ pointer, detail }) => `${pointer} ${detail}`);
}

const CARS = {
  type: 'array',
  items: {
    type: 'object',
    required: ['wt'],
    additionalProperties: false,
    properties: {
      wt: { type: 'number', minimum: 0.5, maximum: 10 },
      plate: { type: 'string', pattern: '^[A-Z]+-\\d+$' },
      kind: { enum: ['van', 'bus'] },
      sold: { type: 'string', format: 'date' },
      'a/b': { type: ['integer', 'null'] },
    },
  },
};

describe('a JSON Schema', () => {
  test('says what is wrong in words, all of it, with its place', () => {
    const errorsOf = checkBy(CARS);

    assert.deepEqual(errorsOf([{ wt: 1, plate: 'AB-1', kind: 'van', sold: '2024-02-29', 'a/b': null }]), []);
    assert.deepEqual(errorsOf([{ wt: 'x', plate: 'ab', kind: 'car', sold: '2023-02-29', 'a/b': 1.5, z: 1 }, {}]), [
      '/0/z row 1: `z` is not a field that is known here',
      '/0/wt row 1: `wt`: "x" is not a number',
      '/0/plate row 1: `plate`: "ab" does not match ^[A-Z]+-\\d+$',
      '/0/kind row 1: `kind`: "car" is not one of van, bus',
      '/0/sold row 1: `sold`: "2023-02-29" must match format "date"',
      '/0/a~1b row 1: `a/b`: 1.5 is not a whole number or null',
      '/1/wt row 2: `wt` is missing',
    ]);
    assert.deepEqual(errorsOf([{ wt: Infinity }]), ['/0/wt `wt`: a number is out of range']);
    assert.deepEqual(errorsOf([{ wt: 11 }]), ['/0/wt `wt`: 11 is out of range: it must be <= 10']);
    assert.deepEqual(errorsOf({}), [' an object is not a list']);
  });

  test('of a large body tells the first mistake, so that a body full of them costs no memory', () => {
    const errorsOf = checkBy(CARS);

    assert.equal(errorsOf(Array(100).fill({})).length, 20);
    assert.equal(errorsOf(Array(50_000).fill({})).length, 1);
  });

  test('runs its patterns, and looks for equal values, in linear time', () => {
    const evil = checkBy({ type: 'string', pattern: '^(a+)+$' });
    const unique = checkBy({ type: 'array', uniqueItems: true });
    const beganMs = performance.now();

    assert.equal(evil(`${'a'.repeat(50_000)}!`).length, 1);
    assert.equal(unique(Array.from({ length: 50_000 }, (_, i) => ({ a: i, b: [i] }))).length, 0);
    assert.deepEqual(
      unique([
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ]),
      [' a list of 2 has the same value twice'],
    );
    assert.ok(performance.now() - beganMs < 10_000);
  });

  test('that cannot be relied on is refused, with the reason', () => {
    const problemOf = (schema: unknown) => {
      const check = compileJsonSchema(schema);
      return typeof check === 'function' ? undefined : check.problem;
    };
    assert.match(problemOf({ propertis: {} }) ?? '', /unknown keyword: "propertis"/);
    assert.match(problemOf({ type: 'string', format: 'hostname' }) ?? '', /unknown format "hostname"/);
    assert.match(problemOf({ type: 'string', pattern: '(?=a)' }) ?? '', /can be used/);
    assert.match(problemOf({ $ref: 'https://example.org/schema' }) ?? '', /can't resolve reference/);
    assert.match(problemOf({ type: 'strin' }) ?? '', /type/);
    assert.match(problemOf(5) ?? '', /no JSON Schema/);
    assert.equal(problemOf({ $schema: 'http://json-schema.org/draft-07/schema#', type: 'object' }), undefined);
    assert.equal(problemOf({ $schema: 'https://json-schema.org/draft/2020-12/schema', prefixItems: [{}] }), undefined);
  });

  test('that a service publishes may say more than is understood', () => {
    assert.equal(typeof compilePublishedSchema({ type: 'object', xml: {}, example: {}, format: 'other' }), 'function');
  });
});
