import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** A state of /proc/net/tcp: a process listens. */
const LISTENING = '0A';

/** Fails with a sentence that says who has the port and what to do, where `what` could not listen on it. */
export async function requireFreePort({ port, host, what, instead }) {
  if (await isFree(port, host)) return;
  const owner = ownerOf(port);
  const who = owner === undefined ? 'another process' : `process ${owner.pid} (${owner.command})`;
  const stop = owner === undefined ? 'Stop it' : `Stop it ('kill ${owner.pid}')`;
  throw new Error(`${what} cannot listen on port ${port}: ${who} has it.\n${stop}, or ${instead}.`);
}

/**
 * The wanted port where it is free, else any other that is.
 * @returns {Promise<number>}
 */
export async function freePort(wanted = 0, host = '127.0.0.1') {
  const server = await listen(wanted, host).catch(() => listen(0, host));
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function isFree(port, host) {
  try {
    const server = await listen(port, host);
    server.close();
    await once(server, 'close');
    return true;
  } catch (error) {
    if (error.code === 'EADDRINUSE') return false;
    throw new Error(`cannot listen on ${host}:${port}: ${error.message}`, { cause: error });
  }
}

async function listen(port, host) {
  const server = createServer();
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}

/** Who listens on a port, as far as this user may see (Linux). */
function ownerOf(port) {
  const sockets = new Set(socketsListeningOn(port).map(inode => `socket:[${inode}]`));
  if (sockets.size === 0) return undefined;
  const pid = namesIn('/proc').find(name => /^\d+$/.test(name) && holdsAny(name, sockets));
  return pid === undefined ? undefined : { pid, command: commandOf(pid) };
}

function socketsListeningOn(port) {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['/proc/net/tcp', '/proc/net/tcp6']
    .flatMap(file => readOrEmpty(file).split('\n'))
    .map(line => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(suffix) === true && state === LISTENING)
    .map(fields => fields[9]);
}

function holdsAny(pid, sockets) {
  return namesIn(`/proc/${pid}/fd`).some(fd => {
    try {
      return sockets.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
    } catch {
      return false; // Closed since it was listed.
    }
  });
}

function commandOf(pid) {
  const command = readOrEmpty(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
  return command.length > 80 ? `${command.slice(0, 79)}…` : command;
}

function namesIn(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return []; // Not ours to look into, gone since, or no Linux.
  }
}

function readOrEmpty(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // As above.
  }
}
