import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { startGateway } from '../support/composed-gateway.ts';
import { rawCaller } from '../support/raw-caller.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';
import { until } from '../support/until.ts';

const ROUTES = `
services: { fuel: { health: { interval: 1h } } }
routes: [{ id: fuel, uri: lb://fuel }]`;

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

describe('a gateway that drains', () => {
  test('is unready, takes requests for the grace, refuses then, and finishes what it has', async t => {
    const held: Socket[] = [];
    const upstream = await startUpstream(t, socket => void held.push(socket));
    const gateway = await startGateway(t, {
      services: { fuel: [upstream.origin] },
      routes: ROUTES,
      more: 'drain: { grace: 500ms, timeout: 10s }',
    });
    const inHand = gateway.call('/in-hand');
    await until(() => held.length === 1, 'R has it');
    const kept = await rawCaller(t, gateway.port);
    const early = await rawCaller(t, gateway.port);
    early.say('GET /in-grace HTTP/1.1\r\nHost: x\r\n'); // it has begun, so that no idle connection is closed under it

    const drained = gateway.gateway.drain();
    const unready = await gateway.readyz();
    await gateway.log.line(({ phase }) => phase === 'refusing');
    early.say('\r\n');
    const refused = await early.receiveAll();
    kept.say(GET);
    const keptReceived = await kept.receiveAll();
    const [socket] = held;
    assert.ok(socket);
    answer('[1]')(socket, { head: '', body: Buffer.alloc(0), pieces: 1 });
    const received = await inHand;
    await drained;

    assert.deepEqual([unready.status, unready.body.reasons], [503, ['draining']]);
    assert.match(refused, /^HTTP\/1\.1 503 [^]*retry-after: 1\r\n[^]*DRAINING/i);
    assert.match(keptReceived, /^$|DRAINING/);
    assert.deepEqual([received.status, received.text, received.headers.connection], [200, '[1]', 'close']);
    await assert.rejects(gateway.call('/'), { code: 'ECONNREFUSED' });
  });

  test('ends what does not end within its timeout', async t => {
    const held: Socket[] = [];
    const upstream = await startUpstream(t, socket => void held.push(socket));
    const gateway = await startGateway(t, {
      services: { fuel: [upstream.origin] },
      routes: ROUTES,
      more: 'drain: { grace: 0s, timeout: 300ms }',
    });
    const inHand = assert.rejects(gateway.call('/'));
    await until(() => held.length === 1, 'R has it');

    await gateway.gateway.drain();

    await inHand;
    await until(() => upstream.open === 0, 'R is let go of');
  });
});
