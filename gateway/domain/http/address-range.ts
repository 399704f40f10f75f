import { BlockList, isIP } from 'node:net';
import { GatewayError } from '../errors.ts';
import type { AddressRules } from '../route.ts';

const EVERY_IPV4 = blockListOf(['0.0.0.0/0']);

/**
 * True for an address, or a range of them in CIDR notation: '10.0.0.0/8', 'fd00::/8', '10.1.2.3' (that address alone).
 * Host bits may be set.
 *
 * A range of IPv4 addresses in IPv6 spelling (`::ffff:10.0.0.0/8`) is none: counted from the left of 128 bits, that `/8`
 * would hold every IPv4 address there is.
 */
export function isAddressRange(text: string): boolean {
  const [address = '', length, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || length === undefined) return version !== 0;
  const isMapped = version === 6 && EVERY_IPV4.check(withoutZone(address), 'ipv6');
  return rest.length === 0 && !isMapped && /^\d{1,3}$/.test(length) && Number(length) <= (version === 4 ? 32 : 128);
}

/**
 * Tells whether an address is in one of the ranges, each of which `isAddressRange`; what is no address is in none. An
 * IPv4 address is the same in its IPv6 spelling (`::ffff:10.0.0.1`), which is in `::/0`.
 */
export function withinRanges(ranges: readonly string[]): (address: string) => boolean {
  const list = blockListOf(ranges);
  return address => isIP(address) !== 0 && list.check(withoutZone(address), familyOf(address));
}

function blockListOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [written = '', length] = range.split('/');
    const address = withoutZone(written);
    if (length === undefined) list.addAddress(address, familyOf(address));
    else list.addSubnet(address, Number(length), familyOf(address));
  }
  return list;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}

function withoutZone(address: string): string {
  return address.split('%', 1)[0] ?? '';
}

/** The rules, ready to be asked; undefined where they let in every address. */
export function addressRules({ allow, deny }: Omit<AddressRules, 'admits'>): AddressRules | undefined {
  if (allow.length + deny.length === 0) return undefined;
  const [isAllowed, isDenied] = [withinRanges(allow), withinRanges(deny)];
  const admits = (address: string) => !isDenied(address) && (allow.length === 0 || isAllowed(address));
  return { allow, deny, admits };
}

/** Refuses a call from where none may come: FORBIDDEN, and not a word of what is behind. */
export function refuseAddress(
  rules: AddressRules | undefined,
  { callerAddress }: { readonly callerAddress: string },
): void {
  if (rules === undefined || rules.admits(callerAddress)) return;
  throw new GatewayError('FORBIDDEN', 'from an address that may not come', {
    detail: 'Requests from this address are not taken.',
  });
}
