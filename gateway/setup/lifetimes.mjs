import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { findOnPath } from './command.mjs';

/** How long a process may take to end when asked, before it is made to. It has requests to finish. */
const END_MS_MAX = 45_000;

/** Within this time a second Ctrl-C is the same one: npm passes on what the terminal has sent already. */
const ECHO_MS = 1_000;

/**
 * Everything this run has started, ended in reverse order: what was started last leans on what was there before.
 *
 * `stop` ends it all once, however often it is called; `stopAtOnce` no longer asks.
 */
export function createLifetimes() {
  const children = [];
  let stopping;

  async function endAll() {
    for (const child of children.toReversed()) await end(child);
  }

  return {
    add(child) {
      children.push(child);
      return child;
    },
    stop: () => (stopping ??= endAll()),
    stopAtOnce() {
      for (const child of children.toReversed()) child.kill('SIGKILL');
    },
    get isStopping() {
      return stopping !== undefined;
    },
  };
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS_MAX);
  await ended;
  clearTimeout(timer);
}

/** Calls `stop` at Ctrl-C and its like, and `stopAtOnce` when asked again. */
export function onSignals({ stop, stopAtOnce }) {
  let firstMs;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (firstMs === undefined) {
        firstMs = Date.now();
        stop(signal);
      } else if (Date.now() - firstMs > ECHO_MS) {
        stopAtOnce();
      }
    });
  }
  watchParent(() => stop('SIGHUP'));
}

/** `kill -9` of npm sends us nothing: it shows in that we have another parent. */
function watchParent(onGone) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, 1_000);
  timer.unref();
}

/**
 * Starts a program that ends when this process does, even by `kill -9`, as far as the system can promise it: Linux
 * sends it SIGTERM then (setpriv is in util-linux, which every Debian has). Its own process group keeps the
 * terminal's Ctrl-C from it: what ends, and in which order, is decided here.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 * @returns {import('node:child_process').ChildProcess}
 */
export function spawnBound(program, args, options) {
  const setpriv = process.platform === 'linux' ? findOnPath('setpriv') : undefined;
  return setpriv === undefined
    ? spawn(program, args, { ...options, detached: true })
    : spawn(setpriv, ['--pdeathsig', 'TERM', program, ...args], { ...options, detached: true });
}
