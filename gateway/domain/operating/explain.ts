import { type ExplainInput, masked, credentialsIn, shownFilters, policyView } from './admin.ts';
import { Call, type Complete, type Matched } from '../call.ts';
import { anonymousCaller } from '../caller.ts';
import { Deadlines } from '../deadlines.ts';
import { isPreflight } from '../http/cors.ts';
import { FAILURES, toGatewayError, type FailureCode, type GatewayError } from '../errors.ts';
import { createRpcTable } from '../grpc/rpc-table.ts';
import { fieldOf, setField, type RawFields } from '../http/fields.ts';
import { type PathRules, parseRequestTarget, type RequestTarget } from '../http/request-target.ts';
import type { RequestAttributes, Route, RouteSpec, RoutePolicy, Sharing } from '../route.ts';
import { createRouteTable, type FoundRoute, type WrongMethod } from '../routing/route-table.ts';
import { PluginWait } from '../plugin/guard.ts';
import type { LoadedPlugins } from '../plugin/plugin-set.ts';
import type { Service, ServicePolicy } from '../service.ts';
import type { InferenceForm } from '../inference/form.ts';
import { inferenceTargetOf, wayInto, type ModelTarget } from '../inference/inference-target.ts';
import { findForFile, jobsView, type JobsView } from '../jobs/job-route.ts';
import { noModel } from '../inference/inference-transcoder.ts';
import {
  speakingInference,
  transcodedOf,
  type InferenceDoor,
  type Speaking,
  type Transcoded,
} from './explain-transcoded.ts';
import { composeUpstream, SHARED_SECRET_FIELD, withheldFields, type Withheld } from '../http/upstream-request.ts';
import { SharedCall } from '../sharing/shared-call.ts';
import type { UpstreamMessage } from '../upstream.ts';
import { bodyReadingOf } from '../sharing/body-reading.ts';
import { writeJsonValue } from '../sharing/json/json-value.ts';
import { readRows } from '../sharing/batch/rows.ts';

/** What the explanation of a request takes. */
export interface ExplainParts extends PathRules {
  /** How callers come in; a plain listener unless said. */
  readonly listener?: ListenerView;
  /** The door of the Open Inference Protocol; undefined: it is not open. */
  readonly inference?: InferenceDoor | undefined;
  /** Below which files for jobs are brought; undefined: there are no jobs. */
  readonly jobs?: { readonly path: string } | undefined;
  /** In the order in which they are tried. */
  readonly routes: readonly RouteSpec[];
  readonly policyOf: (serviceName: string) => ServicePolicy;
  /** The one address of a service that stands in its routes. */
  readonly originOf?: (serviceName: string) => string | undefined;
  readonly wallMs: number;
  /** What plug-ins bring; undefined: there are none. */
  readonly plugins?: Pick<LoadedPlugins, 'middleware'> | undefined;
  /** Values that came from outside the files: they are not shown. */
  readonly secrets?: readonly string[];
}

/** How callers come in. */
export interface ListenerView {
  readonly isSecure: boolean;
  readonly speaks: readonly ('HTTP/1.1' | 'HTTP/2')[];
  /** They are asked for a certificate, and need not show one. */
  readonly asksForCertificates: boolean;
}

/** What `listen` comes to. */
export function listenerView({
  tls,
  h2c,
}: {
  readonly tls?: { readonly clientCa?: string | undefined } | undefined;
  readonly h2c: boolean;
}): ListenerView {
  const isSecure = tls !== undefined;
  return {
    isSecure,
    speaks: isSecure || h2c ? ['HTTP/2', 'HTTP/1.1'] : ['HTTP/1.1'],
    asksForCertificates: tls?.clientCa !== undefined,
  };
}

const PLAIN_LISTENER = listenerView({ h2c: false });

/** How connections to instances with an `https://` address are secured. */
export interface SecuredView {
  /** The name that their certificates must be for; null: the host of each address. */
  readonly verifiedAs: string | null;
  readonly isVerified: boolean;
  /** By an authority of the service's own (`tls.ca`), not by those that Node knows. */
  readonly hasOwnAuthority: boolean;
  /** The gateway shows a certificate of its own. */
  readonly showsCertificate: boolean;
}

/** A route that was tried before, and the predicates, as written, that did not hold. */
export interface PassedOver {
  readonly route: string;
  readonly because: readonly string[];
}

