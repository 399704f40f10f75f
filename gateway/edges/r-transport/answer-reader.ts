import { AnswerHead, mayBeStatusLine, IS_VALUE } from './answer-head.ts';

/** What gets an answer as it is read: `WireExchange`. Of `chunk` nothing is kept after `onData`: it is overwritten. */
export interface AnswerSink {
  /** An answer before the answer (1xx), other than 100. */
  onInterim(status: number, fields: string[]): void;
  onHead(head: AnswerHead): void;
  onData(chunk: Buffer, start: number, end: number): void;
}

/** A head, and by themselves a body's trailers. httpuv's own bound for a head is 80 KiB; an answer's is never near it. */
const HEAD_BYTES_MAX = 64 * 1024;

/** Extensions of all chunks of a body: no server in use sends them, so that many are an attack. */
const EXTENSION_BYTES_MAX = 16 * 1024;

/** Answers before the answer. */
const INTERIM_MAX = 32;

/** Digits of a chunk's size, leading zeros included: enough for every whole number that is exact. */
const SIZE_DIGITS_MAX = 13;

const [LF, CR, SEMICOLON] = [0x0a, 0x0d, 0x3b];
const BLANK_LINE = Buffer.from('\r\n\r\n', 'latin1');

/**
 * Where in an answer the reader is.
 *
 *   start   → fields                     the status line is read
 *   fields  → start                      it was an interim answer
 *   fields  → length | to-end | size | over
 *   size    → (extension →) size-end → chunk → chunk-cr → chunk-lf → size
 *   size-end → trailers → over           the last chunk
 *   any     → malformed
 */
type State = 'start' | 'fields' | 'length' | 'to-end' | ChunkState | 'trailers' | 'over' | 'malformed';

/** Between the pieces of a chunked body. */
type ChunkState = 'size' | 'extension' | 'size-end' | 'chunk' | 'chunk-cr' | 'chunk-lf';

/**
 * Reads the answers on one connection, one after the other, however their bytes are cut (RFC 9112).
 *
 * It is strict, since what is ambiguous here would be read differently by the next: no folded fields, no bare CR or LF,
 * one `Content-Length` or one `Transfer-Encoding: chunked`, never both (§6.3). Each byte is looked at a fixed number of
 * times.
 */
export class AnswerReader {
  head = new AnswerHead();
  #state: State = 'over';
  #sink: AnswerSink | undefined = undefined;
  #isHead = false;
  #headBytes = 0;
  #interims = 0;
  /** Bytes of the body or chunk that are still to come; of a chunk's size, what its digits make so far. */
  #left = 0;
  #digits = 0;
  #extensionBytes = 0;
  /** The beginning of a line whose end has not come yet. */
  #line: Buffer = NOTHING;
  #lineBytes = 0;

  /** The next answer goes to `sink`. `isHead`: of a request that gets no body, whatever its answer says. */
  begin(sink: AnswerSink, isHead: boolean): void {
    this.#sink = sink;
    this.#isHead = isHead;
    this.#interims = 0;
    this.#extensionBytes = 0;
    this.#lineBytes = 0;
    this.#beginHead();
  }

  /** No sink gets it any more: an idle connection keeps its reader, and by that would keep what it carried. */
  leave(): void {
    this.#sink = undefined;
  }

  /** The answer is complete. */
  get isOver(): boolean {
    return this.#state === 'over';
  }

  get isMalformed(): boolean {
    return this.#state === 'malformed';
  }

  /** Reads on, and returns where in `chunk` the answer ended, or the chunk did. */
  read(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && this.#state !== 'over' && this.#state !== 'malformed') at = this.#step(chunk, at);
    return at;
  }

  /** The other side has ended the connection: true when the answer is complete by that. */
  end(): boolean {
    if (this.#state === 'to-end') this.#state = 'over';
    return this.#state === 'over';
  }

  #step(chunk: Buffer, at: number): number {
    const state = this.#state;
    if (state === 'start' || state === 'fields' || state === 'trailers') return this.#readLines(chunk, at);
    if (state === 'length' || state === 'chunk') return this.#readData(chunk, at);
    if (state === 'over' || state === 'malformed') return chunk.length;
    if (state !== 'to-end') return this.#readBetweenChunks(state, chunk, at);
    this.#sink?.onData(chunk, at, chunk.length);
    return chunk.length;
  }

  // --- Head and trailers -----------------------------------------------------------------------

