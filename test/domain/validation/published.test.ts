import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeInput } from '../../../gateway/domain/validation/judge.ts';
import { PublishedSchema, PublishedSchemas, readPublication } from '../../../gateway/domain/validation/published.ts';

const compile = () => ({ problem: 'unused' });
const publication = (name: string) =>
  readPublication('prototype', JSON.stringify({ [name]: { type: 'numeric' } }), compile);
const NONE = readPublication('prototype', '{}', compile);
const POLICY = { from: 'prototype', form: 'array', unknown: 'allow', rowsMax: 10, depthMax: 8 } as const;

function refusesBy(published: PublishedSchema, versions: string, row: object): string | undefined {
  const content = Buffer.from(JSON.stringify([row]));
  const request = { method: 'POST', path: '/predict', query: '', fields: [], content };
  try {
    judgeInput(POLICY, request, published.of(versions).schemas);
    return undefined;
  } catch (error) {
    return (error as { detail: string }).detail;
  }
}

describe('what a service publishes', () => {
  test('is kept for each version, and a call is refused only where every version refuses it', () => {
    const published = new PublishedSchema('/prototype');
    assert.equal(published.of('1,2').isOpen, true);
    published.keep('1', publication('wt'), 0);
    assert.deepEqual([published.of('1,2').isOpen, published.of('1').isOpen], [true, false]);
    published.keep('2', publication('hp'), 0);

    assert.equal(published.of('1,2').isOpen, false);
    assert.equal(refusesBy(published, '1,2', { wt: 1 }), undefined);
    assert.equal(refusesBy(published, '1,2', { hp: 1 }), undefined);
    assert.equal(refusesBy(published, '1,2', {}), '`wt` is missing');
    assert.equal(refusesBy(published, '2', { wt: 1 }), '`hp` is missing');
  });

  test('counts until it was asked for again by hand', () => {
    const schemas = new PublishedSchemas();
    const published = schemas.of('fuel', '/prototype');
    published.keep('1', publication('wt'), 0);
    const other = schemas.of('fuel-forest', '/prototype');
    other.keep('1', publication('wt'), 0);
    published.notBeforeMs = 5_000;
    assert.equal(published.isDue('1', 1_000), false);

    assert.equal(schemas.recheck('fuel'), 1);

    assert.deepEqual([published.isDue('1', 1_000), published.notBeforeMs, other.isDue('1', 1_000)], [true, 0, false]);
    assert.equal(refusesBy(published, '1', {}), '`wt` is missing');
    published.keep('1', publication('hp'), 1_000);
    assert.equal(refusesBy(published, '1', {}), '`hp` is missing');
  });

  test('is not asked of a call while some version publishes nothing', () => {
    const published = new PublishedSchema('/prototype');
    published.keep('1', publication('wt'), 0);
    published.keep('2', NONE, 0);

    assert.equal(refusesBy(published, '1,2', {}), undefined);
    assert.equal(refusesBy(published, '1', {}), '`wt` is missing');
  });

  test('holds for ever for a version, for a while without one, and stays in use until it is known anew', () => {
    const published = new PublishedSchema('/prototype');
    published.keep('1', publication('wt'), 0);
    published.keep('', publication('wt'), 0);
    published.keep('3', NONE, 0);

    assert.deepEqual(
      ['1', '', '3'].map(version => published.isDue(version, 29_999)),
      [false, false, false],
    );
    assert.deepEqual(
      ['1', '', '3'].map(version => published.isDue(version, 600_000)),
      [false, true, true],
    );
    assert.equal(refusesBy(published, '', {}), '`wt` is missing');
    assert.deepEqual(
      [published.keep('', publication('wt'), 1), published.keep('', publication('hp'), 1)],
      [false, true],
    );
    assert.equal(refusesBy(published, '', {}), '`hp` is missing');
  });

  test('is kept for so many paths, those that publish something before others', () => {
    const schemas = new PublishedSchemas();
    const kept = schemas.of('fuel', '/prototype');
    kept.keep('', publication('wt'), 0);
    for (let i = 0; i < 500; i++) schemas.of('fuel', `/${i}/prototype`).keep('', NONE, 0);

    assert.equal(schemas.of('fuel', '/prototype'), kept);
    assert.notEqual(schemas.of('fuel', '/1/prototype').publicationOf('')?.kind, 'none');
  });
});
