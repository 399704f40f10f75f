import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import jwt from 'jsonwebtoken';
import { ensureServer } from '../support/servers.mjs';
import { startGateway, type ComposedGateway } from '../support/composed-gateway.ts';
import { startPlumberService } from '../support/plumber/serve.ts';

const SECRET = 'a secret for the browser test, long enough for HS256';
const token = jwt.sign({ sub: 'anna', scope: 'predict' }, SECRET, {
  issuer: 'penstock-dev',
  audience: 'penstock',
  expiresIn: '5m',
});

const run = promisify(execFile);

/** What keeps Chromium from asking for anything beyond this machine. */
const QUIET = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-dev-shm-usage'],
];

/** A front end's page, at an origin of its own, which asks the gateway for a prediction and shows what it may read. */
async function startFrontEnd(t: TestContext): Promise<{ origin: string; show: (script: string) => void }> {
  let script = '';
  const server = createServer((_req, res) => {
    res.setHeader('content-type', 'text/html');
    res.end(`<body><pre id="seen"></pre><script type="module">
      const tell = text => { document.getElementById('seen').textContent = text; };
      try { ${script} } catch (error) { tell('refused by the browser: ' + error.name); }
    </script></body>`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    show: text => {
      script = text;
    },
  };
}

/** What a person would read on the page once its script has run. */
async function look(t: TestContext, url: string): Promise<string> {
  const profile = mkdtempSync(join(tmpdir(), 'penstock-browser-'));
  t.after(() => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
  const flags = [...QUIET, `--user-data-dir=${profile}`, '--virtual-time-budget=10000', '--dump-dom', url];
  const { stdout } = await run(await ensureServer('chromium'), flags, { timeout: 180_000 });
  return /<pre id="seen">([^]*?)<\/pre>/.exec(stdout)?.[1] ?? stdout;
}

async function startAll(
  t: TestContext,
): Promise<{ gateway: ComposedGateway; front: Awaited<ReturnType<typeof startFrontEnd>> }> {
  const front = await startFrontEnd(t);
  const fuel = await startPlumberService(t, 'fuel');
  const gateway = await startGateway(t, {
    services: { fuel: [fuel.url] },
    more: `identity: { jwt: [{ issuer: penstock-dev, audience: penstock, algorithms: [HS256], secret: '${SECRET}' }] }`,
    routes: `
routes:
  - id: fuel
    uri: lb://fuel
    predicates: ['Path=/api/fuel/**', 'Method=GET,POST']
    filters: [StripPrefix=2]
    auth: { scopes: [predict] }
    limits: [{ rate: 100, per: 1s, by: caller }]
    cors: { origins: ['${front.origin}'], methods: [GET, POST], headers: [authorization, content-type] }
`,
  });
  return { gateway, front };
}

/** The page's script: a call with this token, of which it tells status and body. */
function asking(gateway: ComposedGateway, bearer: string): string {
  return `
    const answer = await fetch('${gateway.url}/api/fuel/predict', {
      method: 'POST',
      headers: { authorization: 'Bearer ${bearer}', 'content-type': 'application/json' },
      body: '[{"wt":2.62,"hp":110}]',
    });
    tell(answer.status + ' ' + await answer.text());`;
}

describe('a browser', () => {
  before(() => ensureServer('chromium'));

  test('shows a page of another origin the prediction it asked for', async t => {
    const { gateway, front } = await startAll(t);
    front.show(asking(gateway, token));

    const seen = await look(t, front.origin);

    assert.match(seen, /^200 \{"\.pred":23\.57/);
    assert.deepEqual(
      gateway.requests().map(({ method }) => method),
      ['OPTIONS', 'POST'],
    );
  });

  test('lets the page read why it was refused', async t => {
    const { gateway, front } = await startAll(t);
    front.show(asking(gateway, `${token}x`));

    assert.match(await look(t, front.origin), /^401 .*UNAUTHENTICATED/);
  });

  test('keeps the answer from a page of an origin that the route does not name', async t => {
    const { gateway } = await startAll(t);
    const stranger = await startFrontEnd(t);
    stranger.show(asking(gateway, token));

    assert.equal(await look(t, stranger.origin), 'refused by the browser: TypeError');
  });
});
