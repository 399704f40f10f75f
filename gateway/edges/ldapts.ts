import { connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import {
  Client,
  InvalidCredentialsError,
  InvalidDNSyntaxError,
  NoSuchObjectError,
  ResultCodeError,
  type Entry,
} from 'ldapts';
import { escapeDn, escapeFilter, filled, type NameAndPassword } from '../domain/admission/ldap.ts';
import type { Clock } from '../domain/clock.ts';

/** A directory, and how its people and groups are found. */
export interface DirectoryOptions {
  /** In the order in which they are tried. */
  readonly servers: readonly string[];
  readonly userDn: string;
  readonly groups: { readonly base: string; readonly filter: string; readonly nested: boolean } | undefined;
  readonly startTls: boolean;
  /** PEM; undefined: the authorities that Node knows. */
  readonly ca: string | undefined;
  readonly timeoutMs: number;
  /** Connections at once. */
  readonly poolMax: number;
  /** As whom groups are looked for; undefined: as the caller. */
  readonly bindDn: string | undefined;
  readonly bindPassword: string | undefined;
  readonly clock: Clock;
}

/** The groups of a caller whose password is right; `wrong` where it is not. */
export type DirectoryAnswer =
  { readonly kind: 'known'; readonly groups: readonly string[] } | { readonly kind: 'wrong' };

/** No server of the directory answered. Its message is fit for a log. */
class DirectoryError extends Error {
  override readonly name = 'DirectoryError';
}

/** Callers that wait for a connection; one more is refused. */
const WAITING_MAX = 256;
const GROUPS_MAX = 500;
/** All that one server is asked about one caller may take so many times as long as one answer. */
const ANSWERS_MAX = 5;
/** A server that failed is tried last for so long. */
const FAILED_MS = 5_000;

/** A connection, used by one check at a time. */
interface Line {
  readonly client: Client;
  readonly server: string;
}

/**
 * A directory of people, asked over LDAP with ldapts.
 *
 * A caller is known by a bind as that caller. A connection never opens itself again: what was lost is replaced by a new
 * one that is secured first, so that no password goes out in the clear.
 */
export class Directory {
  readonly #options: DirectoryOptions;
  readonly #idle: Line[] = [];
  readonly #failedMs = new Map<string, number>(); // as many as there are servers
  readonly #waiting: (() => void)[] = [];
  #used = 0;
  #isClosed = false;

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  /** Rejects with a DirectoryError where no server can be asked. */
  async check(who: NameAndPassword): Promise<DirectoryAnswer> {
    await this.#enter();
    try {
      return await this.#checkAt(this.#serversNow(), who);
    } finally {
      this.#used -= 1;
      this.#waiting.shift()?.();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#idle.splice(0).map(({ client }) => client.unbind()));
  }

  async #enter(): Promise<void> {
    while (this.#used >= this.#options.poolMax) {
      if (this.#waiting.length >= WAITING_MAX) throw new DirectoryError('too many wait for a connection');
      await new Promise<void>(resolve => this.#waiting.push(resolve));
    }
    this.#used += 1;
  }

  #serversNow(): readonly string[] {
    const nowMs = this.#options.clock.nowMs();
    const hasFailed = (server: string) => nowMs - (this.#failedMs.get(server) ?? -Infinity) < FAILED_MS;
    return this.#options.servers.toSorted((a, b) => Number(hasFailed(a)) - Number(hasFailed(b)));
  }

  async #checkAt(servers: readonly string[], who: NameAndPassword): Promise<DirectoryAnswer> {
    const problems: string[] = [];
    for (const server of servers) {
      try {
        return await this.#bindAt(server, who);
      } catch (error) {
        this.#failedMs.set(server, this.#options.clock.nowMs());
        problems.push(`${server}: ${error instanceof ResultCodeError ? `result ${error.code}` : nameOf(error)}`);
      }
    }
    throw new DirectoryError(problems.join('; '));
  }

  async #bindAt(server: string, who: NameAndPassword): Promise<DirectoryAnswer> {
    const line = await this.#open(server);
    try {
      const answer = await this.#query(line, who);
      this.#keep(line);
      return answer;
    } catch (error) {
      void line.client.unbind().catch(() => undefined);
      throw error;
    }
  }

  #keep(line: Line): void {
    if (this.#isClosed || !line.client.isConnected) void line.client.unbind().catch(() => undefined);
    else this.#idle.push(line);
  }

  async #open(server: string): Promise<Line> {
    for (let line = this.#idle.pop(); line !== undefined; line = this.#idle.pop()) {
      if (line.server === server && line.client.isConnected) return line;
      void line.client.unbind().catch(() => undefined);
    }
    const { timeoutMs: timeout, startTls, ca } = this.#options;
    const { hostname, protocol } = new URL(server);
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const named = isIP(host) === 0 ? { servername: host } : {};
    const tlsOptions: ConnectionOptions = { ...(ca === undefined ? {} : { ca }), host, ...named };
    const client = new Client({
      url: server,
      timeout,
      connectTimeout: timeout,
      ...(protocol === 'ldaps:' ? { tlsOptions } : {}), // with them it would speak TLS at once
      createConnection: onlyOnce(connectTcp),
      ...(startTls ? {} : { createSecureConnection: onlyOnce(connectTls) }),
    });
    try {
      if (startTls) await client.startTLS(tlsOptions);
    } catch (error) {
      await client.unbind().catch(() => undefined);
      throw error;
    }
    return { client, server };
  }

  async #query({ client }: Line, { user, password }: NameAndPassword): Promise<DirectoryAnswer> {
    const { userDn, groups, bindDn, bindPassword = '', clock, timeoutMs } = this.#options;
    const endsMs = clock.nowMs() + ANSWERS_MAX * timeoutMs;
    const isLate = () => clock.nowMs() >= endsMs;
    const dn = filled(userDn, { user: escapeDn(user) });
    try {
      await client.bind(dn, password);
    } catch (error) {
      if (isRefusal(error)) return { kind: 'wrong' };
      throw error;
    }
    if (groups === undefined) return { kind: 'known', groups: [] };
    if (bindDn !== undefined) await client.bind(bindDn, bindPassword);
    return { kind: 'known', groups: await groupsOf({ client, groups, isLate }, { user, dn }) };
  }
}

