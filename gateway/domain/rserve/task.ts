import { GatewayError } from '../errors.ts';
import { fieldOf } from '../http/fields.ts';
import type { RserveTask } from '../route.ts';
import type { UpstreamMessage } from '../upstream.ts';
import { invalidInput } from '../validation/findings.ts';
import type { RList, RValue } from './r-value.ts';
import { rowsOf } from './rows.ts';
import { strings } from './r-value.ts';

/** Paths of scripts: nothing that leads out of their folder, and nothing that R or a system reads as more than a name. */
const SCRIPT = /^[A-Za-z0-9_][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/;
const SCRIPT_CHARS_MAX = 200;

/** What R is given for a call: its rows as a data frame, or the request as a script takes it; else why it cannot be. */
export function inputOf(task: RserveTask, message: UpstreamMessage): RValue | GatewayError {
  return task.kind === 'call' ? rowsIn(message) : requestFor(task.folder, message);
}

function rowsIn({ method, body }: UpstreamMessage): RValue | GatewayError {
  if (method !== 'POST') {
    const detail = 'A function of R is called by POST.';
    return new GatewayError('METHOD_NOT_ALLOWED', detail, { detail, fields: ['Allow', 'POST'] });
  }
  let written: unknown;
  try {
    written = JSON.parse(body.toString('utf8'));
  } catch {
    const detail = 'The body is not JSON.';
    return new GatewayError('BAD_REQUEST', detail, { detail });
  }
  const rows = rowsOf(written);
  return 'errors' in rows ? invalidInput(rows.errors) : rows.frame;
}

function requestFor(folder: string, { method, target, fields, body }: UpstreamMessage): RValue | GatewayError {
  const at = target.indexOf('?');
  const path = at === -1 ? target : target.slice(0, at);
  const query = at === -1 ? '' : target.slice(at + 1);
  const script = path.slice(1);
  if (!SCRIPT.test(script) || script.length > SCRIPT_CHARS_MAX)
    return new GatewayError('NO_ROUTE', 'no name of a script', { detail: 'The service has no such path.' });
  const pairs = [...new URLSearchParams(query)];
  if (pairs.some(pair => pair.join('').includes('\0'))) {
    const detail = 'The query holds a null character.';
    return new GatewayError('BAD_REQUEST', detail, { detail });
  }
  const names = fields.filter((_, i) => i % 2 === 0);
  const values = fields.filter((_, i) => i % 2 === 1);
  const head = [`Request-Method: ${method}`, ...names.map((name, i) => `${name}: ${String(values[i])}`)];
  return named({
    folder: strings(folder),
    script: strings(script),
    method: strings(method),
    uri: strings(target),
    query_string: strings(query),
    query: textsOf(pairs),
    type: strings(fieldOf(fields, 'content-type') ?? ''),
    headers: strings(head.join('\r\n')),
    fields: textsOf(names.map((name, i) => [name.toLowerCase(), String(values[i])])),
    body: body.length === 0 ? { type: 'null' } : { type: 'raw', bytes: body },
  });
}

function named(values: Readonly<Record<string, RValue>>): RList {
  return { type: 'list', names: Object.keys(values), values: Object.values(values) };
}

/** A list of one string each; R makes a vector with names of it. */
function textsOf(pairs: readonly (readonly [string, string])[]): RList {
  return { type: 'list', names: pairs.map(([name]) => name), values: pairs.map(([, value]) => strings(value)) };
}

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
