import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Takes away all that nothing holds any more. What this very turn of the event loop has touched stays. */
export const collectGarbage = runInNewContext('gc') as () => void;
