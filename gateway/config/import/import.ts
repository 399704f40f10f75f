import { isMap, type Section, entriesUnder, textsOf } from '../spring-keys.ts';
import { durationText } from '../units.ts';
import { hasError, inOrder, pathText, type Complaint, type Problem } from '../problem.ts';
import { resolveData, resolveText, type Surroundings } from '../references.ts';
import { parseRouteUri } from '../route-uri.ts';
import { isForeign, isSpring, readSpring, warnOfRest, type SpringSections } from '../spring.ts';
import { springDefaults } from '../spring-policy.ts';
import { documentsInForce, type SourceDocument } from '../spring-profiles.ts';
import { readDocuments } from '../yaml-file.ts';
import { commentedYaml, originalOf, Comments } from './commented-yaml.ts';
import { draftRoutes, mend, commentLosses, type RoutesDraft } from './routes.ts';
import { propertyOf, type Properties } from '../placeholders.ts';

type Fields = Record<string, unknown>;

/** Two files that mean what one of Spring's meant, as far as they can; or why there are none. */
export type Imported =
  | { readonly gateway: string; readonly routes: string; /** Lines that say what means less. */ readonly less: number }
  | { readonly problems: readonly Problem[] };

/** What an import needs of the rest. */
export interface ImportOptions {
  readonly surroundings: Surroundings;
  readonly profiles: readonly string[];
  /** What `check` says of a routes.yaml with this text. */
  readonly judge: (text: string, hasIdentity: boolean) => readonly Problem[];
}

/** Each pass takes out all that the one before found; what is hidden behind it comes to light with the next. */
const PASSES_MAX = 10;

