import { GatewayError, type InputError } from '../errors.ts';
import { fieldOf } from '../http/fields.ts';
import type { RserveTask } from '../route.ts';
import { isSparse, SPECIAL_NUMBERS, type Cell } from '../table/answer-table.ts';
import type { UpstreamMessage } from '../upstream.ts';
import { invalidInput, type Findings, found } from '../validation/findings.ts';
import { type RList, type RValue, strings, type RVector } from './r-value.ts';
import { isRecord } from '../unknown-value.ts';

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

/** A caller's rows as a data frame, or what is wrong with them. */
type Rows = { readonly frame: RList } | { readonly errors: readonly InputError[] };

const INTEGER_MAX = 2_147_483_647;

/**
 * Rows as a data frame: from an array of records, or from columns, each an array of one length.
 *
 * A column's type is what jsonlite would make of it: whole numbers are integers, `null` is `NA`, and beside numbers
 * `"NA"`, `"NaN"`, `"Inf"` and `"-Inf"` are what R calls so. What jsonlite would turn into strings without a word, numbers
 * beside text, is refused.
 */
export function rowsOf(body: unknown): Rows {
  let frame: RList | undefined;
  const errors = found(findings => {
    frame = Array.isArray(body) ? ofRecords(body, findings) : ofColumns(body, findings);
  });
  if (errors.length > 0 || frame === undefined) return { errors };
  return { frame };
}

/** Where a cell stands in the body. */
type Place = (column: string, row: number) => string;

function ofRecords(records: readonly unknown[], findings: Findings): RList {
  const columns = new Map<string, Cell[]>();
  let values = 0;
  for (const [row, record] of records.entries()) {
    if (!isRecord(record)) findings.end(`/${row}`, `row ${row + 1} is no record`);
    for (const name of Object.keys(record)) {
      values += 1;
      if (!columns.has(name)) columns.set(name, []);
    }
  }
  if (isSparse(columns.size * records.length, values))
    findings.end('', 'the rows have too few fields in common to be the rows of one table');
  const place: Place = (column, row) => `/${row}/${escaped(column)}`;
  for (const [row, record] of (records as readonly Record<string, unknown>[]).entries()) {
    for (const [name, column] of columns)
      column.push(cellOf(Object.hasOwn(record, name) ? record[name] : null, findings, () => place(name, row)));
  }
  return frameOf(columns, records.length, { findings, place });
}

function ofColumns(body: unknown, findings: Findings): RList {
  if (!isRecord(body)) findings.end('', 'the body must be an array of records, or an object of columns');
  const columns = new Map<string, Cell[]>();
  let rows: number | undefined;
  const place: Place = (column, row) => `/${escaped(column)}/${row}`;
  for (const [name, column] of Object.entries(body)) {
    if (!Array.isArray(column)) findings.end(`/${escaped(name)}`, `column ${name} is no array`);
    rows ??= column.length;
    if (column.length !== rows) findings.end(`/${escaped(name)}`, `column ${name} has not as many rows as the others`);
    columns.set(
      name,
      column.map((value, row) => cellOf(value, findings, () => place(name, row))),
    );
  }
  return frameOf(columns, rows ?? 0, { findings, place });
}

/** RFC 6901. */
function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

function cellOf(value: unknown, findings: Findings, pointer: () => string): Cell {
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value !== 'string')
    findings.add(pointer(), 'a cell of a table is a number, a string, true, false or null');
  else if (!value.includes('\0')) return value;
  else findings.add(pointer(), 'the string holds a null character, which R cannot');
  return null;
}

interface Judged {
  readonly findings: Findings;
  readonly place: Place;
}

function frameOf(columns: ReadonlyMap<string, Cell[]>, rows: number, judged: Judged): RList {
  const names = [...columns.keys()];
  for (const name of names)
    if (name === '' || name.includes('\0')) judged.findings.end('', 'a column has no name that R can hold');
  return { type: 'list', values: [...columns].map(([name, cells]) => vectorOf(name, cells, judged)), names, rows };
}

function vectorOf(name: string, cells: readonly Cell[], { findings, place }: Judged): RVector {
  const kinds = cells.map(kindOf);
  const kind = kinds.find(each => each === 'string' || each === 'boolean' || each === 'number');
  for (const [row, its] of kinds.entries())
    if (kind !== undefined && its !== kind && its !== 'missing' && its !== 'special')
      findings.end(place(name, row), `column ${name} holds both a ${kind} and a ${its}`);
  if (kind === 'string') return { type: 'string', values: cells as readonly (string | null)[] };
  if (kind === 'boolean')
    return { type: 'logical', values: cells.map(cell => (typeof cell === 'boolean' ? cell : null)) };
  if (kind === 'number' || kinds.includes('special')) return numericOf(cells);
  return { type: 'logical', values: cells.map(() => null) };
}

/** What a cell says of its column: 'special' is one of R's numbers by name, 'missing' says nothing. */
function kindOf(cell: Cell): 'string' | 'number' | 'boolean' | 'special' | 'missing' {
  if (cell === null || cell === 'NA') return 'missing';
  if (SPECIAL_NUMBERS.has(cell)) return 'special';
  return typeof cell as 'string' | 'number' | 'boolean';
}

function numericOf(cells: readonly Cell[]): RVector {
  const values = cells.map(cell => (typeof cell === 'number' ? cell : (SPECIAL_NUMBERS.get(cell) ?? null)));
  return { type: values.every(isInteger) ? 'integer' : 'double', values };
}

function isInteger(value: number | null): boolean {
  return value === null || (Number.isInteger(value) && Math.abs(value) <= INTEGER_MAX && !Object.is(value, -0));
}
