import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeSegment, leadsElsewhere, parseRequestTarget } from '../../../gateway/domain/http/request-target.ts';
import { cpuMs } from '../../support/cpu-time.ts';

const AS_IS = { mergeSlashes: false };
const MERGED = { mergeSlashes: true };

describe('a request target', () => {
  const taken: Record<string, { path: string; query?: string; authority?: string }> = {
    '/': { path: '/' },
    '/a/b/': { path: '/a/b/' },
    '/a?': { path: '/a' },
    '/a?x=/../y': { path: '/a', query: 'x=/../y' },
    '/a?x=%2f//;%00': { path: '/a', query: 'x=%2f//;%00' },
    '/a??b': { path: '/a', query: '?b' },
    '/.well-known/x': { path: '/.well-known/x' },
    '/a/...': { path: '/a/...' },
    '/a..b/c.': { path: '/a..b/c.' },
    'http://api.example.org:81/x?y': { path: '/x', query: 'y', authority: 'api.example.org:81' },
    'HTTPS://api.example.org': { path: '/', authority: 'api.example.org' },
    'http://api.example.org?y': { path: '/', query: 'y', authority: 'api.example.org' },
    'http://api.example.org/%61': { path: '/a', authority: 'api.example.org' },
  };
  for (const [target, { path, query = '', authority }] of Object.entries(taken)) {
    test(`is taken apart: ${target}`, () => {
      assert.deepEqual(parseRequestTarget(target, AS_IS), { path, query, hasQuery: target.includes('?'), authority });
    });
  }

  const normal: Record<string, string> = {
    '/%70ublic/%7E': '/public/~',
    '/a%2Db%2E%5F': '/a-b._',
    '/a%20b/%C3%A9': '/a%20b/%C3%A9',
    '/%c3%a9%2a': '/%C3%A9*',
    '/\xc3\xa9': '/%C3%A9',
    '/a%2Bb%26c%3D%40': '/a+b&c=@',
    '/%3F%23%25': '/%3F%23%25',
    '/100%25': '/100%25',
    '/{a}|"^`<>[]': '/%7Ba%7D%7C%22%5E%60%3C%3E%5B%5D',
    '/%f0%9f%98%80': '/%F0%9F%98%80',
    '/a./..b/.c': '/a./..b/.c',
  };
  for (const [target, path] of Object.entries(normal)) {
    test(`has one spelling: ${target} is ${path}`, () => {
      const read = parseRequestTarget(target, AS_IS);

      assert.deepEqual(read, { path, query: '', hasQuery: false, authority: undefined });
      assert.deepEqual(parseRequestTarget(path, AS_IS), read, 'and it is normal itself');
    });
  }

  const refused: Record<string, RegExp> = {
    '': /not a path/,
    a: /not a path/,
    '*': /not a path/,
    'api.example.org:443': /not a path/,
    'ftp://api.example.org/': /not a path/,
    '/a b': /no path may contain/,
    '/a\tb': /no path may contain/,
    '/a\\b': /no path may contain/,
    '/a#b': /no path may contain/,
    '/a?b#c': /fragment/,
    '/a%': /begins no escape/,
    '/a%2': /begins no escape/,
    '/a%zz': /begins no escape/,
    '/a%u0041': /begins no escape/,
    '/a%00': /control character/,
    '/a%0d%0aX': /control character/,
    '/a%7F': /control character/,
    '/a%C2%85': /control character/,
    '//a': /two slashes in a row.*paste0/,
    '/a//b': /two slashes in a row.*paste0/,
    '/a/b//': /two slashes in a row.*paste0/,
    'http://api.example.org//x': /two slashes in a row/,
    '/.': /dot segments/,
    '/..': /dot segments/,
    '/a/../b': /dot segments/,
    '/a/./b': /dot segments/,
    '/a/..': /dot segments/,
    '/a/%2e%2e/b': /dot segments/,
    '/a/.%2E/b': /dot segments/,
    'http://api.example.org/../x': /dot segments/,
    '/a/%252e%252e/b': /encoded twice/,
    '/a%252Fb': /encoded twice/,
    '/a/..%2fb': /escaped slash/,
    '/a%2Fb': /escaped slash/,
    '/internal%2Fsecret': /escaped slash/,
    '/a%5c..%5cb': /escaped slash/,
    '/a/..;x=1/b': /semicolon/,
    '/a;v=1/b': /semicolon/,
    '/a%3bb': /semicolon/,
    '/a%c0%afb': /not UTF-8/,
    '/a/%c0%ae%c0%ae/b': /not UTF-8/,
    '/%E9': /not UTF-8/,
    '/\xe9': /not UTF-8/,
    '/%ED%A0%80': /not UTF-8/,
    '/%F4%90%80%80': /not UTF-8/,
    '/%C3': /not UTF-8/,
  };
  for (const [target, why] of Object.entries(refused)) {
    test(`is refused, in words for the caller: ${JSON.stringify(target)}`, () => {
      const problem = parseRequestTarget(target, AS_IS);

      assert.ok(typeof problem === 'string');
      assert.match(problem, why);
      assert.match(problem, /^(?:The|A) .+\.$/);
    });
  }

  test('may have its slashes merged, and what that makes is judged', () => {
    const paths = ['//a', '/a///b//', 'http://a//x'].map(target => parseRequestTarget(target, MERGED));

    assert.deepEqual(
      paths.map(read => typeof read !== 'string' && read.path),
      ['/a', '/a/b/', '/x'],
    );
    assert.match(JSON.stringify(parseRequestTarget('/a//..//b', MERGED)), /dot segments/);
    assert.match(JSON.stringify(parseRequestTarget('/a/%2F/b', MERGED)), /escaped slash/);
  });

  test('of any length is judged in no time', () => {
    const pieces = ['/a', '/', '%2e', '/.%2e', '%25', ';'].map(piece => `/${piece.repeat(20_000)}`);

    const takenMs = cpuMs(() => pieces.map(target => [AS_IS, MERGED].map(rules => parseRequestTarget(target, rules))));

    assert.ok(takenMs < 1_000);
  });
});

describe('what a filter makes of a path', () => {
  for (const path of ['/a/../b', '/a/%2e%2E', '/..;x/b', '/a%2f../b', '/%252e%252e/', '/a/%2', '/%']) {
    test(`leads elsewhere: ${path}`, () => {
      assert.equal(leadsElsewhere(path), true);
    });
  }

  for (const path of ['/', '/a;b/c', '/a//b', '/a%2Fb', '/%25', '/...', '/a..']) {
    test(`stays where it is: ${path}`, () => {
      assert.equal(leadsElsewhere(path), false);
    });
  }

  test('holds text of one segment without breaking out of it', () => {
    assert.equal(encodeSegment('a/b;c?d é%'), 'a%2Fb%3Bc%3Fd%20%C3%A9%25');
  });
});
