import { EventEmitter, once } from 'node:events';
import { Writable } from 'node:stream';

/** A line of the gateway's log. */
export type GatewayLine = Readonly<Record<string, unknown>> & { readonly event: string };

/** What a gateway has written, and what it will write. */
export interface GatewayLog {
  /** Takes what the gateway writes, in pieces of any size. */
  readonly stream: Writable;
  readonly lines: readonly GatewayLine[];
  /** The lines of an event. */
  of(event: string): GatewayLine[];
  /** The first such line, written already or to come; fails when it does not come in time. */
  line(isWanted: (line: GatewayLine) => boolean, waitMsMax?: number): Promise<GatewayLine>;
}

const WAIT_MS_MAX = 60_000;

/** Reads a log, line by line; every line must be an object in JSON. */
export function createGatewayLog(): GatewayLog {
  const lines: GatewayLine[] = [];
  const news = new EventEmitter<{ line: [] }>();
  news.setMaxListeners(0);
  let rest = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) lines.push(JSON.parse(part) as GatewayLine);
      done();
      if (parts.length > 0) news.emit('line');
    },
  });
  return {
    stream,
    lines,
    of: event => lines.filter(line => line.event === event),
    async line(isWanted, waitMsMax = WAIT_MS_MAX) {
      const patience = AbortSignal.timeout(waitMsMax);
      let seen = 0;
      for (;;) {
        for (; seen < lines.length; seen += 1) {
          const line = lines[seen];
          if (line !== undefined && isWanted(line)) return line;
        }
        await once(news, 'line', { signal: patience }).catch(() => {
          const last = lines.slice(-12).map(line => JSON.stringify(line));
          throw new Error(`no such line within ${waitMsMax} ms; the last ones were\n${last.join('\n')}`);
        });
      }
    },
  };
}
