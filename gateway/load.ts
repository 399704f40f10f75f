import { dirname, join } from 'node:path';
import { compileRoutes, type CompiledRoutes } from './config/compile.ts';
import type { GatewayConfig, IdentityConfig } from './config/gateway-config.ts';
import type { TlsIn } from './config/certificates.ts';
import type { SchemaIn } from './config/compile-policy.ts';
import { isDialectName } from './config/dialect/plugin-parts.ts';
import { importSpring, type Imported } from './config/import/import.ts';
import { inboxComplaint, type OwnPaths } from './config/own-paths.ts';
import { parseRoutes, type RoutesFile } from './config/parse-routes.ts';
import { parseGateway, type Needed } from './config/parse.ts';
import { hasError, type Complaint, type Problem } from './config/problem.ts';
import type { SchemeName } from './domain/caller.ts';
import type { ProtoIn } from './domain/grpc/rpc.ts';
import type { LoadedPlugins } from './domain/plugin/plugin-set.ts';
import type { IdentityTraits } from './domain/route.ts';
import { parseJson } from './domain/validation/prototype.ts';
import { compileJsonSchema } from './edges/ajv.ts';
import { readText, surroundingsOf, whyUnread } from './edges/config-file.ts';
import { systemClock } from './edges/clock.ts';
import { loadPlugins } from './edges/plugin-files.ts';
import { readProto } from './edges/protobufjs.ts';
import { onnxFlaws } from './edges/onnx/runtime.ts';
import { compileRegex } from './edges/re2js.ts';
import { sha256 } from './edges/digest.ts';
import { authorityFlaws, certificateFlaws } from './edges/tls/certificate.ts';
import { keysProblem } from './edges/token-keys.ts';

/** The environment, as references in the files may name it. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** Both files, understood as far as they can be. */
export interface Contract {
  /** Undefined when gateway.yaml has an error. */
  readonly gateway: GatewayConfig | undefined;
  /** Undefined when the routes file could not be found out or read; its `specs` are empty when it has an error. */
  readonly routes: CompiledRoutes | undefined;
  readonly problems: readonly Problem[];
  /** What is found out later of what gateway.yaml says, with its place. */
  readonly problemAt: (complaint: Complaint) => Problem;
  /** The R that the gateway is to start, where it could be understood, whatever else is wrong. */
  readonly local: GatewayConfig['discovery']['local'];
  /** The texts that were read, by the names that problems use. */
  readonly texts: ReadonlyMap<string, string>;
  /** Values that must never be shown. */
  readonly secrets: readonly string[];
}

function textsOf(plugins: LoadedPlugins | undefined): Iterable<[string, string]> {
  return plugins?.texts ?? [];
}

function flawsOf(plugins: LoadedPlugins | undefined, problemAt: Contract['problemAt']): Problem[] {
  return (plugins?.flaws ?? []).map(({ at, message }) => problemAt({ path: ['plugins', at], message }));
}

/** Of the route that an inbox names, once the routes are understood. */
function inboxProblems(
  config: GatewayConfig | undefined,
  routes: CompiledRoutes | undefined,
  problemAt: Contract['problemAt'],
): Problem[] {
  const inbox = config?.jobs?.inbox;
  if (inbox === undefined || routes === undefined || hasError(routes.problems)) return [];
  const complaint = inboxComplaint(inbox.route, routes.specs);
  return complaint === undefined ? [] : [problemAt(complaint)];
}

/** The routes file alone, as a reload reads it. */
export type LoadedRoutes = Omit<Contract, 'gateway' | 'problemAt' | 'local'>;

/** Reads and understands gateway.yaml and the routes file it names; every problem of both at once. */
export function loadContract(gatewayFile: string, variables: Variables, profiles: readonly string[] = []): Contract {
  const text = readText(gatewayFile);
  if (text === undefined) return unread(gatewayFile);
  const {
    config,
    problems: ofGateway,
    problemAt,
    local,
  } = parseGateway(text, surroundingsOf(gatewayFile, variables), {
    ...{ keysProblem, onnxFlaws },
    authorityFlaws: text => authorityFlaws(text, systemClock.wallMs()),
    certificateFlaws: texts => certificateFlaws(texts, { nowWallMs: systemClock.wallMs(), isForCallers: true }),
  });
  const texts = new Map([[gatewayFile, text]]);
  const plugins = pluginsAt(config?.plugins);
  const problems = [...ofGateway, ...flawsOf(plugins, problemAt)];
  // With an error in one file the other is still judged, if it can be found.
  const fallback = surroundingsOf(gatewayFile, variables).absolute('routes.yaml');
  if (config === undefined && readText(fallback) === undefined) {
    return { gateway: undefined, routes: undefined, problems, problemAt, local, texts, secrets: [] };
  }
  const loaded = loadRoutes(config, { routesFile: config?.routes ?? fallback, variables, profiles, plugins });
  return {
    gateway: config,
    routes: loaded.routes,
    problems: [...problems, ...inboxProblems(config, loaded.routes, problemAt), ...loaded.problems],
    problemAt,
    local,
    texts: new Map([...texts, ...loaded.texts, ...textsOf(plugins)]),
    secrets: loaded.secrets,
  };
}

