import type { z } from 'zod';
import { corsProblem } from '../domain/http/cors.ts';
import type {
  Auth,
  CachePolicy,
  Cors,
  IdentityTraits,
  RetryPolicy,
  RoutePolicy,
  Sharing,
  ValidatePolicy,
} from '../domain/route.ts';
import { authProblem } from '../domain/admission/scheme.ts';
import type { CompileJsonSchema } from '../domain/validation/json-walk.ts';
import { isRepeatable } from '../domain/service/retry.ts';
import type { ProtoIn } from '../domain/grpc/rpc.ts';
import type { TlsIn } from './certificates.ts';
import { grpcOf } from './compile-grpc.ts';
import type { WrittenService } from './written-route.ts';
import type { Complain, KeyPath } from './problem.ts';
import { type RequestSize, warnOfUseless } from './useless.ts';
import type { BalanceSpec, ServicePolicy } from '../domain/service.ts';
import { Service } from './schema/service.ts';
import { RoutePolicyKeys, type WrittenPolicy } from './schema/route-policy.ts';

type FullPolicy = z.output<typeof RoutePolicyKeys>;

/** What a policy is made of beside what the route says. */
export interface PolicyContext {
  readonly path: KeyPath;
  readonly complain: Complain;
  readonly defaults: WrittenPolicy;
  readonly identityConfigured: boolean;
  /** Undefined: not known. */
  readonly auditConfigured?: boolean | undefined;
  readonly redisConfigured?: boolean | undefined;
  /** False: gateway.yaml has no `jobs`. */
  readonly jobsConfigured?: boolean | undefined;
  readonly identity?: IdentityTraits | undefined;
  readonly isStream: boolean;
  /** From the Method predicate; undefined: any. */
  readonly methods: readonly string[] | undefined;
  /** What RequestSize filters say. */
  readonly requestSizes: readonly RequestSize[];
  /** A filter answers, and no instance is asked. */
  readonly answersItself: boolean;
  /** Makes a check of the JSON Schema in a file. */
  readonly schemaIn?: SchemaIn | undefined;
  readonly protoIn?: ProtoIn | undefined;
}

/** Makes a check of the JSON Schema in a file, named relative to the routes file. */
export type SchemaIn = (path: string) => ReturnType<CompileJsonSchema>;

interface Placed extends PolicyContext {
  /** Where a key was written: on the route, or among the defaults. */
  readonly placeOf: (key: keyof WrittenPolicy) => KeyPath;
}

/** What is in force where neither the route nor `defaults` says anything. */
const UNWRITTEN: FullPolicy = RoutePolicyKeys.parse({});

/** The route's own key, else that of `defaults`, else the schema's default: each whole, and none missing. */
export function compilePolicy(written: WrittenPolicy, context: PolicyContext): RoutePolicy {
  const full: FullPolicy = { ...UNWRITTEN, ...context.defaults, ...written };
  const isStream = full.stream || context.isStream;
  const placed = { ...context, isStream, placeOf: (key: keyof WrittenPolicy) => placeOf(key, written, context) };
  if (full.audit && context.auditConfigured === false) complainOfAudit(placed);
  const isShared = !isStream && !context.answersItself;
  const sharing = isShared ? compileSharing(full, placed) : undefined;
  if (sharing !== undefined && full.auth?.forwardToken === true) warnOfToken(full, placed);
  const requestSize = Math.min(...context.requestSizes.map(({ bytesMax }) => bytesMax));
  const policy = {
    auth: authOf(full, written, context),
    ...addressesOf(full),
    limits: full.limits,
    countsRows: countsRows(full, placed),
    bodyBytesMax: Math.min(full.body.max, requestSize),
    streamBodyBytesMax: Math.min(isBounded(written, context) ? full.body.max : Infinity, requestSize),
    answerBytesMax: full.answer.bufferMax,
    isAudited: full.audit,
    showsErrorMessages: full.answer.errorMessages,
    timeoutMs: full.timeout,
    isPure: full.pure,
    retry: retryOf(full, written, context),
    cors: corsOf(full, written, context),
    isStream,
    streamIdleMs: full.streamIdle,
    priority: full.priority,
    compress: full.compress,
    csv: full.csv,
    sharing,
    validate: validateOf(full, placed),
    async: asyncOf(full, placed),
    ...rserveOf(full),
    ...grpcIn(full, placed),
  };
  warnOfUseless({ ...context, written, policy });
  return policy;
}

