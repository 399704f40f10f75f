import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { requireProjectNode } from './project-node.mjs';

/** What an operator, a terminal or an init system may send. SIGKILL and SIGSTOP cannot be passed on. */
const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGCONT', 'SIGWINCH'];

const LEASH = new URL('leash.mjs', import.meta.url).href;

/**
 * Runs the project's own Node with these arguments in this process's place: same streams, signals, exit code.
 *
 * From Node 22.15 on a process can truly become another (`process.execve`), and nothing is left between. Older ones
 * start a child and stand in for it.
 */
export function becomeNode(args) {
  try {
    const node = requireProjectNode();
    if (typeof process.execve === 'function') process.execve(node, [node, ...args], process.env);
    standInFor(spawnLeashed(node, args, { stdio: ['inherit', 'inherit', 'inherit'] }));
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}

/**
 * Starts Node as a child that ends gently by itself when this process is gone, even by `kill -9`.
 *
 * The child holds one end of a pipe whose other end only this process has: the kernel closes that whatever happens
 * here (see leash.mjs). It gets a process group of its own, so that Ctrl-C reaches it once, from here, and not a
 * second time from the terminal: to the gateway a second signal means "at once".
 */
export function spawnLeashed(node, args, { stdio, env = process.env }) {
  return spawn(node, ['--import', LEASH, ...args], {
    stdio: [...stdio, 'pipe'],
    detached: true,
    env: { ...env, PENSTOCK_LEASH_FD: '3' },
  });
}

function standInFor(child) {
  for (const signal of PASSED_ON) process.on(signal, () => child.kill(signal));
  child.once('error', error => {
    process.stderr.write(`${child.spawnfile} does not start: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.once('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    // The shell that waits for us shall see what ended the child: a signal kills us the same way, once we no longer catch it.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    process.exitCode = 128 + (constants.signals[signal] ?? 0);
  });
}
