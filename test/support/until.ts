import { setTimeout } from 'node:timers/promises';

/** Waits until `holds`, where a foreign process gives no event to wait for; fails after `waitMsMax`. */
export async function until(holds: () => boolean | Promise<boolean>, what: string, waitMsMax = 60_000): Promise<void> {
  const endMs = performance.now() + waitMsMax;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`not within ${waitMsMax} ms: ${what}`);
    await setTimeout(50);
  }
}