/** The body of a stream is not taken in: its rows are never known. */
function countsRows({ limits }: FullPolicy, { complain, placeOf, isStream }: Placed): boolean {
  const at = limits.findIndex(({ cost }) => cost === 'rows');
  if (at < 0) return false;
  if (isStream)
    complain({
      path: [...placeOf('limits'), at, 'cost'],
      message: 'is for bodies that are taken in, and the route is a stream',
    });
  return !isStream;
}

function addressesOf({ addresses }: FullPolicy): Pick<RoutePolicy, 'addresses'> {
  return addresses === undefined ? {} : { addresses };
}

function grpcIn({ grpc }: FullPolicy, placed: Placed): Pick<RoutePolicy, 'grpc'> {
  if (grpc === undefined || placed.isStream) return {};
  return { grpc: grpcOf(grpc, { ...placed, path: placed.placeOf('grpc') }) };
}

function rserveOf({ rserve }: FullPolicy): Pick<RoutePolicy, 'rserve'> {
  return rserve === undefined ? {} : { rserve };
}

/** A job's rows may be asked twice: after a failure, and after a restart. */
function asyncOf({ async: mode, pure }: FullPolicy, { complain, placeOf, isStream, jobsConfigured }: Placed) {
  if (mode !== 'always') return mode;
  const path = placeOf('async');
  if (isStream) complain({ path, message: 'makes jobs of calls, and the route is a stream' });
  else if (!pure) complain({ path, message: 'makes jobs of calls: that is done only where `pure: true`' });
  else if (jobsConfigured === false) {
    const hint = 'write `jobs: {}` in gateway.yaml, or leave it out here';
    complain({ path, message: 'makes jobs of calls, and gateway.yaml has no `jobs`', hint });
  }
  return mode;
}

function complainOfAudit({ complain, placeOf }: Placed): void {
  const message = 'asks for an audit trail, and gateway.yaml has none';
  complain({ path: placeOf('audit'), message, hint: 'write `audit: {}` in gateway.yaml, or leave it out here' });
}

/** A file that does not help is an error: what it was to keep from R would reach it. */
function validateOf(
  { validate, batch }: FullPolicy,
  { complain, placeOf, schemaIn, isStream }: Placed,
): ValidatePolicy | undefined {
  if (validate === undefined || isStream) return undefined;
  const { from, ...bounds } = validate;
  const form = batch?.rows ?? 'array';
  if (typeof from === 'string') return { ...bounds, from, form };
  const check = schemaIn?.(from.file) ?? { problem: 'cannot be read here' };
  if (typeof check === 'function')
    return { ...bounds, from: { file: from.file, schemas: [{ kind: 'json', check }] }, form };
  complain({ path: [...placeOf('validate'), 'from'], message: `${from.file} ${check.problem}` });
  return undefined;
}

/** A stream is bounded by what is written, not by a default that was meant for bodies which are taken in whole. */
function isBounded(written: WrittenPolicy, { defaults }: PolicyContext): boolean {
  return written.body !== undefined || defaults.body !== undefined;
}

/** A token is one caller's, and what is shared is not. */
function warnOfToken({ varyBy }: FullPolicy, { complain, placeOf }: Placed): void {
  if (varyBy.some(key => key.kind === 'header' && key.name === 'authorization')) return;
  complain({
    path: [...placeOf('auth'), 'forwardToken'],
    severity: 'warning',
    message: 'has no effect on requests that are shared: the instance is not sent the token',
    hint: "write `varyBy: ['header:Authorization']` to send it, and to share only among requests with the same token",
  });
}

