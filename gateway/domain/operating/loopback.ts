import { isInRange, type AddressRange } from '../http/address-range.ts';

const LOOPBACK: readonly AddressRange[] = [
  { family: 4, bits: 127n << 24n, prefix: 8 },
  { family: 6, bits: 1n, prefix: 128 },
];

/** True for a host to listen on that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || LOOPBACK.some(range => isInRange(host, range));
}
