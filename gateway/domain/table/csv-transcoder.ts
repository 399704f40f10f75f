import type { Call, Complete, Transcoder } from '../call.ts';
import { csvOfJson } from './answer-table.ts';
import { jsonOfCsv } from './csv-rows.ts';
import { GatewayError } from '../errors.ts';
import { appendField, fieldOf, fieldsOf, removeBodyFields, setField, listOf, type RawFields } from '../http/fields.ts';
import { upstreamResourceOf } from '../http/upstream-request.ts';
import type { Route } from '../route.ts';
import { dropBody, type Answer } from '../upstream.ts';
import type { Column } from '../validation/prototype.ts';

/** What a service publishes of its columns for such a path; undefined where it publishes none. May have to ask. */
export type ColumnsFor = (
  route: Route,
  path: string,
) => Promise<readonly Column[] | undefined> | readonly Column[] | undefined;

const CSV = 'text/csv';
const JSON_TYPE = 'application/json';
/** As RFC 4180 §3 has it. */
const CSV_WRITTEN = 'text/csv; charset=utf-8; header=present';

/**
 * CSV in and out, by content negotiation.
 *
 * A body of `text/csv` goes on as the JSON that it means, typed by what the model publishes. An answer in JSON that is a
 * table is told as CSV to callers that like `text/csv` better. Errors stay as they are.
 */
export class CsvTranscoder implements Transcoder {
  readonly #columnsFor: ColumnsFor;
  readonly #csv: Liking;
  readonly #json: Liking;

  constructor(columnsFor: ColumnsFor, { fields }: Call) {
    this.#columnsFor = columnsFor;
    this.#csv = likingOf(CSV, fields);
    this.#json = likingOf(JSON_TYPE, fields);
  }

