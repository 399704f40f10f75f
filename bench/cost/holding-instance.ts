import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An instance that is well and answers no call until it is told to. */
export interface HoldingInstance {
  readonly port: number;
  answerAll(): void;
  close(): void;
}

/** Starts one. */
export async function holdCalls(): Promise<HoldingInstance> {
  const held = new Set<ServerResponse>();
  let isHolding = true;
  const server = createServer((request, response) => {
    request.resume();
    if (request.url === '/ping' || !isHolding) response.end('{}');
    else held.add(response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    answerAll() {
      for (const response of held) response.end('{}');
      held.clear();
    },
    close() {
      isHolding = false;
      server.closeAllConnections();
      server.close();
    },
  };
}
