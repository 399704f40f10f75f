import { GatewayError, type InputError } from '../errors.ts';

/** More are not listed: the caller has enough to mend. */
export const ERRORS_MAX = 20;

/** A caller's text is echoed up to here. */
const ECHO_MAX = 100;

/** A pointer into what a caller sent may be as long as that; a longer one leads to what holds the value. */
const POINTER_MAX = 1_000;

/** What was found wrong with one call. It throws ENOUGH where no more is to be looked for. */
export class Findings {
  readonly errors: InputError[] = [];

  add(pointer: string, detail: string): void {
    this.errors.push({ pointer, detail });
    if (this.errors.length >= ERRORS_MAX) throw ENOUGH;
  }

  /** The last that is worth saying. */
  end(pointer: string, detail: string): never {
    this.errors.push({ pointer, detail });
    throw ENOUGH;
  }
}

/** The body is refused, and nothing more is looked for in it. */
export const ENOUGH = new Error('enough was found');

/** The body is no JSON at all. */
export class NotJson extends Error {
  /** Of the byte that does not belong there, counted from 1. */
  readonly position: number;

  constructor(position: number) {
    super(`not JSON at byte ${position}`);
    this.position = position;
  }
}

/** Runs what may find enough; what is found wrong, none where nothing is. Throws NotJson. */
export function found(look: (findings: Findings) => void): readonly InputError[] {
  const findings = new Findings();
  try {
    look(findings);
  } catch (error) {
    if (error !== ENOUGH) throw error;
  }
  return findings.errors;
}

/** The refusal of a call whose input is wrong. */
export function invalidInput(errors: readonly InputError[]): GatewayError {
  const [first] = errors;
  const detail = `${first?.detail ?? ''}${errors.length > 1 ? '; `errors` has more' : ''}`;
  const shown = errors.map(error => ({ ...error, pointer: bounded(error.pointer) }));
  return new GatewayError('INVALID_INPUT', 'the input does not fit what the service takes', { detail, errors: shown });
}

function bounded(pointer: string): string {
  return pointer.length <= POINTER_MAX ? pointer : pointer.slice(0, pointer.lastIndexOf('/', POINTER_MAX));
}

/** The refusal of a body that is no JSON. */
export function notJson({ position }: NotJson, content: Buffer): GatewayError {
  let detail = `The body is not JSON: what stands at byte ${position} does not belong there.`;
  if (content.length === 0) detail = 'The body is empty, and must be JSON.';
  else if (position > content.length) detail = 'The body is not JSON: it ends too soon.';
  return new GatewayError('BAD_REQUEST', 'the body is not JSON', { detail });
}

/** A caller's text, quoted as JSON has it and shortened. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > ECHO_MAX ? `${text.slice(0, ECHO_MAX)}…` : text);
}

/** A caller's text without quotes, shortened: a number, say. */
export function shortened(text: string): string {
  return text.length > ECHO_MAX ? `${text.slice(0, ECHO_MAX)}…` : text;
}

/** A name between back-ticks, as R's own messages have it. */
export function named(name: string): string {
  return `\`${shortened(name).replaceAll(/[\u0000-\u001f\u007f]/g, ' ')}\``;
}

/** A step of a JSON pointer (RFC 6901). */
export function pointerStep(name: string | number): string {
  return `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
