import { join } from 'node:path';
import { ROOT } from '../gateway/setup/state.mjs';
import { sharingFiles } from './support/test-files.mjs';

// The tests of rules without I/O, as one file.
for (const path of sharingFiles()) await import(join(ROOT, path));
