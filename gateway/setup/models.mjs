import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runQuietly } from './command.mjs';
import { step } from './say.mjs';
import { ROOT } from './state.mjs';

/** Trains the models that are missing or older than what they are made from; with nothing to do it is quick. */
export async function trainModels(root = ROOT) {
  const script = join(root, 'plumber-services', 'train.sh');
  if (!existsSync(script)) return;
  await step('Training the models', report => runQuietly('sh', [script], { cwd: root, onLine: report }));
}
