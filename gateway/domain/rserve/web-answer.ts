import type { RValue } from './r-value.ts';

/** What a script answers in HTTP. */
export interface WebAnswer {
  readonly status: number;
  /** Name, value, name, value, … */
  readonly fields: string[];
  readonly body: string | Uint8Array;
}

const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;
/** What the gateway says itself, and what the script has said apart. */
const NOT_OF_SCRIPTS = /^(?:content-(?:type|length|encoding)|transfer-encoding|connection|status|trailer|upgrade)$/i;

/** Status, type, header lines and body, as `call.R` gives them; undefined: they are none of HTTP. */
export function webAnswerOf(value: RValue): WebAnswer | undefined {
  const [status, type, headers, body] = value.type === 'list' ? value.values : [];
  const code = integerIn(status);
  const kind = textsIn(type)[0] ?? '';
  if (code < 200 || code > 599 || FIELD.exec(`Content-Type: ${kind}`) === null) return undefined;
  const content = body?.type === 'raw' ? body.bytes : textsIn(body).join('\n');
  return { status: code, fields: ['Content-Type', kind, ...textsIn(headers).flatMap(fieldsIn)], body: content };
}

function integerIn(value: RValue | undefined): number {
  return (value?.type === 'integer' ? value.values[0] : null) ?? 0;
}

function fieldsIn(lines: string): string[] {
  return lines.split(/\r?\n/).flatMap(line => {
    const [, name = '', said = ''] = FIELD.exec(line) ?? [];
    return name === '' || NOT_OF_SCRIPTS.test(name) ? [] : [name, said.trimEnd()];
  });
}

function textsIn(value: RValue | undefined): string[] {
  return value?.type === 'string' ? value.values.filter(text => text !== null) : [];
}
