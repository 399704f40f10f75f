import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startGateway } from '../support/composed-gateway.ts';
import { FRAMING_CASES } from '../support/framing-cases.ts';
import { misbehave, startPlumberService } from '../support/plumber/serve.ts';
import { sendAndReceive } from '../support/raw-caller.ts';

const AT_ONCE = 8;

/** What R was sent, as it tells in its answer; a request that must not have been sent is reported by its path. */
interface Echo {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What must not have reached R, whatever was said: frames of another hop, and who calls. */
const NEVER = [
  'TRANSFER_ENCODING',
  'UPGRADE',
  'HTTP2_SETTINGS',
  'EXPECT',
  'TE',
  'TRAILER',
  'X_USER',
  'X_SUM',
  'X_PENSTOCK_SUBJECT',
].map(name => `HTTP_${name}`);

function echoesIn(received: string): Echo[] {
  return [...received.matchAll(/\{"method":.*?\}(?=HTTP\/1\.1|$)/gs)].map(([text]) => JSON.parse(text) as Echo);
}

describe('before a real R', () => {
  test('each request is accepted or refused by its frame, and nothing of it is ambiguous behind us', async t => {
    const r = await startPlumberService(t, misbehave);
    const gateway = await startGateway(t, {
      services: { r: [r.url] },
      routes: `
services: { r: { health: { interval: 1h } } }
routes:
  - { id: r, uri: lb://r, predicates: ['Path=/r/**'], filters: [StripPrefix=1], timeout: 20s }
  - { id: upload, uri: lb://r, predicates: ['Path=/u/**'], filters: [StripPrefix=1], timeout: 60s, body: { max: 8MiB } }
`,
    });

    for (let at = 0; at < FRAMING_CASES.length; at += AT_ONCE) {
      const some = FRAMING_CASES.slice(at, at + AT_ONCE).map(([name, say, expected]) =>
        t.test(`${name}: ${expected}`, async t => {
          const received = await sendAndReceive(t, gateway.port, Buffer.from(say, 'latin1'));

          assert.equal(
            [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status).join(' '),
            expected,
            received,
          );
          const echoes = echoesIn(received);
          if (expected === '200') assert.equal(echoes.length, 1);
          for (const { path, headers } of echoes) {
            assert.equal(path, '/echo');
            assert.deepEqual(
              NEVER.filter(name => name in headers),
              [],
            );
          }
        }),
      );
      await Promise.all(some);
    }

    await t.test('a form of some megabytes comes to Plumber whole, with `body.max` and nothing else', async () => {
      const form = new FormData();
      form.append('note', 'ä');
      form.append('file', new Blob([Buffer.alloc(4 * 1024 * 1024, 7)], { type: 'application/octet-stream' }), 'a.bin');

      const taken = await fetch(`${gateway.url}/u/upload`, { method: 'POST', body: form });
      const refused = await fetch(`${gateway.url}/r/upload`, { method: 'POST', body: form });

      assert.deepEqual(await taken.json(), { note: 'ä', bytes: 4 * 1024 * 1024, sum: 7 * 4 * 1024 * 1024 });
      assert.equal(refused.status, 413);
      await refused.text();
    });

    const plain = await gateway.call('/r/echo');
    assert.equal(plain.status, 200, 'and R is none the worse');
    assert.deepEqual(
      gateway.requests().filter(({ path }) => path === '/r/smuggled'),
      [],
    );
    const [instance] = (await gateway.service('r')).instances;
    assert.deepEqual([instance?.state, instance?.failures], ['in-rotation', 0]);
  });
});
