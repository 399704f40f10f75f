import type { Call } from '../call.ts';
import type { Random } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { Unpack } from '../http/content-coding.ts';
import type { Route, RouteSpec, RequestDraft } from '../route.ts';
import { createRouteTable, type RouteTable, isAmong } from '../routing/route-table.ts';
import { fromBase64 } from './envelope.ts';
import { malformed, connectSpeech, speechOf, type Speech, timeoutOf } from './speech.ts';
import { type HttpRule, fillPath, type TemplatePart } from './http-rule.ts';
import type { RpcMethod } from './rpc.ts';
import { RpcTranscoder, unknownMethod } from './transcoder.ts';
import { encodeSegment } from '../http/request-target.ts';
import type { PathPattern } from '../routing/path-pattern.ts';

/** The routes of one generation that callers of gRPC, gRPC-Web and Connect ask by a service's name. */
export interface RpcTable {
  /**
   * The route that serves a call of one of their methods; the call has its transcoder from here on. Undefined: it is a
   * call like any other. Throws NO_ROUTE for a method that is not there, in the caller's own protocol.
   */
  find(call: Call, random: Random): FoundRpc | undefined;
  /** The first route of a method's service: its `cors` says whether a page may call it. */
  routeOfPath(path: string): Route | undefined;
}

/** What serves a call. */
export interface FoundRpc {
  readonly route: Route;
  /** What the caller leaves it; Infinity where it does not say. */
  readonly timeoutMs: number;
}

/** A route as its service's name finds it. */
interface Entry extends RouteSpec {
  readonly route: Route;
  readonly paths: readonly [];
  readonly publicPaths: ReadonlyMap<HttpRule, PublicPath>;
}

/** The table of these routes; undefined where none of them has `grpc`. */
export function createRpcTable(routes: readonly Route[], unpack: Unpack): RpcTable | undefined {
  const entries = routes.flatMap(route => (route.policy.grpc === undefined ? [] : [toEntry(route)]));
  if (entries.length === 0) return undefined;
  const names = new Set(entries.flatMap(({ policy }) => policy.grpc?.name ?? []));
  const tables = new Map(
    [...names].map(name => [name, createRouteTable(entries.filter(({ policy }) => policy.grpc?.name === name))]),
  );
  const tableOf = (path: string) => tables.get(path.slice(1, path.lastIndexOf('/')));

  return {
    find(call, random) {
      const table = tableOf(call.path);
      if (table === undefined) return undefined;
      const speech = call.method === 'GET' ? queriedSpeech(call) : speechOf(call.fields);
      return speech && found({ call, speech, random, unpack }, table);
    },
    routeOfPath: path => tableOf(path)?.routes[0]?.route,
  };
}

interface RpcCall {
  readonly call: Call;
  readonly speech: Speech;
  readonly random: Random;
  readonly unpack: Unpack;
}

function found({ call, speech, random, unpack }: RpcCall, table: RouteTable<Entry>): FoundRpc {
  call.transcoder = new RpcTranscoder(call, { speech, target: undefined, unpack });
  const entry = table.find(call, random);
  if (entry?.kind !== 'route') throw unknownMethod(call);
  const { route, publicPaths, policy } = entry.route;
  const method = policy.grpc?.methods.get(call.path.slice(call.path.lastIndexOf('/') + 1));
  if (method === undefined || method.rules.length === 0) throw unknownMethod(call);
  if (speech.protocol === 'grpc' && call.httpVersion !== '2.0')
    throw malformed('gRPC is spoken over HTTP/2; over HTTP/1.1 speak gRPC-Web or Connect.');
  const target = {
    method,
    publicPath: (rule: HttpRule, path: string, other: Call) =>
      publicPathFor(publicPaths.get(rule), { path, route, call: other }),
    queried: call.method === 'GET' ? queriedMessage(call, method) : undefined,
  };
  call.transcoder = new RpcTranscoder(call, { speech, target, unpack });
  return { route, timeoutMs: timeoutOf(call, speech) };
}

function toEntry(route: Route): Entry {
  const publicPaths = new Map<HttpRule, PublicPath>();
  for (const { rules } of route.policy.grpc?.methods.values() ?? []) {
    for (const rule of rules) {
      const path = publicPathOf(route, rule);
      if (path !== undefined) publicPaths.set(rule, path);
    }
  }
  const predicates = route.predicates.filter(({ name }) => name !== 'Path' && name !== 'Method');
  return { ...route, route, publicPaths, predicates, paths: [], methods: undefined };
}

interface Placed {
  readonly path: string;
  readonly route: Route;
  readonly call: Call;
}

