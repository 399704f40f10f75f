import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import { levelOf } from '../../gateway/domain/operating/log-line.ts';
import { createMetrics } from '../../gateway/edges/prom-client.ts';

const PAGES = globSync(['*.md', 'docs/**/*.md', 'gateway/**/*.md', 'plumber-services/**/*.md', 'bench/*.md']);
const operating = readFileSync('docs/operating.md', 'utf8');

/** The cells of the first table behind a heading, without its two head lines. */
function rowsBehind(heading: string): string[][] {
  const lines = operating.slice(operating.indexOf(`\n## ${heading}\n`)).split('\n');
  const from = lines.findIndex(line => line.startsWith('|'));
  const to = lines.findIndex((line, i) => i > from && !line.startsWith('|'));
  return lines.slice(from + 2, to).map(line =>
    line
      .split('|')
      .map(cell => cell.trim())
      .slice(1, -1),
  );
}

const namesIn = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);

async function ownMetrics(): Promise<string[]> {
  const metrics = createMetrics({
    ...{ routeIds: () => new Set<string>(), services: () => [], rosterAges: () => [], batching: () => new Map() },
    ...{ inFlight: () => 0, keysAges: () => [], linesDropped: () => 0, certificates: () => [], wallMs: () => 0 },
    ...{
      auditLines: () => ({ written: 0, lost: 0 }),
      limitWaiting: () => new Map(),
      jobs: () => ({ states: {}, rows: new Map() }),
      catchUp: () => undefined,
      version: '1',
      node: 'v26',
    },
    withProcess: false,
  });
  const text = await metrics.text();
  metrics.close();
  return [...text.matchAll(/^# TYPE penstock_(\w+) /gm)].map(([, name = '']) => name);
}

describe('docs/operating.md lists', () => {
  test('every metric of the gateway’s own, and none that it has not', async () => {
    const reported = rowsBehind('Metrics').flatMap(([cell]) => namesIn(cell));

    assert.deepEqual(reported.toSorted(), (await ownMetrics()).toSorted());
  });

  test('every alert, and which of them are worth waking an operator for', () => {
    const { groups } = parse(readFileSync('config/alerts.yml', 'utf8')) as {
      groups: { rules: { alert: string; labels: { severity: string } }[] }[];
    };
    const rules = groups.flatMap(group => group.rules);
    const reported = rowsBehind('Alerts').map(([name, page]) => `${namesIn(name).join(' ')} ${page ?? ''}`);

    const isPage = (severity: string) => (severity === 'page' ? 'p' : '');
    assert.deepEqual(
      reported.toSorted(),
      rules.map(({ alert, labels }) => `${alert} ${isPage(labels.severity)}`).toSorted(),
    );
  });

  test('every event of the log at the level it has', () => {
    const source = readFileSync('gateway/domain/events.ts', 'utf8');
    const kinds = [...source.matchAll(/readonly kind: '([\w-]+)'/g)].map(([, kind = '']) => kind);
    const rows = rowsBehind('The log').filter(([level = '']) => /^\w+$/.test(level));
    const reported = rows.flatMap(([level, events]) => namesIn(events).map(kind => [kind, level] as const));

    for (const [kind, level] of reported.filter(([kind]) => kinds.includes(kind))) {
      if (reported.filter(([other]) => other === kind).length > 1) continue; // at which level, it is for its members to say
      assert.equal(levelOf({ kind } as GatewayEvent), level, kind);
    }
    const missing = kinds.filter(kind => kind !== 'notice' && !reported.some(([other]) => other === kind));
    assert.deepEqual(missing, []);
  });
});

/** A heading as GitHub makes an anchor of it. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

function anchorsOf(page: string): string[] {
  return [...readFileSync(page, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading));
}

describe('the pages', () => {
  test('lead to pages, files and headings that are there', () => {
    const lost: string[] = [];
    for (const page of PAGES) {
      for (const [, link = ''] of readFileSync(page, 'utf8').matchAll(/\]\(([^()\s]+)\)/g)) {
        if (/^[a-z]+:/.test(link)) continue;
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? page : join(dirname(page), path);
        const isThere = existsSync(target) && (anchor === undefined || anchorsOf(target).includes(anchor));
        if (!isThere) lost.push(`${page}: ${link}`);
      }
    }
    assert.deepEqual(lost, []);
  });

  test('of the gateway’s folders name files that are there', () => {
    const lost: string[] = [];
    for (const folder of ['gateway/edges', 'gateway/config', 'gateway/setup']) {
      const entries = readdirSync(folder);
      const tables = readFileSync(join(folder, 'README.md'), 'utf8').matchAll(/^\| (.*) \|$/gm);
      for (const name of [...tables]
        .flatMap(([, row]) => namesIn(row))
        .filter(name => /^[a-z][\w-]*[/…]?$/.test(name))) {
        const stem = name.replace(/[/…]$/, '');
        const isIt = (entry: string) =>
          entry.replace(/\.\w+$/, '') === stem || (name.endsWith('…') && entry.startsWith(stem));
        if (!entries.some(isIt)) lost.push(`${folder}: ${name}`);
      }
    }
    assert.deepEqual(lost, []);
  });
});
