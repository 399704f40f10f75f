import winston from 'winston';
import { Writable } from 'node:stream';
import type { GatewayEvent } from '../domain/events.ts';
import {
  LOG_LEVELS,
  levelOf,
  toLogLine,
  type LogLevel,
  type LogLine,
  createTimestamps,
} from '../domain/operating/log-line.ts';

/** Events as lines of JSON. */
export interface Log {
  /** Writes the event's line; it happened then, in milliseconds since 1970. */
  observe(event: GatewayEvent, wallMs: number): void;
  /** For now there is no more to observe: access lines that were gathered go out together. */
  observedAll(): void;
  readonly level: LogLevel;
  setLevel(level: LogLevel): void;
  /** Lines dropped because their reader was too slow. */
  readonly linesDropped: number;
  /** Hands over what is held, now: for a process that ends in the next moment. */
  flush(): void;
  /** Resolves when every line is written, or its reader did not take them in time. */
  close(): Promise<void>;
}

interface LogOptions {
  readonly level: LogLevel;
  /** Whether each request gets its line. */
  readonly access: boolean;
  readonly stream: Writable;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Emits what has happened and was not emitted yet. */
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
  // With its end from the start: put behind it later, that would copy the whole once more.
  const toText = (line: LogLine) =>
    `${escaped(line.event === 'request' ? JSON.stringify(line) : JSON.stringify(line, shortened))}\n`;
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
    const lines = { level: 'info', message: '', count: accessLines.length, [MESSAGE]: accessLines.join('') };
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

/** Lines on their way to a stream that may be slow, stuck or closed. */
export interface LineWriter {
  /** Takes whole lines, each with its end; drops them where the stream takes nothing. Never waits, never throws. */
  write(lines: string, count?: number): void;
  /** Hands over what is held, now: for a process that ends in the next moment. */
  flush(): void;
  /** Resolves when all is written, or after `withinMs`. */
  close(withinMs: number): Promise<void>;
  /** Lines dropped so far. */
  readonly dropped: number;
}

interface LineWriterOptions {
  readonly stream: Writable;
  /** The line that stands where dropped ones would have stood. */
  readonly gap: (dropped: number) => string;
}

/** Held at most while the stream takes nothing; the stream itself holds as much again. */
const HELD_CHARS_MAX = 1024 * 1024;

/** After an error (a full disk, a closed pipe) the stream is left alone so long, then tried again. */
const REST_MS = 1000;

/**
 * Gathers the lines of one turn of the event loop into one write, and never lets a reader hold the gateway up.
 *
 * A log is worth less than the requests it reports: a reader that is too slow loses lines, and is told how many.
 */
function createLineWriter({ stream, gap }: LineWriterOptions): LineWriter {
  const held = createHeldLines(gap);
  let isScheduled = false;
  let isBlocked = false;
  let isResting = false;

  const handOver = () => {
    const { text, count } = held.take();
    if (count === 0) return;
    isBlocked = !stream.write(text, error => {
      if (error) held.drop(count);
    });
  };
  const schedule = () => {
    if (isScheduled || isBlocked) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      if (!isBlocked) handOver();
    });
  };
  stream.on('drain', () => {
    isBlocked = false;
    handOver();
  });
  stream.on('error', () => {
    isBlocked = false;
    isResting = true;
    setTimeout(() => (isResting = false), REST_MS).unref();
  });

  return {
    write(text, count = 1) {
      if (isResting || stream.destroyed || !held.add(text, count)) held.drop(count);
      else schedule();
    },
    flush() {
      if (!stream.destroyed) handOver();
    },
    async close(withinMs) {
      if (stream.destroyed) return;
      handOver();
      await written(stream, withinMs);
    },
    get dropped() {
      return held.dropped;
    },
  };
}

function createHeldLines(gap: (dropped: number) => string) {
  let lines: string[] = [];
  let chars = 0;
  let lineCount = 0;
  let untold = 0;

  const push = (text: string, count: number) => {
    lines.push(text);
    lineCount += count;
    chars += text.length;
  };

  return {
    dropped: 0,
    /** False: no room. */
    add(text: string, count: number): boolean {
      if (chars + text.length > HELD_CHARS_MAX) return false;
      if (untold > 0) push(gap(untold), 1);
      untold = 0;
      push(text, count);
      return true;
    },
    drop(count: number): void {
      this.dropped += count;
      untold += count;
    },
    take(): { text: string; count: number } {
      const taken = { text: lines.join(''), count: lineCount };
      lines = [];
      lineCount = 0;
      chars = 0;
      return taken;
    },
  };
}

function written(stream: Writable, withinMs: number): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, withinMs);
    stream.write('', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
