import { join } from 'node:path';
import { ROOT } from '../../gateway/setup/state.mjs';
import type { Place } from '../place.ts';

/** Starts real R processes that serve the model `fuel`, and gives their addresses. */
export async function startFuel(place: Place, instances: number): Promise<string[]> {
  return Promise.all(Array.from({ length: instances }, (_, i) => startOne(place, `fuel-${i}`)));
}

async function startOne(place: Place, name: string): Promise<string> {
  const serve = join(ROOT, 'plumber-services', 'serve.sh');
  const started = place.start(name, { program: serve, args: ['fuel', '--watch-stdin'], env: { CONSUL_HTTP_ADDR: '' } });
  const portOf = () => /"event":"listening".*"port":(\d+)/.exec(started.log())?.[1];
  await place.until(started, () => portOf() !== undefined);
  return `127.0.0.1:${portOf() ?? ''}`;
}
