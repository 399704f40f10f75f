import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Agent, request } from 'undici';
import { systemClock } from '../../gateway/edges/clock.ts';
import { ensureServer } from '../../test/support/servers.mjs';
import { ROOT } from '../../gateway/setup/state.mjs';
import { seeded } from '../../test/support/service-at-work.ts';
import { createPlace, type Place } from '../place.ts';
import { applicationHere } from '../upstreams/upstreams.ts';
import { COMPUTE_MS, makeCalls, toTable, TRAFFICS, waitsOf, type Call, type Case, type WaitRow } from './traffic.ts';

const INSTANCES = 4;
const LOADS = [0.3, 0.6, 0.9];
const READY_MS_MAX = 60_000;
const POLL_MS = 100;

/** Calls of which it is measured what a call costs R beyond the time it is asked to take. */
const PROBES = 40;

type Fronts = Readonly<Record<'one gateway' | 'two, with the rule' | 'two, without', readonly Gateway[]>>;

const HELP = `node gateway/setup/node.mjs bench/two-gateways/real.ts [OPTIONS]

  --seconds N    of each turn, ${LOADS.length} loads by 3 cases (15)
  --rounds N     of all of them (1)
  --mean MS      how long R takes for a call, on average (${COMPUTE_MS}): longer where the machine is slow or busy
  --traffic ID   ${TRAFFICS.map(({ id }) => id).join(', ')} (exponential)
`;

/**
 * One gateway and two, with the rule and without, before the same four real R in a real Consul, in turns: how long a
 * call took beyond the time R was asked to take. R waits instead of computing, so that four of them are four, on a
 * machine with fewer processors too.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '15' },
      rounds: { type: 'string', default: '1' },
      mean: { type: 'string', default: String(COMPUTE_MS) },
      traffic: { type: 'string', default: 'exponential' },
      help: { type: 'boolean', default: false },
    },
  });
  const traffic = TRAFFICS.find(({ id }) => id === values.traffic);
  if (values.help || traffic === undefined) {
    process.stdout.write(HELP);
    return;
  }
  const place = createPlace();
  const agent = new Agent({ connections: null, pipelining: 1 });
  try {
    const fronts = await openAll(place);
    const meanMs = Number(values.mean);
    const ownMs = await costOfR(fronts['one gateway'], agent);
    process.stderr.write(`a call costs R ${ownMs.toFixed(1)} ms beside what it is asked to take\n`);
    const rows: WaitRow[] = [];
    for (const load of LOADS) {
      const offeredLoad = (load * meanMs) / (meanMs + ownMs); // R's own share comes on top
      const calls = Math.round((Number(values.seconds) * 1_000 * offeredLoad * INSTANCES) / meanMs);
      const made = makeCalls(traffic, { calls, load: offeredLoad, instances: INSTANCES }, seeded(7));
      const turns = { fronts, rounds: Number(values.rounds), firstShare: traffic.firstShare, agent };
      rows.push(...(await takeTurns(stretched(made, meanMs / COMPUTE_MS), load, turns)));
    }
    process.stdout.write(`${traffic.title} (mean ${meanMs} ms), ${values.seconds} s each\n\n${toTable(rows)}\n`);
  } finally {
    await agent.close();
    await place.close();
  }
}

interface Turns extends Omit<Calling, 'gateways'> {
  readonly fronts: Fronts;
  readonly rounds: number;
}

/** The same calls for each case, and again in each round. */
async function takeTurns(made: readonly Call[], load: number, { fronts, rounds, ...calling }: Turns) {
  const waits = new Map<Case, number[]>();
  for (let round = 0; round < rounds; round++) {
    for (const [kind, gateways] of Object.entries(fronts) as [Case, readonly Gateway[]][]) {
      process.stderr.write(`${Math.round(load * 100)} %, ${kind}\n`);
      const some = await callAll(made, { gateways, ...calling });
      waits.set(kind, [...(waits.get(kind) ?? []), ...some]);
    }
  }
  return [...waits].map(([kind, some]): WaitRow => ({ kind, load, ...waitsOf(some) }));
}

function stretched(calls: readonly Call[], by: number): Call[] {
  return calls.map(({ atMs, computeMs, toward }) => ({ toward, atMs: atMs * by, computeMs: computeMs * by }));
}

/** All stand ready all the time. Gateways that do not register know of no other. */
async function openAll(place: Place): Promise<Fronts> {
  const consul = await startConsul(place);
  await startR(place, consul, INSTANCES);
  const start = (name: string, register: boolean) => startGateway(place, name, { consul, register });
  const fronts: Fronts = {
    'one gateway': [await start('one', false)],
    'two, with the rule': [await start('ruled-1', true), await start('ruled-2', true)],
    'two, without': [await start('unruled-1', false), await start('unruled-2', false)],
  };
  for (const [kind, gateways] of Object.entries(fronts)) {
    for (const gateway of gateways) await untilReady(gateway, kind === 'two, with the rule');
  }
  return fronts;
}

async function untilReady(gateway: Gateway, isShared: boolean): Promise<void> {
  const untilMs = systemClock.nowMs() + READY_MS_MAX;
  for (;;) {
    const instances = await gateway.instances();
    const ready = instances.filter(
      ({ state, preferredBy }) => state === 'in-rotation' && (preferredBy !== null) === isShared,
    );
    if (ready.length === INSTANCES) return;
    if (systemClock.nowMs() > untilMs) throw new Error(`not ready: ${JSON.stringify(instances)}`);
    await wait(POLL_MS);
  }
}

