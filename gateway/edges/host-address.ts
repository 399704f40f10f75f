import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** A host and a port, as others reach them. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

const EVERYWHERE = new Set(['', '0.0.0.0', '::', '::0']);

/** What to tell others of a listener: its own host, or this machine's address where it listens on all. */
export function advertisedAddress(listen: HostPort, advertise: string | undefined): HostPort {
  if (advertise !== undefined) return parseHostPort(advertise, listen.port);
  return { host: EVERYWHERE.has(listen.host) ? machineAddress() : listen.host, port: listen.port };
}

function parseHostPort(text: string, portDefault: number): HostPort {
  if (isIPv6(text)) return { host: text, port: portDefault };
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? text;
  return { host, port: match?.[3] === undefined ? portDefault : Number(match[3]) };
}

/** The first address that is not this machine's talk with itself, IPv4 before IPv6. */
function machineAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? []);
  const outer = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80:'));
  return (outer.find(({ family }) => family === 'IPv4') ?? outer[0])?.address ?? '127.0.0.1';
}
