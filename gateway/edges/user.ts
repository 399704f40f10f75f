import { execFileSync } from 'node:child_process';
import { accessSync, chownSync, constants, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** A user of this machine. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** All the groups it is in. */
  readonly groups: readonly number[];
  readonly home: string;
}

/** True where this process may become any user. */
export function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

/** The account of a user; undefined: there is none of that name. */
export function findAccount(user: string): Account | undefined {
  const [name = '', , uid, gid, , home = '/'] = (lookUpDirectory(user) ?? readPasswd(user) ?? '').trim().split(':');
  return name === '' ? undefined : { name, uid: Number(uid), gid: Number(gid), groups: groupsOf(name), home };
}

/** Becomes that user, with the groups it is in, for good. Throws where the system refuses. */
export function becomeUser({ name, uid, gid, groups }: Account): void {
  process.setgroups?.([...groups]);
  process.setgid?.(gid);
  process.setuid?.(uid);
  if (process.getuid?.() !== uid || isRoot()) throw new Error(`cannot become ${name}`);
}

/** Makes a folder that is not there yet, and hands it over. One that cannot be made is reported by what needs it. */
export function makeFolderFor({ uid, gid }: Account, folder: string): void {
  try {
    const isNew = mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined;
    if (isNew) chownSync(folder, uid, gid);
  } catch {
    // See above.
  }
}

/** Whether this process can write a file, or make it where it is not there yet, or is replaced each time. */
export function canWrite(file: string, isReplaced: boolean): boolean {
  try {
    accessSync(dirname(file), constants.W_OK);
    if (!isReplaced && existsSync(file)) accessSync(file, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Users may also stand in a directory, of which only the C library knows. */
function lookUpDirectory(user: string): string | undefined {
  try {
    return execFileSync('getent', ['passwd', user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return undefined; // There is none, or no such program.
  }
}

function groupsOf(name: string): number[] {
  return execFileSync('id', ['-G', name], { encoding: 'utf8' }).trim().split(' ').map(Number);
}

function readPasswd(user: string): string | undefined {
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  return lines.find(line => line.startsWith(`${user}:`));
}
