import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { post } from '../support/call.ts';
import { startGateway, type ComposedGateway } from '../support/composed-gateway.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';
import { aToken, hmac } from '../support/tokens.ts';

const page = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8');
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
  const folder = mkdtempSync(join(tmpdir(), 'penstock-limits-page-'));
  t.after(() => rmSync(folder, { recursive: true }));
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
    const heard = await gateway.call('/api/fuel/predict', post(body, { authorization: `Bearer ${tokenOf(who)}` }));
    return { status: heard.status, tookMs: performance.now() - startedMs };
  };
  const sent = [];
  for (let i = 0; i < Number(count); i++) {
    const one = send();
    sent.push(one);
    if (atOnce === undefined) await one;
  }
  const heard = await Promise.all(sent);
  assert.equal(heard.map(({ status }) => status).join(' '), statuses, line);
  return heard.map(({ tookMs }) => tookMs);
}

describe('the page on limits', () => {
  assert.ok(examples.length >= 5);
  for (const example of examples) {
    test(`answers callers as its part on ${example.title.toLowerCase()} says`, t => run(t, example));
  }
});
