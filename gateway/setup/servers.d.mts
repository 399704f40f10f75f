/** A server that tests, benchmarks or `npm run start:consul` may need. */
export type ServerName = 'consul' | 'nginx' | 'haproxy' | 'redis-server' | 'promtool' | 'wrk' | 'chromium';

/** The path of a server's program: the one on PATH, or one downloaded from Debian and unpacked under `.state/servers/`. */
export function ensureServer(name: ServerName): Promise<string>;
