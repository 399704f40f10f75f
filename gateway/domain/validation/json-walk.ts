import { JsonCursor } from '../sharing/json/json-cursor.ts';
import { readScalar, TEXT, UNCLEAR } from '../sharing/json/r-scalar.ts';
import { named, NotJson, pointerStep, type Findings, found } from './findings.ts';
import type { InputError } from '../errors.ts';

/** What a route asks of its callers' input. */
export interface InputBounds {
  /** What comes of a field that the service does not know. */
  readonly unknown: 'allow' | 'refuse';
  readonly rowsMax: number;
  readonly depthMax: number;
}

/** What JSON is made of, in ASCII. */
export const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
/** The same: what surrounds and separates. */
export const [QUOTE, COMMA, COLON] = [0x22, 0x2c, 0x3a];

/** How deep a body may be nested. */
interface WalkOptions {
  readonly findings: Findings;
  readonly depthMax: number;
}

/**
 * Walks once over a body, and finds what no reader can make sense of: what is no JSON, text that is no Unicode, a name
 * that comes twice in an object, nesting that is too deep.
 *
 * A text of UTF-8 is walked over as one in which each character is a byte. The time taken grows with the length alone,
 * and the stack with `depthMax`.
 */
export class JsonWalk {
  readonly cursor: JsonCursor;
  readonly findings: Findings;
  readonly #content: Buffer;
  readonly #depthMax: number;
  /** Where what is being walked over stands, in two parts: a pointer is made of them only where something is found. */
  #base = '';
  readonly #steps: (string | number)[] = [];
  #itemsMax = Infinity;
  /** Undefined: not looked at yet. */
  #isUtf8: boolean | undefined = undefined;

  constructor(content: Buffer, { findings, depthMax }: WalkOptions) {
    this.#content = content;
    this.cursor = new JsonCursor(content.toString('latin1'));
    this.findings = findings;
    this.#depthMax = depthMax;
  }

  /** The body as one value, whatever it is; of a list as a whole so many elements at most. */
  whole(itemsMax = Infinity): void {
    this.#itemsMax = itemsMax;
    this.value('', 0);
    this.end();
  }

  /** Nothing may follow. */
  end(): void {
    if (!Number.isNaN(this.cursor.next())) this.fail();
  }

  /** Past a character that must stand here. */
  expect(code: number): void {
    if (!this.cursor.take(code)) this.fail();
  }

  fail(): never {
    throw new NotJson(this.cursor.at + 1);
  }

  /** Past any value; `depth` is that of what it stands in. */
  value(pointer: string, depth: number): void {
    this.#base = pointer;
    this.#steps.length = 0;
    this.#value(depth);
  }

  /** Past a scalar: what it is to R; UNCLEAR for a text that was found wanting. */
  scalar(pointer: string): number {
    this.#base = pointer;
    this.#steps.length = 0;
    return this.#scalar();
  }

  /** Past a name and its colon; the name as bytes, without its quotes. */
  name(pointer: string): string {
    this.#base = pointer;
    this.#steps.length = 0;
    return this.#name();
  }

  #value(depth: number): void {
    const code = this.cursor.next();
    if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
      if (depth >= this.#depthMax)
        this.findings.end(this.#pointer(), `the body is nested deeper than ${this.#depthMax}`);
      if (code === OPEN_ARRAY) this.#array(depth + 1);
      else this.#object(depth + 1);
    } else this.#scalar();
  }

