import type { z } from 'zod';
import { corsProblem } from '../domain/http/cors.ts';
import type { Auth, Cors, RetryPolicy, RoutePolicy } from '../domain/route.ts';
import { authProblem } from '../domain/admission/scheme.ts';
import { isRepeatable } from '../domain/service/retry.ts';
import type { WrittenPolicy } from './written-route.ts';
import type { Complain, KeyPath } from './problem.ts';
import { compileSharing } from './compile-sharing.ts';
import { RoutePolicyKeys } from './schema/route-policy.ts';
import { warnOfUseless, type RequestSize } from './useless.ts';

type FullPolicy = z.output<typeof RoutePolicyKeys>;

/** What a policy is made of beside what the route says. */
export interface PolicyContext {
  readonly path: KeyPath;
  readonly complain: Complain;
  readonly defaults: WrittenPolicy;
  readonly identityConfigured: boolean;
  /** Undefined: not known. */
  readonly auditConfigured?: boolean | undefined;
  readonly isStream: boolean;
  /** From the Method predicate; undefined: any. */
  readonly methods: readonly string[] | undefined;
  /** What RequestSize filters say. */
  readonly requestSizes: readonly RequestSize[];
  /** A filter answers, and no instance is asked. */
  readonly answersItself: boolean;
}

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
  const placed = { ...context, placeOf: (key: keyof WrittenPolicy) => placeOf(key, written, context) };
  if (full.audit && context.auditConfigured === false) complainOfAudit(placed);
  const isShared = !isStream && !context.answersItself;
  const sharing = isShared ? compileSharing(full, placed) : undefined;
  if (sharing !== undefined && full.auth?.forwardToken === true) warnOfToken(full, placed);
  const requestSize = Math.min(...context.requestSizes.map(({ bytesMax }) => bytesMax));
  const policy = {
    auth: authOf(full, written, context),
    limits: full.limits,
    bodyBytesMax: Math.min(full.body.max, requestSize),
    streamBodyBytesMax: Math.min(isBounded(written, context) ? full.body.max : Infinity, requestSize),
    answerBytesMax: full.answer.bufferMax,
    isAudited: full.audit,
    timeoutMs: full.timeout,
    isPure: full.pure,
    retry: retryOf(full, written, context),
    cors: corsOf(full, written, context),
    isStream,
    streamIdleMs: full.streamIdle,
    priority: full.priority,
    sharing,
  };
  warnOfUseless({ ...context, written, policy });
  return policy;
}

function complainOfAudit({ complain, placeOf }: Placed): void {
  const message = 'asks for an audit trail, and gateway.yaml has none';
  complain({ path: placeOf('audit'), message, hint: 'write `audit: {}` in gateway.yaml, or leave it out here' });
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
  const asks = full.auth !== undefined && !full.auth.allow.includes('anonymous');
  const needs = full.auth !== undefined && full.auth.scopes.length + full.auth.roles.length > 0;
  if (!identityConfigured && (asks || needs)) {
    context.complain({
      path: placeOf('auth', written, context),
      message: 'asks for a credential, but gateway.yaml configures no `identity` to judge one by',
      hint: 'configure `identity`, or leave `auth` out to serve openly',
      isAboutKey: true,
    });
  }
  warnOfUnmeetable(full, written, context);
  if (!identityConfigured) return undefined;
  return full.auth ?? { allow: ['jwt'], scopes: [], roles: [], forwardToken: false };
}

function warnOfUnmeetable({ auth }: FullPolicy, written: WrittenPolicy, context: PolicyContext): void {
  const problem = auth && authProblem(auth);
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
  const cors = { ...full.cors, origins: new Set(full.cors.origins) };
  const problem = corsProblem(cors);
  if (problem !== undefined) context.complain({ path: placeOf('cors', written, context), message: problem });
  return cors;
}
