import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The most of a command's output that is kept to be shown when it fails. */
const OUTPUT_CHARS_MAX = 16_384;

/** The path of a program on PATH, or undefined. */
export function findOnPath(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders
    .filter(folder => folder !== '')
    .map(folder => join(folder, name))
    .find(isProgram);
}

/** Whether this is a file that can be run. */
export function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false; // Not there, or not for us: either way not a program we can start.
  }
}

/**
 * Runs a command to its end and returns what it printed. It says nothing, unless it fails: then the error says all.
 * `onLine` is called with each line, from both streams and from a third (fd 3) by which apt tells its progress.
 */
export function runQuietly(command, args, { onLine, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
    let output = '';
    const keep = text => (output = (output + text).slice(-OUTPUT_CHARS_MAX));
    for (const stream of child.stdio.slice(1, 3)) stream.setEncoding('utf8').on('data', keep);
    if (onLine !== undefined) for (const stream of child.stdio.slice(1)) eachLine(stream, onLine);
    child.once('error', error => reject(new Error(`${command}: ${error.message}`, { cause: error })));
    child.once('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ${args.join(' ')} failed (${signal ?? `exit ${code}`}):\n${output.trim()}`));
    });
  });
}

/** Calls back with each whole line of a stream. */
export function eachLine(stream, onLine) {
  let rest = '';
  stream.setEncoding('utf8').on('data', text => {
    const lines = (rest + text).split('\n');
    rest = lines.pop().slice(-OUTPUT_CHARS_MAX);
    lines.forEach(onLine);
  });
}

/** Runs a command with this process's own streams, for output that an operator watches; its exit code is returned. */
export function runVisibly(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'], ...options });
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(signal === null ? code : 1));
  });
}
