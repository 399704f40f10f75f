import { z } from 'zod';
import { Secret } from '../secret.ts';
import { duration, flaw, origin, size, text, whole } from './scalars.ts';

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
      .describe('How long an empty list is doubted after an outage, or after an index that went back.'),
    register: z
      .boolean()
      .default(true)
      .describe(
        'The gateway registers itself as service `penstock`, id `penstock-HOST-PORT`, with a TTL check. Its text may come to the UI late: an agent passes it on at once when the light changes, else every `check_update_interval` (5 minutes).',
      ),
    advertise: HostAndPort.optional().describe('What it registers. Default: `listen`’s port at this host’s address.'),
  })
  .transform(({ emptyHold, ...rest }) => ({ ...rest, emptyHoldMs: emptyHold }));

/** What a service may be made of: one of them. */
const WAYS = ['entry', 'script', 'rserve', 'onnx'] as const;

/** What only a script has. */
const SCRIPT_KEYS = ['input', 'warm', 'cpuMax', 'memoryMax'] as const;

const Local = z
  .strictObject({
    service: ServiceName,
    entry: text()
      .optional()
      .describe(
        'An R file with an API of Plumber, of any name, or a folder with `plumber.R`, `entrypoint.R` or `_server.yml` (Plumber2, where it is installed). R starts in its folder, with the library that renv keeps there.',
      ),
    rserve: text()
      .optional()
      .describe(
        'In place of `entry`: an R file that defines functions. Rserve runs it once; each of `instances` connections is a fork of that R. The route says which function is called: `rserve: { call: FUNCTION }`.',
      ),
    script: text()
      .optional()
      .describe(
        'In place of `entry`: an R script that Rscript runs once for each call, by POST on any path of its route. The body is its standard input; what it prints is the answer; what it writes to standard error goes to the log. A status other than 0 is 500 MODEL_FAILED.',
      ),
    onnx: text()
      .optional()
      .describe(
        'In place of `entry`: an ONNX file. It is run by onnxruntime-node, a package that you install, in processes of the gateway’s own: `POST /predict` takes rows, `GET /prototype` says their columns. Another version is taken when the file changes.',
      ),
    input: z
      .enum(['stdin', 'argument'])
      .optional()
      .describe(
        'How a script is given the body: as standard input (the default), or as its one argument (128 KiB at most).',
      ),
    warm: whole(0, 64)
      .optional()
      .describe(
        'Interpreters that are started before their call and wait at their standard input, so that a call does not pay R’s start. Default 0.',
      ),
    cpuMax: duration({ min: '1s', max: '1d' })
      .optional()
      .describe('Processor time that one run of a script may take, in whole seconds. Default 1m.'),
    memoryMax: size({ min: '64MiB', max: '1024GiB' })
      .optional()
      .describe('Address space that one run of a script may take. Default 4GiB.'),
    instances: whole(1, 256)
      .default(1)
      .describe(
        'How many R processes; of a script, how many runs at once; of an Rserve, how many calls; of an ONNX file, how many processes.',
      ),
    env: z
      .array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable'))
      .default([])
      .describe(
        'Names of variables of the gateway’s environment that R is given, beside the few that every R gets (PATH, HOME, LANG, TZ, R_*, …).',
      ),
  })
  .check(({ value, issues }) => {
    const add = (key: string, message: string, hint?: string) =>
      issues.push({ ...flaw(undefined, message, hint), path: key === '' ? [] : [key] });
    const { script, input, warm = 0 } = value;
    const written = WAYS.filter(way => value[way] !== undefined);
    const [first, ...more] = written;
    if (first === undefined)
      add('', 'needs `entry`, `script`, `rserve` or `onnx`', 'write entry: FOLDER, or script: FILE');
    for (const way of more) add(way, `is in place of \`${first}\`: only one of them`);
    if (script === undefined) {
      for (const key of SCRIPT_KEYS) if (value[key] !== undefined) add(key, `\`${key}\` is only for a \`script\``);
    } else if (input === 'argument' && warm > 0)
      add('warm', 'is only for `input: stdin`: an argument is there before R starts');
  })
  .transform(({ service, entry, rserve, script, onnx, instances, env, ...rest }) => {
    const common = { service, instances, env };
    if (script !== undefined) {
      return {
        ...{ kind: 'script' as const, ...common, script },
        ...{ input: rest.input ?? 'stdin', warm: rest.warm ?? 0 },
        ...{ cpuMsMax: rest.cpuMax ?? 60_000, memoryBytesMax: rest.memoryMax ?? 4 * 1024 ** 3 },
      };
    }
    if (onnx !== undefined) return { kind: 'onnx' as const, ...common, onnx };
    return {
      kind: rserve === undefined ? ('plumber' as const) : ('rserve' as const),
      ...common,
      entry: rserve ?? entry ?? '',
    };
  });

const Static = z.strictObject({
  service: ServiceName,
  instances: z
    .array(origin({ isOfInstance: true }))
    .min(1)
    .describe(
      'Where they listen: `http://10.0.0.5:8000`, `rserve://10.0.0.5:6311` or `grpc://10.0.0.5:50051`; by TLS `https://`, `rserves://`, `grpcs://`.',
    ),
});

/** Where the gateway knows instances from: one source or more; `lb://NAME` is the union of what they know of NAME. */
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
