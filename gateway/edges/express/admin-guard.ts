import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { Request, RequestHandler } from 'express';
import {
  isLoopback,
  isPermitted,
  partOf,
  rightsOf,
  type Admin,
  type AdminAccess,
  type AdminRequest,
  type AdminRights,
  type AdminToken,
} from '../../domain/operating/admin.ts';
import type { IdentifyAdmin } from '../../domain/operating/admin-caller.ts';
import { refuseSeveral } from '../../domain/admission/scheme.ts';
import { GatewayError } from '../../domain/errors.ts';

/** What the guard goes by. */
export interface GuardOptions {
  /** As configured: where the listener is bound. */
  readonly host: string;
  readonly access: AdminAccess;
  /** By whose roles `access.roles` goes; undefined: no role is anything here. */
  readonly identify?: IdentifyAdmin | undefined;
  readonly admin: Pick<Admin, 'serviceOf'>;
}

/** Who asked, for the log: a token's name, a caller of an identity, or what let them in without either. */
export type Who = string;

/**
 * Lets in a caller that may, before anything is looked at.
 *
 * On loopback everything is open to this machine's people, but not to the web pages in their browsers: a page may send a
 * form here (refused by its Origin), or make its own name mean 127.0.0.1 and read the answer (refused by its Host).
 */
export function guard(options: GuardOptions): RequestHandler {
  const { host } = options;
  const isLocal = isLoopback(host);
  return async (req, res, next) => {
    refuseOtherSites(req);
    if (isLocal) refuseOtherNames(req, host);
    res.locals['who'] = (isLocal ? 'loopback' : await admitted(req, options)) satisfies Who;
    next();
  };
}

/** What a request does, as far as rights go; of `explain` nothing is changed. */
function requestOf(req: Request, admin: GuardOptions['admin']): AdminRequest {
  const { method, path } = req;
  if (path === '/api/audit') return { kind: 'audit' };
  if (method === 'GET' || method === 'HEAD' || path === '/api/explain') return { kind: 'look' };
  if (path === '/api/cache/purge') {
    const routes = new URL(req.originalUrl, 'http://admin').searchParams.getAll('route');
    return { kind: 'tend', service: routes.length === 1 ? admin.serviceOf(routes[0] ?? '') : undefined };
  }
  const [, name] = /^\/api\/services\/([^/]+)\/recheck$/.exec(path) ?? [];
  return name === undefined ? { kind: 'change' } : { kind: 'tend', service: decoded(name) };
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined; // the API says what is wrong with it
  }
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

async function admitted(req: Request, options: GuardOptions): Promise<Who> {
  const part = partOf(req.path);
  if (part !== undefined && options.access.open.includes(part)) return 'anyone';
  const { name, rights } = await holderOf(req, options);
  const request = requestOf(req, options.admin);
  if (isPermitted(rights, request)) return name;
  throw new GatewayError('FORBIDDEN', `${name} is ${rights.roles.join(', ') || 'of no role here'}`, {
    detail: rights.roles.length === 0 ? NO_ROLE : LACKS[request.kind],
  });
}

const NO_ROLE = 'None of the caller’s roles is one of `admin.access.roles`.';

const LACKS = {
  look: NO_ROLE,
  audit: 'The audit trail is read by the role `auditor` alone.',
  change: 'This role may read and explain; changes need the role `operator`.',
  tend: 'This needs the role `operator`, or the role `scientist` with this service among its `services`.',
} as const;

interface Holder {
  readonly name: Who;
  readonly rights: AdminRights;
}

async function holderOf(req: Request, { access, identify }: GuardOptions): Promise<Holder> {
  refuseSeveral(req.rawHeaders); // `req.headers` would show the first
  const token = tokenOf(req, access.tokens);
  if (token !== undefined) return { name: token.name, rights: { roles: [token.role], services: token.services } };
  if (identify === undefined) {
    throw new GatewayError('UNAUTHENTICATED', 'no known admin token', {
      detail: 'This needs a token of `admin.access.tokens`.',
      fields: ['WWW-Authenticate', 'Bearer realm="penstock-admin"'],
    });
  }
  const [path = '', query = ''] = req.originalUrl.split('?', 2);
  const { remoteAddress: address = '' } = req.socket;
  const { id, roles } = await identify({
    ...{ id: '', method: req.method, path, query, fields: req.rawHeaders, address, connection: req.socket },
  });
  return { name: id, rights: rightsOf(roles, access) };
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
