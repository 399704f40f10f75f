import type { FileHandle } from 'node:fs/promises';
import type { Readable, Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip } from 'node:zlib';
import type { CallerSide } from '../../domain/call.ts';
import type { Clock } from '../../domain/clock.ts';
import { bodyTooLarge, GatewayError } from '../../domain/errors.ts';
import { contentCodingOf, notSoCoded, type ContentCoding } from '../../domain/http/content-coding.ts';
import type { RawFields } from '../../domain/http/fields.ts';
import { HttpWire } from '../express/http-wire.ts';
import { Http2Wire } from '../http2/wire.ts';

interface UploadOptions {
  readonly wire: CallerSide;
  readonly fields: RawFields;
  /** Makes the file, once the request is one that can be written to it. */
  readonly create: () => Promise<FileHandle>;
  /** Of the file, unpacked. */
  readonly bytesMax: number;
  /** Without a byte for so long the upload is over. */
  readonly idleMsMax: number;
  readonly clock: Clock;
}

/** A body that is being written to a file. */
export interface Upload {
  /** Resolves with the bytes of the file; rejects with a GatewayError. The file is closed then. */
  readonly done: Promise<number>;
  leave(reason: GatewayError): void;
}

/**
 * Writes a request's body to a file as it comes, no faster than the disk takes it, and unpacked: gzip, by its first bytes
 * where the fields do not say it, or br. Throws UNSUPPORTED_MEDIA_TYPE for other codings.
 */
export function uploadBody(options: UploadOptions): Upload {
  const { wire } = options;
  if (!(wire instanceof HttpWire || wire instanceof Http2Wire)) {
    throw new GatewayError('BAD_REQUEST', 'an upgrade in place of a file');
  }
  const coding = contentCodingOf(options.fields);
  const left = new AbortController();
  return {
    done: take(wire, options, { coding, signal: left.signal }),
    leave: reason => left.abort(reason),
  };
}

interface Taking {
  readonly coding: ContentCoding | undefined;
  readonly signal: AbortSignal;
}

async function take(wire: HttpWire | Http2Wire, options: UploadOptions, { coding, signal }: Taking): Promise<number> {
  const handle = await options.create().catch((error: unknown) => {
    throw cannotWrite(error);
  });
  const arriving = new Arriving(wire.req, options);
  const leave = () => arriving.fail(signal.reason as Error);
  wire.onFault(fault => arriving.fail(fault));
  signal.addEventListener('abort', leave, { once: true });
  let bytes = 0;
  try {
    if (signal.aborted) throw signal.reason as Error;
    wire.sendContinue();
    for await (const piece of unpacked(arriving, coding)) {
      bytes += piece.length;
      if (bytes > options.bytesMax) throw bodyTooLarge(options.bytesMax);
      await writeAll(handle, piece);
    }
    return bytes;
  } finally {
    signal.removeEventListener('abort', leave);
    wire.onFault(undefined);
    arriving.close();
    await handle.close().catch(() => undefined); // a full disk is told by the write
  }
}

async function writeAll(handle: FileHandle, piece: Buffer): Promise<void> {
  try {
    for (let at = 0; at < piece.length;) at += (await handle.write(piece, at)).bytesWritten;
  } catch (error) {
    throw cannotWrite(error);
  }
}

/** The disk is full, say. */
function cannotWrite(cause: unknown): GatewayError {
  return new GatewayError('JOBS_UNAVAILABLE', 'the file of a job cannot be written', { cause, retryAfterMs: 60_000 });
}

/**
 * The pieces of a body, one by one, as they are asked for. The request itself is left alone when that ends early: its
 * connection has an answer to carry yet.
 */
class Arriving {
  readonly #stream: Readable;
  readonly #options: UploadOptions;
  #piece: Buffer | undefined = undefined;
  #error: unknown = undefined;
  #isOver = false;
  #wake: () => void = ignore;

  constructor(stream: Readable, options: UploadOptions) {
    this.#stream = stream;
    this.#options = options;
    stream.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose);
    stream.pause();
  }

  /** Undefined: there is no more. Rejects with what made it fail. */
  async next(): Promise<Buffer | undefined> {
    if (this.#piece === undefined && this.#error === undefined && !this.#isOver) await this.#arrival();
    if (this.#error !== undefined) throw this.#error as Error;
    const piece = this.#piece;
    this.#piece = undefined;
    return piece;
  }

  fail(error: unknown): void {
    this.#error ??= error;
    this.#wake();
  }

  /** What still comes is no business of its own. */
  close(): void {
    this.#stream.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    this.#isOver = true;
    this.#wake();
  }

  async #arrival(): Promise<void> {
    const { clock, idleMsMax } = this.#options;
    const arrival = new Promise<void>(resolve => (this.#wake = resolve));
    const silent = `no byte of the body for ${idleMsMax} ms`;
    const cancel = clock.after(idleMsMax, () => this.fail(new GatewayError('REQUEST_TIMEOUT', silent)));
    this.#stream.resume();
    await arrival;
    cancel();
  }

  readonly #onData = (piece: Buffer): void => {
    this.#stream.pause();
    this.#piece = this.#piece === undefined ? piece : Buffer.concat([this.#piece, piece]);
    this.#wake();
  };

  readonly #onEnd = (): void => {
    this.#isOver = true;
    this.#wake();
  };

  readonly #onClose = (): void => {
    if (!this.#isOver) this.fail(new GatewayError('BAD_REQUEST', 'the body was cut off', { detail: CUT_OFF }));
  };
}

function ignore(): void {
  // Nothing waits for it.
}

const CUT_OFF = 'The body ended before it was complete.';
const DAMAGED = 'The file begins as gzip does, and is cut off or damaged.';
const GZIP = Buffer.of(0x1f, 0x8b);

/** As they are, or unpacked. A bomb is unpacked no further than its bound, since each piece waits to be taken. */
async function* unpacked(arriving: Arriving, said: ContentCoding | undefined): AsyncGenerator<Buffer> {
  const first = await arriving.next();
  if (first === undefined) return;
  const coding = said ?? (first.subarray(0, GZIP.length).equals(GZIP) ? 'gzip' : undefined);
  if (coding === undefined) {
    for (let piece: Buffer | undefined = first; piece !== undefined; piece = await arriving.next()) yield piece;
    return;
  }
  const decoder: Transform = coding === 'gzip' ? createGunzip() : createBrotliDecompress();
  let fault: unknown = undefined;
  const feed = async () => {
    try {
      for (let piece: Buffer | undefined = first; piece !== undefined; piece = await arriving.next()) {
        await write(decoder, piece);
      }
      decoder.end();
    } catch (error) {
      fault = error;
      decoder.destroy(error as Error);
    }
  };
  void feed();
  try {
    for await (const piece of decoder as AsyncIterable<Buffer>) yield piece;
  } catch (error) {
    throw fault instanceof GatewayError ? fault : toCodingFault(error, coding, said !== undefined);
  } finally {
    decoder.destroy();
  }
}

function toCodingFault(error: unknown, coding: ContentCoding, isSaid: boolean): Error {
  if (error instanceof GatewayError) return error;
  return isSaid ? notSoCoded(coding) : new GatewayError('BAD_REQUEST', 'the file is damaged', { detail: DAMAGED });
}

function write(decoder: Transform, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    decoder.write(piece, error => (error ? reject(error) : resolve()));
  });
}
