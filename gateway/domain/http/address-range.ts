/** Addresses that share their first bits: what CIDR notation names. */
export interface AddressRange {
  readonly family: 4 | 6;
  readonly bits: bigint;
  readonly prefix: number;
}

/**
 * '10.0.0.0/8', 'fd00::/8', '10.1.2.3' (that address alone); undefined for anything else. Host bits may be set.
 *
 * A range of IPv4 addresses in IPv6 spelling (`::ffff:10.0.0.0/8`) is none: counted from the left of 128 bits, that `/8`
 * would hold every IPv4 address there is.
 */
export function parseAddressRange(text: string): AddressRange | undefined {
  const [address = '', length, ...rest] = text.split('/');
  const parsed = parseAddress(address);
  if (parsed === undefined || rest.length > 0) return undefined;
  const width = widthOf(parsed.family);
  if (length === undefined) return { ...parsed, prefix: width };
  const isMapped = parsed.family === 4 && address.includes(':');
  if (isMapped || !/^\d{1,3}$/.test(length) || Number(length) > width) return undefined;
  return { ...parsed, prefix: Number(length) };
}

/** True for an address within the range. An IPv4 address is the same in its IPv6 spelling (`::ffff:10.0.0.1`). */
export function isInRange(address: string, range: AddressRange): boolean {
  const parsed = parseAddress(address);
  if (parsed?.family !== range.family) return false;
  const shift = BigInt(widthOf(range.family) - range.prefix);
  return parsed.bits >> shift === range.bits >> shift;
}

interface Address {
  readonly family: 4 | 6;
  readonly bits: bigint;
}

function widthOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

function parseAddress(text: string): Address | undefined {
  const withoutZone = text.split('%', 1)[0] ?? '';
  if (!withoutZone.includes(':')) return fourOf(withoutZone);
  const bits = parseSix(withoutZone);
  if (bits === undefined) return undefined;
  const isMapped = bits >> 32n === 0xffffn;
  return isMapped ? { family: 4, bits: bits & 0xffff_ffffn } : { family: 6, bits };
}

function fourOf(text: string): Address | undefined {
  const bits = parseFour(text);
  return bits === undefined ? undefined : { family: 4, bits };
}

function parseFour(text: string): bigint | undefined {
  const parts = text.split('.');
  const isSound = parts.length === 4 && parts.every(part => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
  return isSound ? parts.reduce((bits, part) => (bits << 8n) | BigInt(part), 0n) : undefined;
}

function parseSix(text: string): bigint | undefined {
  const groups = groupsOf(text);
  if (groups?.length !== 8 || !groups.every(group => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return groups.reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}

function groupsOf(text: string): string[] | undefined {
  const halves = withoutDots(text)?.split('::');
  if (halves === undefined || halves.length > 2) return undefined;
  const [before = [], after] = halves.map(half => (half === '' ? [] : half.split(':')));
  if (after === undefined) return before;
  const missing = 8 - before.length - after.length;
  return missing < 1 ? undefined : [...before, ...Array.from({ length: missing }, () => '0'), ...after];
}

/** The last two groups may be written as an IPv4 address. */
function withoutDots(text: string): string | undefined {
  const at = text.lastIndexOf(':') + 1;
  const tail = text.slice(at);
  if (!tail.includes('.')) return text;
  const bits = parseFour(tail);
  return bits === undefined
    ? undefined
    : `${text.slice(0, at)}${(bits >> 16n).toString(16)}:${(bits & 0xffffn).toString(16)}`;
}
