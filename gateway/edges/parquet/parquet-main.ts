import { readFileSync, writeSync } from 'node:fs';
import { toLines } from './hyparquet.ts';
import { fromLines } from './hyparquet-writer.ts';
import { TooLarge, UnfitFile, type ParquetTask, type ParquetWord } from './task.ts';

// The process for one Parquet file: its task comes by standard input, and what it says goes to standard output. A gateway
// that is gone is noticed by the next word, which cannot be written any more.

const [STDIN, STDOUT] = [0, 1];
/** What the library says of a file begins so; all else is V8's own, and no words for the file's owner. */
const SAID = /^(?:parquet|snappy|thrift)\b/;

const PROBLEM_CHARS_MAX = 300;
const WORD_EVERY_MS = 1_000;

const task = JSON.parse(readFileSync(STDIN, 'utf8')) as ParquetTask;
const say = (word: ParquetWord) => writeSync(STDOUT, `${JSON.stringify(word)}\n`);
let saidMs = performance.now();
const work = task.kind === 'to-lines' ? toLines : fromLines;

try {
  say({ kind: 'done', bytes: await work(task, goOn) });
} catch (error) {
  say(wordOf(error));
}

function goOn(): void {
  const nowMs = performance.now();
  if (nowMs - saidMs < WORD_EVERY_MS) return;
  saidMs = nowMs;
  say({ kind: 'on' });
}

function wordOf(error: unknown): ParquetWord {
  if (error instanceof TooLarge) return { kind: 'too-large' };
  const message = (error instanceof Error ? error.message : String(error)).slice(0, PROBLEM_CHARS_MAX);
  if (error instanceof Error && 'syscall' in error) return { kind: 'failed', problem: message };
  if (error instanceof UnfitFile) return { kind: 'unfit', problem: message };
  if (message === 'Array buffer allocation failed') return { kind: 'unfit', problem: 'it takes too much memory' };
  return { kind: 'unfit', problem: SAID.test(message) ? message : 'it is damaged' };
}
