import type { Writable } from 'node:stream';
import type { MadeRoutes } from './config/compile.ts';
import type { Call } from './domain/call.ts';
import type { Observe } from './domain/events.ts';
import { createMiddlewareEdge } from './edges/express/middleware.ts';
import { createWatchdog } from './edges/watchdog.ts';

/** What plug-ins need of the running gateway. */
export interface Plugins {
  /** Where calls come in. */
  readonly enter: (call: Call) => void;
  /** These routes are in force from now on, and the middleware that was loaded with them. */
  follow(routes: MadeRoutes): void;
  close(): void;
}

interface PluginParts {
  readonly routes: MadeRoutes;
  /** Where the flow begins. */
  readonly enter: (call: Call) => void;
  readonly observe: Observe;
  /** Where the log goes. */
  readonly stdout: Writable;
}

/** Standard error's, where the log's own has none. */
const FD = 2;

/** Puts together what runs plug-ins; without any in the configuration calls come in as they would. */
export function composePlugins({ routes: { plugins }, enter, observe, stdout }: PluginParts): Plugins {
  if (plugins === undefined) return { enter, follow: () => undefined, close: () => undefined };
  const { ports } = plugins;
  const fd = 'fd' in stdout && typeof stdout.fd === 'number' ? stdout.fd : FD;
  const watchdog = createWatchdog({ fd, onOver: blocked => observe({ kind: 'plugin-blocked', ...blocked }) });
  ports.watch = watchdog;
  const edge = createMiddlewareEdge({ enter, observe, ports });
  return {
    enter: edge.enter,
    follow: ({ plugins: loaded = plugins }) => edge.use(loaded),
    close: () => watchdog.close(),
  };
}
