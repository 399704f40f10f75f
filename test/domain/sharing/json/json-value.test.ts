import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JSON_DEPTH_MAX, writeJsonValue } from '../../../../gateway/domain/sharing/json/json-value.ts';
import { seeded } from '../../../support/service-at-work.ts';

const jsonValue = (text: Buffer) => {
  const into = Buffer.alloc(3 + text.length, '#');
  const end = writeJsonValue(text, into, 3);
  assert.equal(into.toString('latin1', 0, 3), '###');
  return end === undefined ? undefined : into.toString('latin1', 3, end);
};
const valueOf = (text: string) => jsonValue(Buffer.from(text));

/** Groups of texts: one value in each, another in every other. */
const VALUES: readonly (readonly string[])[] = [
  ['{"a":1,"b":2}', '{"b":2,"a":1}', ' {\t"b" :2 ,\n"a":\r1 } ', '{"\\u0061":1,"b":2}'],
  ['{"a":1.0,"b":2}'],
  ['{"a":1e0,"b":2}'],
  ['{"a":"1","b":2}'],
  ['[{"x":{"q":[],"p":{}}}]', '[ { "x" : { "p" : { } , "q" : [ ] } } ]'],
  ['[1,2]', '[1 ,2]'],
  ['[2,1]'],
  ['[12]'],
  ['[]', '[ ]'],
  ['{}', '{ }'],
  ['[[]]'],
  ['""'],
  ['"a b"', '"a\\u0020b"'],
  ['"a  b"'],
  ['"\\n"', '"\\u000a"', '"\\u000A"'],
  ['"\\\\n"', '"\\u005cn"'],
  ['"\\""', '"\\u0022"'],
  ['"/"', '"\\/"', '"\\u002F"'],
  ['"é"', '"\\u00e9"', '"\\u00E9"'],
  ['"€"', '"\\u20ac"'],
  ['"😀"', '"\\ud83d\\ude00"', '"\\uD83D\\uDE00"'],
  ['"\\u0000"'],
  ['"\\u001f"', '"\\u001F"'],
  ['"\\b\\f\\t"', '"\\u0008\\u000C\\u0009"'],
  ['"\u007f"', '"\\u007f"'],
  ['true', ' true'],
  ['false'],
  ['null'],
  ['0'],
  ['-0'],
  ['1'],
  ['1.0'],
  ['1.00'],
  ['1E2'],
  ['1e2'],
  ['1e+2'],
  ['100'],
  ['12345678901234567890'],
  ['12345678901234567891'],
  ['{"a":{"a":1}}'],
  ['{"":1}'],
  ['{"a":1,"ab":2}', '{"ab":2,"a":1}'],
  ['{"a ":1,"a":2}', '{"a":2,"a ":1}'],
];

const NO_JSON = [
  ...['', ' ', '{', '[', '"', '"a', '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{,}', '[,]', '[1,]', '[1 2]'],
  ...[
    '{a:1}',
    "{'a':1}",
    '{"a" 1}',
    '{1:1}',
    '01',
    '-',
    '+1',
    '.5',
    '1.',
    '1e',
    '1e+',
    '--1',
    '0x1',
    'NaN',
    'Infinity',
  ],
  ...['tru', 'nul', 'truefalse', 'true false', '1 2', '[1]]', '{}{}', '"\\x"', '"\\u12"', '"\\u12g4"', '"\\"', '"\n"'],
  ...['"\u0000"', '\u00a01', '//1', '/**/1', '[1]//', '\\u0031'],
];

