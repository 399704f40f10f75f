import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'penstock-script-';

/** A new folder for one run of a script. Its name says whose it is, so that the next gateway knows what a killed one has left. */
export function makeWorkFolder(): string {
  return mkdtempSync(join(tmpdir(), `${PREFIX}${OWNER}-`));
}

/** Removes it, with all that the script has left in it. Never rejects: the system clears its temporary files. */
export async function removeWorkFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch(() => undefined);
}

/** Removes those of gateways that are no longer there. Links are not followed, and another user's folders left alone. */
export function removeAbandonedFolders(): void {
  const folder = tmpdir();
  for (const name of namesIn(folder)) {
    const [, owner = OWNER] = NAME.exec(name) ?? [];
    if (!hasEnded(owner)) continue;
    const path = join(folder, name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isDirectory() === true && found.uid === process.getuid?.()) void removeWorkFolder(path);
  }
}

const NAME = /^penstock-script-(\d+-\d+-\d+)-\w{6}$/;

/** A process: its number, among which of them it is one (pid_namespaces(7)), and when it began, since numbers are used again. */
const OWNER = ownerOf(process.pid) ?? 'unknown';

function ownerOf(pid: number): string | undefined {
  try {
    const among = readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const began = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]; // proc_pid_stat(5)
    return `${among}-${pid}-${began}`;
  } catch {
    return undefined; // it has ended, or the system does not say
  }
}

/** Of one that has other numbers than this process that is not known. */
function hasEnded(owner: string): boolean {
  const [among, pid] = owner.split('-');
  return OWNER.startsWith(`${among}-`) && ownerOf(Number(pid)) !== owner;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // no script runs then either
  }
}
