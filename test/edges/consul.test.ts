import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test, type TestContext } from 'node:test';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type { Roster, RosterEntry, RosterSource } from '../../gateway/domain/roster.ts';
import { formatSnapshot } from '../../gateway/domain/discovery/snapshot-text.ts';
import { systemClock, systemRandom } from '../../gateway/edges/clock.ts';
import { createConsulSource, type ConsulSourceConfig } from '../../gateway/edges/consul.ts';
import type { ConsulPace } from '../../gateway/edges/consul-watch.ts';
import { startConsulAgent, type ConsulAgent } from '../support/consul-agent.ts';

const briskPace: ConsulPace = {
  waitMs: 30_000,
  answerMsMax: 5_000,
  betweenMsMin: 20,
  backOff: { baseMs: 20, maxMs: 100 },
};

/** A source, what it told, and a way to wait for what it will tell. */
interface Watched {
  readonly source: RosterSource;
  readonly events: readonly GatewayEvent[];
  /** The entries of `fuel`, as told last. */
  fuel(): readonly RosterEntry[] | undefined;
  /** Resolves when the entries of `fuel` meet the condition. */
  fuelIs(holds: (entries: readonly RosterEntry[]) => boolean): Promise<readonly RosterEntry[]>;
  event(kind: GatewayEvent['kind']): Promise<GatewayEvent>;
  count(kind: GatewayEvent['kind']): number;
}

function watchFuel(
  t: TestContext,
  config: Partial<ConsulSourceConfig> & { address: string },
  pace: ConsulPace = briskPace,
): Watched {
  const reported = new EventEmitter<{ roster: []; event: [] }>();
  const events: GatewayEvent[] = [];
  let roster: Roster | undefined;
  const source = createConsulSource({
    config: {
      ...{ token: undefined, datacenter: undefined, tag: undefined, snapshotPath: undefined, emptyHoldMs: 60_000 },
      ...config,
    },
    ...{ clock: systemClock, random: systemRandom, pace },
    observe: event => {
      events.push(event);
      reported.emit('event');
    },
    onRoster: next => {
      roster = next;
      reported.emit('roster');
    },
  });
  t.after(() => source.close());
  const fuel = () => roster?.services.get('fuel');

  source.follow(new Set(['fuel']));
  return {
    source,
    events,
    fuel,
    async fuelIs(holds) {
      for (let now = fuel(); ; now = fuel()) {
        if (now !== undefined && holds(now)) return now;
        await once(reported, 'roster');
      }
    },
    async event(kind) {
      for (;;) {
        const found = events.find(event => event.kind === kind);
        if (found !== undefined) return found;
        await once(reported, 'event');
      }
    },
    count: kind => events.filter(event => event.kind === kind).length,
  };
}

const hasCount = (count: number) => (entries: readonly RosterEntry[]) => entries.length === count;
const hasHealth = (health: string) => (entries: readonly RosterEntry[]) => entries[0]?.health === health;

/** Registers an instance with a check that the test itself sets. */
async function register(agent: ConsulAgent, id: string, more: Record<string, unknown> = {}): Promise<void> {
  const check = { Name: 'ping', TTL: '10m', Status: 'passing' };
  const port = 9000 + Number(id.at(-1));
  await agent.put('/v1/agent/service/register', {
    ...{ Name: 'fuel', ID: id, Address: '127.0.0.1', Port: port, Check: check },
    ...more,
  });
}

/** A TCP server on a free port that leaves everything to `onConnection`. */
async function listen(t: TestContext, server: Server | ReturnType<typeof createHttpServer>): Promise<string> {
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket: { destroy(): void }) => sockets.add(socket));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await once(server.close(), 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Folders are removed after all tests: sources that close later write their snapshot once more. */
const folders: string[] = [];
after(() => Promise.all(folders.map(path => rm(path, { recursive: true, force: true }))));

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'penstock-'));
  folders.push(path);
  return path;
}

