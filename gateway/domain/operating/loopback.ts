import { withinRanges } from '../http/address-range.ts';

const isLoopbackAddress = withinRanges(['127.0.0.0/8', '::1']);

/** True for a host to listen on that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || isLoopbackAddress(host);
}
