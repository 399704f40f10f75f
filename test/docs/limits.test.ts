import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { post } from '../support/call.ts';
import { startGateway, type ComposedGateway } from '../support/composed-gateway.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';
import { aToken, hmac } from '../support/tokens.ts';
import { aFolder } from '../support/folder.ts';

const page = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8');
const AWAY = 'redis does not answer: limits are counted as `onStoreFailure` says';
const SECRET = 'a secret of thirty-two bytes or more';

/** The page's examples: a routes file, and what callers are answered. */
const examples = page.split(/^## /m).flatMap(section => {
  const [, yaml, text] = /```yaml\n([^]*?)```\n\n```text\n([^]*?)```/.exec(section) ?? [];
  const [title = ''] = section.split('\n');
  return yaml === undefined || text === undefined ? [] : [{ title, yaml, lines: text.trim().split('\n') }];
});

function tokenOf(sub: string): string {
  const exp = Math.floor(Date.now() / 1000) + 3_600;
  return aToken({ alg: 'HS256' }, { iss: 'here', aud: 'penstock', sub, exp }, hmac(SECRET));
}

async function run(t: TestContext, { yaml, lines }: (typeof examples)[number]): Promise<void> {
  const upstream = await startUpstream(t, answer('[1]'));
  const folder = aFolder(t);
  const more = `limits: { file: ${join(folder, 'limits')} }
identity: { jwt: [{ issuer: here, audience: penstock, algorithms: [HS256], secret: '\${env:S}' }] }`;
  const routes = `services: { fuel: { concurrency: 64, health: { interval: 1h } } }\n${yaml}`;
  for (const part of lines.join('\n').split('\nrestart\n')) {
    await t.test(part, async own => {
      const gateway = await startGateway(own, {
        services: { fuel: [upstream.origin] },
        more,
        env: { S: SECRET },
        routes,
      });
      let tookMs: readonly number[] = [];
      for (const line of part.split('\n')) tookMs = await follow(gateway, line, tookMs);
    });
  }
}

/** Does what a line says, and holds it to what it says comes of that; tells how long the calls took. */
async function follow(gateway: ComposedGateway, line: string, before: readonly number[]): Promise<readonly number[]> {
  const calls = /^(\d+) calls? of (\w+)(?: with (\d+) rows)?( at once)?: ([\d ]+)$/.exec(line);
  const [, afterMs] = /^they are answered after ([\d, ]+) ms$/.exec(line) ?? [];
  if (afterMs !== undefined) {
    for (const [i, ms] of afterMs.split(', ').map(Number).entries()) {
      const took = before[i] ?? assert.fail(line);
      assert.ok(took >= ms - 2, `${line}: ${before.map(Math.round).join(', ')}`);
    }
  } else if (calls === null) {
    assert.match((await gateway.get('/metrics')).text, new RegExp(`^${line.replaceAll(/[{}"]/g, '\\$&')}$`, 'm'));
  } else return callAll(gateway, calls);
  return before;
}

async function callAll(
  gateway: ComposedGateway,
  [line, count, who = '', rows = '1', atOnce, statuses]: RegExpExecArray,
) {
  const body = JSON.stringify(Array.from({ length: Number(rows) }, () => ({ x: 1 })));
  const startedMs = performance.now();
  const send = async () => {
    const received = await gateway.call('/api/fuel/predict', post(body, { authorization: `Bearer ${tokenOf(who)}` }));
    return { status: received.status, tookMs: performance.now() - startedMs };
  };
  const sent = [];
  for (let i = 0; i < Number(count); i++) {
    const one = send();
    sent.push(one);
    if (atOnce === undefined) await one;
  }
  const received = await Promise.all(sent);
  assert.equal(received.map(({ status }) => status).join(' '), statuses, line);
  return received.map(({ tookMs }) => tookMs);
}

