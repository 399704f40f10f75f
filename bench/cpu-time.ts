import { readFileSync } from 'node:fs';

/** Linux counts processor time in hundredths of a second, whatever the kernel's own clock. */
const MS_A_TICK = 10;

/** Processor time that a process and its living descendants have used; undefined where there is no /proc. */
export function cpuMsOf(pid: number): number | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    const own = (Number(fields[11]) + Number(fields[12])) * MS_A_TICK;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    return children.reduce((sum, child) => sum + (cpuMsOf(Number(child)) ?? 0), own);
  } catch {
    return undefined; // No Linux, or ended meanwhile.
  }
}
