import { Agent } from 'node:http';
import express from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';

// What one would write to have a proxy in Express: PORT default|fresh PREFIX=HOST:PORT PREFIX HOST:PORT …
// The first prefix leads to the upstream of the rehearsal, the second to the instances.

const [port, agent, rehearsal = '', prefix = '', ...instances] = process.argv.slice(2);
const [rehearsalPrefix = '', rehearsed = ''] = rehearsal.split('=');

const app = express();
proxy(rehearsalPrefix, [rehearsed]);
proxy(prefix === '' ? '/' : prefix, instances);
app.listen(Number(port), '127.0.0.1');

function proxy(path: string, targets: readonly string[]): void {
  let turn = 0;
  app.use(
    path,
    createProxyMiddleware({
      router: () => `http://${targets[turn++ % targets.length] ?? ''}`,
      ...(agent === 'fresh' ? { agent: new Agent({ keepAlive: false }) } : {}),
    }),
  );
}
