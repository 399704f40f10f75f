import { fileURLToPath } from 'node:url';
import { answers, type Place } from '../place.ts';
import { startNode } from '../process-figures.ts';
import { REHEARSAL, REHEARSAL_PREFIX, type Behind, type Contestant, type Front } from './contestant.ts';

/**
 * Express with http-proxy-middleware and nothing else: no identity, no limit, no log, no metrics. Its default agent, which
 * is Node's, keeps connections.
 */
export const httpProxyMiddleware = contestantOf({
  ...{ id: 'http-proxy-middleware', title: 'http-proxy-middleware alone, keep-alive', kind: 'peer' },
  setUp: 'Express and the middleware with its default agent, which keeps connections; no log',
  server: 'proxy-kept',
});

/** The same with a fresh connection for each call. */
export const httpProxyMiddlewareFresh = contestantOf({
  ...{ id: 'http-proxy-middleware-fresh', title: 'http-proxy-middleware alone', kind: 'peer' },
  setUp: 'Express and the middleware with an agent that makes a fresh connection for each call; no log',
  server: 'proxy-fresh',
});

/** What a gateway of these parts costs at the least. */
export const floor = contestantOf({
  ...{ id: 'floor', title: 'floor: Express and undici', kind: 'floor' },
  setUp: 'Express and one `dispatch` of undici’s on kept connections; no policy, no log',
  server: 'floor',
});

/** What an answer costs at the least, where nothing has to be asked. */
export const expressAlone = contestantOf({
  ...{ id: 'express-alone', title: 'Express alone', kind: 'floor' },
  setUp: 'Express answers by itself, `response.json({ ok: true })`; no policy, no log',
  server: 'alone',
});

interface How extends Omit<Contestant, 'start'> {
  /** Which of the servers in express-server.ts. */
  readonly server: string;
}

function contestantOf({ server, ...facts }: How): Contestant {
  return { ...facts, start: (place, behind) => start(place, behind, { name: facts.id, server }) };
}

async function start(place: Place, behind: Behind, how: { name: string; server: string }): Promise<Front> {
  const port = await place.port();
  const program = fileURLToPath(new URL('express-server.ts', import.meta.url));
  const rehearsal = `${REHEARSAL_PREFIX}=${behind.rehearsal}`;
  const started = startNode(place, how.name, {
    args: [program, String(port), how.server, rehearsal, behind.prefix, ...behind.instances],
    core: behind.core,
  });
  const address = `127.0.0.1:${port}`;
  await place.until(started, () => answers(`http://${address}/`));
  return { addresses: [address], prefix: behind.prefix, process: started, rehearsal: REHEARSAL };
}
