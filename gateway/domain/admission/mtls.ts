import type { Call } from '../call.ts';
import { knownCaller, type ClientCertificate } from '../caller.ts';
import { GatewayError } from '../errors.ts';
import type { CredentialFault } from './challenge.ts';
import { isFromOtherSite, type Credential, type Finding, type Scheme } from './scheme.ts';

interface MtlsOptions {
  /** By which of its names the caller is known. */
  readonly caller: 'san' | 'subject';
}

/** A name that is longer is none that people or programs have. */
const NAME_CHARS_MAX = 512;

/** Which kind of name counts, of several: the first of these that there is. */
const KINDS = ['URI', 'DNS', 'email', 'IP Address'];

/**
 * Callers who hold the key of a certificate, as TLS has verified it on their connection.
 *
 * It is the connection's, and so of each call over it: where a call brings a credential of its own that the route takes,
 * that counts. Callers known by it have no scopes and no roles.
 */
export class MtlsScheme implements Scheme {
  readonly name = 'mtls';
  readonly standsBack = true;
  readonly #options: MtlsOptions;
  /** A connection's certificate comes again with each call on it. */
  readonly #known = new WeakMap<ClientCertificate, Finding>();

  constructor(options: MtlsOptions) {
    this.#options = options;
  }

  takes({ kind }: Credential): boolean {
    return kind === 'certificate';
  }

  /** A browser shows a certificate whichever page asks, as it sends a cookie; programs say nothing of pages. */
  brought(call: Call): Credential | undefined {
    const { certificate } = call.wire;
    if (certificate === undefined || isFromOtherSite(call) !== true) return certificate;
    throw new GatewayError('FORBIDDEN', 'a certificate from a page of another origin', {
      detail: 'The credential is a certificate, and the request comes from a page that may not use it.',
    });
  }

  identify(credential: Credential, { wallMs }: Call): Finding {
    if (credential.kind !== 'certificate') return refused('untrusted-certificate');
    if (wallMs >= credential.endsMs) return refused('expired-certificate');
    const known = this.#known.get(credential) ?? this.#look(credential);
    this.#known.set(credential, known);
    return known;
  }

  #look({ isTrusted, subject, altNames }: ClientCertificate): Finding {
    if (!isTrusted) return refused('untrusted-certificate');
    const name = this.#options.caller === 'san' ? alternativeName(altNames) : distinguishedName(subject);
    if (name === undefined || name.length > NAME_CHARS_MAX || !IS_PRINTABLE.test(name)) {
      return refused('nameless-certificate');
    }
    return { kind: 'valid', caller: knownCaller('mtls', { issuer: 'mtls', subject: name, scopes: [], roles: [] }) };
  }
}

/** Not empty, and without control characters, breaks of lines, and what turns the direction of writing. */
const IS_PRINTABLE = /^[^\p{C}\p{Zl}\p{Zp}]+$/u;

function refused(fault: CredentialFault): Finding {
  return { kind: 'refused', fault };
}

/** The most general attribute last, as RFC 4514 writes it: `CN=alice,C=DE`. Commas within are escaped already. */
function distinguishedName(subject: string): string {
  return subject.split('\n').toReversed().join(',');
}

/** The first name of the first kind that there is. Names of hosts are told in lower case: they are compared so. */
function alternativeName(altNames: string): string | undefined {
  const names = new Map<string, string>();
  NAME.lastIndex = 0;
  for (let found = NAME.exec(altNames); found !== null; found = NAME.exec(altNames)) {
    const [, kind = '', quoted, plain = ''] = found;
    if (!names.has(kind)) names.set(kind, quoted === undefined ? plain : (JSON.parse(quoted) as string));
  }
  for (const kind of KINDS) {
    const name = names.get(kind);
    if (name !== undefined) return kind === 'DNS' ? name.toLowerCase() : name;
  }
  return undefined;
}

/** One of the names: Node quotes one, as JSON does, that would otherwise be read as several. */
const NAME = /([^:",]+):(?:("(?:[^"\\]|\\.)*")|([^,]*))(?:, |$)/gy;
