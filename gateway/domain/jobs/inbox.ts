import type { Caller } from '../caller.ts';
import type { JobForm } from './forms.ts';

/** A file that lies in the inbox. */
export interface InboxFile {
  readonly name: string;
  readonly bytes: number;
  /** In milliseconds since 1970. */
  readonly changedMs: number;
}

/** The folder of an inbox, and where results go. */
export interface InboxFolder {
  /** The regular files in it. */
  list(): Promise<readonly InboxFile[]>;
  /** When files of these names were written where results go; undefined: they were not. */
  writtenMs(names: readonly string[]): Promise<number | undefined>;
  /** Takes a file into a job's own, unpacked, and says how many bytes it is. Rejects with a GatewayError. */
  take(name: string, id: string, options: { readonly isPacked: boolean; readonly bytesMax: number }): Promise<number>;
  /** Writes a file whole, in the place of one of that name. */
  write(name: string, pieces: AsyncIterable<string | Buffer> | Iterable<string>): Promise<void>;
}

/** Whose the jobs of the inbox are: of no caller that could ask for them. */
export const INBOX_CALLER: Caller = {
  kind: 'anonymous',
  id: 'inbox',
  issuer: undefined,
  subject: undefined,
  scopes: [],
  roles: [],
};

/** What a file is by its name. */
export interface NamedFile {
  readonly form: JobForm;
  readonly isPacked: boolean;
  readonly result: string;
  readonly error: string;
}

const FORMS: ReadonlyMap<string, JobForm> = new Map([
  ['csv', 'csv'],
  ['json', 'json'],
  ['jsonl', 'jsonl'],
  ['ndjson', 'jsonl'],
  ['parquet', 'parquet'],
]);

/** In bytes; what is written half is called `.NAME.part`. */
const NAME_MAX = 255 - '.'.length - '.part'.length;

/**
 * By its ending, and `.gz` behind it; undefined: it is none of ours, hidden, a result, said to be half written, or has a
 * name too long for that of a result.
 */
export function namedFile(name: string): NamedFile | undefined {
  const isPacked = name.endsWith('.gz');
  const [, stem = '', ending = ''] =
    /^([^.].*)\.([A-Za-z]+)$/.exec(isPacked ? name.slice(0, -'.gz'.length) : name) ?? [];
  const form = FORMS.get(ending.toLowerCase());
  if (form === undefined || /\.(?:result|error)$/.test(stem)) return undefined;
  const [result, error] = [`${stem}.result.${ending}`, `${stem}.error.json`];
  const bytes = Math.max(Buffer.byteLength(result), Buffer.byteLength(error));
  return bytes > NAME_MAX ? undefined : { form, isPacked, result, error };
}

/** Files that were as they are when they were last looked at, and left alone since: what is still being written is not. */
export class Settled {
  #before = new Map<string, string>();

  /** Of these, those that have settled; the others are looked at again. */
  of(files: readonly InboxFile[]): readonly InboxFile[] {
    const now = new Map(files.map(({ name, bytes, changedMs }) => [name, `${bytes} ${changedMs}`]));
    const settled = files.filter(({ name, bytes }) => bytes > 0 && this.#before.get(name) === now.get(name));
    this.#before = now;
    return settled;
  }
}
