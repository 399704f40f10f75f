import type { Socket } from 'node:net';
import type { FailureCode, InputError } from '../../domain/errors.ts';

/**
 * What the gateway and the process of a model say to each other over a pipe: each a length (4 bytes), a kind (1 byte) and
 * so many bytes.
 *
 *   open     to the process: JSON, which file and which onnxruntime
 *   call     to the process: how long the answer may be (4 bytes), and the body
 *   ready    the model is loaded: JSON of `Loaded`
 *   unfit    the file cannot be used: why
 *   answer   JSON
 *   refused  the body does not fit the model: JSON of `Refusal`
 *   failed   the model itself failed: what onnxruntime says
 */
export const KIND = { open: 0, call: 1, ready: 2, unfit: 3, answer: 4, refused: 5, failed: 6 } as const;

const HEAD_BYTES = 5;

/** Sends one. */
export function writeFrame(pipe: Socket, kind: number, ...parts: readonly Uint8Array[]): void {
  const head = Buffer.allocUnsafe(HEAD_BYTES);
  head.writeUInt32LE(parts.reduce((sum, { length }) => sum + length, 0));
  head[4] = kind;
  pipe.cork();
  pipe.write(head);
  for (const part of parts) pipe.write(part);
  pipe.uncork();
}

/** Calls back with each that comes, whole. */
export function readFrames(pipe: Socket, onFrame: (kind: number, payload: Buffer) => void): void {
  let chunks: Buffer[] = [];
  let [bytes, wanted] = [0, HEAD_BYTES];
  pipe.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    while (bytes >= wanted) {
      const all = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
      wanted = HEAD_BYTES + all.readUInt32LE();
      if (bytes >= wanted) onFrame(all[4] ?? 0, all.subarray(HEAD_BYTES, wanted));
      const rest = bytes >= wanted ? all.subarray(wanted) : all;
      if (bytes >= wanted) wanted = HEAD_BYTES;
      chunks = [rest];
      bytes = rest.length;
    }
  });
}

/** What a process is told to load. */
export interface Wanted {
  /** Absolute. */
  readonly file: string;
  /** Where onnxruntime-node begins; absolute. */
  readonly runtime: string;
}

/** What a process says of the model that it has loaded. */
export interface Loaded {
  /** The first characters of the file's SHA-256. */
  readonly version: string;
  readonly model: string | null;
  /** JSON, as vetiver's models publish it. */
  readonly prototype: string;
  /** JSON. */
  readonly metadata: string;
}

/** How many characters of a digest name a version. */
export const VERSION_CHARS = 12;

/** Why a body is not answered. */
export interface Refusal {
  readonly code: FailureCode;
  readonly detail: string;
  readonly errors: readonly InputError[] | undefined;
}