/** Secure by default: where there is an identity, a route without `auth` asks for a credential. */
function authOf(full: FullPolicy, written: WrittenPolicy, context: PolicyContext): Auth | undefined {
  const { identityConfigured } = context;
  const authenticates = full.auth !== undefined && full.auth.allow?.includes('anonymous') !== true;
  const needs = full.auth !== undefined && full.auth.scopes.length + full.auth.roles.length > 0;
  if (!identityConfigured && (authenticates || needs)) {
    context.complain({
      path: placeOf('auth', written, context),
      message: 'asks for a credential, but gateway.yaml configures no `identity` to judge one by',
      hint: 'configure `identity`, or leave `auth` out to serve openly',
      isAboutKey: true,
    });
  }
  if (!identityConfigured) return undefined;
  const auth = compiledAuth(full, context);
  warnOfUnmeetable(auth, written, context);
  complainOfUnknown(auth, written, context);
  complainOfCookie(full, written, context);
  return auth;
}

function compiledAuth({ auth }: FullPolicy, { identity = JWT_ALONE }: PolicyContext): Auth {
  const { schemes, keyField } = identity;
  const { allow = schemes, scopes = [], roles = [], forwardToken = false, from } = auth ?? {};
  return {
    ...{ allow, scopes, roles, forwardToken },
    ...(from !== undefined && { from }),
    ...(keyField !== undefined && { keyField }),
  };
}

const JWT_ALONE: IdentityTraits = { schemes: ['jwt'], keyField: undefined };

function complainOfUnknown(auth: Auth, written: WrittenPolicy, context: PolicyContext): void {
  const { schemes } = context.identity ?? JWT_ALONE;
  for (const name of auth.allow) {
    if (name === 'anonymous' || schemes.includes(name)) continue;
    const message = `asks for \`${name}\`, of which \`identity\` in gateway.yaml says nothing`;
    context.complain({ path: [...placeOf('auth', written, context), 'allow'], message });
  }
}

/** With a cookie any page may ask: which of them count must be said by name. */
function complainOfCookie({ auth, cors }: FullPolicy, written: WrittenPolicy, context: PolicyContext): void {
  if (auth?.from?.some(({ kind }) => kind === 'cookie') !== true || cors?.origins.includes('*') !== true) return;
  const message = 'takes a cookie, and `cors.origins` has `*`: pages that may use the cookie are listed by name';
  context.complain({ path: [...placeOf('auth', written, context), 'from'], message });
}

function warnOfUnmeetable(auth: Auth, written: WrittenPolicy, context: PolicyContext): void {
  const problem = authProblem(auth);
  if (problem === undefined) return;
  context.complain({ path: placeOf('auth', written, context), severity: 'warning', message: problem });
}

function placeOf(key: keyof WrittenPolicy, written: WrittenPolicy, { path }: PolicyContext): KeyPath {
  return key in written ? [...path, key] : ['defaults', key];
}

/** A third of the timeout where a repeat is allowed, so that there is time for one. */
function retryOf(full: FullPolicy, written: WrittenPolicy, context: PolicyContext): RetryPolicy {
  const { attempts, attemptTimeout, on, budgetPercent } = full.retry;
  const thirdMs = attempts > 1 ? Math.max(1, Math.floor(full.timeout / 3)) : full.timeout;
  const mayAlwaysRepeat = full.pure || (context.methods?.every(method => isRepeatable(method, false)) ?? false);
  if (attemptTimeout !== undefined && attemptTimeout > full.timeout) {
    context.complain({
      path: [...placeOf('retry', written, context), 'attemptTimeout'],
      severity: 'warning',
      message: 'is longer than `timeout`, which ends the request before',
    });
  }
  return {
    attempts,
    attemptTimeoutMs: attemptTimeout ?? (mayAlwaysRepeat ? thirdMs : full.timeout),
    repeatableTimeoutMs: attemptTimeout ?? thirdMs,
    on: new Set(on),
    budgetPercent,
  };
}

