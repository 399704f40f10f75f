import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';

/** The heap of another Node, as it is after everything that can go has gone. */
export interface LiveHeap {
  bytes(): Promise<number>;
  close(): void;
}

const OPEN_MS_MAX = 20_000;
const POLL_MS = 100;

/** Where a Node is told to await its debugger, once it gets SIGUSR1. */
export function inspectorAt(port: number): string {
  return `--inspect-port=127.0.0.1:${port}`;
}

/** Opens the inspector of a Node that was started with `inspectorAt` in its NODE_OPTIONS. */
export async function openLiveHeap(pid: number, port: number): Promise<LiveHeap> {
  process.kill(pid, 'SIGUSR1');
  const socket = new WebSocket(await inspectorUrl(port));
  await once(socket, 'open');
  let lastId = 0;
  const command = async (method: string): Promise<unknown> => {
    const id = (lastId += 1);
    socket.send(JSON.stringify({ id, method }));
    for (;;) {
      const [message] = (await once(socket, 'message')) as [{ readonly data: string }];
      const { id: of, result } = JSON.parse(message.data) as { id?: number; result?: unknown };
      if (of === id) return result;
    }
  };
  return {
    async bytes() {
      await command('HeapProfiler.collectGarbage');
      return ((await command('Runtime.getHeapUsage')) as { usedSize: number }).usedSize;
    },
    close: () => socket.close(),
  };
}

async function inspectorUrl(port: number): Promise<string> {
  const untilMs = performance.now() + OPEN_MS_MAX;
  for (;;) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/json/list`, { headers: { connection: 'close' } });
      const [target] = (await response.json()) as { webSocketDebuggerUrl: string }[];
      if (target !== undefined) return target.webSocketDebuggerUrl;
    } catch (error) {
      if (performance.now() > untilMs) throw error; // Until then it may not listen yet.
    }
    await setTimeout(POLL_MS);
  }
}