describe('the value of a JSON text', () => {
  test('is the same for the same value, and another for another', () => {
    const seen = new Map<string, string>();
    for (const texts of VALUES) {
      const values = new Set(texts.map(valueOf));

      assert.equal(values.size, 1, texts.join(' | '));
      const [value] = values;
      assert.ok(value !== undefined, texts.join());
      assert.equal(seen.get(value), undefined, texts.join());
      seen.set(value, texts[0] ?? '');
    }
  });

  test('is none for what is no JSON', () => {
    for (const text of NO_JSON) assert.equal(valueOf(text), undefined, JSON.stringify(text));
  });

  test('is none where a member is named twice, however it is spelled', () => {
    for (const text of ['{"a":1,"a":1}', '{"a":1,"b":2,"\\u0061":3}', '[{"x":{"b":1,"a":2,"b":1}}]']) {
      assert.equal(valueOf(text), undefined, text);
    }
    assert.ok(valueOf('[{"a":1},{"a":1}]'));
  });

  test('is none where half a pair is escaped, which R may join to whatever comes next', () => {
    for (const text of [
      '\\ud83d',
      '\\ud83dA',
      '\\ud83d\\u0041',
      '\\ude00\\ud83d',
      '\\ud800\\ud800\\udc00',
      '\\ude00',
    ]) {
      assert.equal(valueOf(`{"a":"${text}"}`), undefined, text);
    }
  });

  test('keeps apart what is no UTF-8', () => {
    const bytes = (...codes: number[]) => jsonValue(Buffer.from([0x22, ...codes, 0x22]));

    assert.equal(new Set([bytes(0xff), bytes(0xfe), bytes(0xef, 0xbf, 0xbd), bytes(0xc3)]).size, 4);
    assert.equal(bytes(0xc3, 0xa9), valueOf('"\\u00e9"'));
  });

  test('is looked for so deep and no deeper', () => {
    const nested = (depth: number) => `${'['.repeat(depth)}1${']'.repeat(depth)}`;

    assert.equal(valueOf(nested(JSON_DEPTH_MAX)), nested(JSON_DEPTH_MAX));
    assert.equal(valueOf(nested(JSON_DEPTH_MAX + 1)), undefined);
    assert.equal(valueOf(nested(500_000)), undefined);
    assert.equal(valueOf('{"a":'.repeat(JSON_DEPTH_MAX + 1)), undefined);
  });

  test('agrees with JSON.parse on what is JSON, and is one for every order and spacing', () => {
    const random = seeded(7);
    const below: Below = limit => random.below(limit);
    for (let i = 0; i < 2_000; i += 1) {
      const value = generated(below, 0);
      const [one, other] = [written(value, below), written(value, below)];
      const broken = one.slice(0, below(one.length)) + one.slice(below(one.length));

      assert.equal(valueOf(one), valueOf(other), `${one} | ${other}`);
      assert.deepEqual(JSON.parse(Buffer.from(valueOf(one) ?? '', 'latin1').toString()), value, one);
      if (valueOf(broken) !== undefined) assert.doesNotThrow(() => void JSON.parse(broken), broken);
    }
  });
});

type Below = (limit: number) => number;

/** Names need no escape once they are plain: JSON.parse of V8 14 loses some members whose names are escaped. */
const NAMES = ['a', 'b', 'wt', 'é', '€', '😀', ' ', 'a/b', ''];
const TEXTS = ['a', 'b', 'wt', 'é', '€', '😀', '"', '\\', '\n', ' ', '\u0007', 'a/b', ''];

function generated(below: Below, depth: number): unknown {
  const kind = below(depth > 3 ? 4 : 6);
  if (kind === 0) return TEXTS[below(TEXTS.length)];
  if (kind === 1) return (below(2_000_000) - 1_000_000) / 10 ** below(5);
  if (kind === 2) return [true, false, null][below(3)];
  if (kind === 3) return below(100);
  if (kind === 4) return Array.from({ length: below(4) }, () => generated(below, depth + 1));
  return Object.fromEntries(
    Array.from({ length: below(5) }, () => [NAMES[below(NAMES.length)] ?? '', generated(below, depth + 1)]),
  );
}

/** One of the many texts of a value: members in any order, space anywhere, characters escaped or not. */
function written(value: unknown, below: Below): string {
  const space = () => ['', '', ' ', '\n\t'][below(4)] ?? '';
  const text = (): string => {
    if (typeof value === 'string') return string(value, below);
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    if (Array.isArray(value)) return `[${space()}${value.map(item => written(item, below)).join(',')}]`;
    const members = Object.entries(value).map(
      ([name, member]) => `${space()}${string(name, below)}${space()}:${written(member, below)}`,
    );
    members.sort(() => below(3) - 1);
    return `{${members.join(',')}${space()}}`;
  };
  return `${space()}${text()}${space()}`;
}

function string(value: string, below: Below): string {
  const plain = JSON.stringify(value);
  if (below(2) === 0) return plain;
  const units = Array.from({ length: value.length }, (_, i) => value.charCodeAt(i).toString(16).padStart(4, '0'));
  return `"${units.map(unit => `\\u${unit}`).join('')}"`;
}
