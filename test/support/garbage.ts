import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/**
 * Takes away all that nothing holds any more. What this very turn of the event loop has touched stays. A collection leaves
 * the memory of buffers to another thread; the next one waits for it.
 */
export function collectGarbage(): void {
  collect();
  collect();
}
