import type { Received } from '../call.ts';
import { fieldOf, fieldsOf, hasField, listOf, type RawFields } from './fields.ts';
import { leadsElsewhere } from './request-target.ts';

type Origin = Pick<Received, 'fields' | 'scheme' | 'host' | 'peerAddress' | 'callerAddress' | 'isPeerTrusted'>;

const DEFAULT_PORTS = { http: '80', https: '443' } as const;

/** The names that `pushForwarding` sets, in lower case. */
const SET_HERE: ReadonlySet<string> = new Set([
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'forwarded',
  'x-forwarded-prefix',
]);

/** True for a field, by its name in lower case, that the gateway says anew and that never travels on as it came. */
export function isSetHere(name: string): boolean {
  return SET_HERE.has(name);
}

/** True for another field of the family, which travels on where a trusted proxy said it. */
export function isOriginField(name: string): boolean {
  return name.startsWith('x-forwarded-') || name === 'x-real-ip' || isCertificateField(name);
}

/** Where proxies that end TLS say whose certificate they saw (RFC 9440, nginx, Envoy, HAProxy): a caller may not. */
export function isCertificateField(name: string): boolean {
  return CERTIFICATE_FIELD.test(name);
}

const CERTIFICATE_FIELD =
  /^(?:(?:cf-)?client-cert(?:-.*)?|(?:x-)?(?:ssl|tls)-(?:client|peer)(?:-.*)?|x-(?:client|peer)-(?:cert|certificate|verify|dn|cn|san|subject|issuer|serial|fingerprint|ssl|tls)(?:-.*)?|x-arr-clientcert|x-amzn-mtls-.*)$/;

/** Says where the request came from, for the instance: nothing in it is the caller's word alone. */
export function pushForwarding(fields: string[], origin: Origin): void {
  const { scheme, host } = origin;
  const chain = believedChain(origin);
  fields.push('X-Forwarded-For', chain, 'X-Forwarded-Proto', scheme);
  if (host !== '') fields.push('X-Forwarded-Host', host); // HTTP/1.0 may do without
  fields.push('X-Forwarded-Port', portOf(origin), 'Forwarded', forwardedOf(chain, scheme, host));
}

/** Says what of the path the route's filters took from its front, behind what a trusted proxy took. */
export function pushPrefix(fields: string[], prefix: string, { fields: forwarded, isPeerTrusted }: Origin): void {
  const before = isPeerTrusted ? listOf(forwarded, 'x-forwarded-prefix').filter(isPrefix) : [];
  if (prefix !== '') before.push(prefix);
  if (before.length > 0) fields.push('X-Forwarded-Prefix', before.join(', '));
}