describe('a Consul source', { concurrency: false }, () => {
  test('reports an instance as soon as it is registered, without asking again, with all Consul knows of it', async t => {
    const agent = await startConsulAgent(t);
    const watched = watchFuel(t, { address: agent.url });
    await watched.fuelIs(hasCount(0));
    assert.equal(watched.source.age().isKnown, true);

    const startedMs = performance.now();
    await register(agent, 'fuel-1', {
      Meta: { version: '1.2.0', model: 'fuel', concurrency: '4' },
      Weights: { Passing: 10, Warning: 2 },
    });
    const [entry] = await watched.fuelIs(hasCount(1));

    assert.ok(performance.now() - startedMs < 25_000, 'a query that hears of nothing asks again after 30 s');
    assert.deepEqual(entry, {
      ...{ id: 'fuel-1', origin: 'http://127.0.0.1:9001', source: 'consul', weight: 10 },
      ...{ health: 'passing', healthNote: null, version: '1.2.0', model: 'fuel', concurrency: 4 },
    });
  });

  test('follows an instance through warning, critical and maintenance, and says why', async t => {
    const agent = await startConsulAgent(t);
    await register(agent, 'fuel-1', { Weights: { Passing: 10, Warning: 2 } });
    const watched = watchFuel(t, { address: agent.url });
    await watched.fuelIs(hasHealth('passing'));

    await agent.put('/v1/agent/check/warn/service:fuel-1?note=slow%0Atoday');
    const [warned] = await watched.fuelIs(hasHealth('warning'));
    assert.deepEqual([warned?.weight, warned?.healthNote], [2, 'ping: slow\\ntoday']);

    await agent.put('/v1/agent/check/fail/service:fuel-1?note=down');
    const [failed] = await watched.fuelIs(hasHealth('critical'));
    assert.equal(failed?.healthNote, 'ping: down');

    await agent.put('/v1/agent/service/maintenance/fuel-1?enable=true&reason=new+disk');
    const [maintained] = await watched.fuelIs(hasHealth('maintenance'));
    assert.match(String(maintained?.healthNote), /new disk/);

    await agent.put('/v1/agent/service/maintenance/fuel-1?enable=false');
    await agent.put('/v1/agent/check/pass/service:fuel-1');
    await watched.fuelIs(hasHealth('passing'));
    await agent.put('/v1/agent/maintenance?enable=true&reason=reboot');
    const [onNode] = await watched.fuelIs(hasHealth('maintenance'));
    assert.match(String(onNode?.healthNote), /reboot/);
  });

  test('believes at once that an instance was deregistered, even the last', async t => {
    const agent = await startConsulAgent(t);
    await register(agent, 'fuel-1');
    const watched = watchFuel(t, { address: agent.url });
    await watched.fuelIs(hasCount(1));

    await agent.put('/v1/agent/service/deregister/fuel-1');

    await watched.fuelIs(hasCount(0));
    assert.equal(watched.count('roster-doubted'), 0);
  });

  test('keeps the last roster while Consul is away, and when it comes back empty', async t => {
    const agent = await startConsulAgent(t);
    await register(agent, 'fuel-1');
    await register(agent, 'fuel-2');
    const watched = watchFuel(t, { address: agent.url });
    await watched.fuelIs(hasCount(2));

    await agent.kill();
    await watched.event('source-lost');
    assert.equal(watched.source.age().isStale, true);
    await agent.start();
    await watched.event('source-back');
    await watched.event('roster-doubted');
    assert.equal(watched.fuel()?.length, 2);
    assert.equal(watched.source.age().isStale, false);

    await register(agent, 'fuel-2', { Port: 9102 });
    const entries = await watched.fuelIs(all => all.some(({ origin }) => origin.endsWith(':9102')));
    assert.deepEqual(entries.map(({ id }) => id).sort(), ['fuel-1', 'fuel-2'], 'the missing one is still believed in');
    assert.deepEqual([watched.count('source-lost'), watched.count('source-back')], [1, 1]);
  });

  test('believes an empty list after an outage once the doubt has lasted long enough', async t => {
    const agent = await startConsulAgent(t);
    await register(agent, 'fuel-1');
    const watched = watchFuel(t, { address: agent.url, emptyHoldMs: 300 });
    await watched.fuelIs(hasCount(1));

    await agent.kill();
    await watched.event('source-lost');
    await agent.start();

    await watched.fuelIs(hasCount(0));
    assert.equal(watched.count('roster-doubted'), 1);
  });

  test('shows only instances with its tag', async t => {
    const agent = await startConsulAgent(t);
    await register(agent, 'fuel-1', { Tags: ['v1'] });
    await register(agent, 'fuel-2', { Tags: ['v2'] });

    const watched = watchFuel(t, { address: agent.url, tag: 'v2' });

    const [entry] = await watched.fuelIs(hasCount(1));
    assert.equal(entry?.id, 'fuel-2');
  });

  test('reports a malformed registration once and takes the others', async t => {
    const agent = await startConsulAgent(t);
    await register(agent, 'fuel-1');
    await register(agent, 'fuel-2', { Port: 0 });
    await register(agent, 'fuel-3', { Address: 'no host' });
    const watched = watchFuel(t, { address: agent.url });
    await watched.fuelIs(hasCount(1));

    await register(agent, 'fuel-4');
    await watched.fuelIs(hasCount(2));

    const reports = watched.events.filter(event => event.kind === 'registration-malformed');
    assert.deepEqual(reports.map(({ instance }) => instance).sort(), ['fuel-2', 'fuel-3']);
  });

  test('asks no more of a service that is no longer followed', async t => {
    const requested = new EventEmitter<{ service: [string]; left: [string] }>();
    const address = await listen(
      t,
      createHttpServer((request: IncomingMessage, response: ServerResponse) => {
        const service = String(request.url).replace(/.*service\/(\w+).*/, '$1');
        requested.emit('service', service);
        response.once('close', () => requested.emit('left', service));
      }),
    );
    const watched = watchFuel(t, { address });
    await once(requested, 'service');

    const left = once(requested, 'left');
    watched.source.follow(new Set(['iris']));

    assert.deepEqual(await left, ['fuel']);
    assert.deepEqual(watched.events, []);
  });

  test('sends its token, datacenter and wait, and asks with an index that blocks', async t => {
    const requested: IncomingMessage[] = [];
    const reported = new EventEmitter<{ requested: [] }>();
    const address = await listen(
      t,
      createHttpServer((request: IncomingMessage, response: ServerResponse) => {
        requested.push(request);
        reported.emit('asked');
        if (requested.length < 4) {
          const index = ['7', '0', '5'][requested.length - 1] ?? '';
          response.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': index }).end('[]');
        }
      }),
    );
    watchFuel(t, { address, token: 's3cret', datacenter: 'east' });
    while (requested.length < 4) await once(reported, 'asked');

    const queries = requested.map(({ url }) => new URL(String(url), address).searchParams);
    assert.deepEqual(
      requested.map(({ headers }) => headers['x-consul-token']),
      Array(4).fill('s3cret'),
    );
    assert.deepEqual(
      queries.map(query => query.get('dc')),
      Array(4).fill('east'),
    );
    // 7 waits for more; 0 is behind 7, so it starts anew; then 5 is ahead of 0.
    assert.deepEqual(
      queries.map(query => query.get('index')),
      [null, '7', null, '5'],
    );
    assert.deepEqual(
      queries.map(query => query.get('wait')),
      [null, '30000ms', null, '30000ms'],
    );
  });

  test('doubts an empty list when the index went back', async t => {
    let requested = 0;
    const address = await listen(
      t,
      createHttpServer((_request: IncomingMessage, response: ServerResponse) => {
        requested += 1;
        if (requested > 2) return;
        const instance = {
          Node: { Node: 'n', Address: '127.0.0.1' },
          Service: { ID: 'fuel-1', Port: 9001 },
          Checks: [],
        };
        const head = { 'content-type': 'application/json', 'x-consul-index': requested === 1 ? '90' : '12' };
        response.writeHead(200, head).end(JSON.stringify(requested === 1 ? [instance] : []));
      }),
    );
    const watched = watchFuel(t, { address });

    await watched.event('roster-doubted');

    assert.equal(watched.fuel()?.length, 1);
    assert.equal(watched.count('source-lost'), 0);
  });

  test('notices a query that hangs', async t => {
    const swallowing = createServer(socket => socket.on('error', () => undefined).resume());
    const address = await listen(t, swallowing);

    const watched = watchFuel(t, { address }, { ...briskPace, answerMsMax: 100 });

    const lost = await watched.event('source-lost');
    assert.match(lost.kind === 'source-lost' ? lost.problem : '', /no answer within 100 ms/);
    assert.deepEqual([watched.source.age().isStale, watched.source.age().isKnown], [true, false]);
  });

  test('notices an answer that is cut off in its middle', async t => {
    const address = await listen(
      t,
      createHttpServer((_request: IncomingMessage, response: ServerResponse) => {
        response.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': '3', 'content-length': '99' });
        response.write('[', () => response.destroy());
      }),
    );

    const watched = watchFuel(t, { address });

    const lost = await watched.event('source-lost');
    assert.match(lost.kind === 'source-lost' ? lost.problem : '', /broke off within its answer/);
  });

  for (const [what, status, headers, body] of [
    ['a refusal', 403, { 'x-consul-index': '1' }, 'Permission denied'],
    ['an answer without index', 200, { 'content-type': 'application/json' }, '[]'],
    ['an answer that is no list', 200, { 'content-type': 'application/json', 'x-consul-index': '1' }, '{}'],
    ['broken JSON', 200, { 'content-type': 'application/json', 'x-consul-index': '1' }, '[{'],
    [
      'an empty list of what the token may not see',
      ...[
        200,
        { 'content-type': 'application/json', 'x-consul-index': '1', 'x-consul-results-filtered-by-acls': 'true' },
        '[]',
      ],
    ],
  ] as const) {
    test(`takes ${what} for an outage`, async t => {
      const address = await listen(
        t,
        createHttpServer((_request: IncomingMessage, response: ServerResponse) => {
          response.writeHead(status, headers).end(body);
        }),
      );

      const watched = watchFuel(t, { address });

      await watched.event('source-lost');
      assert.equal(watched.fuel(), undefined);
    });
  }

  test('serves from its snapshot where it starts while Consul is away', async t => {
    const path = join(await folder(), 'state', 'roster.json');
    const agent = await startConsulAgent(t);
    await register(agent, 'fuel-1');
    const before = watchFuel(t, { address: agent.url, snapshotPath: path });
    const known = await before.fuelIs(hasCount(1));
    await before.source.close();
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    await agent.kill();

    const after = watchFuel(t, { address: agent.url, snapshotPath: path });

    assert.deepEqual(await after.fuelIs(hasCount(1)), known);
    assert.deepEqual([after.source.age().isStale, after.source.age().isKnown], [true, true]);
    assert.equal(after.count('source-lost'), 1);
    await agent.start();
    await after.event('roster-doubted');
    assert.equal(after.fuel()?.length, 1);
  });

  test('leaves its snapshot as it is until Consul speaks', async t => {
    const path = join(await folder(), 'roster.json');
    const agent = await startConsulAgent(t);
    await register(agent, 'fuel-1');
    const before = watchFuel(t, { address: agent.url, snapshotPath: path });
    await before.fuelIs(hasCount(1));
    await before.source.close();
    await agent.kill();
    const written = await readFile(path, 'utf8');

    const early = watchFuel(t, { address: agent.url, snapshotPath: path });
    await early.source.close();
    const later = watchFuel(t, { address: agent.url, snapshotPath: path });
    await later.fuelIs(hasCount(1));
    await later.source.close();

    assert.equal(await readFile(path, 'utf8'), written);
  });

  test('keeps in its snapshot the services of which Consul has not spoken yet', async t => {
    const path = join(await folder(), 'roster.json');
    const agent = await startConsulAgent(t);
    await register(agent, 'fuel-1');
    const known = await watchFuel(t, { address: agent.url }).fuelIs(hasCount(1));
    const address = await listen(
      t,
      createHttpServer(({ url = '' }: IncomingMessage, response: ServerResponse) => {
        if (url.includes('/fuel'))
          response.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': '1' }).end('[]');
      }),
    );
    const services = new Map([['iris', known]]);
    await writeFile(path, formatSnapshot({ services, updatedMs: 0 }, { address, datacenter: '', tag: '' }));

    const watched = watchFuel(t, { address, snapshotPath: path });
    watched.source.follow(new Set(['fuel', 'iris']));
    await watched.fuelIs(hasCount(0));
    await watched.source.close();

    const kept = JSON.parse(await readFile(path, 'utf8')) as {
      services: Record<string, RosterEntry[]>;
      heardAt: string;
    };
    assert.deepEqual([kept.services['fuel']?.length, kept.services['iris']?.[0]?.id], [0, 'fuel-1']);
    assert.equal(kept.heardAt, '1970-01-01T00:00:00.000Z');
  });

  test('believes Consul, not the snapshot, where Consul answers', async t => {
    const path = join(await folder(), 'roster.json');
    const agent = await startConsulAgent(t);
    await register(agent, 'fuel-1');
    const before = watchFuel(t, { address: agent.url, snapshotPath: path });
    await before.fuelIs(hasCount(1));
    await before.source.close();
    await agent.put('/v1/agent/service/deregister/fuel-1');

    const after = watchFuel(t, { address: agent.url, snapshotPath: path });

    await after.fuelIs(hasCount(0));
    assert.deepEqual(after.events, []);
  });

  test('reports a broken snapshot, ignores it and writes a new one', async t => {
    const path = join(await folder(), 'roster.json');
    await writeFile(path, '{"version":1,');
    const agent = await startConsulAgent(t);
    await register(agent, 'fuel-1');

    const watched = watchFuel(t, { address: agent.url, snapshotPath: path });

    assert.equal(watched.count('notice'), 1);
    await watched.fuelIs(hasCount(1));
    await watched.source.close();
    assert.match(await readFile(path, 'utf8'), /"fuel-1"/);
  });
});
