import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NotJson } from '../../../gateway/domain/validation/findings.ts';
import type { InputRequest } from '../../../gateway/domain/validation/arguments.ts';
import { checkInput, concerns, type InputSchema } from '../../../gateway/domain/validation/input.ts';
import { readOperations } from '../../../gateway/domain/validation/operations.ts';
import type { InputBounds } from '../../../gateway/domain/validation/json-walk.ts';
import { compilePublishedSchema } from '../../../gateway/edges/ajv.ts';

const inQuery = (name: string, schema: object, required = true) => ({ name, in: 'query', required, schema });
const json = (schema: object) => ({ content: { 'application/json': { schema } } });

/** As Plumber 1.2 publishes `function(x, n, flag = TRUE, tags = "a")` with types declared, and other handlers. */
const DOCUMENT = {
  openapi: '3.0.3',
  components: {
    schemas: { Car: { type: 'object', properties: { wt: { type: 'number', minimum: 0 } }, required: ['wt'] } },
  },
  paths: {
    '/typed': {
      post: {
        parameters: [
          inQuery('x', { type: 'number', format: 'double' }),
          inQuery('n', { type: 'integer', format: 'int64' }),
          inQuery('flag', { type: 'boolean', default: true }, false),
          inQuery('tags', { type: 'array', items: { type: 'string' } }, false),
        ],
      },
    },
    '/plain': { post: { parameters: [inQuery('wt', { type: 'string' })] } },
    '/item/{id}/{name}': {
      post: {
        parameters: [
          { name: 'id', in: 'path', required: true, schema: { type: 'integer' } },
          { name: 'name', in: 'path', required: true, schema: { type: 'string' } },
          inQuery('q', { type: 'number' }, false),
        ],
      },
    },
    '/raw': { post: { parameters: [] } },
    '/upload': { post: { parameters: [], requestBody: { content: { 'multipart/form-data': { schema: {} } } } } },
    '/predict': {
      post: {
        requestBody: json({
          type: 'array',
          minItems: 1,
          items: { type: 'object', properties: { wt: { type: 'number' }, Species: { type: 'string' } } },
          example: [{ wt: 1 }],
        }),
      },
    },
    '/car': { put: { requestBody: json({ $ref: '#/components/schemas/Car' }) } },
  },
};

const operations = readOperations(JSON.stringify(DOCUMENT), compilePublishedSchema);
assert.ok(operations !== undefined);
const schema: InputSchema = { kind: 'operations', operations };

type Traits = Partial<Omit<InputRequest, 'content'>> & Partial<InputBounds>;

function errorsOf(path: string, body: unknown, traits: Traits = {}): string[] {
  const { method = 'POST', query = '', fields = ['Content-Type', 'application/json'], ...bounds } = traits;
  const content = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const all = { unknown: 'allow', rowsMax: 100, depthMax: 8, ...bounds } as const;
  const request = { method, path, query, fields, content };
  return checkInput(schema, request, { bounds: all, form: 'array' }).map(
    ({ pointer, detail }) => `${pointer} ${detail}`,
  );
}

