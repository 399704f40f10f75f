import type { Received } from '../exchange.ts';
import { fieldOf, listOf } from './fields.ts';

type Origin = Pick<Received, 'rawHeaders' | 'scheme' | 'host' | 'peerAddress' | 'callerAddress' | 'isPeerTrusted'>;

const DEFAULT_PORTS = { http: '80', https: '443' } as const;

/** The names that `forwardingFields` sets, in lower case. */
const SET_HERE: ReadonlySet<string> = new Set([
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'forwarded', // it would say less than the four, or something else
]);

/**
 * True for a field, by its name in lower case, that tells where a request came from and must not travel on as it stands:
 * those set anew here always, the rest of the family unless a trusted proxy said so.
 */
export function isForwardingClaim(name: string, isPeerTrusted: boolean): boolean {
  if (SET_HERE.has(name)) return true;
  return !isPeerTrusted && (name.startsWith('x-forwarded-') || name === 'x-real-ip');
}

/** Where the request came from, for the instance: nothing in it is the caller's word alone. */
export function forwardingFields(origin: Origin): string[] {
  const fields = ['X-Forwarded-For', believedChain(origin).join(', '), 'X-Forwarded-Proto', origin.scheme];
  if (origin.host !== '') fields.push('X-Forwarded-Host', origin.host); // HTTP/1.0 may do without
  fields.push('X-Forwarded-Port', portOf(origin));
  return fields;
}

/**
 * The caller, then every proxy that passed the request on, the peer last. What stood left of the caller in an inbound
 * `X-Forwarded-For` is the caller's own invention, and ends here.
 */
function believedChain({ rawHeaders, peerAddress, callerAddress, isPeerTrusted }: Origin): string[] {
  if (!isPeerTrusted) return [peerAddress];
  const told = listOf(rawHeaders, 'x-forwarded-for');
  const from = told.lastIndexOf(callerAddress);
  if (from >= 0) return [...told.slice(from), peerAddress];
  return callerAddress === peerAddress ? [peerAddress] : [callerAddress, peerAddress];
}

function portOf({ rawHeaders, scheme, host, isPeerTrusted }: Origin): string {
  const told = isPeerTrusted ? fieldOf(rawHeaders, 'x-forwarded-port') : undefined;
  if (told !== undefined && /^\d{1,5}$/.test(told)) return told;
  return /:(\d{1,5})$/.exec(host)?.[1] ?? DEFAULT_PORTS[scheme];
}
