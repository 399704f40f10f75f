/** A change that an operator, a command or a saved file made. */
export interface AuditedChange {
  readonly kind: 'change';
  /** Who: a token's name, a caller, `loopback`, `file` or `command`. */
  readonly by: string;
  /** The address it came from; null: from this machine's files or its command line. */
  readonly from: string | null;
  /** What was asked for: `reload`, `eject fuel/fuel-9101`, … */
  readonly what: string;
  readonly before: unknown;
  readonly after: unknown;
  readonly outcome: 'done' | 'refused';
}

/** A call of a route that asks for it. */
export interface AuditedCall {
  readonly kind: 'call';
  readonly id: string;
  /** Null: it was not admitted. */
  readonly caller: string | null;
  readonly from: string;
  readonly route: string;
  readonly service: string;
  readonly version: string | null;
  readonly instance: string | null;
  readonly method: string;
  readonly path: string;
  /** SHA-256 of method, target and body: tells whether two requests were the same. Null of a stream. */
  readonly digest: string | null;
  readonly status: number;
  readonly code: string | null;
}

/** What the trail says of itself: it was opened, closed, mended after a crash, or has lost lines. */
export interface AuditedState {
  readonly kind: 'trail';
  readonly note: 'opened' | 'closed' | 'mended' | 'lost';
  /** Lines that were lost; bytes of a line that a crash had left unfinished. */
  readonly count: number;
}

/** What a line of the trail records. */
export type AuditEntry = AuditedChange | AuditedCall | AuditedState;

/** SHA-256 in hexadecimal. */
export type HexDigest = (text: string) => string;

/** The hash before the first line there ever was. */
export const FIRST_PREVIOUS = '0'.repeat(64);

/** Where a trail stands: the number and the hash of its newest line. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: string;
}

/** No line yet. */
export const EMPTY_TRAIL: AuditHead = { seq: 0, hash: FIRST_PREVIOUS };

/** Makes entries lines, each of which carries the hash of the one before. */
export class AuditChain {
  head: AuditHead;
  readonly #digest: HexDigest;

  constructor(head: AuditHead, digest: HexDigest) {
    this.head = head;
    this.#digest = digest;
  }

  /** The entry as one line of JSON, without its end. `time` is ISO 8601. */
  append(entry: AuditEntry, time: string): string {
    const seq = this.head.seq + 1;
    const line = JSON.stringify({ seq, time, ...entry, prev: this.head.hash });
    this.head = { seq, hash: this.#digest(line) };
    return line;
  }
}

/** A line as it was read. */
export interface AuditLine {
  readonly seq: number;
  readonly prev: string;
  readonly entry: Readonly<Record<string, unknown>>;
}

/** Undefined: it is no line of a trail. */
export function readAuditLine(text: string): AuditLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { seq, prev } = value as Record<string, unknown>;
  if (!Number.isSafeInteger(seq) || typeof prev !== 'string' || !/^[0-9a-f]{64}$/.test(prev)) return undefined;
  return { seq: seq as number, prev, entry: value as Record<string, unknown> };
}

/** What is wrong with a trail, and at which line of it, counted from 1; of the whole where that is 0. */
export interface AuditFlaw {
  readonly at: number;
  readonly problem: string;
}

/** Follows the hashes from line to line. */
export class AuditCheck {
  lines = 0;
  /** The number of the oldest line; older ones were rotated away. */
  firstSeq: number | undefined = undefined;
  flaw: AuditFlaw | undefined = undefined;
  readonly #digest: HexDigest;
  readonly #wanted: string | undefined;
  #head: AuditHead | undefined = undefined;
  #isFound = false;

  /** `wanted`: a hash that the log has told; the line that has it must be there. */
  constructor(digest: HexDigest, wanted?: string) {
    this.#digest = digest;
    this.#wanted = wanted;
  }

  /** The next line. After a flaw nothing more is looked at. */
  next(text: string): void {
    this.lines += 1;
    if (this.flaw !== undefined) return;
    const line = readAuditLine(text);
    const problem = line === undefined ? 'is no line of an audit trail' : this.#problemOf(line);
    if (problem !== undefined) this.flaw = { at: this.lines, problem };
    if (line === undefined) return;
    this.firstSeq ??= line.seq;
    this.#head = { seq: line.seq, hash: this.#digest(text) };
    if (this.#head.hash === this.#wanted) this.#isFound = true;
  }

  /** No more lines. Where the trail stands; undefined: it has no line. */
  end(): AuditHead | undefined {
    if (this.flaw === undefined && this.#wanted !== undefined && !this.#isFound) {
      this.flaw = { at: 0, problem: 'no line has the hash that was asked for: lines were cut off, or written anew' };
    }
    return this.#head;
  }

  #problemOf({ seq, prev }: AuditLine): string | undefined {
    const before = this.#head;
    if (before === undefined)
      return seq === 1 && prev !== FIRST_PREVIOUS ? 'is the first line, and another stood before it' : undefined;
    if (seq !== before.seq + 1) return `has the number ${seq}, where ${before.seq + 1} was due: lines are missing`;
    return prev === before.hash ? undefined : 'does not carry the hash of the line before it: that was changed';
  }
}

/** By what a report counts calls. */
export const REPORT_KEYS = ['caller', 'model', 'day'] as const;

/** What a report has one row for each of. */
export type ReportKey = (typeof REPORT_KEYS)[number];

/** Calls under one key. */
export interface ReportRow {
  readonly key: string;
  readonly calls: number;
  /** Those answered with 400 or more. */
  readonly failed: number;
}

/** Counts the calls of a trail. */
export class AuditReport {
  readonly #by: ReportKey;
  readonly #rows = new Map<string, { calls: number; failed: number }>();

  constructor(by: ReportKey) {
    this.#by = by;
  }

  next(text: string): void {
    const { entry = {} } = readAuditLine(text) ?? {};
    if (entry['kind'] !== 'call') return;
    const key = keyOf(entry, this.#by);
    const row = this.#rows.get(key) ?? { calls: 0, failed: 0 };
    row.calls += 1;
    if (Number(entry['status']) >= 400) row.failed += 1;
    this.#rows.set(key, row);
  }

  /** Days in their order; else those with most calls first. */
  rows(): ReportRow[] {
    const rows = [...this.#rows].map(([key, row]) => ({ key, ...row }));
    const byKey = (a: ReportRow, b: ReportRow) => (a.key < b.key ? -1 : Number(a.key > b.key));
    return rows.sort(this.#by === 'day' ? byKey : (a, b) => b.calls - a.calls || byKey(a, b));
  }
}

function keyOf(entry: Readonly<Record<string, unknown>>, by: ReportKey): string {
  if (by === 'day') return textOf(entry['time']).slice(0, 10);
  if (by === 'caller') return entry['caller'] === null ? '(not admitted)' : textOf(entry['caller']);
  const version = textOf(entry['version']);
  return version === '' ? textOf(entry['service']) : `${textOf(entry['service'])} ${version}`;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
