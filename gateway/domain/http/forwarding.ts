import type { Received } from '../call.ts';
import { fieldOf, listOf } from './fields.ts';

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
