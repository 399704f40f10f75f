import { Writable } from 'node:stream';
import winston from 'winston';
import type { GatewayEvent } from '../domain/events.ts';
import { LOG_LEVELS, levelOf, toLogLine, type LogLevel, type LogLine } from '../domain/operating/log-line.ts';
import { createTimestamps } from '../domain/operating/timestamp.ts';
import { createLineWriter } from './line-writer.ts';

/** Events as lines of JSON. */
export interface Log {
  /** Writes the event's line; it happened then, in milliseconds since 1970. */
  observe(event: GatewayEvent, wallMs: number): void;
  /** For now there is no more to observe: access lines that were gathered go out together. */
  observedAll(): void;
  readonly level: LogLevel;
  setLevel(level: LogLevel): void;
  /** Lines dropped because nobody took them. */
  readonly linesDropped: number;
  /** Hands over what is held, now: for a process that ends in the next moment. */
  flush(): void;
  /** Resolves when every line is written, or nobody took them in time. */
  close(): Promise<void>;
}

interface LogOptions {
  readonly level: LogLevel;
  /** Whether each request gets its line. */
  readonly access: boolean;
  readonly stream: Writable;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Brings what has happened and was not told yet. */
  readonly catchUp: () => void;
}

const CLOSE_MS_MAX = 1000;

/** Where winston's transports find the finished line (its documented `MESSAGE`, from triple-beam). */
const MESSAGE = Symbol.for('message');

/**
 * Writes events as lines, one an event.
 *
 * winston owns levels and the way of a line; its text is made by one JSON.stringify and its writing is ours. winston's
 * own json format and stream transport take 30 us a line where this takes 4, and wait for slow readers.
 */
export function createLog({ level, access, stream, wallMs, catchUp }: LogOptions): Log {
  const toText = (line: LogLine) =>
    escaped(line.event === 'request' ? JSON.stringify(line) : JSON.stringify(line, shortened));
  const timestamp = createTimestamps();
  const writer = createLineWriter({
    stream,
    gap: lines => toText({ time: timestamp(wallMs()), level: 'warn', event: 'log-lines-dropped', lines }),
  });
  const logger = winston.createLogger({
    level,
    levels: Object.fromEntries(LOG_LEVELS.map((name, rank) => [name, rank])),
    format: winston.format(line =>
      MESSAGE in line ? line : Object.assign(line, { [MESSAGE]: toText(line as unknown as LogLine) }),
    )(),
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- winston asks for a stream with a `log`, whatever its types say
    transports: [toTransport((lines, count) => writer.write(lines, count))],
  });
  /** Winston's way of a line costs several times the line: access lines go it together. */
  let accessLines: string[] = [];
  const observedAll = () => {
    if (accessLines.length === 0) return;
    const lines = { level: 'info', message: '', count: accessLines.length, [MESSAGE]: accessLines.join('\n') };
    accessLines = [];
    logger.write(lines);
  };

  return {
    observe(event, atMs) {
      const lineLevel = levelOf(event);
      if (LOG_LEVELS.indexOf(lineLevel) > LOG_LEVELS.indexOf(logger.level as LogLevel)) return;
      if (event.kind === 'request') {
        if (access) accessLines.push(toText(toLogLine(event, { time: timestamp(atMs), level: lineLevel })));
        return;
      }
      observedAll(); // lines keep their order
      logger.write(toLogLine(event, { time: timestamp(atMs), level: lineLevel }));
    },
    observedAll,
    get level() {
      return logger.level as LogLevel;
    },
    setLevel(wanted) {
      catchUp(); // what happened before goes by the level of then
      observedAll();
      logger.level = wanted;
    },
    get linesDropped() {
      return writer.dropped;
    },
    flush() {
      catchUp();
      observedAll();
      writer.flush();
    },
    close() {
      catchUp();
      observedAll();
      return writer.close(CLOSE_MS_MAX);
    },
  };
}

// Without winston's own Transport, which asks for the level a second time.
function toTransport(write: (lines: string, count: number) => void): Writable {
  const transport = new Writable({
    objectMode: true,
    write(info: { readonly count?: number; [MESSAGE]: string }, _encoding, next) {
      write(info[MESSAGE], info.count ?? 1);
      next();
    },
  });
  return Object.assign(transport, { log: () => undefined });
}

const TEXT_LENGTH_MAX = 8 * 1024;
const LIST_LENGTH_MAX = 50;

/** What others say (R, a stack, a file full of problems) may be long; a line may not. */
function shortened(_key: string, value: unknown): unknown {
  if (typeof value === 'string' && value.length > TEXT_LENGTH_MAX) return `${value.slice(0, TEXT_LENGTH_MAX)}…`;
  if (Array.isArray(value) && value.length > LIST_LENGTH_MAX) return value.slice(0, LIST_LENGTH_MAX);
  return value;
}

// JSON escapes what is below a space; a terminal also obeys DEL and C1, and editors break lines at U+2028 and U+2029.
function escaped(json: string): string {
  return OBEYED.test(json) ? json.replace(OBEYED_ALL, toEscape) : json;
}

const OBEYED = /[\u007f-\u009f\u2028\u2029]/;
const OBEYED_ALL = new RegExp(OBEYED, 'g');

function toEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
