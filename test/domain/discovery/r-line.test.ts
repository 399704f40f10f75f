import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createLineSplitter } from '../../../gateway/edges/r-process.ts';
import { readRLine } from '../../../gateway/domain/discovery/r-line.ts';

describe('a line that R has written', () => {
  test('tells where R listens', () => {
    const line = '{"time":"t","level":"info","event":"listening","service":"fuel","port":9101,"pid":77}';

    assert.deepEqual(readRLine(line, 'info'), {
      ...{ level: 'info', text: 'listening', about: { rEvent: 'listening', port: 9101, pid: 77 } },
      ...{ listening: { port: 9101 }, ended: undefined },
    });
  });

  test('tells how R ended', () => {
    const line = '{"level":"error","event":"r-ended","service":"fuel","status":137}';

    assert.deepEqual(readRLine(line, 'info').ended, { status: 137 });
    assert.equal(readRLine('{"event":"r-ended","status":"137"}', 'info').ended, undefined);
  });

  test('keeps its level and message', () => {
    const { level, text } = readRLine('{"level":"error","event":"r-output","message":"Error in f()"}', 'info');

    assert.deepEqual([level, text], ['error', 'Error in f()']);
  });

  for (const line of ['plain', '{broken', '[1]', '{"level":"loud"}', '7']) {
    test(`is taken as it is: ${line}`, () => {
      const read = readRLine(line, 'warn');

      assert.deepEqual([read.level, read.text, read.listening], ['warn', line, undefined]);
    });
  }

  for (const port of ['"9101"', '0', '70000', 'null']) {
    test(`does not name ${port} as its port`, () => {
      assert.equal(readRLine(`{"event":"listening","port":${port}}`, 'info').listening, undefined);
    });
  }

  test('cannot break the log, or fill it', () => {
    const read = readRLine(JSON.stringify({ message: 'a\nb\u001b[2J'.padEnd(9_000, 'x'), big: { nested: 1 } }), 'info');

    assert.equal(read.text.length, 2_000);
    assert.ok(read.text.startsWith('a\\nb\\u001b[2J'));
    assert.deepEqual(read.about, {});
  });
});

describe('a line splitter', () => {
  function split(pieces: readonly string[], charsMax = 100): string[] {
    const lines: string[] = [];
    const splitter = createLineSplitter(charsMax, line => lines.push(line));
    for (const piece of pieces) splitter.push(piece);
    splitter.end();
    return lines;
  }

  test('joins what came in pieces and parts what came together', () => {
    assert.deepEqual(split(['a', 'b\nc\r\n', '\n', 'd']), ['ab', 'c', 'd']);
  });

  test('drops the rest of a line that is too long, and takes the next', () => {
    assert.deepEqual(split(['0123', '456789', 'more\nnext\n'], 5), ['01234', 'next']);
  });
});
