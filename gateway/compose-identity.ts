import { BoundedMap } from './domain/bounded-map.ts';
import type { GatewayAudit } from './compose-audit.ts';
import { parseApiKeys } from './config/api-keys-file.ts';
import type { IdentityConfig, IssuerConfig } from './config/gateway-config.ts';
import { problemLine } from './config/problem.ts';
import { ApiKeyScheme, type ApiKey } from './domain/admission/api-key.ts';
import { Guessing } from './domain/admission/guessing.ts';
import type { NameAndPassword } from './domain/admission/ldap.ts';
import { MtlsScheme } from './domain/admission/mtls.ts';
import { Schemes, type Scheme } from './domain/admission/scheme.ts';
import type { Clock } from './domain/clock.ts';
import type { AddressRules } from './domain/route.ts';
import type { Observe } from './domain/events.ts';
import { readText, watchFiles, whyUnread } from './edges/config-file.ts';
import { keyDigests } from './edges/digest.ts';
import { OpaqueScheme } from './edges/introspection.ts';
import { JwtScheme, type TrustedIssuer } from './edges/jsonwebtoken.ts';
import { KeySet } from './edges/jwks.ts';
import { LdapScheme } from './edges/ldap-scheme.ts';
import { Directory } from './edges/ldapts.ts';
import type { TrustedKey } from './edges/token-keys.ts';

interface IdentityParts {
  readonly identity: IdentityConfig | undefined;
  readonly addresses: AddressRules | undefined;
  readonly clock: Clock;
  readonly observe: Observe;
  /** A change of the keys' file stands in the audit trail, where there is one. */
  readonly changed: GatewayAudit['changed'];
}

/** How old the keys of an issuer are that publishes them. */
export interface KeysAge {
  readonly issuer: string;
  readonly ageSeconds: number;
}

/** By what callers say who they are, and what keeps that up to date. */
export interface ComposedIdentity {
  readonly schemes: Schemes;
  /** From where callers may come; undefined: from anywhere. */
  readonly addresses: AddressRules | undefined;
  readonly keysAges: () => readonly KeysAge[];
  /** Begins to watch what may change. */
  start(): void;
  close(): Promise<void>;
}

/** The schemes by which callers say who they are. Without an identity no route asks, and there are none. */
export function composeIdentity({ identity, addresses, clock, observe, changed }: IdentityParts): ComposedIdentity {
  if (identity === undefined) return { ...NO_IDENTITY, addresses };
  const guessing = new Guessing(identity.guessing, clock);
  const world: World = { identity, clock, observe, guessing, changed };
  const keySets: NamedKeySet[] = [];
  const keys = composeApiKeys(world);
  const directory = identity.ldap && composeDirectory(identity.ldap, clock);
  const schemes: (Scheme | undefined)[] = [
    identity.introspection.length === 0 ? undefined : composeOpaque(world),
    identity.jwt.length === 0 ? undefined : composeJwt(world, keySets),
    keys,
    directory && composeLdap(world, directory),
    identity.mtls && new MtlsScheme(identity.mtls),
  ];
  let watch: ReturnType<typeof watchFiles> | undefined;
  return {
    schemes: new Schemes(schemes.filter(scheme => scheme !== undefined)),
    addresses,
    keysAges: () =>
      keySets.flatMap(({ issuer, keySet: { ageSeconds } }) =>
        ageSeconds === undefined ? [] : [{ issuer, ageSeconds }],
      ),
    start: () => (watch = keys && watchKeys(world, keys)),
    async close() {
      watch?.close();
      for (const { keySet } of keySets) keySet.close();
      await directory?.close();
    },
  };
}

const NO_IDENTITY: Omit<ComposedIdentity, 'addresses'> = {
  schemes: new Schemes([]),
  keysAges: () => [],
  start: () => undefined,
  close: () => Promise.resolve(),
};

interface World {
  readonly identity: IdentityConfig;
  readonly clock: Clock;
  readonly observe: Observe;
  readonly guessing: Guessing;
  readonly changed: GatewayAudit['changed'];
}

interface NamedKeySet {
  readonly issuer: string;
  readonly keySet: KeySet;
}

function composeJwt({ identity, clock, observe, guessing }: World, keySets: NamedKeySet[]): JwtScheme {
  const onGone = (keys: ReadonlySet<TrustedKey>) => scheme.forget(keys);
  const issuers = identity.jwt.map((config): TrustedIssuer => {
    const issuer = { ...config, secret: config.secret?.reveal(), isFetched: isFetched(config) };
    if (!issuer.isFetched) return issuer;
    const { algorithms, jwks: url, jwksStaleMsMax: staleMsMax } = config;
    const keySet = new KeySet({ issuer: config.issuer, algorithms, url, staleMsMax, clock, observe, onGone });
    keySets.push({ issuer: config.issuer, keySet });
    return { ...issuer, keySet };
  });
  const notify = createNotifier(clock, observe);
  const onOtherSecret = (issuer: string, hint: string) => notify(`a token was refused: ${hint}`, { issuer });
  const { tokenBytesMax } = identity;
  const scheme = new JwtScheme({ issuers, tokenBytesMax, clock, guessing, onOtherSecret });
  return scheme;
}

