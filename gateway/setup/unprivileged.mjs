import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { requireProjectNode } from './project-node.mjs';
import { warn } from './say.mjs';
import { ROOT, STATE } from './state.mjs';
import { missingInR } from './system-packages.mjs';

/** Where the gateway writes in a clone that is root's: this folder alone is handed over. */
const OWN_FOLDER = join(STATE, 'gateway');

/** Whom to run as where root starts this and the configuration names no user: a user that owns nothing. */
const USUAL = 'nobody';

/**
 * Started by root: the user to run as, with the folder it writes to; undefined: it stays the user it is.
 *
 * It is the user that the configuration names, or `nobody` where that can read all it needs. Else it stays root, and
 * says why.
 */
export function chooseUser({ user, configFile, routesFile, entries }) {
  if (process.getuid() !== 0 || user === 'root') return undefined;
  const account = accountOf(user ?? USUAL);
  if (account === undefined) return undefined; // The gateway says so itself.
  const needed = [join(ROOT, 'gateway'), join(ROOT, 'plumber-services'), configFile, routesFile, ...entries];
  const obstacle = user === undefined ? obstacleFor(account, needed) : undefined;
  if (obstacle !== undefined) {
    warn(`The gateway and R run as root: ${USUAL} ${obstacle}. 'user' in ${configFile} may name another.`);
    return undefined;
  }
  mkdirSync(OWN_FOLDER, { recursive: true });
  chownSync(OWN_FOLDER, account.uid, account.gid);
  return account;
}

/** What of a user's a process started for it needs. */
export function asUser(account, { env, ...options }) {
  if (account === undefined) return { ...options, env };
  const { name, uid, gid, home } = account;
  return { ...options, uid, gid, env: { ...env, HOME: home, USER: name, LOGNAME: name } };
}

function accountOf(user) {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find(entry => entry.startsWith(`${user}:`));
  if (line === undefined) return undefined;
  const [name, , uid, gid, , home] = line.split(':');
  return { name, uid: Number(uid), gid: Number(gid), home };
}

/** Prints the first of its arguments that it cannot read, or, beneath a folder, the first such file. */
const FIND_CLOSED = `
const { accessSync, constants, readdirSync, statSync } = require('fs');
const { join } = require('path');
const look = path => {
  try {
    if (!statSync(path).isDirectory()) return accessSync(path, constants.R_OK);
    readdirSync(path).forEach(name => look(join(path, name)));
  } catch (error) {
    if (error.code === 'ENOENT') return; // Said by those that need it.
    console.log(error.path);
    process.exit(0);
  }
};
process.argv.slice(1).forEach(look);
`;

/** Why that user cannot run this clone; undefined: it can. Asked as that user: rights are the system's to judge. */
function obstacleFor(account, paths) {
  const options = asUser(account, {
    env: process.env,
    encoding: 'utf8',
    cwd: '/',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const closed = execFileSync(requireProjectNode(), ['-e', FIND_CLOSED, ...paths], options).trim();
    if (closed !== '') return `cannot read ${closed}`;
  } catch {
    return `cannot run ${requireProjectNode()}`;
  }
  try {
    const missing = missingInR(undefined, options);
    return missing.length === 0 ? undefined : `does not find R's package ${missing[0]}`;
  } catch {
    return 'cannot run Rscript';
  }
}
