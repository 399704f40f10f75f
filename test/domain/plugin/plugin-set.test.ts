import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import express from 'express';
import { defineFilter, defineMiddleware, definePredicate } from '../../../gateway/domain/plugin/define.ts';
import { collectPlugins } from '../../../gateway/domain/plugin/plugin-set.ts';

const collect = (...files: Readonly<Record<string, unknown>>[]) =>
  collectPlugins(
    files.map((exports, i) => ({ origin: { file: `${i}.ts`, version: 1 }, exports })),
    name => name === 'Path',
  );

const flawsOf = (...files: Readonly<Record<string, unknown>>[]) =>
  collect(...files).flaws.map(({ at, message }) => `${at} ${message}`);

const holds = () => true;
const onRequest = () => undefined;

describe('the files of plug-ins', () => {
  test('bring what they export, middleware in the order of the files', () => {
    const handler = () => undefined;
    const found = collect(
      { a: definePredicate({ name: 'A', holds }), z: defineMiddleware({ name: 'Z', handler }), other: 1 },
      { b: defineFilter({ name: 'B', onRequest }), y: defineMiddleware({ name: 'Y', handler }) },
    );

    assert.deepEqual([[...found.predicates.keys()], [...found.filters.keys()]], [['A'], ['B']]);
    assert.deepEqual(
      found.middleware.map(({ definition, origin }) => [definition.name, origin.file]),
      [
        ['Z', '0.ts'],
        ['Y', '1.ts'],
      ],
    );
    assert.deepEqual(found.flaws, []);
  });

  test('are told what does not hold together', () => {
    const wrong = (definition: unknown) => flawsOf({ a: definePredicate(definition as never) });
    const args = (specs: unknown) => wrong({ name: 'A', holds, args: specs });

    assert.deepEqual(flawsOf({ a: 1 }), [
      '0 exports nothing that definePredicate, defineFilter or defineMiddleware made',
    ]);
    assert.deepEqual(wrong({ name: 'tenant', holds }), [
      '0 a name is a capital letter, then letters and digits: "tenant" is none',
    ]);
    assert.deepEqual(wrong({ name: 'Path', holds }), ['0 Path is a name of the gateway’s own']);
    assert.deepEqual(wrong({ name: 'A' }), ['0 A has no function holds']);
    assert.deepEqual(wrong({ name: 'A', holds, prepare: 1 }), ['0 A: `prepare` is no function']);
    assert.deepEqual(wrong({ name: 'A', holds, timeoutMs: 60_000 }), [
      '0 A: `timeoutMs` is a whole number from 1 to 30000',
    ]);
    assert.deepEqual(args({ a: { type: 'regex' } }), [
      '0 A: the type of the argument a is none of text, integer, number, boolean, duration, size, list',
    ]);
    assert.deepEqual(args({ a: { type: 'list' }, b: { type: 'text' } }), ['0 A: the list a must be the last argument']);
    assert.deepEqual(args({ a: { type: 'text', optional: true }, b: { type: 'text' } }), [
      '0 A: the argument b must be optional as the one before it is',
    ]);
    const twice = { a: definePredicate({ name: 'A', holds }) };
    assert.deepEqual(flawsOf(twice, twice), ['1 another plug-in is called A already']);
    assert.deepEqual(flawsOf({ a: defineMiddleware({ name: 'A', handler: express() }) }), [
      '0 A: an Express app makes other objects of requests; hand over its Router',
    ]);
    assert.deepEqual(flawsOf({ a: defineMiddleware({ name: 'A', handler: express.Router() }) }), []);
  });
});
