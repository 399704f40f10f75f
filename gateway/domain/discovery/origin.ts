import { printable } from '../printable.ts';

/** Scheme, host and port as one text, or why that cannot be. */
export type Origin = { readonly origin: string } | { readonly problem: string };

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i;
const IPV6 = /^[0-9a-f:.]{2,45}(%[a-z0-9]{1,16})?$/i;
const NOBODY = new Set(['0.0.0.0', '::', '::0', '0:0:0:0:0:0:0:0']);

/** The origin of a plain HTTP server by its address (a name, IPv4 or IPv6) and port, as a registry tells them. */
export function originOf(address: string, port: unknown): Origin {
  if (!isPort(port)) return { problem: `its port is ${printable(String(port), 16)}, not a number from 1 to 65535` };
  if (address === '') return { problem: 'it has no address' };
  if (NOBODY.has(address)) return { problem: `its address ${address} means "here", not where it is` };
  const isIpv6 = address.includes(':');
  if (!(isIpv6 ? isIpv6Address(address) : HOST_NAME.test(address) && isNoBrokenIpv4(address))) {
    return { problem: `its address '${printable(address, 64)}' is no host` };
  }
  return { origin: `http://${isIpv6 ? `[${address}]` : address}:${port}` };
}

function isPort(port: unknown): port is number {
  return typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65_535;
}

function isIpv6Address(address: string): boolean {
  return IPV6.test(address) && URL.canParse(`http://[${address.split('%', 1)[0] ?? ''}]/`);
}

/** What consists of numbers and dots alone is an IPv4 address, or a mistake. */
function isNoBrokenIpv4(address: string): boolean {
  if (!/^[\d.]+$/.test(address)) return true;
  const parts = address.split('.');
  return parts.length === 4 && parts.every(part => /^\d{1,3}$/.test(part) && Number(part) <= 255);
}