function isPrefix(text: string): boolean {
  return /^\/[!$&'()*+\-./:=@%\w~]*$/.test(text) && !leadsElsewhere(text);
}

/** The last one said: callers call again. */
const last = { chain: '', scheme: '', host: '', said: '' };

/** The same as one field (RFC 7239): the outermost element knows scheme and host. */
function forwardedOf(chain: string, scheme: string, host: string): string {
  if (last.chain === chain && last.scheme === scheme && last.host === host && last.said !== '') return last.said;
  const [first = '', ...others] = chain.split(', ');
  const caller = `for=${nodeOf(first)};${host === '' ? '' : `host="${host}";`}proto=${scheme}`;
  const said = [caller, ...others.map(node => `for=${nodeOf(node)}`)].join(', ');
  Object.assign(last, { chain, scheme, host, said });
  return said;
}

function nodeOf(address: string): string {
  return address.includes(':') ? `"[${address}]"` : address === '' ? 'unknown' : address;
}

/** What a route's filters put in place of what, at the front of a path: `/api/fuel/x` asked for as `/x`, say. */
export interface Fronts {
  /** As callers know it; empty: nothing was taken away. */
  readonly outer: string;
  /** As the instance knows it; empty: nothing was put there. */
  readonly inner: string;
}

/** Without the segments at the end that both paths share. Undefined: they share none, and are not one below the other. */
export function frontsOf(outer: string, inner: string): Fronts | undefined {
  if (inner === '/') return { outer: outer.endsWith('/') ? outer.slice(0, -1) : outer, inner: '' };
  if (outer.endsWith(inner)) return { outer: outer.slice(0, outer.length - inner.length), inner: '' };
  if (inner.endsWith(outer)) return { outer: '', inner: inner.slice(0, inner.length - outer.length) };
  let same = 0;
  while (outer.at(-1 - same) === inner.at(-1 - same)) same += 1;
  const at = outer.indexOf('/', outer.length - same);
  if (at < 0) return undefined;
  return { outer: outer.slice(0, at), inner: inner.slice(0, inner.length - outer.length + at) };
}

/** What filters took from the path's front, and put nothing in its place; empty: nothing, or something else changed. */
export function prefixOf(outer: string, inner: string): string {
  if (outer === inner) return '';
  if (inner !== '/' && outer.endsWith(inner)) return outer.slice(0, outer.length - inner.length); // most filters strip
  const fronts = frontsOf(outer, inner);
  return fronts?.inner === '' ? fronts.outer : '';
}

/**
 * The caller, then every proxy that passed the request on, the peer last. What stood left of the caller in an inbound
 * `X-Forwarded-For` is the caller's own invention, and ends here.
 */
function believedChain({ fields, peerAddress, callerAddress, isPeerTrusted }: Origin): string {
  if (!isPeerTrusted) return peerAddress;
  const forwarded = listOf(fields, 'x-forwarded-for');
  const from = forwarded.lastIndexOf(callerAddress);
  if (from >= 0) return [...forwarded.slice(from), peerAddress].join(', ');
  return callerAddress === peerAddress ? peerAddress : `${callerAddress}, ${peerAddress}`;
}

function portOf({ fields, scheme, host, isPeerTrusted }: Origin): string {
  const forwarded = isPeerTrusted ? fieldOf(fields, 'x-forwarded-port') : undefined;
  if (forwarded !== undefined && /^\d{1,5}$/.test(forwarded)) return forwarded;
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
 * Reads the `X-Forwarded-*` of a trusted peer, or its `Forwarded`.
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
  const said = saidBy(fields);
  const chain = said('for');
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
    scheme: toScheme(memberAt(said('proto'), hops)) ?? seen.scheme,
    host: toHost(memberAt(said('host'), hops)) ?? seen.host,
  };
}

type Part = 'for' | 'proto' | 'host';

/** Who says what: `Forwarded` (RFC 7239) counts where no `X-Forwarded-For` stands, and then all of it. */
function saidBy(fields: RawFields): (part: Part) => readonly string[] {
  if (hasField(fields, 'x-forwarded-for') || !hasField(fields, 'forwarded')) {
    return part => listOf(fields, `x-forwarded-${part}`);
  }
  const elements = fieldsOf(fields, 'forwarded')
    .join()
    .match(ELEMENT)
    ?.map(
      element =>
        new Map(Array.from(element.matchAll(PAIR), ([, name = '', value = '']) => [name.toLowerCase(), value])),
    );
  return part => elements?.map(pairs => (pairs.get(part) ?? '').replaceAll('"', '').trim()) ?? [];
}

/** What stands between commas, and in it between semicolons, but not in quotes. */
const ELEMENT = /(?:[^,"]|"[^"]*")+/g;
const PAIR = /(?<![A-Za-z])([A-Za-z]+)=("[^"]*"|[^;"]*)/g;

/** The `hops`-th member from the right, or the leftmost; a proxy that does not append leaves just one. */
function memberAt(members: readonly string[], hops: number): string | undefined {
  return members[Math.max(0, members.length - Math.max(1, hops))];
}

function toScheme(text: string | undefined): 'http' | 'https' | undefined {
  const scheme = text?.toLowerCase();
  return scheme === 'http' || scheme === 'https' ? scheme : undefined;
}

function toHost(text: string | undefined): string | undefined {
  return text !== undefined && isHost(text) ? text : undefined;
}

const HOST =
  /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::(?:\d{0,4}|[0-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]))?$/;

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