/** What the instance would be sent. Identity, which only a verified token gives, is described and not invented. */
export interface SentUpstream {
  readonly to: string;
  /** Null: the address is a plain one. Behind `lb://` each instance's address says whether it is. */
  readonly secured: SecuredView | null;
  readonly method: string;
  readonly target: string;
  /** Undefined: the instance's own. */
  readonly host: string | undefined;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly identity: readonly string[];
  /** The request's fields that do not travel on as they came, and why. */
  readonly withheld: readonly Withheld[];
  readonly bodyBytes: number;
  /** In what requests must agree to share the answer, a flight or a batch; null where each is sent by itself. */
  readonly sharedBy: readonly string[] | null;
}

/** The route that answers. */
export interface AnsweringRoute {
  readonly route: string;
  readonly service: string;
  readonly predicates: readonly string[];
  readonly filters: readonly string[];
  /** The plug-ins among its predicates and filters, with their files. */
  readonly plugins: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  readonly policy: unknown;
  /** A browser's preflight: answered by the gateway itself. */
  readonly isPreflight: boolean;
  /** Where a filter answers instead of the instance. */
  readonly answered: { readonly status: number; readonly location: string | undefined } | null;
  /** Null: there are no jobs. */
  readonly jobs: JobsView | null;
  /** Null: the caller speaks JSON over REST. */
  readonly transcoded: Transcoded | null;
  /** Null where the instance is not asked. */
  readonly sent: SentUpstream | null;
}

/** Why no route answers, as the caller would be told. */
export interface Refusal {
  readonly code: FailureCode;
  readonly status: number;
  readonly detail: string;
  readonly allow: readonly string[];
}

/** How a request would travel. */
export interface Explanation {
  readonly listener: ListenerView;
  /** The middleware of plug-ins that it passes first, with its files. */
  readonly middleware: readonly string[];
  readonly request: { readonly method: string; readonly path: string; readonly query: string; readonly host: string };
  readonly passedOver: readonly PassedOver[];
  readonly answers: AnsweringRoute | null;
  readonly refusal: Refusal | null;
}

/**
 * The same where a plug-in's predicate must wait for what it decides by: it is asked. A filter that must wait is not; it is
 * named, and changes nothing here.
 */
export async function explainSettled(input: ExplainInput, parts: ExplainParts): Promise<Explanation> {
  for (;;) {
    try {
      return explain(input, parts);
    } catch (error) {
      if (!(error instanceof PluginWait)) throw error;
      await error.settled();
    }
  }
}

/** Which route answers a request, why each earlier one does not, and what would be sent. Nothing is sent, or counted. */
export function explain(input: ExplainInput, parts: ExplainParts): Explanation {
  return { listener: parts.listener ?? PLAIN_LISTENER, ...explainRequest(input, parts) };
}

type RequestExplained = Omit<Explanation, 'listener'>;

function explainRequest(input: ExplainInput, parts: ExplainParts): RequestExplained {
  const target = parseRequestTarget(asSent(input.url), parts);
  if (typeof target === 'string')
    return refused(input, { ...EMPTY, path: input.url }, { code: 'BAD_REQUEST', detail: target });
  const attributes = attributesOf(input, target, parts.wallMs);
  try {
    const reached = reachedById(attributes, parts) ?? reachedByCall(input, attributes, parts);
    if (reached !== undefined) return { request: requestOf(attributes), ...explainReached(input, reached, parts) };
  } catch (error) {
    if (error instanceof PluginWait) throw error;
    const { code, detail } = toGatewayError(error);
    return refused(input, { ...attributes, authority: attributes.host }, { code, detail });
  }
  const table = createRouteTable(parts.routes);
  const preflighted = findPreflighted(table, attributes);
  const found = preflighted ?? table.find(attributes);
  if (found?.kind !== 'route') return notFound(input, { attributes, found, routes: parts.routes });
  const request = preflighted === undefined ? attributes : { ...attributes, method: preflightMethod(attributes) };
  return {
    request: requestOf(attributes),
    passedOver: passedOver(parts.routes.slice(0, parts.routes.indexOf(found.route)), request),
    answers: answering(found, { attributes, input, parts, isPreflight: preflighted !== undefined }),
    refusal: null,
    middleware: middlewareOf(parts),
  };
}