/** A file for Spring Cloud Gateway as two of ours, with a comment at each thing that means less. */
export function importSpring(text: string, { surroundings, profiles, judge }: ImportOptions): Imported {
  const yaml = readDocuments(text, surroundings.file);
  if (hasError(yaml.problems)) return { problems: inOrder(yaml.problems) };
  if (!yaml.values.some(isSpring)) return { problems: [yaml.locate(NOT_SPRING)] };
  const complaints: Complaint[] = [];
  const isOne = yaml.values.length === 1;
  const all = yaml.values.flatMap((root, i): SourceDocument[] => (isMap(root) ? [{ root, at: isOne ? [] : [i] }] : []));
  const documents = documentsInForce(all, profiles, complaint => complaints.push(complaint));
  const found = readSpring(documents, complaint => complaints.push(complaint));
  warnOfRest(documents, complaint => complaints.push(complaint), OF_GATEWAY_YAML);
  const properties = { variables: surroundings.variables, roots: documents.map(({ root }) => root) };

  const sections = sectionsOf(found, documents);
  const process = draftProcess({
    properties,
    surroundings,
    needsDiscovery: JSON.stringify(sections.routes?.value ?? null).includes('lb:'),
  });
  const hasIdentity = 'identity' in process.root;
  const draft = draftRoutes(sections, { properties, original: originalOf(text), hasIdentity });
  const settings = found.settings.map(({ key, value, path }) => {
    const resolved = resolveData(value, surroundings, {
      complain: complaint => complaints.push(complaint),
      at: path,
      placeholders: properties,
    });
    return { key, path, value: resolved.value };
  });
  const { policy, connectTimeoutMs } = springDefaults(settings, complaint => complaints.push(complaint));
  addDefaults(draft, policy);
  addConnectTimeouts(
    draft,
    connectTimeoutMs,
    uri => resolveText(uri, { surroundings, placeholders: properties, complain: () => undefined })?.text,
  );

  dropEmpty(draft);
  const routesText = () =>
    commentedYaml(draft.root, {
      head: headOf('routes.yaml: what operators edit.', surroundings.file, complaints),
      ...draft,
    });
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    const errors = judge(routesText(), hasIdentity).filter(({ severity }) => severity === 'error');
    if (!mend(errors, draft)) break;
  }
  commentLosses(
    judge(routesText(), hasIdentity).filter(({ severity }) => severity === 'warning'),
    draft,
  );
  const gateway = commentedYaml(process.root, {
    head: headOf('gateway.yaml: the process.', surroundings.file, []),
    comments: process.comments,
    originals: new Map(),
  });
  const routes = routesText();
  return { gateway, routes, less: (gateway + routes).match(/^\s*# Less: /gm)?.length ?? 0 };
}

/** Of what is other software's for routes, what gateway.yaml takes or reports. */
const OF_GATEWAY_YAML =
  /^(?:server|management|eureka|spring\.(?:security|cloud\.(?:consul|kubernetes|zookeeper|discovery)))\b/;

const NOT_SPRING: Complaint = { path: [], message: 'is not written for Spring Cloud Gateway: it has no `spring:`' };

function headOf(what: string, file: string, complaints: readonly Complaint[]): string[] {
  const lines = complaints.map(({ path, message, hint, severity }) => {
    const where = path.length === 0 ? '' : `${pathText(path)}: `;
    return `${severity === 'warning' ? '' : 'Less: '}${where}${message}${hint === undefined ? '' : ` (${hint})`}.`;
  });
  return [`${what} Made by \`penstock import\` from ${file.slice(file.lastIndexOf('/') + 1)}.`, ...lines];
}

function sectionsOf({ routes, defaultFilters }: SpringSections, documents: readonly SourceDocument[]) {
  const own = (key: string): Fields =>
    Object.assign({}, ...documents.map(({ root }) => (isForeign(key, root[key]) ? {} : root[key]))) as Fields;
  const listed = (key: string): Section[] =>
    documents.flatMap(({ root, at }) => (Array.isArray(root[key]) ? [{ value: root[key], path: [...at, key] }] : []));
  return {
    routes: [...listed('routes'), ...routes].at(-1),
    defaultFilters: [...listed('default-filters'), ...defaultFilters].at(-1),
    services: own('services'),
    defaults: own('defaults'),
  };
}

/** Settings for all routes, as they are written here. */
function addDefaults({ defaults }: RoutesDraft, { timeout, cors }: ReturnType<typeof springDefaults>['policy']): void {
  if (timeout !== undefined && !('timeout' in defaults)) defaults['timeout'] = durationText(timeout);
  if (cors === undefined || 'cors' in defaults) return;
  const { origins, methods, headers, expose, credentials, maxAgeSeconds } = cors;
  const more = { ...(expose.length > 0 ? { expose } : {}), ...(credentials ? { credentials } : {}) };
  defaults['cors'] = { origins, methods, headers, ...more, maxAge: `${maxAgeSeconds}s` };
}

/** How long connecting may take is a service's here. */
function addConnectTimeouts(
  { root, routes }: RoutesDraft,
  connectTimeoutMs: number | undefined,
  resolve: (uri: string) => string | undefined,
): void {
  if (connectTimeoutMs === undefined) return;
  const services = root['services'] as Fields;
  const targets = routes.map(({ uri, metadata }) => {
    const target = parseRouteUri(resolve(String(uri)) ?? '');
    const own = isMap(metadata) && 'connect-timeout' in metadata;
    return { name: 'problem' in target ? undefined : target.serviceName, own };
  });
  const decided = new Set(targets.filter(({ own }) => own).map(({ name }) => name));
  for (const { name } of targets) {
    if (name === undefined || decided.has(name) || name in services) continue;
    services[name] = { connection: { connectTimeout: durationText(connectTimeoutMs) } };
  }
}

/** Sections without anything in them, and without a word about them, are not written; `routes` is. */
function dropEmpty({ root, comments }: RoutesDraft): void {
  for (const [key, value] of Object.entries(root)) {
    const isEmpty = typeof value === 'object' && value !== null && Object.keys(value).length === 0;
    if (isEmpty && key !== 'routes' && comments.of(root, key).length === 0) Reflect.deleteProperty(root, key);
  }
}

/** gateway.yaml as it is made of what Spring Boot's own settings say. */
interface ProcessDraft {
  readonly root: Fields;
  readonly comments: Comments;
}

interface Around {
  readonly properties: Properties;
  readonly surroundings: Surroundings;
  /** Some route leads to `lb://`. */
  readonly needsDiscovery: boolean;
}

/** Where the gateway listens, where it finds instances, and whose tokens it believes. */
function draftProcess({ properties, surroundings, needsDiscovery }: Around): ProcessDraft {
  const settings = createSettings(properties, surroundings);
  const comments = new Comments();
  const root: Fields = {
    ...listenOf(settings),
    ...adminOf(settings),
    routes: 'routes.yaml',
    ...discoveryOf(settings, { comments, needsDiscovery }),
    ...identityOf(settings, comments),
  };
  for (const [key, lines] of Object.entries(ABOUT))
    if (key in root) for (const line of lines) comments.add(root, key, line);
  for (const [name, way] of NOT_TAKEN) if (settings.has(name)) comments.add(root, 'routes', `Less: ${name}: ${way}.`);
  if (!('identity' in root) && settings.has(JWT)) comments.add(root, 'routes', `Less: ${JWT}: ${NO_ISSUER}.`);
  return { root, comments };
}

/** What is said above a section, whatever it was made of. */
const ABOUT: Readonly<Record<string, readonly string[]>> = {
  identity: [
    'Less: what the code of the application lets pass without a token is not seen here: `auth: { allow: [jwt, anonymous] }` on a route lets callers in without one.',
  ],
};

/** Settings of the process that are reported, with what to write. */
const NOT_TAKEN: readonly (readonly [name: string, way: string])[] = [
  ['server.ssl', 'keystores are not read: write `listen: { tls: { cert: FILE, key: FILE } }` with PEM files'],
  ['server.compression', 'write `compress: true` under `defaults` of routes.yaml'],
  ['server.http2', 'HTTP/2 comes with `listen: { tls: … }`; without TLS by `listen: { h2c: true }`'],
  [
    'server.forward-headers-strategy',
    'write `listen: { trustedProxies: [10.0.0.0/8] }` with the balancers before the gateway',
  ],
  [
    'spring.cloud.gateway.trusted-proxies',
    'write `listen: { trustedProxies: [10.0.0.0/8] }` with the balancers before the gateway',
  ],
  ['eureka', 'Eureka is not asked: services must be known to Consul, or stand under `discovery: { static: [] }`'],
  ['spring.cloud.kubernetes', 'Kubernetes is not asked: name the service’s address, `uri: http://NAME:PORT`'],
  [
    'spring.cloud.zookeeper',
    'ZooKeeper is not asked: services must be known to Consul, or stand under `discovery: { static: [] }`',
  ],
  ['spring.webflux.base-path', 'write it before each Path'],
  ['spring.security.oauth2.client', 'callers are not logged in: they bring their token'],
  [
    'spring.security.user',
    'there are no names with passwords in this file: `identity` knows tokens, keys and directories',
  ],
];

interface Settings {
  /** A value as it may be written here, with references of ours; undefined where there is none. */
  text(name: string): string | undefined;
  whole(name: string, max: number): number | string | undefined;
  list(name: string): readonly string[];
  has(name: string): boolean;
  map(name: string): Fields;
}

function createSettings(properties: Properties, surroundings: Surroundings): Settings {
  const own = { ...properties, variables: {} };
  const under = (name: string) => properties.roots.flatMap(root => entriesUnder(root, name.split('.')));
  const text = (name: string) => {
    const found = propertyOf(name, own)?.text.trim();
    return found === undefined || found === '' ? undefined : asReference(found, properties, surroundings);
  };
  return {
    text,
    whole(name, max) {
      const found = text(name);
      if (found === undefined || found.startsWith('${env:')) return found;
      return /^\d{1,6}$/.test(found) && Number(found) <= max ? Number(found) : undefined;
    },
    list: name => {
      const at = name.lastIndexOf('.');
      const [parent, key] = [name.slice(0, at), name.slice(at + 1)];
      return textsOf(under(parent).findLast(entry => entry.key === key)?.value).flatMap(
        found => asReference(found, properties, surroundings) ?? [],
      );
    },
    has: name => under(name).length > 0 || propertyOf(name, own) !== undefined,
    map: name => Object.assign({}, ...under(name).map(({ key, value }) => ({ [key]: value }))) as Fields,
  };
}

/** `${NAME:8080}` as `${env:NAME:-8080}`; other placeholders are filled in now. Undefined where one leads nowhere. */
function asReference(text: string, placeholders: Properties, surroundings: Surroundings): string | undefined {
  const [, name, otherwise] = /^\$\{([A-Za-z_]\w*)(?::([^${}]*))?\}$/.exec(text) ?? [];
  const isVariable = name !== undefined && propertyOf(name, { ...placeholders, variables: {} }) === undefined;
  if (isVariable) return otherwise === undefined ? `\${env:${name}}` : `\${env:${name}:-${otherwise}}`;
  return resolveText(text, { surroundings, placeholders, complain: () => undefined })?.text;
}

function listenOf(settings: Settings): Fields {
  const headers = settings.text('server.max-http-request-header-size') ?? settings.text('server.max-http-header-size');
  const found = withoutGaps({
    host: settings.text('server.address'),
    port: settings.whole('server.port', 65_535),
    headerBytesMax: headers === undefined ? undefined : sizeOf(headers),
  });
  return Object.keys(found).length === 0 ? {} : { listen: found };
}

function sizeOf(text: string): string | undefined {
  const [, amount = '', unit = ''] = /^(\d{1,6})(KB|MB|B)?$/i.exec(text) ?? [];
  return amount === '' ? undefined : `${amount}${{ KB: 'KiB', MB: 'MiB' }[unit.toUpperCase()] ?? 'B'}`;
}

function adminOf(settings: Settings): Fields {
  const port = settings.whole('management.server.port', 65_535);
  return port === undefined ? {} : { admin: { port } };
}

interface Finding {
  readonly comments: Comments;
  readonly needsDiscovery: boolean;
}

function discoveryOf(settings: Settings, { comments, needsDiscovery }: Finding): Fields {
  const fixed = simpleInstances(settings);
  const isConsul = settings.has('spring.cloud.consul');
  if (!isConsul && fixed.length > 0) return { discovery: { static: fixed } };
  if (!isConsul && !needsDiscovery) return {};
  const consul = consulOf(settings, comments);
  const discovery = { consul, ...(fixed.length > 0 ? { static: fixed } : {}) };
  if (!isConsul) comments.add(discovery, 'consul', UNKNOWN_CONSUL);
  return { discovery };
}

const UNKNOWN_CONSUL = 'Less: `lb://` names what is registered in Consul; the old file does not say where that is.';

function consulOf(settings: Settings, comments: Comments): Fields {
  const [host = '127.0.0.1', port = '8500'] = ['host', 'port'].map(key => settings.text(`spring.cloud.consul.${key}`));
  const address = `http://${host}:${port}`;
  const tokens = ['config.acl-token', 'discovery.acl-token', 'token'];
  if (!tokens.some(key => settings.has(`spring.cloud.consul.${key}`))) return { address };
  const consul = { address, token: '${env:CONSUL_HTTP_TOKEN:-}' };
  comments.add(consul, 'token', 'The token of the old file is not copied: it comes from the environment.');
  return consul;
}

/** `spring.cloud.discovery.client.simple.instances`. */
function simpleInstances(settings: Settings): Fields[] {
  const services = settings.map('spring.cloud.discovery.client.simple.instances');
  return Object.entries(services).flatMap(([service, written]) => {
    const instances = (Array.isArray(written) ? (written as unknown[]) : [])
      .map(each => (isMap(each) && typeof each['uri'] === 'string' ? each['uri'].replace(/\/$/, '') : ''))
      .filter(uri => /^https?:\/\/[^/\s${}]+$/.test(uri));
    return instances.length === 0 ? [] : [{ service, instances }];
  });
}

const JWT = 'spring.security.oauth2.resourceserver.jwt';

const NO_ISSUER =
  'has no `issuer-uri`: write `identity: { jwt: [{ issuer, audience, algorithms, jwks }] }`, or the gateway serves openly';

function identityOf(settings: Settings, comments: Comments): Fields {
  const issuer = settings.text(`${JWT}.issuer-uri`);
  if (issuer === undefined) return {};
  const [audience = 'any'] = settings.list(`${JWT}.audiences`);
  const algorithms = settings.list(`${JWT}.jws-algorithms`).filter(name => /^(?:RS|PS|ES)(?:256|384|512)$/.test(name));
  const jwks = settings.text(`${JWT}.jwk-set-uri`);
  const entry: Fields = { issuer, audience, algorithms: algorithms.length === 0 ? ['RS256'] : algorithms };
  if (audience === 'any') {
    comments.add(
      entry,
      'audience',
      'As there, tokens that were meant for others are taken too; better name the audience.',
    );
  }
  return { identity: { jwt: [{ ...entry, ...(jwks === undefined ? { discovery: true } : { jwks }) }] } };
}

function withoutGaps(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
