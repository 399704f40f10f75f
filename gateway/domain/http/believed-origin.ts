import { fieldOf, listOf, type RawFields } from './fields.ts';

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
