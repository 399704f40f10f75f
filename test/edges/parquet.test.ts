import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parquetReadObjects } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { GatewayError } from '../../gateway/domain/errors.ts';
import { toLines } from '../../gateway/edges/parquet/hyparquet.ts';
import { fromLines } from '../../gateway/edges/parquet/hyparquet-writer.ts';
import { ParquetProcesses } from '../../gateway/edges/parquet/parquet-process.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aFolder } from '../support/folder.ts';

const COLUMNS = fileURLToPath(new URL('../support/parquet/columns.parquet', import.meta.url));
const ignore = () => undefined;
const NEVER = new AbortController().signal;

function folderOf(t: TestContext) {
  const folder = aFolder(t);
  return { source: join(folder, 'source'), target: join(folder, 'target') };
}

/** A file of one column, as the library writes it. */
const written = (data: number[]) =>
  Buffer.from(parquetWriteBuffer({ columnData: [{ name: 'x', data, type: 'DOUBLE' }], statistics: false }));

describe('a Parquet file', () => {
  test('of another writer becomes lines of JSON, a column by its type, with null for what is missing', async t => {
    const { target } = folderOf(t);

    const bytes = await toLines({ kind: 'to-lines', source: COLUMNS, target, bytesMax: 10_000 }, ignore);

    const [first = '', second = '', third = ''] = readFileSync(target, 'utf8').split('\n');
    assert.equal(bytes, readFileSync(target).length);
    assert.equal(
      first,
      '{"double":0.3333333333333333,"float":0.10000000149011612,"int":-2,"long":1152921504606846977,' +
        '"unsigned":9223372036854775809,"flag":true,"text":"ä \\"1\\"\\n","factor":"a","day":"1960-02-29",' +
        '"local":"1969-12-31T23:59:59.123456","moment":"1969-12-31T23:59:59.123Z","decimal":10.05,"list":[1,null],' +
        '"record":{"a":1,"b":"x"},"none":null,"infinite":1}',
    );
    const values = Object.values(JSON.parse(second) as Record<string, unknown>);
    assert.deepEqual(values, [...values.slice(0, -1).map(() => null), 2]);
    assert.equal(third, '!column "infinite" is infinite, which JSON cannot say');
  });

  test('is made of answers, each column of one type, and an error where there is no answer', async t => {
    const { source, target } = folderOf(t);
    const lines = ['["n","b","s","o","error"]', '+{"n":1,"b":true,"s":"ä","o":1,"error":"E"}'];
    const failed = '-{"code":"MODEL_FAILED","detail":"why"}';
    writeFileSync(source, [...lines, failed, '+{"n":2.5,"b":null,"s":"x","o":"2"}', ''].join('\n'));

    await fromLines({ kind: 'from-lines', source, target, bytesMax: Infinity }, ignore);

    const none = { n: null, b: null, s: null, o: null, error: null };
    const file = readFileSync(target);
    assert.deepEqual(await parquetReadObjects({ file: Uint8Array.from(file).buffer }), [
      { n: 1, b: true, s: 'ä', o: '1', error: 'E', '.error': null },
      { ...none, '.error': 'MODEL_FAILED: why' },
      { ...none, n: 2.5, s: 'x', o: '"2"', '.error': null },
    ]);
  });

  test('has doubles where R’s answers are numbers, missing and infinite ones among them', async t => {
    const { source, target } = folderOf(t);
    const rows = ['"NA",s:"NA",o:"NA"', '1.5,s:"x",o:"x"', '"NaN",s:"Inf",o:1', '"-Inf",s:"y",o:null'];
    const lines = rows.map(row => `+{"n":${row.replaceAll(/,(.):/g, ',"$1":')}}`);
    writeFileSync(source, ['["n","s","o"]', ...lines, ''].join('\n'));

    await fromLines({ kind: 'from-lines', source, target, bytesMax: Infinity }, ignore);

    const file = readFileSync(target);
    const written = await parquetReadObjects({ file: Uint8Array.from(file).buffer });
    assert.deepEqual(
      written.map((row): unknown[] => ['n', 's', 'o'].map(name => row[name] as unknown)),
      [
        [null, 'NA', '"NA"'],
        [1.5, 'x', '"x"'],
        [NaN, 'Inf', '1'],
        [-Infinity, 'y', null],
      ],
    );
  });

  test('that is cut off, no such file, a bomb or damaged is refused in words', async t => {
    const { source, target } = folderOf(t);
    const sound = written([1, 2, 3]);
    const page = sound.indexOf(Buffer.of(0x15, 0x34, 0x15, 0x30)); // its bytes, unpacked and packed
    const bomb = Buffer.from([...sound.subarray(0, page + 1), ...LARGEST, 0x15, 0x28, ...sound.subarray(page + 4)]);
    const refusal = async (content: Buffer) => {
      writeFileSync(source, content);
      const done = toLines({ kind: 'to-lines', source, target, bytesMax: 10_000 }, ignore);
      return done.then(String, (error: unknown) => String(error));
    };

    assert.equal(await refusal(sound), '24');
    assert.equal(await refusal(sound.subarray(0, -20)), 'UnfitFile: it does not end with PAR1: it was cut off');
    assert.equal(await refusal(Buffer.from('x,y\n1,2\n3,4\n')), 'UnfitFile: it does not begin with PAR1');
    assert.equal(await refusal(Buffer.from('PAR1')), 'UnfitFile: it is too short for one');
    assert.equal(await refusal(bomb), 'UnfitFile: a page of it is larger than 64 MiB');
    assert.equal(await refusal(written(Array.from({ length: 100_000 }, () => 1))), 'TooLarge');
    assert.equal(await refusal(Buffer.from(sound).fill(0xff, page, page + 2)), 'Error: thrift unhandled type: 15');
  });

  test('is worked off in a process, which is ended where it takes too long, its caller has left, or the gateway ends', async t => {
    const { source, target } = folderOf(t);
    execFileSync('mkfifo', [source]); // it is never written
    const clock = manualClock();
    const processes = new ParquetProcesses(clock);
    const task = { kind: 'to-lines', source: COLUMNS, target, bytesMax: 10_000 } as const;
    const hanging = { ...task, source };
    const codeOf = (done: Promise<number>) =>
      done.then(String, (error: unknown) => (error instanceof GatewayError ? error.detail : String(error)));

    assert.equal(await processes.run(task, NEVER), 608);
    const left = new AbortController();
    const [slow, gone] = [codeOf(processes.run(hanging, NEVER)), codeOf(processes.run(task, left.signal))];
    left.abort(new Error('the caller has left'));
    assert.equal(await gone, 'Error: the caller has left');
    clock.advance(60_000);
    const why = 'it takes more memory or time than there is for it';
    assert.equal(await slow, `The file cannot be read as Parquet: ${why}.`);
    const last = codeOf(processes.run(task, NEVER));
    processes.close();
    assert.equal(await last, 'Jobs can be neither made nor read now.');
  });
});

/** The largest number there is in four bytes, as Thrift's compact protocol writes it. */
const LARGEST = [0xfe, 0xff, 0xff, 0xff, 0x0f];
