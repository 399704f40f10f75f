/**
 * Text → configuration, or every problem with its place.
 *
 *   parseGateway(text, surroundings, judges): { config: GatewayConfig | undefined, problems }
 *   parseRoutes(text, surroundings):  RoutesFile (parse-routes.ts)
 *   compileRoutes(file, options):     { specs, services, policyOf, statics, problems } (compile.ts)
 *
 * Pure: `surroundings` offers the environment and the files that may be referred to; gateway/load.ts puts all together.
 */
import { parseApiKeys } from './api-keys-file.ts';
import type { GatewayConfig, IdentityConfig } from './gateway-config.ts';
import { isLoopback } from '../domain/operating/admin.ts';
import { hasError, inOrder, type Complain, type Complaint, type Problem } from './problem.ts';
import { resolveData, unsaid, warnOfLiteralSecrets, withoutExtensions, type Surroundings } from './references.ts';
import { complainOfMtls, withCertificates, type AuthorityFlaws, type CertificateFlaws } from './certificates.ts';
import { GatewayFile } from './schema/gateway.ts';
import { warnOfUselessSettings } from './useless.ts';
import { isRecord } from '../domain/unknown-value.ts';
import { validate } from './validate.ts';
import { readYaml, type YamlFile } from './yaml-file.ts';

/** gateway.yaml, understood, or why it cannot be. */
export interface ParsedGateway {
  /** Undefined when any problem is an error. */
  readonly config: GatewayConfig | undefined;
  readonly problems: readonly Problem[];
  /** What is found out later of what the file says, with its place. */
  readonly problemAt: (complaint: Complaint) => Problem;
  /** The R that the gateway is to start, where it could be understood, whatever else is wrong. */
  readonly local: Local;
}

/** What is wrong with an issuer's keys beyond their form, in words; undefined: nothing. */
export type KeysProblem = (keys: {
  readonly algorithms: readonly string[];
  readonly secret: string | undefined;
  readonly isSecretBase64: boolean;
  readonly publicKey: string | undefined;
  readonly isFetched: boolean;
}) => string | undefined;

type Local = GatewayConfig['discovery']['local'];

/** What edges say of what files hold, beyond its form. */
export interface Judges {
  readonly keysProblem?: KeysProblem;
  readonly certificateFlaws?: CertificateFlaws;
  readonly authorityFlaws?: AuthorityFlaws;
  readonly onnxFlaws?: OnnxFlaws;
}

/** The parts of gateway.yaml that a command needs, each with the keys within it that it does not. */
export type Needed = Readonly<Record<string, readonly string[]>>;

/** What is wrong with a model's file, or with this machine for it. */
export type OnnxFlaws = (file: string) => readonly Pick<Complaint, 'message' | 'severity'>[];

const NO_JUDGES: Required<Judges> = {
  keysProblem: () => undefined,
  certificateFlaws: () => [],
  authorityFlaws: () => [],
  onnxFlaws: () => [],
};

