import { z } from 'zod';
import { Secret } from '../secret.ts';
import { duration, flaw, origin, text, whole } from './scalars.ts';

/** What may stand after `lb://`. */
export const SERVICE_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/;

const ServiceName = z
  .string()
  .regex(SERVICE_NAME, 'must be a name of letters, digits, `.`, `_` and `-`')
  .describe('The name, as in `lb://NAME`.');

const HostAndPort = z
  .string()
  .regex(/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}$/, 'must be HOST:PORT')
  .meta({ examples: ['10.0.0.7:8080'] });

const Consul = z
  .strictObject({
    address: origin({ mayOmitScheme: true })
      .prefault('http://127.0.0.1:8500')
      .describe('The Consul agent, best the one on this machine.'),
    token: z
      .string()
      .default('')
      .transform(token => (token === '' ? undefined : new Secret(token)))
      .describe(
        'The ACL token: `${env:CONSUL_HTTP_TOKEN:-}`. It needs to read services and nodes, and to write `penstock`.',
      ),
    datacenter: text().optional().describe('Default: the agent’s.'),
    tag: text().optional().describe('Only instances with this tag. Default: all.'),
    snapshot: text()
      .default('../.state/roster.json')
      .describe('The last good roster on disk: a restart while Consul is down still serves.'),
    emptyHold: duration({ min: '0ms', max: '1h' })
      .prefault('60s')
      .describe('After an outage, or an index that went back, an empty list is doubted for so long.'),
    register: z
      .boolean()
      .default(true)
      .describe(
        'The gateway registers itself as service `penstock`, id `penstock-HOST-PORT`, with a TTL check. Its text may come to the UI late: an agent passes it on at once when the light changes, else every `check_update_interval` (5 minutes).',
      ),
    advertise: HostAndPort.optional().describe('What it registers. Default: `listen`’s port at this host’s address.'),
  })
  .transform(({ emptyHold, ...rest }) => ({ ...rest, emptyHoldMs: emptyHold }));

const Local = z.strictObject({
  service: ServiceName,
  entry: text().describe('The folder of the R service: where its `plumber.R` is.'),
  instances: whole(1, 256).default(1).describe('How many R processes.'),
  env: z
    .array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable'))
    .default([])
    .describe(
      'Names of variables of the gateway’s environment that R is given, beside the few that every R gets (PATH, HOME, LANG, TZ, R_*, …).',
    ),
});

const Static = z.strictObject({
  service: ServiceName,
  instances: z.array(origin()).min(1).describe('Where they listen: `http://10.0.0.5:8000`.'),
});

/** Where instances are known from. One or more; `lb://NAME` is the union of what they know of NAME. */
export const Discovery = z
  .strictObject({
    consul: Consul.optional().describe('Services registered in Consul.'),
    local: z
      .array(Local)
      .default([])
      .describe('R processes that the gateway starts and watches itself: no Consul needed.'),
    static: z.array(Static).default([]).describe('Instances at addresses that do not change.'),
  })
  .check(({ value, issues }) => {
    for (const key of ['local', 'static'] as const) {
      for (const { at, name } of repeated(value[key].map(({ service }) => service))) {
        issues.push({ ...flaw(name, `the service ${name} is listed already`), path: [key, at, 'service'] });
      }
    }
  });

/** Names that stand in a list for a second time, and where. */
function repeated(names: readonly string[]): { at: number; name: string }[] {
  return names.map((name, at) => ({ at, name })).filter(({ name, at }) => names.indexOf(name) < at);
}
