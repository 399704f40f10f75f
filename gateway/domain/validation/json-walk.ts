import { JsonCursor } from '../sharing/json/json-cursor.ts';
import { readScalar, TEXT, UNCLEAR } from '../sharing/json/r-scalar.ts';
import { named, NotJson, pointerStep, type Findings } from './findings.ts';

export const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
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
  /** Undefined: not looked at yet. */
  #isUtf8: boolean | undefined = undefined;

  constructor(content: Buffer, { findings, depthMax }: WalkOptions) {
    this.#content = content;
    this.cursor = new JsonCursor(content.toString('latin1'));
    this.findings = findings;
    this.#depthMax = depthMax;
  }

  /** The body as one value, whatever it is. */
  whole(): void {
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
    const code = this.cursor.next();
    if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
      if (depth >= this.#depthMax) this.findings.end(pointer, `the body is nested deeper than ${this.#depthMax}`);
      if (code === OPEN_ARRAY) this.#array(pointer, depth + 1);
      else this.#object(pointer, depth + 1);
    } else this.scalar(pointer);
  }

  /** Past a scalar: what it is to R; UNCLEAR for a text that was found wanting. */
  scalar(pointer: string): number {
    const { cursor } = this;
    const kind = readScalar(cursor);
    if (cursor.hasHighBytes) this.#lookAtBytes(pointer);
    if (kind !== UNCLEAR) return kind;
    return this.#text(pointer) === undefined ? UNCLEAR : TEXT;
  }

  /** Past a name and its colon; the name as bytes, without its quotes. */
  name(pointer: string): string {
    const { cursor } = this;
    if (cursor.next() !== QUOTE || !cursor.string()) this.fail();
    if (cursor.hasHighBytes) this.#lookAtBytes(pointer);
    const written = cursor.text.slice(cursor.from + 1, cursor.at - 1);
    const name = cursor.hasEscape ? bytesOf(this.#text(pointer) ?? '') : written;
    this.expect(COLON);
    return name;
  }

  #array(pointer: string, depth: number): void {
    const { cursor } = this;
    cursor.at += 1;
    if (cursor.take(CLOSE_ARRAY)) return;
    let index = 0;
    do {
      const code = cursor.next(); // a pointer is made only for what may need it
      this.value(
        code === OPEN_ARRAY || code === OPEN_OBJECT || code === QUOTE ? `${pointer}/${index}` : pointer,
        depth,
      );
      index += 1;
    } while (cursor.take(COMMA));
    this.expect(CLOSE_ARRAY);
  }

  #object(pointer: string, depth: number): void {
    const { cursor } = this;
    cursor.at += 1;
    if (cursor.take(CLOSE_OBJECT)) return;
    const names = new Set<string>();
    do {
      const name = this.name(pointer);
      const at = `${pointer}${pointerStep(textOf(name))}`;
      if (names.has(name)) this.findings.add(at, `${named(textOf(name))} comes twice`);
      names.add(name);
      this.value(at, depth);
    } while (cursor.take(COMMA));
    this.expect(CLOSE_OBJECT);
  }

  /**
   * What the string with escapes says that was just passed. It may be JSON and yet no text to R: half of a surrogate
   * pair, or a NUL, at which R's texts end; then it is undefined, and told.
   */
  #text(pointer: string): string | undefined {
    const { text, from, at } = this.cursor;
    const value = text.charCodeAt(from) === QUOTE ? stringOf(text.slice(from, at)) : undefined;
    if (value === undefined) this.fail();
    if (!/\p{Cs}|\0/u.test(value)) return value;
    this.findings.add(pointer, 'the text is no Unicode, or has a NUL in it');
    return undefined;
  }

  #lookAtBytes(pointer: string): void {
    const { cursor } = this;
    cursor.hasHighBytes = false;
    this.#isUtf8 ??= isUtf8(this.#content);
    if (this.#isUtf8) return;
    if (!isUtf8(this.#content.subarray(cursor.from, cursor.at))) this.findings.add(pointer, 'the text is not in UTF-8');
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