/** Understands gateway.yaml; reports all that is wrong at once, of `needed` alone where that is given. */
export function parseGateway(
  text: string,
  surroundings: Surroundings,
  { needed, ...judges }: Judges & { readonly needed?: Needed } = {},
): ParsedGateway {
  const { keysProblem, certificateFlaws, authorityFlaws, onnxFlaws } = { ...NO_JUDGES, ...judges };
  const yaml = readYaml(text, surroundings.file);
  const problems = [...yaml.problems];
  const problemAt = (complaint: Complaint) => yaml.locate(complaint);
  if (yaml.value === undefined) return { config: undefined, problems: inOrder(problems), problemAt, local: [] };

  const complain: Complain = complaint => problems.push(yaml.locate(complaint));
  complainOfNothing(yaml, complain);
  const resolved = resolveData(neededOf(withoutExtensions(yaml.value ?? {}), needed), surroundings, { complain });
  const quiet = unsaid(resolved, complain);
  warnOfLiteralSecrets(resolved, complain);
  const parsed = validate(GatewayFile, resolved.value, { path: [], complain: quiet, referred: resolved.referred });
  if (parsed !== undefined) {
    warnOfUselessSettings(parsed, quiet);
    complainOfMtls(parsed, quiet);
  }
  const config = parsed && {
    ...parsed,
    routes: surroundings.absolute(parsed.routes),
    listen: withCertificates(parsed.listen, { surroundings, complain: quiet, certificateFlaws, authorityFlaws }),
    audit: withFile(parsed.audit, surroundings),
    limits: { file: surroundings.absolute(parsed.limits.file) },
    jobs: withFolders(parsed.jobs, surroundings),
    plugins: parsed.plugins.map(path => surroundings.absolute(path)),
    discovery: withPaths(parsed.discovery, { surroundings, complain: quiet, onnxFlaws }),
    identity: parsed.identity && withKeys(parsed.identity, { surroundings, complain: quiet, keysProblem, problems }),
  };
  const said = { problems: inOrder(problems), problemAt, local: localOf(config) };
  return { config: hasError(problems) ? undefined : config, ...said };
}

/** What is left out is as if it were not written: what it refers to need not be there. */
function neededOf(root: unknown, needed: Needed | undefined): unknown {
  if (needed === undefined || !isRecord(root)) return root;
  const parts = Object.entries(root).flatMap(([name, part]) => {
    const leftOut = needed[name];
    if (leftOut === undefined || !isRecord(part)) return leftOut === undefined ? [] : [[name, part]];
    const kept = Object.entries(part).filter(([key]) => !leftOut.includes(key));
    return kept.length === 0 ? [] : [[name, Object.fromEntries(kept)]];
  });
  return Object.fromEntries(parts);
}

function localOf(config: Pick<GatewayConfig, 'discovery'> | undefined): Local {
  return config?.discovery.local ?? [];
}

/** A file cut off by a full disk, or by a save under way, must not mean a gateway without `identity`. */
function complainOfNothing({ value, problems }: YamlFile, complain: Complain): void {
  if (value !== null || problems.length > 0) return;
  complain({ path: [], message: 'the file is empty', hint: 'for a gateway with every default write `{}`' });
}

function withFile(audit: GatewayConfig['audit'], { absolute }: Surroundings): GatewayConfig['audit'] {
  return audit && { ...audit, file: absolute(audit.file) };
}

type PathsIo = Pick<KeysIo, 'surroundings' | 'complain'> & Pick<Required<Judges>, 'onnxFlaws'>;

function withFolders(jobs: GatewayConfig['jobs'], { absolute }: Surroundings): GatewayConfig['jobs'] {
  if (jobs === undefined) return undefined;
  const { inbox, folder } = jobs;
  const ofInbox = inbox && { ...inbox, folder: absolute(inbox.folder), out: absolute(inbox.out ?? inbox.folder) };
  return { ...jobs, folder: absolute(folder), inbox: ofInbox };
}

function withPaths(
  { consul, local, static: fixed }: GatewayConfig['discovery'],
  { surroundings: { absolute, readText, whyUnread }, complain, onnxFlaws }: PathsIo,
): GatewayConfig['discovery'] {
  for (const [i, one] of local.entries()) {
    const path = ['discovery', 'local', i, LOCAL_KEYS[one.kind]];
    if (one.kind === 'onnx') {
      for (const flaw of onnxFlaws(absolute(one.onnx))) complain({ path, ...flaw });
      continue;
    }
    const file = fileOf(one, { absolute, readText });
    const isOfFolder = one.kind === 'plumber' && file !== absolute(one.entry);
    const text = readText(file);
    const flaw = text === undefined ? `cannot be read: ${whyUnread(file)}` : flawOfEntry(file, text);
    if (flaw === undefined) continue;
    complain({ path, message: `${isOfFolder && text === undefined ? 'holds no R service: ' : ''}${file} ${flaw}` });
  }
  return {
    consul: consul && { ...consul, snapshot: absolute(consul.snapshot) },
    local: local.map(one => {
      if (one.kind === 'script') return { ...one, script: absolute(one.script) };
      return one.kind === 'onnx' ? { ...one, onnx: absolute(one.onnx) } : { ...one, entry: absolute(one.entry) };
    }),
    static: fixed,
  };
}

