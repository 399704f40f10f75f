/** A host without its port and a dot at its end, in lower case: as certificates write it. `[::1]:8443` is `::1`. */
export function nameOfHost(host: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(host)?.[1];
  if (bracketed !== undefined) return bracketed.toLowerCase();
  const colon = host.indexOf(':');
  const name = (colon < 0 ? host : host.slice(0, colon)).toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/**
 * True for a name that is among those of a certificate, or falls under one with a wildcard: `*.example.org` stands for
 * one label in its place, and for no address (RFC 9525 §6.3). Names are in lower case.
 */
export function isNamedBy(names: ReadonlySet<string>, name: string): boolean {
  if (names.has(name)) return true;
  const dot = name.indexOf('.');
  return dot > 0 && names.has(`*${name.slice(dot)}`);
}
