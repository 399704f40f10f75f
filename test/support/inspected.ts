import { once } from 'node:events';
import type { GatewayProcess } from './gateway-process.ts';

/** A look into a process that runs with `--inspect`. */
export interface Inspected {
  /** The value of an expression in the process, as JSON. */
  evaluate<T>(expression: string): Promise<T>;
  /** One command of the DevTools protocol. */
  command<T>(method: string, params?: object): Promise<T>;
  close(): void;
}

interface Reply {
  /** Of the command; an event has none. */
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** What makes Node print where its inspector listens. */
export const INSPECT = '--inspect=127.0.0.1:0';

/** Connects to the inspector of a gateway started with `INSPECT` among its Node options. */
export async function inspect({ inspector }: GatewayProcess): Promise<Inspected> {
  const socket = new WebSocket(await inspector);
  await once(socket, 'open');
  const waiting = new Map<number, (reply: Reply) => void>();
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Reply;
    if (message.id !== undefined) waiting.get(message.id)?.(message);
  });
  let id = 0;
  const command = <T>(method: string, params: object = {}) =>
    new Promise<T>((resolve, reject) => {
      const own = (id += 1);
      waiting.set(own, ({ result, error }) => {
        waiting.delete(own);
        if (error === undefined) resolve(result as T);
        else reject(new Error(error.message));
      });
      socket.send(JSON.stringify({ id: own, method, params }));
    });
  return {
    command,
    async evaluate<T>(expression: string) {
      const params = { expression, returnByValue: true, awaitPromise: true };
      const { result, exceptionDetails } = await command<{ result: { value: T }; exceptionDetails?: object }>(
        'Runtime.evaluate',
        params,
      );
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
      return result.value;
    },
    close: () => socket.close(),
  };
}
