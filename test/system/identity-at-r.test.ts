import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Deadlines } from '../../gateway/domain/deadlines.ts';
import { composeUpstream } from '../../gateway/domain/http/upstream-request.ts';
import type { ExchangeEnd, Transport, UpstreamMessage } from '../../gateway/domain/upstream.ts';
import { systemClock } from '../../gateway/edges/clock.ts';
import { createTransport } from '../../gateway/edges/r-transport/transport.ts';
import { misbehave, startPlumberService } from '../support/plumber/serve.ts';
import { anAdmitted, anAuth } from '../support/requests.ts';

const bounds = {
  reuse: false,
  connectTimeoutMs: 5_000,
  tls: undefined,
  hangMsMax: 60_000,
  bufferBytesMax: 1024 * 1024,
};

/** What the instance there answers. */
function send(transport: Transport, origin: string, message: UpstreamMessage): Promise<ExchangeEnd> {
  return new Promise(resolve => {
    const ignore = () => undefined;
    transport.send(origin, message, { bounds, listener: { onInterim: ignore, onStream: ignore, onEnd: resolve } });
  });
}

describe('what a real Plumber reads of a request', () => {
  test('is the gateway’s word of who calls and from where, whatever the caller wrote', async t => {
    const r = await startPlumberService(t, misbehave);
    const transport = createTransport({ clock: systemClock, deadlines: new Deadlines(systemClock) });
    t.after(() => transport.close());
    const forged = [
      'X-Penstock-Subject',
      'X-Penstock-Issuer',
      'X_Penstock_Issuer',
      'X_Penstock_Subject',
      'x-penstock_subject',
      'PLUMBER_SHARED_SECRET',
    ];
    const claimed = ['X-Forwarded-For', 'X_Forwarded_For', 'X-Real-IP', 'Forwarded', 'X_Request_Id', 'Authorization'];
    const admitted = anAdmitted({
      request: { path: '/echo', fields: [...forged, ...claimed, 'X-Own'].flatMap(name => [name, 'forged']) },
      policy: { auth: anAuth() },
      caller: { kind: 'jwt', issuer: 'https://issuer', subject: 'Åsa', scopes: ['predict'], roles: [] },
      sharedSecret: 'a secret',
    });

    const end = await send(transport, r.url, composeUpstream(admitted, Buffer.alloc(0)));
    assert.ok(end.kind === 'answered' && Buffer.isBuffer(end.answer.body), end.kind);
    const { status, body } = end.answer;
    const { headers } = JSON.parse(body.toString()) as { headers: Record<string, string> };

    assert.equal(status, 200);
    assert.equal(headers['HTTP_X_OWN'], 'forged', 'other fields arrive');
    assert.equal(headers['HTTP_X_PENSTOCK_SUBJECT'], '%C3%85sa');
    assert.equal(headers['HTTP_X_PENSTOCK_ISSUER'], 'https://issuer');
    assert.equal(headers['HTTP_VIA'], '1.1 penstock');
    assert.equal(headers['HTTP_X_PENSTOCK_SCOPES'], 'predict');
    assert.equal(headers['HTTP_X_FORWARDED_FOR'], '192.0.2.7');
    assert.equal(headers['HTTP_X_REQUEST_ID'], 'request-1');
    assert.equal(headers['HTTP_PLUMBER_SHARED_SECRET'], 'a secret');
    const forgeries = Object.entries(headers).filter(([, value]) => value.includes('forged'));
    assert.deepEqual(forgeries, [['HTTP_X_OWN', 'forged']]);
  });
});
