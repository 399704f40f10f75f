import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { startGateway } from '../support/composed-gateway.ts';
import { sendAndReceive } from '../support/raw-caller.ts';
import { bytes, startUpstream, type ScriptedUpstream } from '../support/scripted-upstream.ts';
import { seeded } from '../support/service-at-work.ts';

const OK = bytes('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');

const SEED = Number(process.env['PENSTOCK_SEED'] ?? 1);
const random = seeded(SEED);

/** A gateway before an instance a route, of which each records what it is asked. */
async function startGuarded(t: TestContext, listen = '') {
  const [internal, open, model, rest] = await Promise.all([1, 2, 3, 4].map(() => startUpstream(t, OK)));
  assert.ok(internal && open && model && rest);
  const services = { internal: [internal.origin], open: [open.origin], model: [model.origin], rest: [rest.origin] };
  const gateway = await startGateway(t, {
    ...{ services, listen },
    routes: `
routes:
  - { id: internal, uri: lb://internal, predicates: ['Path=/internal/**'], filters: ['PrefixPath=/v1'] }
  - { id: open, uri: lb://open, predicates: ['Path=/open/**'], filters: ['RewritePath=/open/?(?<rest>.*), /$\\{rest}'] }
  - { id: model, uri: lb://model, predicates: ['Path=/m/{name}'], filters: ['SetPath=/models/{name}/predict'] }
  - { id: rest, uri: lb://rest, predicates: ['Path=/**'] }
`,
  });
  return { gateway, internal, open, model, rest };
}

function pick<T>(from: readonly T[]): T {
  const [first] = from;
  assert.ok(first !== undefined);
  return from[random.below(from.length)] ?? first;
}

const WORDS = ['secret', 'x', 'a b', 'é', '..', '.', '...', '', 'v1', '%', ';', 'internal;a=b', 'm', 'x', 'predict'];
const BETWEEN = ['//', '%2f', '%2F', '%5c', '\\', '/./', '/../', '/..;/', '%252f', '%c0%af', '/%2e%2e/', '/;/'];
const ENDS = ['/', '?x=/../', '%00', '%', '#x', '/..', '%3b', '.json'];

/** A character as some client or attacker spells it. */
function spelled(char: string): string {
  const escape = [...Buffer.from(char)].map(byte => `%${byte.toString(16).padStart(2, '0')}`).join('');
  return rarely(escape) ?? rarely(escape.toUpperCase()) ?? rarely(escape.replaceAll('%', '%25')) ?? char;
}

function rarely<T>(value: T): T | undefined {
  return random.below(12) === 0 ? value : undefined;
}

function aTarget(): string {
  let target = rarely('//') ?? rarely('http://a/') ?? rarely('http://a') ?? '/';
  const segments = [
    pick(['internal', 'open', 'm', 'x']),
    ...Array.from({ length: 1 + random.below(3) }, () => pick(WORDS)),
  ];
  segments.forEach((segment, i) => {
    target += Array.from(segment, spelled).join('');
    if (i + 1 < segments.length) target += rarely(pick(BETWEEN)) ?? rarely(pick(BETWEEN)) ?? '/';
  });
  return target + (rarely(pick(ENDS)) ?? '');
}

/** The path as the most careless of readers takes it: decoded until nothing is left to decode, parameters cut, resolved. */
function carelesslyRead(path: string): string {
  let text = path;
  for (let before = ''; before !== text;) {
    before = text;
    text = text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
    text = text.replaceAll('\xc0\xaf', '/').replaceAll('\xc0\xae', '.').replaceAll('\\', '/');
  }
  const [upToNull = ''] = text.split(/[\0?#]/);
  const resolved: string[] = [];
  for (const segment of upToNull.split('/').map(part => part.replace(/;.*/s, ''))) {
    if (segment === '..') resolved.pop();
    else if (segment !== '' && segment !== '.') resolved.push(segment);
  }
  return `/${resolved.join('/')}`;
}

function pathsOf({ requests }: ScriptedUpstream): string[] {
  return requests.map(({ head }) => /^\S+ ([^ ?]+)/.exec(head)?.[1] ?? '');
}

/** Holds for each path that an instance was sent, or tells which did not. */
function holds(upstream: ScriptedUpstream, isPermitted: (read: string, path: string) => boolean): void {
  const paths = pathsOf(upstream);
  const past = paths.filter(path => !isPermitted(carelesslyRead(path), path));
  assert.deepEqual(past, [], `paths that no policy was asked about (PENSTOCK_SEED=${SEED})`);
  assert.ok(paths.length > 3, `only ${paths.length} paths came so far`);
}

async function sayAll(t: TestContext, port: number, targets: readonly string[]): Promise<string[]> {
  const say = (target: string) =>
    sendAndReceive(t, port, Buffer.from(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, 'utf8'));
  const received: string[] = [];
  for (let at = 0; at < targets.length; at += 20)
    received.push(...(await Promise.all(targets.slice(at, at + 20).map(say))));
  return received;
}

describe('whatever a caller sends', () => {
  for (const listen of ['', 'mergeSlashes: true']) {
    test(`the instance sees only paths that the matched route permits${listen && `, with ${listen}`}`, async t => {
      const { gateway, internal, open, model, rest } = await startGuarded(t, listen);

      const received = await sayAll(t, gateway.port, Array.from({ length: 600 }, aTarget));

      assert.deepEqual(
        [...new Set(received.map(text => text.slice(9, 12)))].sort(),
        ['200', '400'],
        'answered, or refused',
      );
      holds(internal, read => /^\/v1\/internal(?:\/|$)/.test(read));
      holds(open, (read, path) => !/(?:^|\/)(?:\.\.?)(?:\/|$)/.test(path) && !path.includes('//') && read !== '');
      holds(model, read => /^\/models\/[^/]+\/predict$/.test(read));
      holds(rest, read => !/^\/(?:internal|open)(?:\/|$)/.test(read) && !/^\/m\/[^/]+$/.test(read));
    });
  }

  test('what was matched is what is sent, and what RewritePath reads', async t => {
    const { gateway, open, internal, rest } = await startGuarded(t);

    const received = await sayAll(t, gateway.port, [
      '/%6fpen/%78',
      '/o%70en/a%20b/%c3%a9',
      '/internal%2Fsecret',
      '/%69nternal/x',
    ]);

    assert.deepEqual(
      received.map(text => text.slice(9, 12)),
      ['200', '200', '400', '200'],
    );
    assert.deepEqual(pathsOf(open).sort(), ['/a%20b/%C3%A9', '/x']);
    assert.deepEqual([pathsOf(internal), pathsOf(rest)], [['/v1/internal/x'], []]);
  });

  test('an empty segment is refused in words that an R user understands', async t => {
    const { gateway } = await startGuarded(t);

    const refused = await gateway.call('/internal//predict');

    const { code, message } = JSON.parse(refused.text) as Record<string, string>;
    assert.deepEqual([refused.status, code], [400, 'BAD_REQUEST']);
    assert.match(message ?? '', /two slashes in a row.*paste0\(base, "\/predict"\)/);
  });

  test('an empty segment is merged where the operator says so', async t => {
    const { gateway, internal } = await startGuarded(t, 'mergeSlashes: true');

    const merged = await gateway.call('/internal//predict');

    assert.deepEqual([merged.status, pathsOf(internal)], [200, ['/v1/internal/predict']]);
  });
});
