import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseRequestTarget } from '../../../gateway/domain/http/request-target.ts';
import { cpuMs } from '../../support/cpu-time.ts';

describe('a request target', () => {
  const taken: Record<string, { path: string; query?: string; authority?: string }> = {
    '/': { path: '/' },
    '/a/b/': { path: '/a/b/' },
    '/a?': { path: '/a' },
    '/a?x=/../y': { path: '/a', query: 'x=/../y' },
    '/a??b': { path: '/a', query: '?b' },
    '/a%20b/%C3%A9': { path: '/a%20b/%C3%A9' },
    '/.well-known/x': { path: '/.well-known/x' },
    '/a/...': { path: '/a/...' },
    '/a..b/c.': { path: '/a..b/c.' },
    '/a;v=1/b': { path: '/a;v=1/b' },
    '/a%2Fb': { path: '/a%2Fb' },
    'http://api.example.org:81/x?y': { path: '/x', query: 'y', authority: 'api.example.org:81' },
    'HTTPS://api.example.org': { path: '/', authority: 'api.example.org' },
    'http://api.example.org?y': { path: '/', query: 'y', authority: 'api.example.org' },
  };
  for (const [target, { path, query = '', authority }] of Object.entries(taken)) {
    test(`is taken apart: ${target}`, () => {
      assert.deepEqual(parseRequestTarget(target), { path, query, hasQuery: target.includes('?'), authority });
    });
  }

  const refused = [
    '',
    'a',
    '*',
    'api.example.org:443',
    'ftp://api.example.org/',
    '/a b',
    '/a\tb',
    '/a\\b',
    '/a#b',
    '/a?b#c',
    '/a%',
    '/a%2',
    '/a%zz',
    '/a%00',
    '/a%0d%0aX',
    '/a%7F',
    '//a',
    '/a//b',
    '/a/b//',
    'http://api.example.org//x',
    '/.',
    '/..',
    '/a/../b',
    '/a/./b',
    '/a/..',
    '/a/%2e%2e/b',
    '/a/.%2E/b',
    '/a/%252e%252e/b',
    '/a/..%2fb',
    '/a%2f..%2fb',
    '/a%5c..%5cb',
    '/a/..;x=1/b',
    'http://api.example.org/../x',
  ];
  for (const target of refused) {
    test(`is refused, in words for the caller: ${JSON.stringify(target)}`, () => {
      const problem = parseRequestTarget(target);

      assert.ok(typeof problem === 'string');
      assert.match(problem, /^(?:The|A) .+\.$/);
    });
  }

  test('of any length is judged in no time', () => {
    const pieces = ['/a', '/', '%2e', '/.%2e', '%25', ';'];

    const takenMs = cpuMs(() => pieces.map(piece => parseRequestTarget(`/${piece.repeat(20_000)}`)));

    assert.ok(takenMs < 1_000);
  });
});