function middlewareOf({ plugins }: ExplainParts): string[] {
  return (plugins?.middleware ?? []).map(({ definition: { name }, origin }) => pluginText(name, origin));
}

/** A route that is not found by the path that was asked, or not by it alone. */
interface Reached {
  readonly found: FoundRoute<RouteSpec>;
  /** As it is asked of the route. */
  readonly attributes: RequestAttributes;
  /** Undefined: JSON, or a file for a job. */
  readonly speaking?: Speaking;
}

function explainReached(input: ExplainInput, reached: Reached, parts: ExplainParts): Omit<RequestExplained, 'request'> {
  return {
    passedOver: [],
    answers: answering(reached.found, { ...reached, input, parts, isPreflight: false }),
    refusal: null,
    middleware: middlewareOf(parts),
  };
}

/** By its id: a model by REST, or where a file for a job is brought. Undefined: neither is asked for. Throws NO_ROUTE. */
function reachedById(attributes: RequestAttributes, { inference, jobs, routes }: ExplainParts): Reached | undefined {
  const target = inference && inferenceTargetOf(attributes.path, inference.path);
  if (target !== undefined && 'model' in target) return reachedModel(attributes, { target, routes });
  const front = `${jobs?.path ?? ''}/`;
  if (jobs === undefined || attributes.method !== 'POST' || !attributes.path.startsWith(front)) return undefined;
  const found = findForFile(createRouteTable(routes), attributes, {
    segments: attributes.path.slice(front.length).split('/'),
  });
  return { found, attributes: { ...attributes, path: found.path } };
}

interface ModelReach {
  readonly target: ModelTarget;
  /** Undefined: by REST. */
  readonly form?: InferenceForm | undefined;
  readonly routes: readonly RouteSpec[];
}

/** As stages/inference.ts does it: the route is named, and no other is tried. */
function reachedModel(attributes: RequestAttributes, { target, form, routes }: ModelReach): Reached {
  const route = routes.find(({ id }) => id === target.model);
  const way = route && wayInto(route, attributes);
  if (route === undefined || way === undefined) throw noModel();
  return {
    found: { kind: 'route', route, variables: way.variables },
    attributes: { ...attributes, path: way.path, query: '' },
    speaking: { target, form, transcoder: undefined },
  };
}

/** By a method of gRPC, whose message is given in JSON; undefined: it is none. */
function reachedByCall(input: ExplainInput, attributes: RequestAttributes, parts: ExplainParts): Reached | undefined {
  const { inference, routes } = parts;
  const [first] = routes;
  if (first === undefined || attributes.method !== 'POST') return undefined;
  const fields = [...attributes.fields];
  setField(fields, 'Content-Type', 'application/json'); // as Connect would say it
  const spoken = { ...attributes, fields };
  const call = matchedCall(foundAlone(first), { attributes: spoken, parts, failed: NOTHING });
  const model = inference && speakingInference(call, input.body, inference);
  if (model !== undefined) return reachedModel(spoken, { ...model, routes });
  const table = createRpcTable(
    routes.map(each => boundTo(each, parts)),
    () => Promise.resolve(undefined),
  );
  const rpc = table?.find(call, { below: () => 0 });
  const route = routes.find(({ id }) => id === rpc?.route.id);
  const speaking = { target: undefined, form: undefined, transcoder: call.transcoder };
  return route && { found: foundAlone(route), attributes: spoken, speaking };
}

function foundAlone(route: RouteSpec): FoundRoute<RouteSpec> {
  return { kind: 'route', route, variables: new Map() };
}

/** A URL as it is typed, as the bytes that a client would send. */
function asSent(url: string): string {
  return Buffer.from(url, 'utf8').toString('latin1');
}

const EMPTY: RequestTarget = { path: '', query: '', hasQuery: false, authority: undefined };

function attributesOf(input: ExplainInput, target: RequestTarget, wallMs: number): RequestAttributes {
  const { method, fields, address = HERE } = input;
  const host = fieldOf(fields, 'host') ?? target.authority ?? 'localhost';
  return {
    method,
    path: target.path,
    query: target.query,
    fields,
    host,
    peerAddress: address,
    callerAddress: address,
    wallMs,
  };
}

/** Where the request is taken to come from. */
const HERE = '127.0.0.1';

