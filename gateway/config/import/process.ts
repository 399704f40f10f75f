import { propertyOf, type Properties } from '../placeholders.ts';
import { resolveText, type Surroundings } from '../references.ts';
import { entriesUnder, isMap, textsOf } from '../spring-keys.ts';
import { Comments } from './commented-yaml.ts';

type Fields = Record<string, unknown>;

/** gateway.yaml as it is made of what Spring Boot's own settings say. */
export interface ProcessDraft {
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
export function draftProcess({ properties, surroundings, needsDiscovery }: Around): ProcessDraft {
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

/** Settings of the process that are told of, with what to write. */
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