interface Search {
  readonly client: Client;
  readonly groups: NonNullable<DirectoryOptions['groups']>;
  readonly isLate: () => boolean;
}

interface Member {
  readonly user: string;
  readonly dn: string;
}

/** Names of the groups that hold a caller, and of those that hold these, each once: circles end. */
async function groupsOf({ client, groups, isLate }: Search, who: Member): Promise<readonly string[]> {
  const { base, filter, nested } = groups;
  const found = new Map<string, readonly string[]>();
  let members = [who];
  while (members.length > 0 && found.size < GROUPS_MAX) {
    const holders: Entry[] = [];
    for (const member of members) {
      if (isLate()) throw new DirectoryError('its groups take too long');
      const values = { user: escapeFilter(member.user), dn: escapeFilter(member.dn) };
      const options = { filter: filled(filter, values), attributes: ['cn'], sizeLimit: GROUPS_MAX };
      holders.push(...(await client.search(base, options)).searchEntries);
    }
    const fresh = holders.filter(entry => !found.has(entry.dn.toLowerCase()));
    for (const entry of fresh) found.set(entry.dn.toLowerCase(), namesOf(entry));
    members = nested ? fresh.map(entry => ({ user: '', dn: entry.dn })) : [];
  }
  return [...found.values()].flat();
}

function namesOf({ cn = [] }: Entry): readonly string[] {
  return [cn].flat().map(String);
}

/** Wrong name, wrong password, an account that is closed: the directory has answered, and said no. */
function isRefusal(error: unknown): boolean {
  if (error instanceof InvalidCredentialsError || error instanceof NoSuchObjectError) return true;
  if (error instanceof InvalidDNSyntaxError) return true;
  return error instanceof ResultCodeError && [19, 48, 50, 53].includes(error.code);
}

/** A connection that opened itself again would do so without StartTLS. */
function onlyOnce<F extends (...args: never[]) => unknown>(connect: F): F {
  let isUsed = false;
  return ((...args: Parameters<F>) => {
    if (isUsed) throw new DirectoryError('the connection was lost');
    isUsed = true;
    return connect(...args);
  }) as F;
}

/** Of what a library or TLS says, the kind alone: a message may quote. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : `${error.name}: ${error.message}`;
}
