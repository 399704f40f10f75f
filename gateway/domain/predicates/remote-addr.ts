import { isInRange, type AddressRange } from '../http/address-range.ts';
import type { Predicate } from '../route.ts';

/** Holds when the connection comes from one of the ranges; what proxies say of it does not count. */
export function remoteAddr(text: string, ranges: readonly AddressRange[]): Predicate {
  return { name: 'RemoteAddr', text, holds: asked => ranges.some(range => isInRange(asked.peerAddress, range)) };
}
