import type { Readable } from 'node:stream';
import { createLineSplitter } from '../../gateway/edges/r-process.ts';

const CHARS_MAX = 1024 * 1024;

/** Calls back for each whole line. What a killed process left without an end of line is none. */
export function onWholeLine(stream: Readable, onLine: (line: string) => void): void {
  const splitter = createLineSplitter(CHARS_MAX, onLine);
  stream.setEncoding('utf8').on('data', (text: string) => splitter.push(text));
}
