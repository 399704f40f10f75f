import type { Writable } from 'node:stream';

/** Lines on their way to a stream that may be slow, stuck or closed. */
export interface LineWriter {
  /** Takes lines, without the end of the last; drops them where the stream takes nothing. Never waits, never throws. */
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
 * A log is worth less than the requests it tells of: whoever reads too slowly loses lines, and is told how many.
 */
export function createLineWriter({ stream, gap }: LineWriterOptions): LineWriter {
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
    chars += text.length + 1;
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
      const taken = { text: lines.length === 0 ? '' : `${lines.join('\n')}\n`, count: lineCount };
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
