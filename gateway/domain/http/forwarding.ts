import type { Received } from '../call.ts';
import { fieldOf, listOf, type RawFields } from './fields.ts';

type Origin = Pick<Received, 'fields' | 'scheme' | 'host' | 'peerAddress' | 'callerAddress' | 'isPeerTrusted'>;

const DEFAULT_PORTS = { http: '80', https: '443' } as const;

/** The names that `pushForwarding` sets, in lower case. */
const SET_HERE: ReadonlySet<string> = new Set([
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'forwarded', // it would say less than the four, or something else
]);

/** True for a field, by its name in lower case, that the gateway says anew and that never travels on as it came. */
export function isSetHere(name: string): boolean {
  return SET_HERE.has(name);
}

/** True for another field of the family, which travels on where a trusted proxy said it. */
export function isOriginField(name: string): boolean {
  return name.startsWith('x-forwarded-') || name === 'x-real-ip';
}

/** Says where the request came from, for the instance: nothing in it is the caller's word alone. */
export function pushForwarding(fields: string[], origin: Origin): void {
  fields.push('X-Forwarded-For', believedChain(origin), 'X-Forwarded-Proto', origin.scheme);
  if (origin.host !== '') fields.push('X-Forwarded-Host', origin.host); // HTTP/1.0 may do without
  fields.push('X-Forwarded-Port', portOf(origin));
}

/**
 * The caller, then every proxy that passed the request on, the peer last. What stood left of the caller in an inbound
 * `X-Forwarded-For` is the caller's own invention, and ends here.
 */
function believedChain({ fields, peerAddress, callerAddress, isPeerTrusted }: Origin): string {
  if (!isPeerTrusted) return peerAddress;
  const told = listOf(fields, 'x-forwarded-for');
  const from = told.lastIndexOf(callerAddress);
  if (from >= 0) return [...told.slice(from), peerAddress].join(', ');
  return callerAddress === peerAddress ? peerAddress : `${callerAddress}, ${peerAddress}`;
}

function portOf({ fields, scheme, host, isPeerTrusted }: Origin): string {
  const told = isPeerTrusted ? fieldOf(fields, 'x-forwarded-port') : undefined;
  if (told !== undefined && /^\d{1,5}$/.test(told)) return told;
  const colon = host.lastIndexOf(':');
  return colon > host.lastIndexOf(']') && colon < host.length - 1 ? host.slice(colon + 1) : DEFAULT_PORTS[scheme];
}

/** How far an address is trusted. */
export type Trust = 'trusted' | 'stranger' | 'no-address';

/** Where a request came from, as far as it can be believed. */
export interface BelievedOrigin {
  readonly callerAddress: string;
  readonly scheme: 'http' | 'https';
  readonly host: string;
}

/** What the connection itself shows. */
export interface SeenOrigin {
  readonly peerAddress: string;
  readonly scheme: 'http' | 'https';
  readonly host: string;
}

/**
 * Reads the `X-Forwarded-*` of a trusted peer.
 *
 * `X-Forwarded-For` is read from the right: each proxy wrote down whom it took the request from, so an entry is as good
 * as the peer that wrote it. The caller is the first stranger on the way, or the farthest address known when all are
 * trusted. Scheme and host are taken at the same distance, where proxies append theirs too.
 */
export function believeForwarded(
  fields: RawFields,
  seen: SeenOrigin,
  trustOf: (address: string) => Trust,
): BelievedOrigin {
  const chain = listOf(fields, 'x-forwarded-for');
  let callerAddress = seen.peerAddress;
  let hops = 0;
  while (hops < chain.length) {
    const next = withoutPort(chain[chain.length - 1 - hops] ?? '');
    const trust = trustOf(next);
    if (trust === 'no-address') break;
    callerAddress = next;
    hops += 1;
    if (trust === 'stranger') break;
  }
  return {
    callerAddress,
    scheme: toScheme(memberAt(fields, 'x-forwarded-proto', hops)) ?? seen.scheme,
    host: toHost(memberAt(fields, 'x-forwarded-host', hops)) ?? seen.host,
  };
}

/** The `hops`-th member from the right, or the leftmost; a proxy that does not append leaves just one. */
function memberAt(fields: RawFields, name: string, hops: number): string | undefined {
  if (fieldOf(fields, name) === undefined) return undefined;
  const members = listOf(fields, name);
  return members[Math.max(0, members.length - Math.max(1, hops))];
}

function toScheme(text: string | undefined): 'http' | 'https' | undefined {
  const scheme = text?.toLowerCase();
  return scheme === 'http' || scheme === 'https' ? scheme : undefined;
}

function toHost(text: string | undefined): string | undefined {
  return text !== undefined && isHost(text) ? text : undefined;
}

const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::\d{0,5})?$/;

/** No name in DNS is longer (RFC 1035 §2.3.4), and patterns of hosts need not be tried on what is none. */
const HOST_BYTES_MAX = 255;

/** True for what may stand in `Host`: a name or an address, and perhaps a port (RFC 9110 §7.2). */
export function isHost(text: string): boolean {
  return text.length <= HOST_BYTES_MAX && HOST.test(text);
}

function withoutPort(text: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1];
  if (bracketed !== undefined) return bracketed;
  return /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? text;
}
