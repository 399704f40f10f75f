import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { Request, RequestHandler } from 'express';
import { isPermitted, partOf, type AdminAccess, type AdminToken, isLoopback } from '../../domain/operating/admin.ts';
import { GatewayError } from '../../domain/errors.ts';

/** What the guard goes by. */
export interface GuardOptions {
  /** As configured: where the listener is bound. */
  readonly host: string;
  readonly access: AdminAccess;
}

/** Who asked, for the log: a token's name, or what let them in without one. */
export type Who = string;

/**
 * Lets in who may, before anything is looked at.
 *
 * On loopback everything is open to this machine's people, but not to the web pages in their browsers: a page may send a
 * form here (refused by its Origin), or make its own name mean 127.0.0.1 and read the answer (refused by its Host).
 */
export function guard({ host, access }: GuardOptions): RequestHandler {
  const isLocal = isLoopback(host);
  return (req, res, next) => {
    refuseOtherSites(req);
    if (isLocal) refuseOtherNames(req, host);
    res.locals['who'] = (isLocal ? 'loopback' : admitted(req, access)) satisfies Who;
    next();
  };
}

/** True for what changes nothing, `explain` included. */
function isChange({ method, path }: Request): boolean {
  return method !== 'GET' && method !== 'HEAD' && path !== '/api/explain';
}

function refuseOtherSites(req: Request): void {
  if (req.method === 'GET' || req.method === 'HEAD' || (isSameSite(req) && isSameOrigin(req))) return;
  throw new GatewayError('FORBIDDEN', 'asked by another site', {
    detail: 'A page of another site may not change anything here.',
  });
}

function isSameSite({ headers }: Request): boolean {
  const site = headers['sec-fetch-site'];
  return site === undefined || site === 'same-origin' || site === 'none';
}

function isSameOrigin({ headers: { origin, host = '' } }: Request): boolean {
  return origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
}

function refuseOtherNames(req: Request, host: string): void {
  const named = req.headers.host; // Node refuses HTTP/1.1 without it
  if (named === undefined) return;
  const name = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(named);
  const hostname = name?.[1] ?? name?.[2] ?? '';
  if (isIP(hostname) !== 0 || hostname === 'localhost' || hostname === host) return;
  throw new GatewayError('FORBIDDEN', 'asked by another name', {
    detail: 'This listener answers to its address and to localhost, not to other names.',
  });
}

function admitted(req: Request, access: AdminAccess): Who {
  const part = partOf(req.path);
  if (part !== undefined && access.open.includes(part)) return 'anyone';
  const token = tokenOf(req, access.tokens);
  if (token === undefined) {
    throw new GatewayError('UNAUTHENTICATED', 'no known admin token', {
      detail: 'This needs a token of `admin.access.tokens`.',
      fields: ['WWW-Authenticate', 'Bearer realm="penstock-admin"'],
    });
  }
  const isAudit = req.path === '/api/audit';
  if (isPermitted(token.role, { isChange: isChange(req), isAudit })) return token.name;
  throw new GatewayError('FORBIDDEN', `admin token ${token.name} is of the role ${token.role}`, {
    detail: isAudit
      ? 'The audit trail is read by the role `auditor` alone.'
      : 'This role may read and explain; changes need the role `operator`.',
  });
}

// Every digest is compared, each in constant time, so that the time of an answer tells nothing.
function tokenOf(req: Request, tokens: readonly AdminToken[]): AdminToken | undefined {
  const [, credential] = /^Bearer +([\x21-\x7e]+) *$/i.exec(req.headers.authorization ?? '') ?? [];
  if (credential === undefined) return undefined;
  const digest = createHash('sha256').update(credential).digest();
  let found: AdminToken | undefined;
  for (const token of tokens) {
    const known = Buffer.from(token.sha256, 'hex');
    if (known.length === digest.length && timingSafeEqual(known, digest)) found = token;
  }
  return found;
}

/** Refuses what a path is not there for, and says what it is there for. */
export function allowOnly(...methods: readonly string[]): () => never {
  const allow = methods.join(', ');
  return () => {
    throw new GatewayError('METHOD_NOT_ALLOWED', `only ${allow}`, { fields: ['Allow', allow] });
  };
}