function corsOf(full: FullPolicy, written: WrittenPolicy, context: PolicyContext): Cors | undefined {
  if (full.cors === undefined) return undefined;
  const headers = full.grpc === undefined ? full.cors.headers : [...new Set([...full.cors.headers, ...GRPC_FIELDS])];
  const cors = { ...full.cors, headers, origins: new Set(full.cors.origins) };
  const problem = corsProblem(cors);
  if (problem !== undefined) context.complain({ path: placeOf('cors', written, context), message: problem });
  return cors;
}

/** What pages that speak gRPC-Web or Connect send by themselves. */
const GRPC_FIELDS = ['connect-protocol-version', 'connect-timeout-ms', 'grpc-timeout', 'x-grpc-web', 'x-user-agent'];

type SharingKeys = Pick<z.output<typeof RoutePolicyKeys>, 'coalesce' | 'cache' | 'batch' | 'varyBy' | 'pure'>;
type SharingKey = 'coalesce' | 'cache' | 'batch' | 'varyBy';

interface SharingContext {
  readonly complain: Complain;
  /** Where a key was written: on the route, or among the defaults. */
  readonly placeOf: (key: SharingKey) => KeyPath;
  /** From the Method predicate; undefined: any. */
  readonly methods: readonly string[] | undefined;
}

/** What a route's callers share; undefined where they share nothing. */
function compileSharing(written: SharingKeys, context: SharingContext): Sharing | undefined {
  const shareable = shareableOf(written, context);
  const cache = cacheOf(written, shareable);
  const coalesce = written.coalesce && shareable.size > 0;
  const batch = shareable.has('POST') ? batchOf(written) : undefined;
  const methods = new Set([...(coalesce ? shareable : []), ...(cache?.methods ?? []), ...(batch ? ['POST'] : [])]);
  if (cache === undefined) warnOfEmptyCache(written, context);
  warnOfImpure({ ...written, cache: cache && written.cache }, context);
  warnOfNothing(written, methods, context);
  return methods.size === 0 ? undefined : { coalesce, cache, batch, varyBy: written.varyBy, methods };
}

/** GET and HEAD, and POST where calling twice does no harm, as far as the route takes them. */
function shareableOf({ pure }: SharingKeys, { methods }: SharingContext): Set<string> {
  const safe = pure ? ['GET', 'HEAD', 'POST'] : ['GET', 'HEAD'];
  const takes = (method: string) => methods === undefined || methods.includes(method);
  return new Set(safe.filter(method => takes(method) || (method === 'HEAD' && takes('GET'))));
}

function cacheOf({ cache }: SharingKeys, shareable: ReadonlySet<string>): CachePolicy | undefined {
  if (cache === undefined) return undefined;
  const { ttl: ttlMs, entriesMax, bytesMax, staleIfError: staleIfErrorMs } = cache;
  const isHttp = ttlMs === 'http';
  const methods = new Set(cache.methods.filter(method => shareable.has(method) && !(isHttp && method === 'POST')));
  return methods.size === 0 ? undefined : { ttlMs, entriesMax, bytesMax, staleIfErrorMs, methods };
}

function batchOf({ batch }: SharingKeys): Sharing['batch'] {
  if (batch === undefined) return undefined;
  const { sizeMax, waitMax: waitMsMax, rows, recheck: recheckShare, rowsIndependent } = batch;
  return { sizeMax, waitMsMax, rows, recheckShare, rowsIndependent };
}

function warnOfEmptyCache({ cache, pure }: SharingKeys, { complain, placeOf, methods }: SharingContext): void {
  if (cache === undefined) return;
  const path = placeOf('cache');
  const wantsPost = cache.methods.includes('POST') && (methods?.includes('POST') ?? true);
  let why = 'the route takes none of its methods';
  if (wantsPost && cache.ttl === 'http') why = '`ttl: http` is for GET and HEAD';
  else if (wantsPost && !pure) why = 'POST is cached only where `pure: true`';
  else if (path[0] === 'defaults') return; // it may be for others
  complain({ path, severity: 'warning', message: `has no effect: ${why}` });
}

