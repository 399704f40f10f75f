import { closeSync, openSync, writeSync } from 'node:fs';
import { TooLarge } from './task.ts';

/** It holds what callers sent. */
const MODE = 0o600;
const BLOCK_CHARS = 256 * 1024;

/** A file that is written text by text, and no further than its bound. */
export class BoundedFile {
  readonly #descriptor: number;
  readonly #bytesMax: number;
  #waiting = '';
  #bytes = 0;

  constructor(path: string, bytesMax: number) {
    this.#descriptor = openSync(path, 'w', MODE);
    this.#bytesMax = bytesMax;
  }

  /** Throws TooLarge. */
  write(text: string): void {
    this.#waiting += text;
    if (this.#waiting.length >= BLOCK_CHARS) this.#flush();
  }

  /** Writes what waits, and says how many bytes all are. */
  end(): number {
    this.#flush();
    return this.#bytes;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #flush(): void {
    const block = Buffer.from(this.#waiting);
    this.#waiting = '';
    this.#bytes += block.length;
    if (this.#bytes > this.#bytesMax) throw new TooLarge();
    for (let at = 0; at < block.length;) at += writeSync(this.#descriptor, block, at);
  }
}