/** Reads and understands the routes file for a gateway that is configured so; undefined: not known, assume the usual. */
export function loadRoutes(
  gateway: GatewayConfig | undefined,
  { routesFile, variables, profiles, plugins }: RoutesParts,
): LoadedRoutes {
  const input = { ...judgedBy(gateway), routesFile, variables, ...(profiles === undefined ? {} : { profiles }) };
  return judgeRoutes(input, plugins);
}

type RoutesParts = Pick<RoutesInput, 'routesFile' | 'variables' | 'profiles'> & {
  readonly plugins?: LoadedPlugins | undefined;
};

/** Loads plug-ins, once a thread; undefined: there are none. */
export function pluginsAt(paths: readonly string[] = []): LoadedPlugins | undefined {
  return paths.length === 0 ? undefined : loadPlugins(paths, isDialectName);
}

/** What a routes file is judged by: data that may travel to another thread. */
export interface RoutesInput {
  readonly routesFile: string;
  readonly variables: Variables;
  /** Which of a Spring file's documents are in force; none unless said. */
  readonly profiles?: readonly string[];
  readonly identityConfigured: boolean;
  readonly auditConfigured: boolean;
  readonly redisConfigured: boolean;
  readonly jobsConfigured: boolean;
  readonly ownPaths: OwnPaths | undefined;
  readonly identity: IdentityTraits | undefined;
  readonly knownServices: ReadonlySet<string> | undefined;
  /** Files of plug-ins, absolute. */
  readonly plugins: readonly string[];
}

/** What gateway.yaml has to say of routes. */
export function judgedBy(
  gateway: GatewayConfig | undefined,
): Omit<RoutesInput, 'routesFile' | 'variables' | 'profiles'> {
  const identityConfigured = gateway === undefined || gateway.identity !== undefined;
  const auditConfigured = gateway === undefined || gateway.audit !== undefined;
  const redisConfigured = gateway === undefined || gateway.redis !== undefined;
  const jobsConfigured = gateway === undefined || gateway.jobs !== undefined;
  const ownPaths = ownPathsOf(gateway);
  const identity = gateway?.identity && traitsOf(gateway.identity);
  const plugins = gateway?.plugins ?? [];
  const configured = { identityConfigured, auditConfigured, redisConfigured, jobsConfigured, ownPaths };
  return { ...configured, identity, knownServices: gateway && knownServices(gateway), plugins };
}

function ownPathsOf(gateway: GatewayConfig | undefined): OwnPaths | undefined {
  return gateway && { inference: gateway.inference?.path, jobs: gateway.jobs?.path };
}

/** Of gateway.yaml what a command needs, and every problem of that; neither what else it says nor the routes are judged. */
export function loadNeeded(
  gatewayFile: string,
  variables: Variables,
  needed: Needed,
): Pick<Contract, 'gateway' | 'problems'> {
  const text = readText(gatewayFile);
  if (text === undefined) return { gateway: undefined, problems: unread(gatewayFile).problems };
  const { config, problems } = parseGateway(text, surroundingsOf(gatewayFile, variables), { keysProblem, needed });
  return { gateway: config, problems };
}

/** Reads and understands a routes file; `file` is what it says, undefined where it cannot be read. */
export function judgeRoutes(
  input: RoutesInput,
  plugins?: LoadedPlugins,
): LoadedRoutes & { readonly file: RoutesFile | undefined } {
  const { routesFile, variables, profiles, ...options } = input;
  const text = readText(routesFile);
  if (text === undefined) return { ...unread(routesFile), file: undefined };
  const file = parseRoutes(text, surroundingsOf(routesFile, variables), profiles);
  const texts = new Map([[routesFile, text]]);
  const schemaIn = schemasBeside(routesFile, variables, texts);
  const tlsIn = tlsBeside(routesFile, variables, texts);
  const protoIn = protosBeside(routesFile, variables, texts);
  const routes = compileRoutes(file, { ...options, compileRegex, schemaIn, protoIn, tlsIn, plugins });
  return { file, routes, problems: routes.problems, texts, secrets: file.secrets };
}

/** A file for Spring Cloud Gateway as two of ours; its problems where it cannot be read. */
export function importFile(file: string, variables: Variables, profiles: readonly string[]): Imported {
  const text = readText(file);
  if (text === undefined) return { problems: unread(file).problems };
  const surroundings = surroundingsOf(file, variables);
  const judge = (routes: string, identityConfigured: boolean) =>
    compileRoutes(parseRoutes(routes, { ...surroundings, file: 'routes.yaml' }), { identityConfigured, compileRegex })
      .problems;
  return importSpring(text, { surroundings, profiles, judge });
}