  request(call: Complete, next: (call: Complete) => void): void {
    const isCsv = isCsvBody(call);
    if (fieldOf(call.fields, 'accept') !== undefined && this.#csv.nearness === 2) sayField(call, 'Accept', JSON_TYPE);
    if (!isCsv) {
      next(call);
      return;
    }
    const columns = this.#columnsFor(call.route, upstreamResourceOf(call).path);
    if (!(columns instanceof Promise)) takeRows(call, columns, next);
    else call.awaits(columns, known => takeRows(call, known, next));
  }

  answer(_call: Call, answer: Answer): Answer {
    const { fields, body } = answer;
    if (!isAboutJson(answer)) return answer;
    appendField(fields, 'Vary', 'Accept');
    const isJsonFit = this.#json.quality > 0;
    if (isJsonFit && !isPreferred(this.#csv, this.#json)) return answer;
    const csv = this.#csv.quality > 0 && Buffer.isBuffer(body) ? csvOfJson(body.toString('utf8')) : undefined;
    if (csv !== undefined) return asCsv(answer, csv);
    if (isJsonFit) return answer;
    dropBody(answer);
    throw this.#notAcceptable(answer);
  }

  #notAcceptable({ body }: Answer): GatewayError {
    let detail = `The answer is ${JSON_TYPE}, or ${CSV} where it is a table, and \`Accept\` wants neither.`;
    if (this.#csv.quality > 0) detail = `The answer is no table, and only a table can be ${CSV}.`;
    if (this.#csv.quality > 0 && !Buffer.isBuffer(body))
      detail = `The answer is larger than \`answer.bufferMax\`, up to which it can be ${CSV}.`;
    return new GatewayError('NOT_ACCEPTABLE', 'no form of the answer is acceptable', { detail });
  }
}

/** A success with a body in JSON. */
function isAboutJson({ status, fields }: Answer): boolean {
  if (status < 200 || status > 299 || status === 204) return false;
  return /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(fieldOf(fields, 'content-type') ?? '');
}

function asCsv(answer: Answer, csv: string): Answer {
  removeBodyFields(answer.fields);
  setField(answer.fields, 'Content-Type', CSV_WRITTEN);
  return { ...answer, body: Buffer.from(csv) };
}

/** Throws UNSUPPORTED_MEDIA_TYPE for CSV in a form that is not taken. */
function isCsvBody({ method, fields, content }: Complete): boolean {
  const [said = '', ...more] = fieldsOf(fields, 'content-type');
  const [type = '', ...parameters] = said.split(';').map(part => part.trim().toLowerCase());
  if (type !== CSV || more.length > 0) return false;
  if (!parameters.every(isTaken)) throw unsupported();
  return content.length > 0 || method === 'POST';
}

/** Of the parameters of `text/csv` (RFC 4180 §3). */
function isTaken(parameter: string): boolean {
  const [name, value = ''] = parameter.replaceAll('"', '').split('=');
  if (name === 'charset') return /^(?:utf-?8|us-ascii)$/.test(value);
  return name !== 'header' || value === 'present';
}

function unsupported(): GatewayError {
  return new GatewayError('UNSUPPORTED_MEDIA_TYPE', 'CSV in a form that is not taken', {
    detail: 'CSV is taken in UTF-8, with a header line.',
    fields: ['Accept', 'text/csv, application/json'],
  });
}

function takeRows(call: Complete, columns: readonly Column[] | undefined, next: (call: Complete) => void): void {
  const { validate, bodyBytesMax, sharing } = call.route.policy;
  const form = validate?.form ?? sharing?.batch?.rows ?? 'array';
  call.content = jsonOfCsv(call.content, {
    ...{ columns, form },
    rowsMax: validate?.rowsMax ?? Infinity,
    bytesMax: bodyBytesMax,
  });
  const fields = [...call.fields];
  removeBodyFields(fields);
  fields.push('Content-Type', JSON_TYPE);
  call.fields = fields;
  next(call);
}

function sayField(call: Complete, name: string, value: string): void {
  const fields = [...call.fields];
  setField(fields, name, value);
  call.fields = fields;
}

/** How much a caller would like an answer of a type: by quality, then by how closely it is named, then by place. */
interface Liking {
  /** From 0 to 1; 0: not at all. */
  readonly quality: number;
  /** 2 by its own name, 1 by its kind (`text/*`), 0 as any. */
  readonly nearness: number;
  /** Of its range in the list. */
  readonly place: number;
}

/** Ranges that are looked at; what a caller writes beyond them says nothing. */
const RANGES_MAX = 32;

const ANYTHING: Liking = { quality: 1, nearness: 0, place: 0 };
const NOTHING: Liking = { quality: 0, nearness: 0, place: RANGES_MAX };

/** A number from 0 to 1 with three places at most. */
const QUALITY = /^q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/i;

/** What `Accept` says of a type in lower case, by the range that names it most closely (RFC 9110 §12.5.1). */
export function likingOf(type: string, fields: RawFields): Liking {
  const ranges = listOf(fields, 'accept').slice(0, RANGES_MAX);
  if (ranges.length === 0) return ANYTHING;
  const [kind = ''] = type.split('/', 1);
  let liking: Liking | undefined;
  ranges.forEach((range, place) => {
    const [name = '', ...parameters] = range.split(';').map(part => part.trim().toLowerCase());
    const nearness = [`*/*`, `${kind}/*`, type].indexOf(name);
    if (nearness < 0 || (liking !== undefined && nearness <= liking.nearness)) return;
    liking = { quality: qualityOf(parameters), nearness, place };
  });
  return liking ?? NOTHING;
}

/** What is no quality is none. */
function qualityOf(parameters: readonly string[]): number {
  const written = parameters.find(parameter => /^q\s*=/.test(parameter));
  return written === undefined ? 1 : Number(QUALITY.exec(written)?.[1] ?? 0);
}

/** True where the one is liked better than the other. */
export function isPreferred(one: Liking, other: Liking): boolean {
  if (one.quality !== other.quality || one.quality === 0) return one.quality > other.quality;
  return one.nearness === other.nearness ? one.place < other.place : one.nearness > other.nearness;
}