/** Where each kind of `local` says what is started. */
export const LOCAL_KEYS = { plumber: 'entry', script: 'script', rserve: 'rserve', onnx: 'onnx' } as const;

type OfR = Exclude<Local[number], { readonly kind: 'onnx' }>;

function fileOf(one: OfR, { absolute, readText }: Pick<Surroundings, 'absolute' | 'readText'>): string {
  if (one.kind === 'script') return absolute(one.script);
  return one.kind === 'rserve' ? absolute(one.entry) : entryFile(absolute(one.entry), readText);
}

/** What the service in a folder begins with: the first of these that is there, which is Plumber's own order. */
const ENTRY_NAMES = ['_server.yml', 'entrypoint.R', 'plumber.R'];
const R_FILE = /\.[Rr]$/;

/** The file that an `entry` begins with: itself, or what the folder has; `plumber.R` where it has nothing. */
export function entryFile(entry: string, readText: Surroundings['readText']): string {
  if (R_FILE.test(entry) || readText(entry) !== undefined) return entry;
  const names = ENTRY_NAMES.flatMap(name => [name, name.replace(R_FILE, '.r')]);
  const found = names.find(name => readText(`${entry}/${name}`) !== undefined);
  return `${entry}/${found ?? 'plumber.R'}`;
}