/** POST is shared only where calling twice does no harm, which only the operator can know. */
function warnOfImpure(
  { coalesce, cache, batch, pure }: SharingKeys,
  { complain, placeOf, methods }: SharingContext,
): void {
  if (pure || (methods !== undefined && !methods.includes('POST'))) return;
  const warn = (key: SharingKey, message: string) =>
    complain({
      path: placeOf(key),
      severity: 'warning',
      message,
      hint: 'write `pure: true` if calling the model twice does no harm',
    });
  if (batch !== undefined) warn('batch', 'has no effect: only POST is batched, and only where `pure: true`');
  if (coalesce) warn('coalesce', 'does not share POST: that is done only where `pure: true`');
  if (cache?.methods.includes('POST') === true && cache.ttl !== 'http') {
    warn('cache', 'does not store answers to POST: that is done only where `pure: true`');
  }
}

/** What was written for this very route, and does nothing there; among the defaults it may be for others. */
function warnOfNothing(
  { coalesce, batch, varyBy, pure }: SharingKeys,
  shared: ReadonlySet<string>,
  { complain, placeOf }: SharingContext,
): void {
  const warn = (key: SharingKey, message: string) => {
    const path = placeOf(key);
    if (path[0] !== 'defaults') complain({ path, severity: 'warning', message });
  };
  if (varyBy.length > 0 && shared.size === 0) warn('varyBy', 'has no effect: the route shares nothing');
  if (coalesce && shared.size === 0) warn('coalesce', 'has no effect: the route takes no method that is ever shared');
  if (batch !== undefined && pure && !shared.has('POST')) {
    warn('batch', 'has no effect: only POST is batched, and the route takes none');
  }
}

/** What is right for R, which computes one thing at a time and may stall on kept connections. */
const FOR_LB = { concurrency: 1, reuse: 'auto' } as const;

/** What is right for an ordinary server behind a plain URI. */
const FOR_ADDRESS = { concurrency: 64, reuse: true } as const;

const UNWRITTEN_SERVICE: WrittenService = Service.parse({});

/** How the instances behind a name are treated; a name without an entry gets the defaults. */
export function compileService(
  written: WrittenService | undefined,
  { isAddress, tlsIn }: { readonly isAddress: boolean; readonly tlsIn?: TlsIn | undefined },
): ServicePolicy {
  const service = written ?? UNWRITTEN_SERVICE;
  const { balance, queue, connection, health, outlier } = service;
  const usual = isAddress ? FOR_ADDRESS : FOR_LB;
  return {
    balance: balanceOf(balance),
    concurrency: service.concurrency ?? usual.concurrency,
    queueDepthMax: queue.depthMax,
    queueWaitMsMax: queue.waitMax,
    isFair: queue.fair === 'caller',
    ahead: service.ahead,
    hangMsMax: service.hangMax,
    streamsMax: service.streamsMax,
    reuse: connection.reuse ?? usual.reuse,
    connectTimeoutMs: connection.connectTimeout,
    tls: service.tls && tlsIn?.(service.tls).tls,
    sharedSecret: service.sharedSecret,
    health: {
      path: health.path,
      intervalMs: health.interval,
      timeoutMs: health.timeout,
      passes: health.passes,
      fails: health.fails,
    },
    outlier: {
      failures: outlier.failures,
      ejectForMs: outlier.ejectFor,
      ejectForMsMax: outlier.ejectForMax,
      percentMax: outlier.percentMax,
      keepMin: outlier.keepMin,
      statuses: new Set(outlier.statuses),
      share: outlier.share,
    },
    slowStartMs: service.slowStart,
    rserve: service.rserve,
  };
}

function balanceOf({ policy, by = { kind: 'caller' }, strict }: WrittenService['balance']): BalanceSpec {
  return policy === 'hash' ? { policy, by, strict } : { policy };
}