function requestOf({ method, path, query, host }: RequestAttributes): Explanation['request'] {
  return { method, path, query, host };
}

function preflightMethod({ fields }: RequestAttributes): string {
  return fieldOf(fields, 'access-control-request-method') ?? '';
}

/** As stages/match.ts does it. */
function findPreflighted(
  table: ReturnType<typeof createRouteTable<RouteSpec>>,
  attributes: RequestAttributes,
): FoundRoute<RouteSpec> | undefined {
  if (attributes.method !== 'OPTIONS' || !isPreflight(attributes.fields)) return undefined;
  const found = table.find({ ...attributes, method: preflightMethod(attributes) });
  return found?.kind === 'route' && found.route.policy.cors !== undefined ? found : undefined;
}

function refused(
  { method }: ExplainInput,
  { path, query, authority = '' }: Pick<RequestTarget, 'path' | 'query' | 'authority'>,
  { code, detail }: { code: FailureCode; detail: string },
): RequestExplained {
  const refusal = { code, status: FAILURES[code].status, detail, allow: [] };
  return { request: { method, path, query, host: authority }, passedOver: [], answers: null, refusal, middleware: [] };
}

interface NotFound {
  readonly attributes: RequestAttributes;
  readonly found: WrongMethod<RouteSpec> | undefined;
  readonly routes: readonly RouteSpec[];
}

function notFound(input: ExplainInput, { attributes, found, routes }: NotFound): RequestExplained {
  const code = found === undefined ? 'NO_ROUTE' : 'METHOD_NOT_ALLOWED';
  const { refusal, request } = refused(
    input,
    { ...attributes, authority: attributes.host },
    { code, detail: FAILURES[code].detail },
  );
  return {
    request,
    passedOver: passedOver(routes, attributes),
    answers: null,
    middleware: [],
    refusal: refusal && { ...refusal, allow: found?.allow ?? [] },
  };
}

function passedOver(routes: readonly RouteSpec[], attributes: RequestAttributes): PassedOver[] {
  return routes.map(({ id, predicates }) => ({
    route: id,
    because: reasonsOf(predicates, attributes),
  }));
}

/** Where all hold, chance drew another route of the group. */
function reasonsOf(predicates: RouteSpec['predicates'], attributes: RequestAttributes): string[] {
  const failed = predicates.filter(predicate => !predicate.holds(attributes, new Map()));
  return (failed.length > 0 ? failed : predicates.filter(({ name }) => name === 'Weight')).map(({ text }) => text);
}

interface AnswerParts {
  readonly attributes: RequestAttributes;
  readonly input: ExplainInput;
  readonly parts: ExplainParts;
  readonly isPreflight: boolean;
  /** Undefined: it speaks REST. */
  readonly speaking?: Speaking;
}

function answering(
  found: FoundRoute<RouteSpec>,
  { attributes, input, parts, isPreflight, speaking }: AnswerParts,
): AnsweringRoute {
  const { route, variables } = found;
  const call = callOf(found, attributes, parts);
  call.content = Buffer.from(input.body);
  const own = ownAnswerTo(call);
  const isForwarded = own === undefined && !isPreflight && isForService(speaking);
  const transcoded = isForwarded ? transcodedOf(call, speaking, parts.inference) : null;
  const secrets = [...(parts.secrets ?? []), ...credentialsIn(route)];
  return {
    route: route.id,
    service: route.serviceName,
    predicates: route.predicates.map(({ text }) => text),
    filters: shownFilters(route),
    plugins: pluginsOf(route),
    variables: Object.fromEntries(variables),
    policy: policyView(route.policy),
    isPreflight,
    answered: own === undefined ? null : { status: own.status, location: locationOf(own.fields, parts) },
    jobs: jobsOf(route, parts),
    transcoded,
    sent: isForwarded && (transcoded?.refusal ?? null) === null ? sentOf(call, secrets) : null,
  };
}

function jobsOf(route: RouteSpec, { jobs }: ExplainParts): JobsView | null {
  return jobs === undefined ? null : jobsView(route, jobs.path);
}

/** What is asked about a model the gateway answers itself. */
function isForService(speaking: Speaking | undefined): boolean {
  const { target } = speaking ?? {};
  return target === undefined || target.kind === 'infer';
}