describe('input held against what Plumber publishes as OpenAPI', () => {
  test('takes an argument from the query or the body, whatever the document says of where', () => {
    assert.deepEqual(errorsOf('/typed', { x: 1.5, n: 2 }), []);
    assert.deepEqual(errorsOf('/typed', '', { query: 'x=1.5&n=2&flag=false&tags=a&tags=b' }), []);
    assert.deepEqual(errorsOf('/typed', { n: [2, 3], tags: ['a'] }, { query: 'x=1' }), []);
    assert.deepEqual(
      errorsOf('/typed', 'x=1&n=2', { fields: ['Content-Type', 'application/x-www-form-urlencoded'] }),
      [],
    );
    assert.deepEqual(errorsOf('/typed', '{"x":1,"n":2}', { fields: [] }), []);
    assert.deepEqual(errorsOf('/typed', { x: null, n: 'NA' }), []);
  });

  test('looks at the value that R prefers: that of the query before that of the body', () => {
    assert.deepEqual(errorsOf('/typed', { x: 1, n: 2 }, { query: 'x=abc' }), [
      ' query parameter `x`: "abc" is not a number',
    ]);
    assert.deepEqual(errorsOf('/typed', { x: 'abc', n: 2 }, { query: 'x=1' }), []);
    assert.deepEqual(errorsOf('/item/5/a', { id: 'abc', q: 'x' }), ['/q `q`: "x" is not a number']);
  });

  test('finds what R could only answer with 500', () => {
    assert.deepEqual(errorsOf('/typed', { x: 'abc', n: 2.5, flag: 'yes' }), [
      '/x `x`: "abc" is not a number',
      '/n `n`: 2.5 is not a whole number',
      '/flag `flag`: "yes" is not true or false',
    ]);
    assert.deepEqual(errorsOf('/typed', {}), ['/x `x` is missing', '/n `n` is missing']);
    assert.deepEqual(errorsOf('/typed', '{"x":1,"n":2}', { fields: ['Content-Type', 'text/plain'] }).length, 2);
    assert.deepEqual(errorsOf('/typed', { x: [1, 'a'], n: { a: 1 } }), [
      '/x/1 `x`: "a" is not a number',
      '/n `n` must hold one value, or a list of values',
    ]);
    assert.deepEqual(errorsOf('/typed', { x: [], n: 1 }), ['/x `x` has no values']);
    assert.deepEqual(errorsOf('/typed', '{"x":1,"x":2,"n":1}'), ['/x `x` comes twice']);
    assert.throws(() => errorsOf('/typed', '{"x":1,'), NotJson);
    assert.throws(() => errorsOf('/predict', 'x'), NotJson);
  });

  test('takes anything for a type that was not declared, which Plumber publishes as string', () => {
    assert.deepEqual(errorsOf('/plain', { wt: 2.6 }), []);
    assert.deepEqual(errorsOf('/plain', { wt: { a: [1] } }), []);
    assert.deepEqual(errorsOf('/plain', {}), ['/wt `wt` is missing']);
  });

  test('refuses what no argument takes, where the route says so', () => {
    assert.deepEqual(errorsOf('/plain', { wt: 1, hp: 2 }, { query: 'z=1', unknown: 'refuse' }), [
      ' `z` is not an argument of this path',
      '/hp `hp` is not an argument of this path',
    ]);
  });

  test('has no say in handlers that publish nothing, in uploads, and in paths that R does not know', () => {
    assert.deepEqual(errorsOf('/raw', 'anything'), []);
    assert.deepEqual(errorsOf('/upload', 'anything', { fields: ['Content-Type', 'multipart/form-data'] }), []);
    const request = { query: '', fields: [], content: Buffer.alloc(0) };
    for (const path of ['/none', '/item/abc/x', '/typed/', '/item/5']) {
      assert.equal(concerns(schema, { ...request, method: 'POST', path }), false, path);
    }
    assert.equal(concerns(schema, { ...request, method: 'GET', path: '/typed' }), false);
    assert.equal(concerns(schema, { ...request, method: 'POST', path: '/item/5/x' }), true);
  });

  test('reads the body that vetiver publishes as rows, "NA" and null among them', () => {
    assert.deepEqual(errorsOf('/predict', [{ wt: 'NA', Species: null, _row: 'a' }, { wt: '2.5' }]), []);
    assert.deepEqual(errorsOf('/predict', [{ wt: 'heavy' }]), ['/0/wt `wt`: "heavy" is not a number']);
    assert.deepEqual(errorsOf('/predict', [{ Species: ['a'] }]), ['/0/Species `Species` must hold one value']);
  });

  test('holds any other body against its JSON Schema, references followed', () => {
    assert.deepEqual(errorsOf('/car', { wt: 1 }, { method: 'PUT' }), []);
    assert.deepEqual(errorsOf('/car', { wt: -1 }, { method: 'PUT' }), [
      '/wt `wt`: -1 is out of range: it must be >= 0',
    ]);
    assert.deepEqual(errorsOf('/car', {}, { method: 'PUT' }), ['/wt `wt` is missing']);
  });

  test('is not made of what is no OpenAPI document', () => {
    for (const text of ['', '[]', '{}', '{"paths":1}'])
      assert.equal(readOperations(text, compilePublishedSchema), undefined);
  });
});
