import type { Column } from '../../gateway/domain/validation/prototype.ts';

/** A body, and how it was made: the name of a failure in a test. */
export interface CorpusBody {
  readonly how: string;
  readonly body: Buffer;
}

/** Chance that comes out the same each time. */
export type Dice = (below: number) => number;

/** Dice from a seed (mulberry32). */
export function diceFrom(seed: number): Dice {
  let state = seed;
  return below => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

type Row = Record<string, string>; // values as JSON

/** Bodies that a model with these columns takes, written as callers write them. */
export function wellFormed(columns: readonly Column[], count: number, dice: Dice): CorpusBody[] {
  return Array.from({ length: count }, () => {
    const rows = Array.from({ length: 1 + dice(3) }, () => soundRow(columns, dice));
    const more = dice(4) === 0 ? { note: '"seen\\u00e9"', nested: '{"a":[1,{"b":null}]}' } : {};
    const named = dice(4) === 0;
    const written = rows.map((row, i) => ({
      ...shuffled(row, dice),
      ...more,
      ...(named ? { _row: `"car ${i}"` } : {}),
    }));
    return { how: 'well-formed', body: Buffer.from(spaced(`[${written.map(textOfRow).join(',')}]`, dice)) };
  });
}

/** Bodies that no model with these columns takes, or no reader of JSON; at most `rowsMax` rows are taken. */
export function malformed(
  columns: readonly Column[],
  count: number,
  options: { dice: Dice; rowsMax: number },
): CorpusBody[] {
  const { dice } = options;
  const ways = Object.entries({ ...ofRows(columns, options), ...ofText(columns, options) });
  return Array.from({ length: count }, (_, i) => {
    const [how, make] = ways[i % ways.length] ?? ['', () => ''];
    const body = make();
    return { how, body: typeof body === 'string' ? Buffer.from(body) : body };
  }).sort(() => dice(3) - 1);
}

type Ways = Readonly<Record<string, () => string | Buffer>>;

/** JSON, but nothing for this model. */
function ofRows(columns: readonly Column[], { dice, rowsMax }: { dice: Dice; rowsMax: number }): Ways {
  const rows = () => Array.from({ length: 1 + dice(3) }, () => soundRow(columns, dice));
  const anyColumn = () => columns[dice(columns.length)] ?? columns[0];
  const bodyOf = (list: readonly Row[]) => `[${list.map(textOfRow).join(',')}]`;
  const withValue = (value: (column: Column) => string) => () => {
    const list = rows();
    const column = anyColumn();
    const row = list[dice(list.length)];
    if (column !== undefined && row !== undefined) row[column.name] = value(column);
    return bodyOf(list);
  };
  return {
    'a missing field': () => {
      const list = rows();
      delete list[dice(list.length)]?.[anyColumn()?.name ?? ''];
      return bodyOf(list);
    },
    'a wrong type': withValue(({ type }) => wrongFor(type, dice)),
    'an unknown level': withValue(({ type }) => (type === 'factor' ? '"setsoa"' : '"many"')),
    'a number out of range': withValue(({ type }) => (type === 'factor' ? '1e999' : '-1e999')),
    'a list for a value': withValue(() => '[1]'),
    'an object for a value': withValue(() => '{"value":1}'),
    'an empty list for a value': withValue(() => '[]'),
    'half of a surrogate pair': withValue(() => '"\\ud83d"'),
    'a NUL in a text': withValue(() => '"a\\u0000b"'),
    'nesting too deep': withValue(() => `${'['.repeat(40)}1${']'.repeat(40)}`),
    'a field twice': () => {
      const name = JSON.stringify(anyColumn()?.name);
      return bodyOf(rows()).replace('{', `{${name}:1,`);
    },
    'a field twice, once with an escape': () => {
      const name = anyColumn()?.name ?? 'a';
      const code = name.charCodeAt(0).toString(16).padStart(4, '0');
      return bodyOf(rows()).replace('{', `{"\\u${code}${name.slice(1)}":1,`);
    },
    'too many rows': () => bodyOf(Array.from({ length: rowsMax + 1 + dice(5) }, () => soundRow(columns, dice))),
    'one record, not an array': () => textOfRow(soundRow(columns, dice)),
    'columns, not rows': () => `{${columns.map(({ name }) => `${JSON.stringify(name)}:[1]`).join(',')}}`,
    'a row that is no object': () => ['[1]', '[null]', '["a"]', '[[1,2]]', '[true]'][dice(5)] ?? '',
    'no rows': () => '[]',
    'a scalar': () => ['1', 'null', 'true', '"text"', '-0.5'][dice(5)] ?? '',
    'an empty object': () => ['{}', '[{}]', '[{},{}]'][dice(3)] ?? '',
  };
}

function wrongFor(type: string, dice: Dice): string {
  if (type === 'factor') return ['17.25', 'false', '"Setosa "', '""'][dice(4)] ?? '';
  return ['"abc"', 'true', '"1,5"', '"12 kg"', '"--1"', '"1e"', '"TRUE"'][dice(7)] ?? '';
}

/** No JSON at all, or in no encoding of it. */
function ofText(columns: readonly Column[], { dice }: { dice: Dice }): Ways {
  const sound = () => `[${textOfRow(soundRow(columns, dice))}]`;
  const withNumber = (number: string) => () => sound().replace(/:(?=[^,}]*)/, `:${number},"x":`);
  return {
    'cut off': () => {
      const text = sound();
      return text.slice(0, 1 + dice(text.length - 2));
    },
    'something behind it': () => `${sound()}${['x', ']', '[]', ',', '{}', '\u0000'][dice(6)] ?? ''}`,
    'a comma too many': () => sound().replace('}', ',}'),
    'a comma too few': () => sound().replace(/^\[\{/, '[{"a":1 '),
    'no colon': () => sound().replace(':', ' '),
    'single quotes': () => sound().replaceAll('"', "'"),
    'names without quotes': () => sound().replaceAll(/"(\w)/g, '$1'),
    'a comment': () => `/* rows */${sound()}`,
    NaN: withNumber('NaN'),
    Infinity: withNumber('-Infinity'),
    'a leading zero': withNumber('01'),
    'a leading plus': withNumber('+1'),
    'a bare point': withNumber('.5'),
    'a point without digits': withNumber('1.'),
    'a hexadecimal number': withNumber('0x1F'),
    'a control character in a text': () => sound().replace('{', '{"a\tb":1,'),
    'an unknown escape': () => sound().replace('{', '{"a\\q":1,'),
    'half an escape': () => sound().replace('{', '{"a\\u00":1,'),
    'a byte order mark': () => `\ufeff${sound()}`,
    'UTF-16': () => Buffer.from(sound(), 'utf16le'),
    'broken UTF-8 in a name': () => broken(sound(), [0xc3, 0x28]),
    'an overlong encoding': () => broken(sound(), [0xc0, 0xaf]),
    'a surrogate in UTF-8': () => broken(sound(), [0xed, 0xa0, 0x80]),
    nothing: () => ['', ' ', '\n'][dice(3)] ?? '',
    'another language': () => ['<rows/>', 'a,b\n1,2', 'wt=1&hp=2', '---\n- wt: 1', '%PDF-1.7'][dice(5)] ?? '',
    'brackets without end': () => '['.repeat(10_000),
  };
}

function broken(text: string, bytes: readonly number[]): Buffer {
  const at = text.indexOf('{') + 1;
  return Buffer.concat([
    Buffer.from(`${text.slice(0, at)}"x`),
    Buffer.from(bytes),
    Buffer.from(`":1,${text.slice(at)}`),
  ]);
}

function soundRow(columns: readonly Column[], dice: Dice): Row {
  return Object.fromEntries(columns.map(column => [column.name, soundValue(column, dice)]));
}

function soundValue({ type, example, levels }: Column, dice: Dice): string {
  const chance = dice(20);
  if (chance === 0) return 'null';
  if (chance === 1) return '"NA"';
  if (type === 'factor') {
    const level = levels[dice(levels.length)] ?? '';
    return chance === 2
      ? `"\\u${level.charCodeAt(0).toString(16).padStart(4, '0')}${level.slice(1)}"`
      : JSON.stringify(level);
  }
  const number = Number(example) * (0.5 + dice(100) / 100);
  if (type === 'integer') return String(Math.round(number));
  return (
    [
      String(number),
      number.toExponential(3),
      JSON.stringify(number.toFixed(2)),
      number.toFixed(1),
      `${Math.round(number)}`,
    ][dice(5)] ?? '1'
  );
}

function textOfRow(row: Row): string {
  return `{${Object.entries(row)
    .map(([name, value]) => `${JSON.stringify(name)}:${value}`)
    .join(',')}}`;
}

function shuffled(row: Row, dice: Dice): Row {
  return dice(2) === 0 ? row : Object.fromEntries(Object.entries(row).sort(() => dice(3) - 1));
}

function spaced(text: string, dice: Dice): string {
  return dice(3) === 0 ? ` ${text.replaceAll('},{', '} ,\n\t{')}\r\n` : text;
}