async function costOfR(gateways: readonly Gateway[], agent: Agent): Promise<number> {
  const calls = Array.from({ length: PROBES }, (_, i): Call => ({ atMs: 80 * i, toward: 0, computeMs: COMPUTE_MS }));
  const took = await callAll(calls, { gateways, firstShare: 1, agent });
  return waitsOf(took).p50Ms;
}

interface Calling {
  readonly gateways: readonly Gateway[];
  readonly firstShare: number;
  readonly agent: Agent;
}

/** Makes each call at its time, whatever became of those before. Resolves with what each took beyond R's own time. */
async function callAll(calls: readonly Call[], { gateways, firstShare, agent }: Calling): Promise<number[]> {
  const startedMs = systemClock.nowMs();
  return Promise.all(
    calls.map(async ({ atMs, toward, computeMs }) => {
      await wait(Math.max(0, startedMs + atMs - systemClock.nowMs()));
      const gateway = gateways[toward < firstShare || gateways.length === 1 ? 0 : 1];
      if (gateway === undefined) throw new Error('no gateway');
      const calledMs = systemClock.nowMs();
      const answer = await request(`${gateway.url}/work?ms=${computeMs.toFixed(2)}`, { dispatcher: agent });
      const text = await answer.body.text();
      if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${text}`);
      return systemClock.nowMs() - calledMs - computeMs;
    }),
  );
}

/** The name by which the instances register. */
const SERVICE = 'work';

/** A Consul agent whose data are in memory; gives its address. */
async function startConsul(place: Place): Promise<string> {
  const [http, serf, rpc] = [await place.port(), await place.port(), await place.port()];
  const url = `http://127.0.0.1:${http}`;
  const ports = ['-http-port', http, '-serf-lan-port', serf, '-server-port', rpc].map(String);
  const off = ['-dns-port', '-1', '-grpc-port', '-1', '-serf-wan-port', '-1'];
  const started = place.start('consul', {
    program: await ensureServer('consul'),
    args: ['agent', '-dev', '-bind', '127.0.0.1', ...ports, ...off],
  });
  await place.until(started, async () => ((await bodyOf(`${url}/v1/status/leader`)) ?? '') !== '');
  return url;
}

/** Real R processes that take as long as they are asked to, without the processor, and register in Consul. */
async function startR(place: Place, consul: string, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const temporary = place.path(`r-${i}.tmp`);
      mkdirSync(temporary);
      const started = place.start(`r-${i}`, {
        program: join(ROOT, 'plumber-services', 'serve.sh'),
        args: [applicationHere('mixed'), '--watch-stdin'],
        env: { CONSUL_HTTP_ADDR: consul, PENSTOCK_SERVICE_NAME: SERVICE, TMPDIR: temporary },
      });
      await place.until(started, () => started.log().includes('"event":"registered"'));
    }),
  );
}

/** A gateway as a process of its own. */
interface Gateway {
  readonly url: string;
  /** What it says of its instances. */
  instances(): Promise<readonly { readonly state: string; readonly preferredBy: string | null }[]>;
}

/** Starts one; `register` makes it known to the others, and so share with them. */
async function startGateway(
  place: Place,
  name: string,
  { consul, register }: { readonly consul: string; readonly register: boolean },
): Promise<Gateway> {
  const [port, adminPort] = [await place.port(), await place.port()];
  place.write(`${name}.routes.yaml`, ROUTES);
  const config = place.write(
    `${name}.yaml`,
    `listen: { host: 127.0.0.1, port: ${port} }
admin: { host: 127.0.0.1, port: ${adminPort} }
routes: ${name}.routes.yaml
discovery: { consul: { address: '${consul}', register: ${register}, snapshot: ${name}.json } }
log: { access: false }
drain: { grace: 0s, timeout: 5s }
`,
  );
  const started = place.start(name, {
    program: process.execPath,
    args: [join(ROOT, 'gateway', 'main.ts'), 'serve', '--config', config],
  });
  const admin = `http://127.0.0.1:${adminPort}`;
  await place.until(started, async () => (await bodyOf(`${admin}/readyz`)) !== undefined);
  return { url: `http://127.0.0.1:${port}`, instances: () => instancesAt(admin) };
}

const ROUTES = `
services: { ${SERVICE}: { queue: { depthMax: 10000, waitMax: 60s } } }
routes:
  - { id: work, uri: 'lb://${SERVICE}', predicates: ['Path=/work'], timeout: 60s }
`;

async function instancesAt(admin: string): Promise<Awaited<ReturnType<Gateway['instances']>>> {
  const response = await fetch(`${admin}/api/services`);
  const services = (await response.json()) as {
    service: string;
    instances: Awaited<ReturnType<Gateway['instances']>>;
  }[];
  return services.find(({ service }) => service === SERVICE)?.instances ?? [];
}

/** Undefined where it does not answer, or not well. */
async function bodyOf(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url);
    const text = await response.text();
    return response.ok ? text.replaceAll('"', '').trim() : undefined;
  } catch {
    return undefined;
  }
}

// Ending gently lets what was started be ended as well.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

await main();
