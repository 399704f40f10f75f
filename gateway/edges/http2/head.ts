import { STATUS_CODES } from 'node:http';
import { GatewayError } from '../../domain/errors.ts';
import { nameOfHost } from '../../domain/http/certificate-names.ts';
import type { RequestHead } from '../express/intake.ts';

/** A request's head as HTTP/1 would have said it, and why it cannot be taken, where that is so. */
export interface Http2Head extends RequestHead {
  readonly refusal: GatewayError | undefined;
}

/** What HTTP/2 says before a request's fields (RFC 9113 §8.3.1). */
interface Pseudo {
  method: string;
  scheme: string;
  authority: string | undefined;
  path: string;
}

/**
 * Reads a request's head. Node's library has refused what is malformed by the protocol's own rules: names in capitals,
 * pseudo fields that are missing, repeated or late, fields of a connection. What is left is what several fields say
 * together.
 */
export function toHttp2Head(raw: readonly string[]): Http2Head {
  const pseudo: Pseudo = { method: '', scheme: '', authority: undefined, path: '' };
  const fields: string[] = [];
  const cookies: string[] = [];
  let host: string | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name = '', value = ''] = [raw[i], raw[i + 1]];
    if (name.startsWith(':')) notePseudo(pseudo, name, value);
    else if (name === 'cookie') cookies.push(value);
    else if (name === 'host' && pseudo.authority !== undefined) host = value;
    else fields.push(name, value);
  }
  const { method, authority, path } = pseudo;
  if (authority !== undefined) fields.unshift('host', authority);
  // Cut into pieces so that they are packed the better; the rest of the gateway knows one field (RFC 9113 §8.2.3).
  if (cookies.length > 0) fields.push('cookie', cookies.join('; '));
  return {
    ...{ method, url: path, rawHeaders: fields },
    ...{ httpVersion: '2.0', httpVersionMajor: 1, httpVersionMinor: 1 }, // it is judged by the rules of 1.1
    refusal: refusalOf(pseudo, host),
  };
}

function notePseudo(pseudo: Pseudo, name: string, value: string): void {
  if (name === ':method') pseudo.method = value;
  else if (name === ':scheme') pseudo.scheme = value;
  else if (name === ':authority') pseudo.authority = value;
  else if (name === ':path') pseudo.path = value;
}

function refusalOf({ method, scheme, authority }: Pseudo, host: string | undefined): GatewayError | undefined {
  if (method === 'CONNECT') return malformed('This gateway opens no tunnels.');
  if (scheme !== 'https' && scheme !== 'http') return malformed('The scheme is neither http nor https.');
  const isTwofold = host !== undefined && nameOfHost(host) !== nameOfHost(authority ?? '');
  return isTwofold ? malformed('The fields :authority and Host name different hosts.') : undefined;
}

function malformed(detail: string): GatewayError {
  return new GatewayError('BAD_REQUEST', detail, { detail });
}

/** What a connection says of itself has no place in HTTP/2 (RFC 9113 §8.2.2). */
const OF_CONNECTION = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

/** An answer's head in HTTP/2's manner; names in lower case, in the order in which they stood. */
export function toHttp2Fields(status: number, fields: readonly string[]): string[] {
  const head = [':status', String(status)];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase();
    if (!OF_CONNECTION.has(name)) head.push(name, fields[i + 1] ?? '');
  }
  return head;
}

/** An interim answer's head, by name: Node takes it in no other form. */
export function toInterimHeaders(
  status: number,
  fields: readonly string[],
): Record<string, string | string[]> | undefined {
  if (STATUS_CODES[status] === undefined) return undefined;
  return { ...toHttp2Headers(fields), ':status': String(status) };
}

/** Fields by name, in HTTP/2's manner: Node takes those of a request, and what follows a body, in no other form. */
export function toHttp2Headers(fields: readonly string[]): Record<string, string | string[]> {
  const headers = Object.create(null) as Record<string, string | string[]>;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name, value = ''] = [(fields[i] ?? '').toLowerCase(), fields[i + 1]];
    if (OF_CONNECTION.has(name)) continue;
    const before = headers[name];
    if (Array.isArray(before)) before.push(value);
    else headers[name] = before === undefined ? value : [before, value];
  }
  return headers;
}