function ownAnswerTo(call: Complete) {
  for (const { onBehalf } of call.route.filters) {
    const own = onBehalf?.(call);
    if (own !== undefined) return own;
  }
  return undefined;
}

function pluginsOf({ predicates, filters }: RouteSpec): string[] {
  const texts = [...predicates, ...filters].flatMap(({ name, plugin }) => (plugin ? [pluginText(name, plugin)] : []));
  return [...new Set(texts)];
}

function pluginText(name: string, { file }: { readonly file: string }): string {
  return `${name} (${file})`;
}

function locationOf(fields: RawFields, { secrets = [] }: ExplainParts): string | undefined {
  const location = fieldOf(fields, 'location');
  return location && masked(location, secrets);
}

/** The call as if it had been admitted, without a credential. */
function callOf(found: FoundRoute<RouteSpec>, attributes: RequestAttributes, parts: ExplainParts): Complete {
  const call = matchedCall(found, { attributes, parts, failed: NOTHING });
  return call.admitted(anonymousCaller(attributes.callerAddress)) as unknown as Complete;
}

/** What is told where a call ends. */
type Failed = (call: Call, failure: GatewayError) => void;

/** The call as `admit` would meet it; undefined where no route answers, or no admission is asked for. */
export function explainedCall(input: ExplainInput, parts: ExplainParts, failed: Failed): Matched | undefined {
  const target = parseRequestTarget(asSent(input.url), parts);
  if (typeof target === 'string') return undefined;
  const attributes = attributesOf(input, target, parts.wallMs);
  try {
    const reached = reachedById(attributes, parts) ?? reachedByCall(input, attributes, parts);
    if (reached !== undefined) return matchedCall(reached.found, { attributes: reached.attributes, parts, failed });
  } catch (error) {
    if (error instanceof PluginWait) throw error;
    return undefined; // it is refused before its caller is asked for
  }
  const table = createRouteTable(parts.routes);
  const found = findPreflighted(table, attributes) === undefined ? table.find(attributes) : undefined;
  return found?.kind === 'route' ? matchedCall(found, { attributes, parts, failed }) : undefined;
}

interface MatchedParts {
  readonly attributes: RequestAttributes;
  readonly parts: ExplainParts;
  readonly failed: Failed;
}

function matchedCall(
  { route, variables }: FoundRoute<RouteSpec>,
  { attributes, parts, failed }: MatchedParts,
): Matched {
  const { method, path, query, fields, host, peerAddress, wallMs } = attributes;
  const call = new Call(
    {
      ...{ method, path, query, hasQuery: query !== '', fields, host, peerAddress, callerAddress: peerAddress },
      id: fieldOf(fields, 'x-request-id') ?? '(new for each request)',
      scheme: parts.listener?.isSecure === true ? 'https' : 'http',
      isPeerTrusted: false,
      isUpgrade: route.policy.isStream && fieldOf(fields, 'upgrade') !== undefined,
      httpVersion: '1.1',
      body: { length: 0, read: NOTHING, leave: NOTHING },
      wire: { send: NOTHING, interim: NOTHING, destroy: NOTHING },
      refusal: undefined,
    },
    { arrivedMs: 0, back: { answered: NOTHING, failed, over: NOTHING }, deadlines: NO_DEADLINES },
  );
  call.wallMs = wallMs;
  return call.matched(boundTo(route, parts), variables);
}

const NOTHING = () => undefined;

const NO_DEADLINES = new Deadlines({ nowMs: () => 0, wallMs: () => 0, after: () => NOTHING });

/** A service that is only looked at. */
function boundTo(route: RouteSpec, { policyOf, originOf }: ExplainParts): Route {
  const unused = () => {
    throw new Error('a route that is only explained sends nothing');
  };
  const name = route.serviceName;
  const service: Service & { readonly origin: string } = {
    name,
    origin: originOf?.(name) ?? `lb://${name}`,
    policy: policyOf(name),
    versions: '',
    acquire: unused,
    waitingOf: unused,
    leave: unused,
    acquireStream: unused,
    report: unused,
    budget: { request: unused, tryRetry: unused },
    view: unused,
  };
  // What a filter would wait for is not asked for.
  return { ...route, service, filters: route.filters.filter(({ prepare }) => prepare === undefined) };
}

