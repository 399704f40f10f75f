import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

/**
 * The dependency rule, as a test: what each layer of gateway/ may import.
 * Layers are the folders; 'root' is the files beside them (main, compose, flow).
 * gateway/setup/ is no layer: plain .mjs that runs before anything is installed, and imports none of these.
 */
const MAY_IMPORT: Record<string, { layers: string[]; packages: string[] }> = {
  domain: { layers: [], packages: ['node:net', 'node:stream'] }, // for its reading of addresses, and for types
  config: { layers: ['domain'], packages: ['zod', 'yaml'] },
  commands: { layers: ['domain', 'config', 'root'], packages: ['node:*'] },
  stages: { layers: ['domain'], packages: [] },
  edges: { layers: ['domain'], packages: ['*'] },
  root: { layers: ['domain', 'config', 'stages', 'edges', 'commands'], packages: ['node:*'] },
};

/** Those that are run: they hand what they ask of the process on to those that are not. */
const RUN = /^(main|load-worker|commands\/generate)\.ts$/;

/** Where a package may be imported, where its layer alone does not say it. */
const ONLY_IN: Readonly<Record<string, RegExp>> = {
  ajv: /^edges\/ajv/,
  consul: /^edges\/consul/,
  express: /^edges\/express\//,
  'express-rate-limit': /^edges\/(?:express-rate-limit|rate-limit-redis)\.ts$/,
  'rate-limit-redis': /^edges\/rate-limit-redis\.ts$/,
  '@redis/client': /^edges\/redis\.ts$/,
  'http-proxy-middleware': /^edges\/http-proxy-middleware/,
  hyparquet: /^edges\/parquet\/hyparquet\.ts$/,
  'hyparquet-writer': /^edges\/parquet\/hyparquet-writer\.ts$/,
  'lru-cache': /^edges\/memory-store/,
  jsonwebtoken: /^edges\/(jsonwebtoken|token-keys)/,
  ldapts: /^edges\/ldapts/,
  'node:process': RUN,
  protobufjs: /^edges\/protobufjs/,
  'prom-client': /^edges\/prom-client/,
  re2js: /^edges\/re2js/,
  winston: /^edges\/winston/,
  yaml: /^config\//,
  zod: /^config\//,
};

const { dependencies, scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  dependencies: Record<string, string>;
  scripts: Record<string, string>;
};

/** What they alone ask of the process, or do to it; to end another process is an edge's business. */
const PROCESS = /\bprocess\.(argv|cwd|env|exit|exitCode|on|once|stderr|stdin|stdout)\b/;

/** What makes a rule depend on when or where it runs. The domain takes these as arguments. */
const IMPURE =
  /\b(Date\.now|new Date\(\)|Math\.random|performance\.now|setTimeout|setInterval|setImmediate|process\.|console\.|fetch\()/;

const IMPORT = /^(?:import|export)\b[^;]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm;

/** What opens connections: the transports to instances, and what speaks with Consul. */
const CONNECTING = /^edges\/(ldapts|grpc\/session|r-transport\/|rserve\/|consul-client\.ts$)/;

/** What of `node:net` opens nothing. */
const ADDRESSES = /^import \{ (BlockList|isIP|, )+ \} from 'node:net';$/m;

const CONNECT = /^import \{[^}]*\bconnect\b[^}]*\} from 'node:(net|tls)'/m;

const files = (readdirSync('gateway', { recursive: true }) as string[]).filter(path => path.endsWith('.ts'));

test('each command of package.json names files that are there', () => {
  const named = Object.values(scripts).flatMap(script => script.match(/[\w./-]+\.(?:mjs|ts)\b/g) ?? []);
  assert.deepEqual(
    named.filter(file => !existsSync(file)),
    [],
  );
});

for (const path of files) {
  const text = withoutComments(readFileSync(join('gateway', path), 'utf8'));
  const targets = importsOf(text);
  const layer = layerOf(path);

  test(`${path} keeps to its layer`, () => {
    assert.ok(MAY_IMPORT[layer], `gateway/${layer}/ is no layer we know`);
    for (const target of targets) assert.ok(isAllowed(path, target), `${layer} must not import ${target}`);
    if (layer === 'domain') assert.doesNotMatch(text, IMPURE);
    if (layer === 'domain' && targets.includes('node:net')) assert.match(text, ADDRESSES);
    if (!RUN.test(path)) assert.doesNotMatch(text, PROCESS, 'main.ts alone asks the process');
  });

  test(`${path} imports packages where they belong`, () => {
    assert.ok(CONNECTING.test(path) || !CONNECT.test(text), 'instances are reached by their ways alone');
    for (const target of targets) {
      const isPackage = !target.startsWith('.') && !target.startsWith('node:');
      assert.ok(
        !isPackage || Object.hasOwn(dependencies, packageOf(target)),
        `${target} is not there where Penstock runs`,
      );
      assert.ok(
        ONLY_IN[packageOf(target)]?.test(path) ?? true,
        `${target} is imported in one place, and gateway/${path} is not it`,
      );
    }
  });
}

test('every package has its place', () => {
  for (const name of Object.keys(dependencies)) assert.ok(ONLY_IN[name], `no file is named as the place of ${name}`);
});

test('no files need one another, be it for a type', () => {
  const needs = new Map(files.map(path => [path, neighboursOf(path)]));

  assert.deepEqual(cyclesIn(needs), []);
});

test('no file is a barrel or a place for what belongs nowhere', () => {
  const homeless = files.filter(path => /(^|\/)(index|types|utils?|helpers?|common)(\.ts$|\/)/.test(path));

  assert.deepEqual(homeless, []);
});

test('every file of the gateway was looked at', () => {
  assert.ok(files.includes('flow.ts') && files.length > 20, `only ${files.length} files found`);
});

/** The package of which a target may be one file; what Node brings is named whole. */
function packageOf(target: string): string {
  if (target.startsWith('node:')) return target;
  return target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/');
}

function layerOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : 'root';
}

function isAllowed(path: string, target: string): boolean {
  const layer = layerOf(path);
  const allowed = MAY_IMPORT[layer];
  if (allowed === undefined) return false;
  if (target.startsWith('.')) {
    const other = layerOf(normalize(join(dirname(path), target)));
    return other === layer || allowed.layers.includes(other) || (layer === 'root' && target === '../package.json');
  }
  return allowed.packages.some(
    name => name === '*' || name === target || (name === 'node:*' && target.startsWith('node:')),
  );
}

/** The files of the gateway that a file names, be it for a type alone. */
function neighboursOf(path: string): string[] {
  return importsOf(withoutComments(readFileSync(join('gateway', path), 'utf8')))
    .filter(target => target.startsWith('.'))
    .map(target => normalize(join(dirname(path), target)));
}

function cyclesIn(needs: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const follow = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) cycles.push([...way.slice(way.indexOf(path)), path].join(' → '));
    else if (!done.has(path)) for (const need of needs.get(path) ?? []) follow(need, [...way, path]);
    done.add(path);
  };
  for (const path of needs.keys()) follow(path, []);
  return cycles;
}

function importsOf(text: string): string[] {
  return [...text.matchAll(IMPORT)].map(match => match[1] ?? match[2] ?? match[3] ?? '');
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}
