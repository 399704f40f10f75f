/** What a process for Parquet is asked to do. All paths are absolute. */
export interface ParquetTask {
  /** `to-lines`: a Parquet file becomes lines of JSON. `from-lines`: lines of a job's output become a Parquet file. */
  readonly kind: 'to-lines' | 'from-lines';
  readonly source: string;
  /** Written anew. */
  readonly target: string;
  /** Of the target. */
  readonly bytesMax: number;
}

/** What it says, a line each: that it goes on, or, last, what has come of it. */
export type ParquetWord =
  | { readonly kind: 'on' }
  /** So many bytes were written. */
  | { readonly kind: 'done'; readonly bytes: number }
  /** It is the file's fault. */
  | { readonly kind: 'unfit'; readonly problem: string }
  | { readonly kind: 'too-large' }
  /** It is the machine's fault: the disk is full, say. */
  | { readonly kind: 'failed'; readonly problem: string };

/** The target would be larger than it may. */
export class TooLarge extends Error {
  override readonly name = 'TooLarge';
}

/** The file cannot be read; `message` is for its owner. */
export class UnfitFile extends Error {
  override readonly name = 'UnfitFile';
}
