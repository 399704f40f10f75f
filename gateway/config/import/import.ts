import { isMap, type Section } from '../spring-keys.ts';
import { durationText } from '../units.ts';
import { hasError, inOrder, pathText, type Complaint, type Problem } from '../problem.ts';
import { resolveData, resolveText, type Surroundings } from '../references.ts';
import { parseRouteUri } from '../route-uri.ts';
import { isForeign, isSpring, readSpring, warnOfRest, type SpringSections } from '../spring.ts';
import { springDefaults } from '../spring-policy.ts';
import { documentsInForce, type SourceDocument } from '../spring-profiles.ts';
import { readDocuments } from '../yaml-file.ts';
import { commentedYaml, originalOf } from './commented-yaml.ts';
import { draftProcess } from './process.ts';
import { draftRoutes, mend, tellLess, type RoutesDraft } from './routes.ts';

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
  const told: Complaint[] = [];
  const isOne = yaml.values.length === 1;
  const all = yaml.values.flatMap((root, i): SourceDocument[] => (isMap(root) ? [{ root, at: isOne ? [] : [i] }] : []));
  const documents = documentsInForce(all, profiles, complaint => told.push(complaint));
  const found = readSpring(documents, complaint => told.push(complaint));
  warnOfRest(documents, complaint => told.push(complaint), OF_GATEWAY_YAML);
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
      complain: complaint => told.push(complaint),
      at: path,
      placeholders: properties,
    });
    return { key, path, value: resolved.value };
  });
  const { policy, connectTimeoutMs } = springDefaults(settings, complaint => told.push(complaint));
  addDefaults(draft, policy);
  addConnectTimeouts(
    draft,
    connectTimeoutMs,
    uri => resolveText(uri, { surroundings, placeholders: properties, complain: () => undefined })?.text,
  );

  dropEmpty(draft);
  const routesText = () =>
    commentedYaml(draft.root, { head: headOf('routes.yaml: what operators edit.', surroundings.file, told), ...draft });
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    const errors = judge(routesText(), hasIdentity).filter(({ severity }) => severity === 'error');
    if (!mend(errors, draft)) break;
  }
  tellLess(
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

/** Of what is other software's for routes, what gateway.yaml takes or tells of. */
const OF_GATEWAY_YAML =
  /^(?:server|management|eureka|spring\.(?:security|cloud\.(?:consul|kubernetes|zookeeper|discovery)))\b/;

const NOT_SPRING: Complaint = { path: [], message: 'is not written for Spring Cloud Gateway: it has no `spring:`' };

function headOf(what: string, file: string, told: readonly Complaint[]): string[] {
  const lines = told.map(({ path, message, hint, severity }) => {
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
