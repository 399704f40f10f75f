import { fileURLToPath } from 'node:url';
import { systemClock } from '../../gateway/edges/clock.ts';
import { createLocalSource } from '../../gateway/edges/r-processes.ts';
import { systemRandom } from '../../gateway/edges/random.ts';
import { createScripts } from '../../gateway/edges/rscript/transport.ts';
import { Deadlines } from '../../gateway/domain/deadlines.ts';

// A process that keeps one R of its own, for a test that kills it. It writes R's notices, one JSON object a line.

const root = fileURLToPath(new URL('../../', import.meta.url));
const source = createLocalSource({
  entries: [{ kind: 'plumber', service: 'fuel', entry: `${root}plumber-services/fuel`, instances: 1, env: [] }],
  serveCommand: `${root}plumber-services/serve.sh`,
  ...{
    env: process.env,
    clock: systemClock,
    random: systemRandom,
    onRoster: () => undefined,
    sharedSecretOf: () => undefined,
  },
  scripts: createScripts({ clock: systemClock, deadlines: new Deadlines(systemClock), observe: () => undefined }),
  models: {
    keep() {
      throw new Error('it has no model');
    },
  },
  observe: event => process.stdout.write(`${JSON.stringify(event)}\n`),
});
source.follow(new Set(['fuel']));
