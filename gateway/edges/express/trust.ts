import { BlockList, isIP } from 'node:net';
import type { Party } from '../../domain/http/believed-origin.ts';

/** Tells whether an address is one of the trusted proxies', which are addresses and ranges in CIDR notation. */
export function createTrust(trustedProxies: readonly string[]): (address: string) => Party {
  if (trustedProxies.length === 0) return address => (isIP(address) === 0 ? 'no-address' : 'stranger');
  const list = new BlockList();
  for (const proxy of trustedProxies) {
    const [address = '', prefix] = proxy.split('/');
    const family = familyOf(address);
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return address => {
    if (isIP(address) === 0) return 'no-address';
    return list.check(address, familyOf(address)) ? 'trusted' : 'stranger'; // also of `::ffff:10.0.0.1`
  };
}

/** A peer's address in the spelling that people write: an IPv4 address stays one on a socket that speaks both. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}
