import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

/**
 * The dependency rule, as a test: what each layer of gateway/ may import.
 * Layers are the folders; 'root' is the files beside them (main, compose, flow).
 * gateway/setup/ is no layer: plain .mjs that runs before anything is installed, and imports none of these.
 */
const MAY_IMPORT: Record<string, { layers: string[]; packages: string[] }> = {
  domain: { layers: [], packages: ['node:stream'] }, // for its types
  config: { layers: ['domain'], packages: ['zod', 'yaml'] },
  commands: { layers: ['domain', 'config', 'root'], packages: ['node:*'] },
  stages: { layers: ['domain'], packages: [] },
  edges: { layers: ['domain'], packages: ['*'] },
  root: { layers: ['domain', 'config', 'stages', 'edges', 'commands'], packages: ['node:*'] },
};

/** Where a package may be imported, where its layer alone does not say it. */
const ONLY_IN: Record<string, (path: string) => boolean> = {
  express: path => path.startsWith('edges/express/'),
  undici: path => path.startsWith('edges/undici'),
};

/** What makes a rule depend on when or where it runs. The domain takes these as arguments. */
const IMPURE =
  /\b(Date\.now|new Date\(\)|Math\.random|performance\.now|setTimeout|setInterval|setImmediate|process\.|console\.|fetch\()/;

const IMPORT = /^(?:import|export)\b[^;]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm;

const files = (readdirSync('gateway', { recursive: true }) as string[]).filter(path => path.endsWith('.ts'));

for (const path of files) {
  const text = withoutComments(readFileSync(join('gateway', path), 'utf8'));
  const targets = importsOf(text);
  const layer = layerOf(path);

  test(`${path} keeps to its layer`, () => {
    assert.ok(MAY_IMPORT[layer], `gateway/${layer}/ is no layer we know`);
    for (const target of targets) assert.ok(isAllowed(path, target), `${layer} must not import ${target}`);
    if (layer === 'domain') assert.doesNotMatch(text, IMPURE);
    if (path !== 'main.ts') assert.doesNotMatch(text, /\bprocess\.(env|argv)\b/, 'main.ts alone asks the process');
  });

  test(`${path} imports packages where they belong`, () => {
    for (const target of targets) {
      assert.ok(ONLY_IN[target]?.(path) ?? true, `${target} is imported in one place, and gateway/${path} is not it`);
    }
  });
}

test('no file is a barrel or a place for what belongs nowhere', () => {
  const homeless = files.filter(path => /(^|\/)(index|types|utils?|helpers?|common)(\.ts$|\/)/.test(path));

  assert.deepEqual(homeless, []);
});

test('every file of the gateway was looked at', () => {
  assert.ok(files.includes('flow.ts') && files.length > 20, `only ${files.length} files found`);
});

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

function importsOf(text: string): string[] {
  return [...text.matchAll(IMPORT)].map(match => match[1] ?? match[2] ?? match[3] ?? '');
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}