/** Of what R does not parse itself. */
function flawOfEntry(file: string, text: string): string | undefined {
  if (!file.endsWith('/_server.yml') || /^engine:[ \t]*["']?[A-Za-z][A-Za-z0-9.]+["']?[ \t]*(?:#.*)?$/m.test(text))
    return undefined;
  return 'names no engine';
}

type Identity = NonNullable<ReturnType<typeof GatewayFile.parse>['identity']>;

interface KeysIo {
  readonly surroundings: Surroundings;
  readonly complain: Complain;
  readonly keysProblem: KeysProblem;
  /** Grows by those of other files. */
  readonly problems: Problem[];
}

function withKeys(identity: Identity, io: KeysIo): IdentityConfig {
  warnOfPlainEndpoints(identity, io);
  return {
    ...identity,
    jwt: (identity.jwt ?? []).map((issuer, i) => ({ ...issuer, ...keysOf(issuer, i, io) })),
    apiKeys: identity.apiKeys && withKeysOfFile(identity.apiKeys, io),
    introspection: identity.introspection ?? [],
    mtls: identity.mtls,
    ldap: identity.ldap && withAuthority(identity.ldap, io),
  };
}

/** Tokens go there, and the gateway's own secret with them. */
function warnOfPlainEndpoints({ introspection = [] }: Identity, { complain }: KeysIo): void {
  for (const [i, { endpoint }] of introspection.entries()) {
    if (!/^http:/i.test(endpoint) || isLoopback(new URL(endpoint).hostname)) continue;
    const message = 'sends tokens and `clientSecret` in the clear: https:// keeps them';
    complain({ path: ['identity', 'introspection', i, 'endpoint'], severity: 'warning', message });
  }
}

/** A file that is not there yet has no keys: `penstock key create` makes it. */
function withKeysOfFile(apiKeys: NonNullable<Identity['apiKeys']>, { surroundings, complain, problems }: KeysIo) {
  const file = surroundings.absolute(apiKeys.file);
  const content = surroundings.readText(file);
  if (content === undefined) {
    const message = `no key is known: ${file} cannot be read: ${surroundings.whyUnread(file)}`;
    complain({ path: ['identity', 'apiKeys', 'file'], severity: 'warning', message });
  }
  const parsed = parseApiKeys(content ?? '', file);
  problems.push(...parsed.problems);
  return { ...apiKeys, file, keys: parsed.keys ?? [] };
}

function withAuthority(ldap: NonNullable<Identity['ldap']>, io: KeysIo) {
  const { surroundings, complain } = io;
  warnOfPlainDirectory(ldap, io);
  if (ldap.ca === undefined) return ldap;
  const file = surroundings.absolute(ldap.ca);
  const ca = surroundings.readText(file);
  if (ca?.includes('-----BEGIN CERTIFICATE-----') === true) return { ...ldap, ca };
  const why = ca === undefined ? `cannot be read: ${surroundings.whyUnread(file)}` : 'holds no certificate in PEM form';
  complain({ path: ['identity', 'ldap', 'ca'], message: `the file ${why}` });
  return ldap;
}

function warnOfPlainDirectory({ servers, startTls, ca }: NonNullable<Identity['ldap']>, { complain }: KeysIo): void {
  const [server = ''] = servers;
  if (startTls || !/^ldap:/i.test(server)) return;
  if (!isLoopback(new URL(server).hostname)) {
    const message = 'sends passwords in the clear: ldaps://, or `startTls: true`, keeps them';
    complain({ path: ['identity', 'ldap', 'servers'], severity: 'warning', message });
  }
  if (ca === undefined) return;
  const message = 'has no effect: without `startTls: true` a connection of ldap:// is not verified';
  complain({ path: ['identity', 'ldap', 'ca'], severity: 'warning', message, isAboutKey: true });
}

function keysOf(issuer: NonNullable<Identity['jwt']>[number], i: number, io: KeysIo) {
  const { algorithms, secret, isSecretBase64, publicKey: path, jwks, discovery: isDiscovered } = issuer;
  const { absolute, readText, whyUnread } = io.surroundings;
  const publicKey = path === undefined ? undefined : readText(absolute(path));
  const formFlaw =
    path !== undefined && publicKey === undefined
      ? `the file cannot be read: ${whyUnread(absolute(path))}`
      : keyFlaw(publicKey);
  const isFetched = jwks !== undefined || isDiscovered;
  const keys = { algorithms, secret: secret?.reveal(), isSecretBase64, publicKey, isFetched };
  const message = formFlaw ?? io.keysProblem(keys);
  const key = path === undefined ? 'secret' : 'publicKey';
  if (message !== undefined) io.complain({ path: ['identity', 'jwt', i, key], message });
  warnOfStrangers(issuer, i, io);
  return { publicKey };
}

/** Plain keys can be exchanged on their way, and a token that was meant for others opens this gateway. */
function warnOfStrangers(
  { isAudienceAny, clientId, jwks, issuer, discovery: isDiscovered }: NonNullable<Identity['jwt']>[number],
  i: number,
  { complain }: KeysIo,
): void {
  const warn = (key: string, message: string, hint: string) =>
    complain({ path: ['identity', 'jwt', i, key], severity: 'warning', message, hint });
  if (isAudienceAny && clientId === undefined) {
    const message = 'takes every token of this issuer, also those that were meant for others';
    warn('audience', message, 'name the audience of this gateway, or demand a `clientId`');
  }
  for (const [key, url] of [['jwks', jwks] as const, ['issuer', isDiscovered ? issuer : undefined] as const]) {
    if (url === undefined || !/^http:/i.test(url) || isLoopback(new URL(url).hostname)) continue;
    warn(
      key,
      'fetches keys over plain HTTP: an attacker on the way can exchange them',
      'https:// shows whose keys they are',
    );
  }
}

function keyFlaw(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (text.includes('PRIVATE KEY-----')) return 'is a private key: here belongs the public one';
  if (!/-----BEGIN (?:[A-Z ]*PUBLIC KEY|CERTIFICATE)-----/.test(text)) return 'is no public key in PEM form';
  return undefined;
}