  #beginHead(): void {
    this.#state = 'start';
    this.#headBytes = 0;
    this.head = new AnswerHead();
  }

  /** As many whole lines as there are, up to the empty one. */
  #readLines(chunk: Buffer, at: number): number {
    if (this.#lineBytes > 0) return this.#readRestOfLine(chunk, at);
    let end = at + 2;
    if (chunk[at] !== CR || chunk[at + 1] !== LF) {
      const blank = chunk.indexOf(BLANK_LINE, at);
      end = blank >= 0 ? blank + BLANK_LINE.length : chunk.lastIndexOf(LF) + 1;
    }
    return end > at ? this.#takeLines(chunk, at, end) : this.#keepLine(chunk, at, chunk.length);
  }

  #readRestOfLine(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(LF, at) + 1;
    if (end === 0) return this.#keepLine(chunk, at, chunk.length);
    this.#keepLine(chunk, at, end);
    const bytes = this.#lineBytes;
    this.#lineBytes = 0;
    if (this.#state !== 'malformed') this.#takeLines(this.#line, 0, bytes);
    return end;
  }

  /** The buffer doubles, so that a line that comes byte by byte is not copied each time. */
  #keepLine(chunk: Buffer, at: number, end: number): number {
    const bytes = this.#lineBytes + end - at;
    if (this.#headBytes + bytes > HEAD_BYTES_MAX) return this.#refuse('a head that is too large');
    if (this.#line.length < bytes) {
      const grown = Buffer.allocUnsafe(Math.max(256, bytes * 2));
      this.#line.copy(grown, 0, 0, this.#lineBytes);
      this.#line = grown;
    }
    chunk.copy(this.#line, this.#lineBytes, at, end);
    this.#lineBytes = bytes;
    if (this.#state === 'start' && !mayBeStatusLine(this.#line, bytes)) return this.#refuse('no status line');
    return end;
  }

  /** Takes whole lines, and returns where they end, or the head does. */
  #takeLines(chunk: Buffer, start: number, end: number): number {
    if (this.#headBytes + end - start > HEAD_BYTES_MAX) return this.#refuse('a head that is too large');
    this.#headBytes += end - start;
    const text = chunk.toString('latin1', start, end);
    const isTrailer = this.#state === 'trailers';
    let at = 0;
    if (this.#state === 'start') {
      at = this.head.takeStatus(text);
      this.#state = 'fields';
    }
    while (at >= 0 && at < text.length) {
      if (text.charCodeAt(at) === CR && text.charCodeAt(at + 1) === LF) {
        this.#endLines();
        return start + at + 2;
      }
      at = this.head.takeField(text, at, isTrailer);
    }
    return at < 0 ? this.#refuse(this.head.fault) : end;
  }

  #endLines(): void {
    const { status } = this.head;
    if (this.#state === 'trailers') this.#state = 'over';
    else if (status < 200 && status !== 101) this.#endInterim();
    else this.#endHead();
  }

  #endInterim(): void {
    const { status, fields } = this.head;
    this.#interims += 1;
    if (this.#interims > INTERIM_MAX) this.#refuse('too many interim answers');
    else {
      this.#beginHead();
      if (status !== 100) this.#sink?.onInterim(status, fields);
    }
  }

  #endHead(): void {
    const framing = this.head.framing(this.#isHead);
    if (framing === undefined) {
      this.#refuse(this.head.fault);
      return;
    }
    this.#left = this.head.length ?? 0;
    this.#digits = 0;
    this.#state = AFTER_HEAD[framing];
    this.#sink?.onHead(this.head);
  }

  // --- Body ------------------------------------------------------------------------------------

  #readData(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#left);
    this.#left -= end - at;
    if (this.#left === 0) this.#state = this.#state === 'chunk' ? 'chunk-cr' : 'over';
    this.#sink?.onData(chunk, at, end);
    return end;
  }

  #readBetweenChunks(state: Exclude<ChunkState, 'chunk'>, chunk: Buffer, at: number): number {
    switch (state) {
      case 'size':
        return this.#readSize(chunk, at);
      case 'extension':
        return this.#readExtension(chunk, at);
      case 'size-end':
        return chunk[at] === LF ? this.#endSize(at + 1) : this.#refuse('a bare CR');
      case 'chunk-cr':
        return chunk[at] === CR ? this.#go('chunk-lf', at + 1) : this.#refuse('a chunk that is longer than its size');
      case 'chunk-lf':
        this.#digits = 0;
        return chunk[at] === LF ? this.#go('size', at + 1) : this.#refuse('a bare CR');
    }
  }

  #readSize(chunk: Buffer, start: number): number {
    let at = start;
    let digit = hexDigit(chunk[at]);
    while (digit >= 0) {
      this.#left = this.#left * 16 + digit;
      this.#digits += 1;
      if (this.#digits > SIZE_DIGITS_MAX) return this.#refuse('a chunk size that is too large');
      at += 1;
      digit = hexDigit(chunk[at]);
    }
    if (at === chunk.length) return at;
    if (this.#digits > 0 && chunk[at] === CR) return this.#go('size-end', at + 1);
    if (this.#digits > 0 && chunk[at] === SEMICOLON) return this.#go('extension', at + 1);
    return this.#refuse('a bad chunk size');
  }

  #readExtension(chunk: Buffer, start: number): number {
    let at = start;
    while (at < chunk.length && IS_VALUE[chunk[at] ?? 0] === 1) at += 1;
    this.#extensionBytes += at - start;
    if (this.#extensionBytes > EXTENSION_BYTES_MAX) return this.#refuse('too many chunk extensions');
    if (at === chunk.length) return at;
    return chunk[at] === CR ? this.#go('size-end', at + 1) : this.#refuse('a bad chunk extension');
  }

  #endSize(at: number): number {
    if (this.#left > 0) return this.#go('chunk', at);
    this.#headBytes = 0;
    return this.#go('trailers', at);
  }

  #go(state: State, at: number): number {
    this.#state = state;
    return at;
  }

  #refuse(fault: string): -1 {
    this.#state = 'malformed';
    return this.head.refuse(fault);
  }
}

const AFTER_HEAD = { none: 'over', length: 'length', chunked: 'size', 'to-end': 'to-end' } as const;

const NOTHING = Buffer.alloc(0);

function hexDigit(code = 0): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