  #scalar(): number {
    const { cursor } = this;
    const kind = readScalar(cursor);
    if (cursor.hasHighBytes) this.#lookAtBytes();
    if (kind !== UNCLEAR) return kind;
    return this.#text() === undefined ? UNCLEAR : TEXT;
  }

  #name(): string {
    const { cursor } = this;
    if (cursor.next() !== QUOTE || !cursor.string()) this.fail();
    if (cursor.hasHighBytes) this.#lookAtBytes();
    const written = cursor.text.slice(cursor.from + 1, cursor.at - 1);
    const name = cursor.hasEscape ? bytesOf(this.#text() ?? '') : written;
    this.expect(COLON);
    return name;
  }

  #array(depth: number): void {
    const { cursor } = this;
    cursor.at += 1;
    if (cursor.take(CLOSE_ARRAY)) return;
    const itemsMax = depth === 1 ? this.#itemsMax : Infinity;
    let index = 0;
    do {
      if (index === itemsMax) {
        this.findings.end('', `the body has more than ${itemsMax} records, which is the most at once`);
      }
      this.#steps.push(index);
      this.#value(depth);
      this.#steps.pop();
      index += 1;
    } while (cursor.take(COMMA));
    this.expect(CLOSE_ARRAY);
  }

  #object(depth: number): void {
    const { cursor } = this;
    cursor.at += 1;
    if (cursor.take(CLOSE_OBJECT)) return;
    const names = new Set<string>();
    do {
      const name = this.#name();
      this.#steps.push(name);
      if (names.has(name)) this.findings.add(this.#pointer(), `${named(textOf(name))} comes twice`);
      names.add(name);
      this.#value(depth);
      this.#steps.pop();
    } while (cursor.take(COMMA));
    this.expect(CLOSE_OBJECT);
  }

  #pointer(): string {
    return this.#base + this.#steps.map(step => pointerStep(typeof step === 'string' ? textOf(step) : step)).join('');
  }

  /**
   * What the string with escapes says that was just passed. It may be JSON and yet no text to R: half of a surrogate
   * pair, or a NUL, at which R's texts end; then it is undefined, and told.
   */
  #text(): string | undefined {
    const { text, from, at } = this.cursor;
    const value = text.charCodeAt(from) === QUOTE ? stringOf(text.slice(from, at)) : undefined;
    if (value === undefined) this.fail();
    if (!/\p{Cs}|\0/u.test(value)) return value;
    this.findings.add(this.#pointer(), 'the text is no Unicode, or has a NUL in it');
    return undefined;
  }

  #lookAtBytes(): void {
    const { cursor } = this;
    cursor.hasHighBytes = false;
    this.#isUtf8 ??= isUtf8(this.#content);
    if (this.#isUtf8) return;
    if (!isUtf8(this.#content.subarray(cursor.from, cursor.at)))
      this.findings.add(this.#pointer(), 'the text is not in UTF-8');
  }
}

/** What a text of bytes says in UTF-8. */
export function textOf(bytes: string): string {
  return !/[\u0080-\u00ff]/.test(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');
}

/** A text as one in which each character is a byte of its UTF-8. */
export function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function stringOf(quotedBytes: string): string | undefined {
  try {
    return JSON.parse(textOf(quotedBytes)) as string;
  } catch {
    return undefined;
  }
}

function isUtf8(content: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(content);
    return true;
  } catch {
    return false;
  }
}

/** Holds a value that JSON has brought against a JSON Schema; what is wrong with it, none where nothing is. */
export type CheckJson = (value: unknown) => readonly InputError[];

/** Makes a check of a JSON Schema, or says what is wrong with the schema. */
export type CompileJsonSchema = (schema: unknown) => CheckJson | { readonly problem: string };

/** A body that can be read in one way only, and what it says; or what is wrong with it. Throws NotJson. */
export function readValue(
  content: Buffer,
  { depthMax, rowsMax }: InputBounds,
): { readonly errors: readonly InputError[]; readonly value: unknown } {
  const errors = found(findings => new JsonWalk(content, { findings, depthMax }).whole(rowsMax));
  if (errors.length > 0) return { errors, value: undefined };
  return { errors, value: JSON.parse(content.toString('utf8')) as unknown };
}

/** A body against a JSON Schema. Throws NotJson. */
export function checkValue(check: CheckJson, content: Buffer, bounds: InputBounds): readonly InputError[] {
  const { errors, value } = readValue(content, bounds);
  return errors.length > 0 ? errors : check(value);
}
