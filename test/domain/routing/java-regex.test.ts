import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isProblem, parseReplacement, type Regex } from '../../../gateway/domain/routing/regex.ts';
import { compileRegex } from '../../../gateway/edges/re2js.ts';

function regex(pattern: string): Regex {
  const compiled = compileRegex(pattern);
  if (isProblem(compiled)) throw new Error(`${pattern}: ${compiled.problem}`);
  return compiled;
}

describe('patterns in Java’s syntax', () => {
  const rows: readonly (readonly [pattern: string, matching: readonly string[], others: readonly string[]])[] = [
    ['ch.p', ['chip', 'chop'], ['chp', 'chips', 'ch\np', 'ch\rp', 'ch\u2028p']],
    ['(?s)ch[\\s\\S]p', ['ch\np'], []],
    ['(?s)a.+', ['a\n\r\u2028'], ['a']],
    ['(?s:a.)b.', ['a\nbc'], ['a\nb\n']],
    ['((?s)a.)b.', ['a\nbc'], ['a\nb\n']],
    ['(?s)a(?-s:.)', ['ab'], ['a\n']],
    ['\\S+', ['ab', '\u0085'], ['a\u000b']],
    ['[\\S]+', ['ab', '\u{1f600}'], ['a\u000bb', ' ']],
    ['[^\\S]', [' ', '\u000b'], ['a']],
    ['(?i)kiss', ['KISS', 'kIsS'], ['\u212aiss', 'ki\u017f\u017f']],
    ['(?i)[a-ck]+', ['aBCK'], ['\u212a', 'd', 'D']],
    ['(?i)[W-c]+', ['wxyzABCabc'], ['d', 'V']],
    ['(?i)[^a]', ['b'], ['a', 'A']],
    ['(?i)\\x6b\\u0041', ['kA', 'KA'], ['\u212aa']],
    ['(?i)é', ['é'], ['É']],
    ['(?i:a)b', ['Ab', 'ab'], ['aB']],
    ['((?i)a)b(?i)c', ['AbC'], ['ABc']],
    ['a(?i)b|c', ['aB', 'C'], ['Ab']],
    ['(?i)a(?-i)b', ['Ab'], ['AB']],
    ['(?is-i)a.', ['a\n'], ['Aa']],
    ['(?i)[\\d-]\\.A', ['-.a', '1.A'], ['-xa']],
    ['\\Qa.b', ['a.b'], ['axb']],
    ['\\\\Q', ['\\Q'], ['']],
    ['\\x{1F600}', ['\u{1f600}'], ['a']],
    ['[\\w.-]+@\\w+', ['a.b-c@d'], ['@d']],
    ['\\d{1,3}', ['1', '123'], ['1234', '']],
    ['.{2,3}?', ['ab', 'abc'], ['a', 'abcd']],
    ['a.*?b+?', ['ab', 'axb'], ['a']],
    ['[a-c&x]', ['a', '&'], ['d']],
    ['[^/]+', ['ab'], ['a/b', '']],
    ['[]a]+', [']a'], ['b']],
    ['\\s', [' ', '\t', '\u000b'], ['x']],
    ['[\\s]', ['\u000b'], ['x']],
    ['\\Qa.b\\E+', ['a.b', 'a.bb'], ['axb']],
    ['\\u0061\\x62\\x{63}', ['abc'], ['u0061']],
    ['(?i)abc', ['ABC'], ['abd']],
    ['(?<name>a|b)-(?:c)', ['a-c'], ['c-c']],
    ['\\p{L}\\p{Nd}', ['é1'], ['11']],
    ['\\bword\\b', ['word'], ['words']],
    ['a\\{2\\}', ['a{2}'], ['aa']],
    ['x|', ['x', ''], ['y']],
  ];

  for (const [pattern, matching, others] of rows) {
    test(`${pattern} means what it means in Java`, () => {
      for (const text of matching) assert.equal(regex(pattern).matches(text), true, JSON.stringify(text));
      for (const text of others) assert.equal(regex(pattern).matches(text), false, JSON.stringify(text));
    });
  }

  for (const [pattern, piece] of [
    ['a(?=b)', '(?='],
    ['a(?!b)', '(?!'],
    ['(?<=a)b', '(?<='],
    ['(?<!a)b', '(?<!'],
    ['(?>a)b', '(?>'],
    ['(a)\\1', '\\1'],
    ['(?<n>a)\\k<n>', '\\k'],
    ['a++', '++'],
    ['.*+', '*+'],
    ['a{2}+', '{2}+'],
    ['[a]?+', '?+'],
    ['[a-z&&[^b]]', '&&'],
    ['[a[bc]]', '[bc]]'],
    ['[[:alpha:]]', '[:alpha:]]'],
    ['\\p{Alpha}', '\\p{Alpha}'],
    ['\\p{IsGreek}', '\\p{IsGreek}'],
    ['\\h', '\\h'],
    ['\\R', '\\R'],
    ['\\X', '\\X'],
    ['\\Z', '\\Z'],
    ['\\G', '\\G'],
    ['\\cA', '\\c'],
    ['\\v', '\\v'],
    ['(?x)a b', '(?x'],
    ['(?U)a+', '(?U'],
    ['(?m)^a$', '(?m'],
    ['(?d).', '(?d'],
    ['(?iu)é', '(?iu'],
    ['(?i)\\p{Lu}', '\\p{Lu}'],
    ['(?P<n>a)', '(?P<n>a'],
    ["(?'n'a)", "(?'n'a"],
    ['(?<a_b>a)', '(?<a_b>a'],
    ['(?#a)', '(?#a'],
    ['[a-z&&&x]', '&&'],
    ['[a-[b]]', '[b]]'],
    ['[a-&&b]', '&&'],
    ['\\p{L', '\\p{L'],
    ['\\p{^L}', '\\p{^L}'],
    ['\\p{javaLowerCase}', '\\p{javaLowerCase}'],
    ['\\N{DIGIT ONE}', '\\N'],
    ['\\H', '\\H'],
    ['\\V', '\\V'],
    ['\\e', '\\e'],
    ['\\052', '\\0'],
    ['\\E', '\\E'],
    ['[\\Qa]\\E]', '\\Q'],
    ['[\\b]', '\\b'],
    ['\\C', '\\C'],
    ['\\ud83d\\ude00', '\\ud83d'],
    ['\\x{110000}', '\\x{110000}'],
    ['\\xg', '\\x'],
    ['\\b{g}', '{g}'],
    ['(?:a)*+', '*+'],
    ['a{2,}+', '{2,}+'],
    ['a{,3}', '{,3}'],
    ['{a}', '{a}'],
    ['a\\', '\\'],
    ['[a', '[a'],
  ] as const) {
    test(`${pattern} is refused, at ${piece}`, () => {
      const compiled = compileRegex(pattern);

      assert.ok(isProblem(compiled));
      assert.equal(compiled.piece, piece);
    });
  }

  for (const pattern of ['a(b', 'a)', '*a', 'a**', 'a{3,1}', 'a{2000}']) {
    test(`${pattern} is refused by the engine`, () => {
      const compiled = compileRegex(pattern);

      assert.ok(isProblem(compiled) && compiled.problem.startsWith('is no regular expression'));
    });
  }

  test('take linear time, where a backtracking engine would take for ever', () => {
    const pattern = regex('(a|a)*(a|aa)*(a*)*b');

    assert.equal(pattern.matches('a'.repeat(20_000)), false);
  });
});

describe('replacements', () => {
  const replaced = (pattern: string, replacement: string, text: string) => {
    const compiled = regex(pattern);
    const pieces = parseReplacement(replacement, compiled);
    return 'problem' in pieces ? pieces.problem : compiled.replaceAll(text, pieces);
  };

  test('name groups by number or name, and escape with a backslash', () => {
    assert.equal(replaced('(?<a>x)(y)', '${a}-$2-\\$-$0', 'xy'), 'x-y-$-xy');
    assert.equal(replaced('(x)', '$12', 'x'), 'x2');
    assert.equal(replaced('(x)|(y)', '<$1$2>', 'xy'), '<x><y>');
  });

  test('replace every match, empty ones too, and leave the rest', () => {
    assert.equal(replaced('b', 'c', 'abab'), 'acac');
    assert.equal(replaced('b*', '-', 'abc'), '-a--c-');
    assert.equal(replaced('é', 'e', 'aéa'), 'aea');
    assert.equal(replaced('z', 'c', 'abab'), 'abab');
  });
});