/** The only block of this language in the part of this title. */
function blockOf(title: string, language: string): string {
  const section = page.split(/^## /m).find(text => text.startsWith(`${title}\n`)) ?? assert.fail(title);
  return new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(section)?.[1] ?? assert.fail(language);
}

/** What is written on the page of each way to go on without Redis. */
const WITHOUT_REDIS = new Map(
  [...page.matchAll(/^\| `(allow|refuse|local)` \| (.*?) \|$/gm)].map(([, name = '', text = '']) => [name, text]),
);

describe('the page on limits', () => {
  assert.ok(examples.length >= 5);
  for (const example of examples) {
    test(`answers callers as its part on ${example.title.toLowerCase()} says`, t => run(t, example));
  }

  test('tells callers what it shows', async t => {
    const upstream = await startUpstream(t, answer('[1]'));
    const folder = aFolder(t);
    const [, routes = ''] = /```yaml\n([^]*?)```/.exec(page.split('## Quotas')[1] ?? '') ?? [];
    const gateway = await startGateway(t, {
      services: { fuel: [upstream.origin] },
      more: `limits: { file: ${join(folder, 'limits')} }`,
      routes: `services: { fuel: { concurrency: 64 } }\n${routes}`,
    });
    const shown = blockOf('What callers are told', 'http').trim().split('\n');
    for (let i = 0; i < 2; i++) await gateway.call('/api/fuel/predict');

    const { status, headers } = await gateway.call('/api/fuel/predict');

    const received = shown.map(line => {
      const name = line.split(':', 1)[0] ?? '';
      return `${name}: ${String(headers[name.toLowerCase()])}`;
    });
    const withoutTimes = (lines: readonly string[]) => lines.map(line => line.replaceAll(/(t=|After: )\d+/g, '$1N'));
    assert.deepEqual([status, withoutTimes(received)], [429, withoutTimes(shown)]);
    const [, first, , after] = /t=(\d+).*t=(\d+)[^]*After: (\d+)/.exec(received.join('\n')) ?? [];
    assert.ok(Number(first) > 50 && Number(first) <= 60, received.join());
    assert.equal(after, first, 'the time until every limit has room');
  });

  test('has two gateways admit together what one would, and do as it says while Redis is gone', async t => {
    assert.deepEqual([...WITHOUT_REDIS.keys()], ['allow', 'refuse', 'local']);
    const server = await startRedis(t, 'of the test');
    const upstream = await startUpstream(t, answer('[1]'));
    const shown = blockOf('Several gateways', 'yaml');
    const redis = shown.replace('redis://10.0.0.9:6379', server.url).replace('100ms', '5s'); // this machine is busy
    assert.ok(redis.includes(server.url));
    const routeOf = (id: string, limit: string) =>
      `  - { id: ${id}, uri: lb://fuel, predicates: ['Path=/${id}'], limits: [{ ${limit} }] }`;
    const start = (own: TestContext) =>
      startGateway(own, {
        services: { fuel: [upstream.origin] },
        more: redis,
        env: { REDIS_PASSWORD: 'of the test' },
        routes: `services: { fuel: { concurrency: 64, health: { interval: 1h } } }
routes:
${routeOf('load', 'rate: 200, per: 1m, by: route')}
${routeOf('ready', 'rate: 1000000, per: 1m, by: route, onStoreFailure: refuse')}
${[...WITHOUT_REDIS.keys()].map(id => routeOf(id, `rate: 4, per: 1m, by: route, onStoreFailure: ${id}`)).join('\n')}`,
      });
    const one = await start(t);
    await t.test('each of them with its own connection', async own => {
      const gateways = [one, await start(own)] as const;
      const statuses = async (path: string, calls: number) => {
        const each = Array.from({ length: calls }, (_, i) => (i % 2 === 0 ? gateways[0] : gateways[1]).call(path));
        return (await Promise.all(each)).map(({ status }) => status).toSorted();
      };
      const isShared = () => gateways.every(({ log }) => log.of('notice').at(-1)?.['text'] !== AWAY);
      await until(async () => (await statuses('/ready', 2)).join() === '200,200', 'both are connected');

      const load = await statuses('/load', 300);
      assert.deepEqual(
        [200, 429].map(status => load.filter(each => each === status).length),
        [200, 100],
      );
      assert.deepEqual(await statuses('/local', 6), [200, 200, 200, 200, 429, 429]);

      await server.kill();
      await until(async () => (await statuses('/ready', 2)).join() === '503,503', 'both have missed it');
      assert.deepEqual(await statuses('/allow', 12), Array(12).fill(200));
      const { headers, code } = await one.call('/refuse');
      assert.deepEqual([code, headers['retry-after']], ['LIMITS_UNAVAILABLE', '1']);
      const alone = await statuses('/local', 12);
      assert.equal(alone.filter(status => status === 200).length, 8, 'each gateway counts for itself');

      await server.start();
      await until(async () => (await statuses('/ready', 2)).join() === '200,200', 'both have it back');
      assert.deepEqual(await statuses('/allow', 6), [200, 200, 200, 200, 429, 429]);
      assert.ok(isShared());
    });
  });
});