function composeApiKeys({ identity, clock, observe, guessing }: World): ApiKeyScheme | undefined {
  const { apiKeys, tokenBytesMax: keyBytesMax } = identity;
  if (apiKeys === undefined) return undefined;
  const { keys, header: field } = apiKeys;
  const notify = createNotifier(clock, observe);
  return new ApiKeyScheme({
    ...{ keys, field, keyBytesMax, clock, guessing, digests: keyDigests() },
    onKeyInUrl: ({ route, callerAddress }) =>
      notify('an API key came in a URL: it is to be replaced', { route: route?.id ?? '', address: callerAddress }),
  });
}

/** The keys of the file count as soon as it is saved; one with an error changes nothing, and says so. */
function watchKeys({ identity, observe, changed }: World, scheme: ApiKeyScheme) {
  const { file, keys: first } = identity.apiKeys ?? { file: '', keys: [] };
  let known: readonly ApiKey[] = first;
  return watchFiles({
    files: new Map([[file, readText(file)]]),
    onChange(path, text) {
      const { keys, problems } = parseApiKeys(text ?? '', path);
      if (text !== undefined && keys !== undefined) {
        scheme.replace(keys);
        changed({ by: 'file', from: null, what: 'API keys', ...keysDifference(known, keys), outcome: 'done' });
        known = keys;
        observe({ kind: 'notice', level: 'info', text: 'API keys were read anew', about: { file, keys: keys.length } });
        return;
      }
      const problem = text === undefined ? whyUnread(path) : problems.map(problemLine).join('; ');
      const said = 'API keys cannot be read: those known count on';
      observe({ kind: 'notice', level: 'error', text: said, about: { file, problem } });
    },
  });
}

/** Keys named in one line of the trail at most. */
const NAMED_MAX = 100;

/** Which keys are new, gone, or not as they were; of each no more than its id. */
function keysDifference(before: readonly ApiKey[], after: readonly ApiKey[]) {
  const old = new Map(before.map(key => [key.id, JSON.stringify(key)]));
  const ids = new Set(after.map(({ id }) => id));
  const idsOf = (keys: readonly ApiKey[]) => keys.map(({ id }) => id).slice(0, NAMED_MAX);
  return {
    before: { keys: before.length },
    after: {
      keys: after.length,
      added: idsOf(after.filter(({ id }) => !old.has(id))),
      removed: idsOf(before.filter(({ id }) => !ids.has(id))),
      changed: idsOf(after.filter(key => old.has(key.id) && old.get(key.id) !== JSON.stringify(key))),
    },
  };
}

function composeOpaque({ identity, clock, observe, guessing }: World): OpaqueScheme {
  const notify = createNotifier(clock, observe);
  const endpoints = identity.introspection.map(({ endpoint, clientSecret, ...rest }) => ({
    ...{ ...rest, url: endpoint, clientSecret: clientSecret.reveal(), audience: rest.audience, match: rest.match },
    issuer: new URL(endpoint).origin,
  }));
  return new OpaqueScheme({
    ...{ endpoints, tokenBytesMax: identity.tokenBytesMax, clock, guessing },
    onFailure: (endpoint, problem) => notify('tokens cannot be asked about', { endpoint, problem }),
  });
}

function composeDirectory(
  { bindPassword, bindDn, ca, groups, ...rest }: NonNullable<IdentityConfig['ldap']>,
  clock: Clock,
) {
  return new Directory({ ...rest, bindDn, ca, groups, bindPassword: bindPassword?.reveal(), clock });
}

function composeLdap({ identity, clock, observe, guessing }: World, directory: Directory): LdapScheme {
  const notify = createNotifier(clock, observe);
  const { roles = new Map<string, string>(), cacheMs = 0 } = identity.ldap ?? {};
  return new LdapScheme({
    ...{ roles, cacheMs, clock, guessing, check: (who: NameAndPassword) => directory.check(who) },
    onFailure: problem => notify('the directory cannot be asked', { problem }),
  });
}

function isFetched({ jwks, discovery }: IssuerConfig): boolean {
  return jwks !== undefined || discovery;
}

const NOTICE_EVERY_MS = 60_000;
/** Sayings noted as told; where there are more, some are told again. */
const NOTICES_MAX = 1_000;

/** Says the same of the same once a minute: many callers meet it at once. */
function createNotifier(clock: Clock, observe: Observe) {
  const notifiedMs = new BoundedMap<string, number>(NOTICES_MAX);
  return (text: string, about: Readonly<Record<string, string>>) => {
    const key = Object.values(about).join(' ');
    if (clock.nowMs() - (notifiedMs.get(key) ?? -Infinity) < NOTICE_EVERY_MS) return;
    notifiedMs.set(key, clock.nowMs());
    observe({ kind: 'notice', level: 'warn', text, about });
  };
}