/** What the route's patterns capture of the path is the call's from here on. */
function publicPathFor(known: PublicPath | undefined, { path, route, call }: Placed): string {
  const publicPath = known?.(path) ?? path;
  const variables = new Map<string, string>();
  const about = {
    ...{ method: call.method, path: publicPath, query: '', fields: call.fields, host: call.host },
    ...addressesOf(call),
  };
  for (const predicate of route.predicates) {
    if (predicate.name === 'Path' && !predicate.holds(about, variables)) throw unknownMethod(call);
  }
  if (variables.size > 0) call.variables = variables;
  return publicPath;
}

function addressesOf({ peerAddress, callerAddress, wallMs }: Call) {
  return { peerAddress, callerAddress, wallMs };
}

/** Connect's GET (connectrpc.com/docs/protocol, "Unary-Get-Request"). */
function queriedSpeech({ query }: Call): Speech | undefined {
  if (!query.includes('encoding=')) return undefined;
  const encoding = new URLSearchParams(query).get('encoding');
  return encoding === 'proto' || encoding === 'json' ? connectSpeech(encoding) : undefined;
}

function queriedMessage(call: Call, { isSafe, name }: RpcMethod): Buffer {
  if (!isSafe) {
    const detail = `${name} is called by POST: only a method with \`idempotency_level = NO_SIDE_EFFECTS\` is by GET.`;
    throw new GatewayError('METHOD_NOT_ALLOWED', `${name} is not called by GET`, { detail, fields: ['Allow', 'POST'] });
  }
  const query = new URLSearchParams(call.query);
  if ((query.get('compression') ?? 'identity') !== 'identity')
    throw malformed('The message in the query is compressed.');
  const message = query.get('message') ?? '';
  if (query.get('base64') !== '1') return Buffer.from(message, 'utf8');
  return fromBase64(Buffer.from(message.replaceAll('-', '+').replaceAll('_', '/'), 'utf8'));
}

/** The path by which a caller of REST asks for one of the service's own. */
type PublicPath = (path: string) => string;

/**
 * How callers of the route ask by REST for what a rule names; undefined: they cannot, by path or by method.
 *
 * The path of `google.api.http` is callers' where the route answers it as it stands; else it is the service's own, and
 * callers write what the route's filters make that of: `/api/fuel/predict`, say, of which `StripPrefix=2` leaves `/predict`.
 */
export function publicPathOf(spec: RouteSpec, { method, path: template }: HttpRule): PublicPath | undefined {
  if (!isAmong(method, spec.methods)) return undefined;
  const path = fillPath(template, field => sampleOf(template.parts, field));
  if (path === undefined) return undefined;
  if (isAnswered(spec, path)) return same;
  for (const prefix of prefixesOf(spec)) {
    if (isAnswered(spec, prefix + path) && upstreamPathOf(spec, prefix + path) === path) return own => prefix + own;
  }
  if (template.variables.length > 0) return undefined;
  const whole = spec.paths.map(pattern => literally(pattern, 'none')).find(each => upstreamPathOf(spec, each) === path);
  return whole === undefined || !isAnswered(spec, whole) ? undefined : () => whole;
}

const same: PublicPath = path => path;

/** A value that fits a variable. */
function sampleOf(parts: readonly TemplatePart[], field: string): string {
  for (const part of parts) {
    if (part.kind === 'variable' && part.field === field)
      return part.segments.map(each => each.replace(/\*+/, 'x')).join('/');
  }
  return '';
}

/** The literal beginnings of patterns that take whatever follows. */
function prefixesOf({ paths }: RouteSpec): string[] {
  return paths.map(pattern => literally(pattern, 'last')).filter(prefix => prefix !== '');
}

/** A pattern of plain text that ends so, as a path; empty where it is none. */
function literally({ segments, rest }: PathPattern, end: PathPattern['rest']): string {
  const literals = segments.flatMap(({ literal }) => literal ?? []);
  const isPlain = rest === end && literals.length === segments.length;
  return isPlain ? literals.map(literal => `/${encodeSegment(literal)}`).join('') : '';
}

function isAnswered({ predicates }: RouteSpec, path: string): boolean {
  const paths = predicates.filter(({ name }) => name === 'Path');
  return paths.every(predicate => predicate.holds({ ...CALLED, path }, new Map()));
}

function upstreamPathOf({ filters }: RouteSpec, path: string): string {
  const draft: RequestDraft = { path, query: '', fields: [], host: undefined, isPrefixed: false };
  for (const { onRequest, isOfPath } of filters) {
    if (isOfPath === true)
      onRequest?.(draft, { ...CALLED, path, id: '', scheme: 'http', variables: new Map(), caller: undefined });
  }
  return draft.path;
}

const CALLED = { method: 'POST', query: '', fields: [], host: '', peerAddress: '', callerAddress: '', wallMs: 0 };