/** Fields whose values are credentials. */
const WITHHELD: ReadonlySet<string> = new Set(['authorization', SHARED_SECRET_FIELD.toLowerCase()]);

function sentOf(call: Complete, secrets: readonly string[]): SentUpstream {
  const { service, policy } = call.route;
  const { sharing } = policy;
  const origin = 'origin' in service && typeof service.origin === 'string' ? service.origin : '';
  const isShared = sharing?.methods.has(call.method) === true;
  const message = isShared ? new SharedCall(call, sharing, () => '').message : composeUpstream(call, call.content);
  const isCallerSaid = !isShared || sharing.varyBy.some(({ kind }) => kind === 'caller');
  return {
    to: origin,
    secured: origin.startsWith('http:') ? null : securedView(origin, service.policy),
    method: message.method,
    target: masked(message.target, secrets),
    host: message.host,
    headers: pairs(message.fields).map(([name, value]) => [
      name,
      WITHHELD.has(name.toLowerCase()) ? '[redacted]' : masked(value, secrets),
    ]),
    identity: isCallerSaid ? identityNames(policy) : [],
    withheld: isShared ? [] : withheldFields(call),
    bodyBytes: message.body.length,
    sharedBy: isShared ? agreementOf(message, sharing).map(part => masked(part, secrets)) : null,
  };
}

function securedView(origin: string, { tls }: ServicePolicy): SecuredView | null {
  const isSecure = /^(?:https|rserves|grpcs):/.test(origin);
  if (tls === undefined && !isSecure) return null;
  const host = isSecure ? new URL(origin).hostname : null;
  return {
    verifiedAs: tls?.serverName ?? host,
    isVerified: tls?.isVerified ?? true,
    hasOwnAuthority: tls?.ca !== undefined,
    showsCertificate: tls?.client !== undefined,
  };
}

function identityNames({ auth }: RoutePolicy): string[] {
  const isIdentified = auth?.allow.some(scheme => scheme !== 'anonymous') === true;
  return isIdentified ? ['X-Penstock-Issuer', 'X-Penstock-Subject', 'X-Penstock-Scopes', 'X-Penstock-Roles'] : [];
}

function pairs(fields: RawFields): [string, string][] {
  return fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1] ?? ''] as [string, string]] : []));
}

/** In what requests must agree to share anything, in words: what the key is made of. */
function agreementOf(message: UpstreamMessage, sharing: Sharing): string[] {
  const { method, target, host, fields, body } = message;
  const names = namesOf(fields);
  const isSent = (name: string) => names.some(sent => sent.toLowerCase() === name);
  return [
    'the route, its service, and the versions of the model',
    `${method} ${target}`,
    ...(host === undefined ? [] : [`Host: ${host}`]),
    ...names.map(name => `${name}, as it is sent`),
    ...sharing.varyBy.flatMap(key => {
      if (key.kind === 'caller') return ['the caller'];
      return isSent(key.name) ? [] : [`${key.name}, as the caller says it`];
    }),
    ...(body.length === 0 ? [] : bodyAgreement(message, sharing)),
  ];
}

/** Equal requests share an answer or a flight; those that travel together differ in their rows. */
function bodyAgreement(message: UpstreamMessage, { coalesce, cache, batch }: Sharing): string[] {
  const { method, fields, body } = message;
  const isEqualShared = coalesce || cache?.methods.has(method) === true;
  const equal = isJson(fields, body) ? 'the body, as JSON by value' : 'the body, byte for byte';
  if (batch === undefined || method !== 'POST') return [equal];
  const isRows = bodyReadingOf(fields, body) !== 'bytes' && readRows(body, batch.rows, batch.sizeMax) !== undefined;
  const alike = isRows
    ? `to travel in one batch${isEqualShared ? ' instead' : ''}: the names and types of its rows’ fields`
    : 'no batch: the body is not rows that could travel with others';
  return [...(isEqualShared ? [equal] : []), alike];
}

function namesOf(fields: RawFields): string[] {
  const names = fields.filter((_, i) => i % 2 === 0).filter(name => name !== SHARED_SECRET_FIELD);
  return [...new Set(names)];
}

function isJson(fields: RawFields, body: Buffer): boolean {
  return bodyReadingOf(fields, body) !== 'bytes' && writeJsonValue(body, Buffer.alloc(body.length), 0) !== undefined;
}
