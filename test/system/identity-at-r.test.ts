import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { composeUpstream } from '../../gateway/domain/http/upstream-request.ts';
import { systemClock } from '../../gateway/edges/clock.ts';
import { createTransport } from '../../gateway/edges/undici.ts';
import { misbehave, startPlumberService } from '../support/plumber/serve.ts';
import { anAdmitted, anAuth } from '../support/requests.ts';

const bounds = { reuse: false, connectTimeoutMs: 5_000, hangMsMax: 60_000, bufferBytesMax: 1024 * 1024 };

describe('what a real Plumber reads of a request', () => {
  test('is the gateway’s word of who calls and from where, whatever the caller wrote', async t => {
    const r = await startPlumberService(t, misbehave);
    const transport = createTransport({ clock: systemClock });
    t.after(() => transport.close());
    const forged = ['X-Penstock-Subject', 'X_Penstock_Subject', 'x-penstock_subject', 'PLUMBER_SHARED_SECRET'];
    const claimed = ['X-Forwarded-For', 'X_Forwarded_For', 'X-Real-IP', 'Forwarded', 'X_Request_Id', 'Authorization'];
    const admitted = anAdmitted({
      request: { path: '/echo', rawHeaders: [...forged, ...claimed, 'X-Own'].flatMap(name => [name, 'forged']) },
      policy: { auth: anAuth() },
      caller: { kind: 'jwt', subject: 'Åsa', scopes: ['predict'], roles: [] },
      sharedSecret: 'a secret',
    });

    const request = { ...composeUpstream(admitted, Buffer.alloc(0)), origin: r.url };
    const { status, body } = await transport.send(request, bounds).answer;
    assert.ok(Buffer.isBuffer(body));
    const { headers } = JSON.parse(body.toString()) as { headers: Record<string, string> };

    assert.equal(status, 200);
    assert.equal(headers['HTTP_X_OWN'], 'forged', 'other fields arrive');
    assert.equal(headers['HTTP_X_PENSTOCK_SUBJECT'], '%C3%85sa');
    assert.equal(headers['HTTP_X_PENSTOCK_SCOPES'], 'predict');
    assert.equal(headers['HTTP_X_FORWARDED_FOR'], '192.0.2.7');
    assert.equal(headers['HTTP_X_REQUEST_ID'], 'request-1');
    assert.equal(headers['HTTP_PLUMBER_SHARED_SECRET'], 'a secret');
    const forgeries = Object.entries(headers).filter(([, value]) => value.includes('forged'));
    assert.deepEqual(forgeries, [['HTTP_X_OWN', 'forged']]);
  });
});
