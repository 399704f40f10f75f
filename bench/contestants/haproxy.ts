import { ensureServer } from '../../test/support/servers.mjs';
import { answers, type Place } from '../place.ts';
import type { Behind, Contestant, Front } from './contestant.ts';

/** HAProxy set up by an operator who knows R: one call at a time to each, each on a fresh connection. */
export const haproxyTuned: Contestant = {
  id: 'haproxy-tuned',
  title: 'HAProxy, tuned for R',
  kind: 'peer',
  setUp: '`maxconn 1`, `leastconn`, `http-server-close`, `http-reuse never`, one thread, access log on',
  start: (place, behind) =>
    start(place, behind, {
      name: 'haproxy-tuned',
      defaults: ['option http-server-close'],
      backend: ['balance leastconn', 'http-reuse never'],
      server: `maxconn ${behind.concurrency}`,
    }),
};

/** HAProxy as it comes: connections to the instances stay open. */
export const haproxy: Contestant = {
  id: 'haproxy',
  title: 'HAProxy',
  kind: 'peer',
  setUp: 'its defaults (keep-alive on both sides), one thread, access log on',
  start: (place, behind) => start(place, behind, { name: 'haproxy', defaults: [], backend: [], server: '' }),
};

interface How {
  readonly name: string;
  readonly defaults: readonly string[];
  readonly backend: readonly string[];
  /** What is said of each server. */
  readonly server: string;
}

async function start(place: Place, behind: Behind, how: How): Promise<Front> {
  const address = `127.0.0.1:${await place.port()}`;
  const config = place.write(`${how.name}.cfg`, configOf(behind, how, address));
  const program = await ensureServer('haproxy');
  const started = place.start(how.name, { program, args: ['-db', '-f', config], core: behind.core });
  await place.until(started, () => answers(`http://${address}/`));
  return { addresses: [address], prefix: behind.prefix, process: { pid: started.pid } };
}

function configOf({ instances, prefix }: Behind, how: How, address: string): string {
  return `
global
  nbthread 1
  log stdout format raw local0

defaults
  mode http
  log global
  option httplog
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout queue 30s
  ${how.defaults.join('\n  ')}

frontend callers
  bind ${address}
  default_backend instances

backend instances
  ${how.backend.join('\n  ')}
  http-request replace-path ${prefix}/(.*) /\\1
${instances.map((instance, i) => `  server instance${i} ${instance} ${how.server}`).join('\n')}
`;
}
