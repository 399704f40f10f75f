import { fileURLToPath } from 'node:url';
import type { Place } from '../place.ts';
import { answers, REHEARSAL_PREFIX, type Behind, type Contestant, type Front } from './contestant.ts';

/**
 * Express with http-proxy-middleware and nothing else: no identity, no limit, no log, no metrics. Its default agent, which
 * is Node's, keeps connections.
 */
export const httpProxyMiddleware: Contestant = {
  id: 'http-proxy-middleware',
  title: 'http-proxy-middleware alone, keep-alive',
  kind: 'peer',
  setUp: 'Express and the middleware with its default agent, which keeps connections; no log',
  start: (place, behind) => start(place, behind, { name: 'http-proxy-middleware', agent: 'default' }),
};

/** The same with a fresh connection for each call. */
export const httpProxyMiddlewareFresh: Contestant = {
  id: 'http-proxy-middleware-fresh',
  title: 'http-proxy-middleware alone',
  kind: 'peer',
  setUp: 'Express and the middleware with an agent that makes a fresh connection for each call; no log',
  start: (place, behind) => start(place, behind, { name: 'http-proxy-middleware-fresh', agent: 'fresh' }),
};

async function start(place: Place, behind: Behind, how: { name: string; agent: string }): Promise<Front> {
  const port = await place.port();
  const server = fileURLToPath(new URL('http-proxy-middleware-server.ts', import.meta.url));
  const started = place.start(how.name, {
    program: process.execPath,
    args: [
      server,
      String(port),
      how.agent,
      `${REHEARSAL_PREFIX}=${behind.rehearsal}`,
      behind.prefix,
      ...behind.instances,
    ],
    core: behind.core,
  });
  const address = `127.0.0.1:${port}`;
  await place.until(started, () => answers(address));
  return { addresses: [address], prefix: behind.prefix, rehearsalPrefix: REHEARSAL_PREFIX, pid: started.pid };
}
