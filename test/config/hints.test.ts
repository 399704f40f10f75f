import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import ts from 'typescript';
import type { Problem } from '../../gateway/config/problem.ts';
import { explained, gatewayOf, routesOf, soundRoutes, reported } from '../support/configuration.ts';
import { GATEWAY_ADVICE, ROUTES_ADVICE, type Mistake } from './advice.ts';

const AROUND = {
  variables: { NAME: 'lb://a', T: 'true' },
  files: { '/etc/penstock/PATH': 'lb://a' },
};

type Judge = (text: string, options: Mistake['options']) => readonly Problem[];

const judgeRoutes: Judge = (text, options) => routesOf(text, { ...AROUND, ...options }).problems;
const judgeGateway: Judge = (text, options) => gatewayOf(text, { ...AROUND, ...options }).problems;

/** The file without its marks, and where the mistake begins and ends. */
function marked(wrong: string): { text: string; start: number; end: number } {
  const bare = wrong.replaceAll('‸', '');
  const start = bare.indexOf('«');
  return { text: bare.replaceAll(/[«»]/g, ''), start, end: bare.indexOf('»') - 1 };
}

function offsetOf(text: string, { line, column }: Problem): number {
  const before = text.split('\n').slice(0, line - 1);
  return before.join('\n').length + (line === 1 ? 0 : 1) + column - 1;
}