/** Reads JSON Schemas beside the routes file, and notes their texts: a file that is saved is to be read anew. */
export function schemasBeside(routesFile: string, variables: Variables, texts?: Map<string, string>): SchemaIn {
  const { absolute } = surroundingsOf(routesFile, variables);
  return path => {
    const file = absolute(path);
    const text = readText(file);
    if (text === undefined) return { problem: `cannot be read: ${whyUnread(file)}` };
    texts?.set(file, text);
    const schema = parseJson(text);
    return schema === undefined ? { problem: 'is not JSON' } : compileJsonSchema(schema);
  };
}

/** Reads files of `.proto` beside the routes file, with what they import, and notes their texts. */
export function protosBeside(routesFile: string, variables: Variables, texts?: Map<string, string>): ProtoIn {
  const { absolute } = surroundingsOf(routesFile, variables);
  return (path, service) => {
    const main = absolute(path);
    const read = (name: string) => {
      for (const file of name === path ? [main] : placesOf(name, main)) {
        const text = readText(file);
        if (text === undefined) continue;
        texts?.set(file, text);
        return text;
      }
      return undefined;
    };
    if (read(path) === undefined) return { problem: `${path} cannot be read: ${whyUnread(main)}` };
    return readProto({ name: path, read }, service);
  };
}

/** An import is named from a folder that its file lies in, or that lies above: as deep as packages are. */
function placesOf(name: string, main: string): string[] {
  const folders = [dirname(main)];
  while (folders.length < PACKAGE_DEPTH_MAX) folders.push(dirname(folders.at(-1) ?? ''));
  return folders.map(folder => join(folder, name));
}

const PACKAGE_DEPTH_MAX = 4;

/** Reads the certificates and keys that services name beside the routes file, once each, and notes their texts. */
export function tlsBeside(routesFile: string, variables: Variables, texts?: Map<string, string>): TlsIn {
  const { absolute } = surroundingsOf(routesFile, variables);
  const known = new WeakMap<Parameters<TlsIn>[0], ReturnType<TlsIn>>();
  const make: TlsIn = written => {
    const unread: ReturnType<TlsIn>['flaws'][number][] = [];
    const textOf = (of: 'ca' | 'cert' | 'key') => {
      const file = written[of] === undefined ? undefined : absolute(written[of]);
      const text = file === undefined ? undefined : readText(file);
      if (file === undefined) return undefined;
      if (text === undefined) unread.push({ of, message: `the file cannot be read: ${whyUnread(file)}` });
      else texts?.set(file, text);
      return text;
    };
    const [ca, cert, key] = [textOf('ca'), textOf('cert'), textOf('key')];
    const client = cert === undefined || key === undefined ? undefined : { cert, key };
    const { serverName, verify: isVerified } = written;
    const parts = { ca, client, serverName, isVerified };
    const nowWallMs = systemClock.wallMs();
    const ofAuthority =
      ca === undefined ? [] : authorityFlaws(ca, nowWallMs).map(flaw => ({ of: 'ca' as const, ...flaw }));
    const ofClient = client === undefined ? [] : certificateFlaws(client, { nowWallMs, isForCallers: false });
    return { tls: { id: sha256(JSON.stringify(parts)), ...parts }, flaws: [...unread, ...ofAuthority, ...ofClient] };
  };
  return written => {
    const made = known.get(written) ?? make(written);
    known.set(written, made);
    return made;
  };
}

function traitsOf({ jwt, apiKeys, introspection, ldap, mtls }: IdentityConfig): IdentityTraits {
  const schemes: SchemeName[] = [];
  if (jwt.length > 0) schemes.push('jwt');
  if (apiKeys !== undefined) schemes.push('api-key');
  if (introspection.length > 0) schemes.push('opaque');
  if (ldap !== undefined) schemes.push('ldap');
  if (mtls !== undefined) schemes.push('mtls');
  return { schemes, keyField: apiKeys?.header };
}

/** Undefined where Consul may know any. */
function knownServices({ discovery }: GatewayConfig): ReadonlySet<string> | undefined {
  if (discovery.consul !== undefined) return undefined;
  return new Set([...discovery.local, ...discovery.static].map(({ service }) => service));
}

function unread(file: string): Omit<Contract, 'routes'> & { routes: undefined } {
  const problemAt = ({ message, hint, severity = 'error' }: Omit<Complaint, 'path'>): Problem => {
    return { file, line: 1, column: 1, severity, path: '', message, hint };
  };
  const problem = problemAt({ message: `the file cannot be read: ${whyUnread(file)}` });
  return {
    gateway: undefined,
    routes: undefined,
    problems: [problem],
    problemAt,
    local: [],
    texts: new Map(),
    secrets: [],
  };
}

/** True when the gateway may start with these files. */
export function isUsable(contract: Contract): boolean {
  return contract.gateway !== undefined && contract.routes !== undefined && !hasError(contract.problems);
}
