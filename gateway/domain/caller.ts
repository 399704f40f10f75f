/** A way for callers to say who they are. */
export type SchemeName = 'jwt' | 'api-key' | 'opaque' | 'ldap' | 'mtls';

/** The certificate that a caller's connection was opened with: the caller holds its key; an authority of any kind may have signed it. */
export interface ClientCertificate {
  readonly kind: 'certificate';
  /** An authority of `listen.tls.clientCa` signed it, for callers. What it says is empty where none did. */
  readonly isTrusted: boolean;
  /** One attribute a line, the most general first, as OpenSSL escapes them: `C=DE`, `CN=alice`. */
  readonly subject: string;
  /** Its subjectAltName as Node writes it: `DNS:a.example, URI:"spiffe://a\u002cb"`. */
  readonly altNames: string;
  /** Milliseconds since 1970. A connection may outlive its certificate. */
  readonly endsMs: number;
}

/** Who is calling, as far as admission found out. */
export interface Caller {
  readonly kind: SchemeName | 'anonymous';
  /** Names the caller in limits, fairness and logs: issuer and subject, or the address (IPv6: its /64). */
  readonly id: string;
  /** Who vouches for the subject: an issuer, or a scheme that has none (`api-key`); undefined where nothing does. */
  readonly issuer: string | undefined;
  readonly subject: string | undefined;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
}

/** A caller nothing is known of but where they call from. */
export function anonymousCaller(address: string): Caller {
  return { kind: 'anonymous', id: addressGroup(address), issuer: undefined, subject: undefined, scopes: [], roles: [] };
}

/** A caller as a scheme knows them. */
export function knownCaller(
  kind: SchemeName,
  {
    issuer,
    subject,
    scopes,
    roles,
  }: Pick<Caller, 'scopes' | 'roles'> & { readonly issuer: string; readonly subject: string },
): Caller {
  return { kind, id: callerId(issuer, subject), issuer, subject, scopes, roles };
}

/** `/` in a subject is encoded, so that the last one in an id parts issuer and subject, and no two callers share an id. */
function callerId(issuer: string, subject: string): string {
  return `${issuer}/${subject.replace(/[%/]/g, encodeURIComponent)}`;
}

/** The part of an address that one holder has: an IPv4 address, or the /64 of an IPv6 one. All spellings of an IPv4 address are one. */
export function addressGroup(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address); // as the system writes it
  if (mapped?.[1] !== undefined) return mapped[1];
  if (!address.includes(':')) return address;
  const withoutZone = address.split('%', 1)[0] ?? address;
  const groups = expandIpv6(withoutZone);
  return ipv4In(groups) ?? `${groups.slice(0, 4).join(':')}::/64`;
}

const MAPPED = '0:0:0:0:0:ffff';

/** The IPv4 address that an IPv6 one maps (RFC 4291 §2.5.5.2). */
function ipv4In(groups: readonly string[]): string | undefined {
  if (groups.slice(0, 6).join(':') !== MAPPED) return undefined;
  const [high = '', low = '0'] = groups.slice(6);
  if (high.includes('.')) return high;
  return [high, low].flatMap(group => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]).join('.');
}

function expandIpv6(address: string): string[] {
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const dotted = address.includes('.') ? 1 : 0; // of two groups, as dots part it
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length - dotted);
  return [...before, ...Array.from({ length: zeros }, () => '0'), ...after].map(group =>
    group.replace(/^0+(?=.)/, '').toLowerCase(),
  );
}