/** What a message says to write, each of the ways it gives. */
function pastes(advice: string): string[] {
  const quoted = /`([^`]+)`/.exec(advice)?.[1];
  if (quoted !== undefined) return [quoted];
  const [, list = ''] =
    /(?:write|written|did you mean|such as|for example|answers:) (.*?)(?:[;?]|, without|, of|$)/.exec(advice) ?? [];
  return list
    .split(/, or | or |, (?=\S+$)|, (?=[^ ]+,)|, (?=[^ ]+ or )/)
    .filter(each => each !== 'milliseconds since 1970')
    .map(each => each.replaceAll('HOST', 'a.example').replaceAll('PORT', '8000'));
}

/** The file after the advice was followed, each way it can be. */
function followed({ wrong, right }: Mistake, advice: string): readonly string[] {
  if (right !== undefined) return right;
  const { text, start, end } = marked(wrong);
  const isQuoted = /['"]/.test(text.charAt(start)) && text.charAt(end - 1) === text.charAt(start);
  const quote = isQuoted && !advice.includes('${') ? text.charAt(start) : '';
  if (wrong.includes('‸')) return pastes(advice).map(paste => wrong.replace('‸', `${paste},`).replaceAll(/[«»]/g, ''));
  return pastes(advice).map(paste => text.slice(0, start) + quote + paste + quote + text.slice(end));
}

const provoked: string[] = [];

function follow(mistake: Mistake, judge: Judge): void {
  const { text, start } = marked(mistake.wrong);
  const problems = judge(text, mistake.options);
  const advices = problems.map(({ message, hint }) => hint ?? message);
  const meant = problems.find(({ message, hint }) => hint === mistake.hint || message.endsWith(mistake.hint));
  assert.ok(meant, `not said: ${mistake.hint}, but ${reported(problems).join('; ')} (${advices.join('; ')})`);
  provoked.push(meant.message, meant.hint ?? '');
  assert.equal(offsetOf(text, meant), start, `where it points: ${reported([meant]).join()}`);

  const files = followed(mistake, mistake.hint);
  assert.ok(files.length > 0, 'nothing to write');
  for (const file of files) {
    assert.deepEqual(reported(judge(file, mistake.options)), [], file);
    if (mistake.request === undefined) continue;
    assert.equal(explained(soundRoutes(file, AROUND), mistake.request).answers?.route, routeIn(file), file);
  }
}

const routeIn = (file: string) => /id: (\w+)/.exec(file)?.[1];

describe('what a problem advises works when it is followed to the letter:', () => {
  for (const [judge, mistakes] of [
    [judgeRoutes, ROUTES_ADVICE],
    [judgeGateway, GATEWAY_ADVICE],
  ] as const) {
    for (const mistake of mistakes) {
      test(`${mistake.hint}: ${marked(mistake.wrong).text.slice(0, 80).replaceAll('\n', ' ')}`, () => {
        follow(mistake, judge);
      });
    }
  }

  test('and no advice is left out', () => {
    const advice = ['gateway/config', 'gateway/domain/routing'].flatMap(adviceIn);
    const missing = advice.filter(({ pattern }) => !provoked.some(said => pattern.test(said)));

    assert.ok(advice.length > 60);
    assert.deepEqual(
      missing.map(({ text }) => text),
      [],
      'give each a row in test/config/advice.ts',
    );
  });
});

const ADVICE =
  /\b(?:write|written|did you mean|for example|known:|such as|leave|list both|set it|captured:|configure|take the line|belongs|here belongs|shorter|use [A-Z]|(?:200|300) to)\b/;

/** What the manual says, not a problem. */
const MANUAL = new Set(['manual', 'example', 'examples', 'pattern', 'format']);

interface Advice {
  readonly text: string;
  readonly pattern: RegExp;
}

/** The texts of a folder's sources that tell an operator what to write. */
function adviceIn(folder: string): Advice[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'));
  return files
    .filter(file => file !== 'manual.ts' && file !== 'json-schema.ts')
    .filter(file => !file.startsWith('import/')) // comments in the files that are made, no problems
    .flatMap(file => {
      const path = join(folder, file);
      return textsIn(ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true));
    })
    .filter(({ text }) => ADVICE.test(text));
}

function textsIn(node: ts.Node): Advice[] {
  if (ts.isImportDeclaration(node)) return [];
  if (ts.isPropertyAssignment(node) && MANUAL.has(node.name.getText())) return [];
  const isDescription = ts.isCallExpression(node) && node.expression.getText().endsWith('.describe');
  const pieces = ts.isStringLiteralLike(node)
    ? [node.text]
    : ts.isTemplateExpression(node)
      ? [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)]
      : [];
  const own = pieces.length === 0 ? [] : [{ text: pieces.join('…'), pattern: patternOf(pieces) }];
  const children: ts.Node[] = [];
  (isDescription ? node.expression : node).forEachChild(child => void children.push(child));
  return [...own, ...children.flatMap(textsIn)];
}

function patternOf(pieces: readonly string[]): RegExp {
  return new RegExp(pieces.map(piece => piece.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&')).join('[^]*'));
}

test('a group of a RewritePath is no placeholder of Spring’s', () => {
  const routes = soundRoutes('routes: [{ uri: lb://a, filters: ["RewritePath=/(?<x>.*), /b/${x}"] }]');

  assert.equal(explained(routes, { line: 'GET /a' }).answers?.sent?.target, '/b/a');
});

test('default filters are judged though there is no route', () => {
  assert.deepEqual(reported(routesOf("default-filters: ['Bogus=1', 'SetPath=/{x}']\nroutes: []").problems), [
    '1:20 error default-filters[0]: there is no filter called Bogus',
  ]);
});

test('numbers and switches come from references wherever the schema has them', () => {
  const keys =
    'pure: "${env:T}", coalesce: "${env:T}", batch: { sizeMax: "${env:N}" }, cache: { entriesMax: "${env:N}" }';
  const routes = routesOf(`routes: [{ uri: lb://a, order: "\${env:M}", retry: { on: ["\${env:S}"] }, ${keys} }]`, {
    variables: { T: 'true', N: '7', M: '-3', S: '502' },
  });

  const [spec] = routes.specs;
  assert.deepEqual(reported(routes.problems), []);
  assert.deepEqual([spec?.order, [...(spec?.policy.retry.on ?? [])]], [-3, [502]]);
  assert.deepEqual([spec?.policy.sharing?.batch?.sizeMax, spec?.policy.sharing?.cache?.entriesMax], [7, 7]);
});
