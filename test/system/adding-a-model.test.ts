import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { call, post } from '../support/call.ts';
import { bearer } from '../support/cluster.ts';
import { startConsulAgent, type ConsulAgent } from '../support/consul-agent.ts';
import { IDENTITY, startGatewayProcess, type GatewayProcess } from '../support/gateway-process.ts';
import { killGroup, startPlumberService } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';
import { freePort } from '../support/node-server.ts';
import { aFolder } from '../support/folder.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = readFileSync(join(root, 'docs/adding-a-model.md'), 'utf8');

/** A block of code of the page, and the file it is said to be. */
interface Block {
  readonly path: string | undefined;
  readonly language: string;
  readonly code: string;
}

const OF_1 = sectionOf('1. A plumber.R of yours');
const OF_2 = sectionOf('2. An R that runs elsewhere');
const OF_3 = sectionOf('3. R processes in Consul');
const OF_4 = sectionOf('4. Who may call, browsers, large bodies');
const OF_5 = sectionOf('5. A model without an API');

/** A caller that the routes of the page let in. */
const CALLER = bearer('me', { scope: 'predict' });

describe('docs/adding-a-model.md, followed to the letter,', () => {
  test('leads from a plumber.R to calls through the gateway, by `local`, and says who may call how', async t => {
    const clone = aClone(t, OF_1);

    const gateway = await startGateway(t, clone, { local: yamlOf(OF_1, 'local'), routes: yamlOf(OF_1, 'routes') });

    assert.equal(await mpgBy(gateway), 23.57, 'the curl command of section 1');

    // Section 4 says who may call, from which pages, how often and how much.
    writeFileSync(gateway.routesFile, JSON.stringify({ routes: yamlOf(OF_4, 'yaml') }));
    assert.equal((await gateway.reload()).status, 200);
    const send = (traits: object) => gateway.call('/api/mpg/predict', traits);
    const origin = 'https://app.example.org';

    const stranger = await send(post([]));
    const preflight = await send({ method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } });
    const large = await send(post(' '.repeat(8 * 1024 * 1024 + 1), CALLER));
    const many = await Promise.all(Array.from({ length: 100 }, () => send(post([{ wt: 2.62, hp: 110 }], CALLER))));

    assert.equal(stranger.status, 401);
    assert.equal(preflight.headers['access-control-allow-origin'], origin);
    assert.equal(large.status, 413);
    assert.deepEqual([...new Set(many.map(({ status }) => status))].sort(), [200, 429]);
  });

  test('leads to an R that runs elsewhere, by `static` and by Consul', async t => {
    const clone = aClone(t, OF_1);
    const [routes, port] = [yamlOf(OF_1, 'routes'), await freePort()];
    const consul = await startConsulAgent(t);
    const here = (code: string) =>
      code.replaceAll('127.0.0.1:8500', new URL(consul.url).host).replaceAll('8000', String(port));
    startShell(t, clone, here(shellOf(OF_2, /pr_run/)));
    await until(() => isAnswered(`http://127.0.0.1:${port}/openapi.json`), 'R listens', 60_000);

    const byStatic = await startGateway(t, clone, { ...discoveryOf(OF_2, here), routes });
    const answer = await mpgBy(byStatic);
    execFileSync('sh', ['-ec', here(shellOf(OF_3, /curl/))], { cwd: clone, stdio: 'ignore' });
    const byConsul = await startGateway(t, clone, { ...discoveryOf(OF_3, here), routes });

    assert.equal(answer, 23.57);
    await until(async () => (await mpgBy(byConsul)) === 23.57, 'Consul says that R is well', 60_000);
    assert.equal((await byConsul.service('mpg')).instances[0]?.version, '1.0.0');
  });

  test('leads to an R that registers itself in Consul', async t => {
    const clone = aClone(t, OF_1);
    const consul = await startConsulAgent(t);
    const here = (code: string) => code.replaceAll('http://127.0.0.1:8500', consul.url);
    const [, address = ''] = /CONSUL_HTTP_ADDR=(\S+) plumber-services\/serve\.sh models\/mpg\.R/.exec(OF_3) ?? [];
    const r = await startPlumberService(t, join(clone, 'models/mpg.R'), { env: { CONSUL_HTTP_ADDR: here(address) } });
    await r.event('registered');

    const gateway = await startGateway(t, clone, { ...discoveryOf(OF_3, here), routes: yamlOf(OF_1, 'routes') });
    await until(async () => (await checkOutputs(consul)).every(output => output !== ''), 'Consul has checked R');

    assert.equal(await mpgBy(gateway), 23.57, 'without a /ping, too');
  });

  test('makes a service of a training script, and of a saved model', async t => {
    const clone = aClone(t, OF_1, OF_5);

    const chicks = await startPlumberService(t, join(clone, 'plumber-services/chicks'));
    const body = /curl -d '(.*)' \S+:8004/.exec(OF_5)?.[1];
    assert.ok(body);
    const answer = await call(`${chicks.url}/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' }, // as curl's -d has it
      body,
    });

    assert.equal(Math.round(predictionOf(answer.text)), 115);
    assert.ok(readFileSync(join(clone, 'plumber-services/mpg/model.rds')).length > 0);
    const [entry] = yamlOf(OF_5, 'local') as { entry: string }[];
    assert.equal(join(clone, 'config', entry?.entry ?? ''), join(clone, 'plumber-services/chicks'));
  });
});

/** A copy of what the page needs of the clone, with the files of the sections written and their commands run. */
function aClone(t: TestContext, ...sections: readonly string[]): string {
  const clone = aFolder(t);
  mkdirSync(join(clone, 'config'));
  cpSync(join(root, 'plumber-services'), join(clone, 'plumber-services'), {
    recursive: true,
    filter: path => !path.endsWith('.rds'),
  });
  for (const { path, language, code } of sections.flatMap(blocksOf)) {
    if (language === 'r' && path !== undefined) writeFileSync(join(clone, path), code);
    // What serves or calls is done by the tests themselves, with other ports.
    if (language === 'sh' && !/serve\.sh|curl|npm/.test(code)) {
      execFileSync('sh', ['-ec', code], { cwd: clone, stdio: ['ignore', 'ignore', 'inherit'] });
    }
  }
  return clone;
}

/** The gateway with what the page says of `discovery` and `routes`, in the clone's `config`. */
async function startGateway(
  t: TestContext,
  clone: string,
  { routes, ...discovery }: Readonly<Record<string, unknown>>,
): Promise<GatewayProcess> {
  const gateway = await startGatewayProcess(t, {
    folder: join(clone, 'config'),
    discovery: JSON.stringify(discovery),
    routes: JSON.stringify({ routes }),
    more: IDENTITY,
  });
  await until(
    async () => (await gateway.services()).some(({ instances }) => instances.length > 0),
    'an instance is known',
    60_000,
  );
  return gateway;
}

/** What the curl command of section 1 hears; NaN where it is no prediction. */
async function mpgBy(gateway: GatewayProcess): Promise<number> {
  const [, body, type = '', path = ''] =
    /curl -d '(.*?)' -H '(.*?)' .*:8080(\S+)/.exec(shellOf(OF_1, /curl/)) ?? assert.fail();
  const [name = '', value = ''] = type.split(': ');
  const { text } = await gateway.call(path, {
    method: 'POST',
    headers: { ...CALLER, [name]: value },
    body: body ?? '',
  });
  return Math.floor(predictionOf(text) * 100) / 100;
}

function predictionOf(text: string): number {
  return (JSON.parse(text) as { '.pred'?: number })['.pred'] ?? NaN;
}

/** Runs a command of the page that does not end by itself. It ends with the test. */
function startShell(t: TestContext, cwd: string, code: string): void {
  const child = spawn('sh', ['-ec', code], { cwd, stdio: 'ignore', detached: true });
  const ended = once(child, 'exit');
  t.after(async () => {
    killGroup(child.pid);
    await ended;
  });
}

function isAnswered(url: string): Promise<boolean> {
  return call(url).then(
    () => true,
    () => false,
  );
}

/** What the checks of Consul's agent said last, each. */
async function checkOutputs(consul: ConsulAgent): Promise<string[]> {
  const checks = (await consul.get('/v1/agent/checks')) as Record<string, { Output: string }>;
  return Object.values(checks).map(({ Output }) => Output);
}

/** From a heading of the second level to the next. */
function sectionOf(heading: string): string {
  const [, section] = PAGE.split(`\n## ${heading}\n`);
  return section?.split('\n## ')[0] ?? assert.fail(`no section "${heading}"`);
}

function blocksOf(section: string): Block[] {
  const pattern =
    /(?:`(?<path>(?:plumber-services|models)\/\S+\.R)`[^`\n]*(?:\[[^\n]*)?\n\n)?```(?<language>\w+)\n(?<code>[^]*?)```/g;
  return [...section.matchAll(pattern)].map(({ groups }) => ({
    path: groups?.['path'],
    language: groups?.['language'] ?? '',
    code: groups?.['code'] ?? '',
  }));
}

function shellOf(section: string, pattern: RegExp): string {
  const block = blocksOf(section).find(({ language, code }) => language === 'sh' && pattern.test(code));
  return block?.code ?? assert.fail(`no command with ${pattern}`);
}

/** The section's piece of YAML that is said to stand under that key, or, for `yaml`, its only one. */
function yamlOf(section: string, key: string): unknown {
  const said = key === 'yaml' ? '' : `\`${key}\`:\\n\\n`;
  const [, code] = new RegExp(`${said}\`\`\`yaml\\n([^]*?)\`\`\``).exec(section) ?? [];
  return parse(code ?? assert.fail(`no YAML under ${key}`));
}

function discoveryOf(section: string, here: (code: string) => string): Readonly<Record<string, unknown>> {
  return parse(here(JSON.stringify(yamlOf(section, 'discovery')))) as Record<string, unknown>;
}
