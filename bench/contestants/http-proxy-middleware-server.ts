import { Agent } from 'node:http';
import express from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';

// What one would write to have a proxy in Express: PORT default|fresh PREFIX HOST:PORT …

const [port, agent, prefix = '', ...instances] = process.argv.slice(2);
let turn = 0;

const app = express();
app.use(
  prefix === '' ? '/' : prefix,
  createProxyMiddleware({
    router: () => `http://${instances[turn++ % instances.length] ?? ''}`,
    ...(agent === 'fresh' ? { agent: new Agent({ keepAlive: false }) } : {}),
  }),
);
app.listen(Number(port), '127.0.0.1');
