import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { GatewayError } from '../../gateway/domain/errors.ts';
import type { Call, Matched } from '../../gateway/domain/call.ts';
import type { Route } from '../../gateway/domain/route.ts';
import { createRouteTable } from '../../gateway/domain/routing/route-table.ts';
import { createMatch } from '../../gateway/stages/match.ts';
import { soundRoutes } from '../support/configuration.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aCall, endOf } from '../support/requests.ts';

const ROUTES = `
routes:
  - { id: read, uri: lb://a, timeout: 5s, predicates: ['Path=/data/{name}', 'Method=GET'] }
  - { id: write, uri: lb://a, predicates: ['Path=/data/{name}', 'Method=PUT,DELETE'], cors: { origins: ['https://app'] } }
  - { id: live, uri: lb://a, predicates: [Path=/live], stream: true }
  - { id: open, uri: lb://a, predicates: [Path=/any] }
`;

function stage() {
  const clock = manualClock();
  const specs = soundRoutes(ROUTES).specs as readonly Route[]; // matching does not look at services
  const random = { below: () => 0 };
  const match = createMatch({ current: () => ({ table: createRouteTable(specs) }), clock, random });
  const receive = (method: string, path: string, fields: readonly string[] = []): Call =>
    aCall({ request: { method, path, fields }, clock });
  return { clock, match, receive };
}

function preflight(method: string): string[] {
  return ['Origin', 'https://app', 'Access-Control-Request-Method', method];
}

function refusal(act: () => Matched): Pick<GatewayError, 'code' | 'fields'> {
  try {
    act();
  } catch (error) {
    const { code, fields } = error as GatewayError;
    return { code, fields };
  }
  return assert.fail('it was matched');
}

describe('match', () => {
  test('finds the route and what its patterns captured, on the very object that came in', () => {
    const { match, receive } = stage();
    const received = receive('GET', '/data/x');

    const matched = match(received);

    assert.equal(matched, received);
    assert.deepEqual([matched.route.id, [...matched.variables], matched.isPreflight], ['read', [['name', 'x']], false]);
  });

  test('arms the deadline with the route’s timeout', () => {
    const { match, receive, clock } = stage();
    const call = match(receive('GET', '/data/x'));

    clock.advance(4_999);
    assert.deepEqual(endOf(call), {});
    clock.advance(1);
    assert.equal(endOf(call).failure?.code, 'DEADLINE_EXCEEDED');
  });

  test('leaves a stream without a deadline', () => {
    const { match, receive } = stage();

    assert.equal(match(receive('GET', '/live')).endsMs, Infinity);
  });

  test('refuses with 404 where no route answers, and with 405 and Allow where only the method is wrong', () => {
    const { match, receive } = stage();

    assert.deepEqual(
      refusal(() => match(receive('GET', '/nope'))),
      { code: 'NO_ROUTE', fields: [] },
    );
    assert.deepEqual(
      refusal(() => match(receive('POST', '/data/x'))),
      {
        code: 'METHOD_NOT_ALLOWED',
        fields: ['Allow', 'GET, HEAD, PUT, DELETE'],
      },
    );
  });

  test('leaves a refused method the CORS fields of the route whose path it is', () => {
    const { match, receive } = stage();
    const call = receive('POST', '/data/x');

    refusal(() => match(call));

    assert.equal(call.corsOf, undefined, 'the first route of that path has none');
    const other = receive('GET', '/nope');
    refusal(() => match(other));
    assert.equal(other.corsOf, undefined);
  });

  test('matches a preflight by the method it asks for', () => {
    const { match, receive } = stage();

    const matched = match(receive('OPTIONS', '/data/x', preflight('PUT')));

    assert.deepEqual([matched.route.id, matched.isPreflight], ['write', true]);
  });

  test('takes OPTIONS for itself where the route has no CORS, or the question is not a browser’s', () => {
    const { match, receive } = stage();
    const codeOf = (headers: readonly string[]) => refusal(() => match(receive('OPTIONS', '/data/x', headers))).code;

    assert.equal(codeOf(preflight('GET')), 'METHOD_NOT_ALLOWED');
    assert.equal(codeOf(['Origin', 'https://app']), 'METHOD_NOT_ALLOWED');
    const matched = match(receive('OPTIONS', '/any', preflight('GET')));
    assert.deepEqual([matched.route.id, matched.isPreflight], ['open', false]);
  });
});
