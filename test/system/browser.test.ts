import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import jwt from 'jsonwebtoken';
import { ensureServer } from '../support/servers.mjs';
import { startGateway, type ComposedGateway } from '../support/composed-gateway.ts';
import { startPlumberService } from '../support/plumber/serve.ts';
import { listen } from '../support/node-server.ts';

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
async function startFrontEnd(
  t: TestContext,
  cookie?: string,
): Promise<{ origin: string; show: (script: string) => void; said: Promise<string> }> {
  let script = '';
  let reported: (text: string) => void = () => undefined;
  const said = new Promise<string>(resolve => (reported = resolve));
  const server = createServer(({ url }, res) => {
    if (url?.startsWith('/told?') === true) reported(decodeURIComponent(url.slice('/told?'.length)));
    res.setHeader('content-type', 'text/html');
    if (cookie !== undefined) res.setHeader('set-cookie', cookie);
    res.end(`<body><pre id="seen"></pre><script type="module">
      const tell = text => { document.getElementById('seen').textContent = text; };
      try { ${script} } catch (error) { tell('refused by the browser: ' + error.name); fetch('/told?' + error.name); }
    </script></body>`);
  });
  const port = await listen(t, server);
  return {
    origin: `http://127.0.0.1:${port}`,
    said,
    show: text => {
      script = text;
    },
  };
}

/** Opens the page until it has told something: streams do not hold the time of a browser that only prints a page. */
async function watch(url: string, said: Promise<string>): Promise<string> {
  const profile = mkdtempSync(join(tmpdir(), 'penstock-browser-'));
  const flags = [...QUIET, `--user-data-dir=${profile}`, '--remote-debugging-port=0', url];
  const browser = spawn(await ensureServer('chromium'), flags, { stdio: 'ignore', detached: true });
  const exited = once(browser, 'exit');
  try {
    return await Promise.race([said, exited.then(() => 'the browser ended')]);
  } finally {
    if (browser.pid !== undefined && browser.exitCode === null) process.kill(-browser.pid, 'SIGKILL'); // and its children
    await exited;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
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
function callScript(gateway: ComposedGateway, bearer: string): string {
  return `
    const answer = await fetch('${gateway.url}/api/fuel/predict', {
      method: 'POST',
      headers: { authorization: 'Bearer ${bearer}', 'content-type': 'application/json' },
      body: '[{"wt":2.62,"hp":110}]',
    });
    tell(answer.status + ' ' + await answer.text());`;
}

/** A model that pushes: one event, and one message of a WebSocket (RFC 6455 §4.2.2, §5.2). It keeps what it was sent. */
async function startPushing(t: TestContext) {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer(({ headers, url }, res) => {
    if (url === '/ping') {
      res.end(); // a check of the gateway's own
      return;
    }
    seen.push(headers);
    res.setHeader('content-type', 'text/event-stream');
    res.write('data: an event\n\n');
  });
  server.on('upgrade', ({ headers }, socket) => {
    seen.push(headers);
    const key = `${headers['sec-websocket-key'] ?? ''}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`);
    socket.write(`Sec-WebSocket-Accept: ${accept}\r\n\r\n\x81\x09a message`, 'latin1');
    socket.on('error', () => undefined);
    socket.on('data', () => socket.end()); // it can only be that the page closes
  });
  const port = await listen(t, server);
  return { url: `http://127.0.0.1:${port}`, seen };
}

describe('a browser', () => {
  before(() => ensureServer('chromium'));

  test('shows a page of another origin the prediction it asked for', async t => {
    const { gateway, front } = await startAll(t);
    front.show(callScript(gateway, token));

    const seen = await look(t, front.origin);

    assert.match(seen, /^200 \{"\.pred":23\.57/);
    assert.deepEqual(
      gateway.requests().map(({ method }) => method),
      ['OPTIONS', 'POST'],
    );
  });

  test('lets the page read why it was refused', async t => {
    const { gateway, front } = await startAll(t);
    front.show(callScript(gateway, `${token}x`));

    assert.match(await look(t, front.origin), /^401 .*UNAUTHENTICATED/);
  });

  test('keeps the answer from a page of an origin that the route does not name', async t => {
    const { gateway } = await startAll(t);
    const stranger = await startFrontEnd(t);
    stranger.show(callScript(gateway, token));

    assert.equal(await look(t, stranger.origin), 'refused by the browser: TypeError');
  });

  test('opens an EventSource by a cookie and a WebSocket by a subprotocol, and the model sees neither', async t => {
    const page = readFileSync(new URL('../../docs/identity.md', import.meta.url), 'utf8').split('## Browsers')[1] ?? '';
    const [, routes = ''] = /```yaml\n([^]*?)```/.exec(page) ?? [];
    const front = await startFrontEnd(t, `session=${token}; SameSite=Strict; HttpOnly`);
    const model = await startPushing(t);
    const gateway = await startGateway(t, {
      services: { fuel: [model.url] },
      more: `identity: { jwt: [{ issuer: penstock-dev, audience: penstock, algorithms: [HS256], secret: '${SECRET}' }] }`,
      routes: routes.replace('https://app.example.org', front.origin),
    });
    front.show(`
      const heard = target => new Promise((resolve, reject) => {
        target.onmessage = ({ data }) => { target.close(); resolve(data); };
        target.onerror = () => reject(new TypeError());
      });
      const event = await heard(new EventSource('${gateway.url}/live/events', { withCredentials: true }));
      const socket = new WebSocket('${gateway.url.replace('http', 'ws')}/live/socket', ['bearer', '${token}']);
      const message = await heard(socket);
      fetch('/told?' + encodeURIComponent([event, message, socket.protocol].join(', ')));`);

    assert.equal(await watch(front.origin, front.said), 'an event, a message, bearer');

    assert.equal(model.seen.length, 2);
    assert.ok(!JSON.stringify(model.seen).includes(token), 'the token goes no further');
    assert.ok(!JSON.stringify(gateway.log.lines).includes(token));
    assert.deepEqual(new Set(gateway.requests().map(({ caller }) => caller)), new Set(['penstock-dev/anna']));
  });
});
