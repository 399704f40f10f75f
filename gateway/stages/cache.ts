import type { Admitted, Matched } from '../domain/call.ts';
import { composeUpstream } from '../domain/http/upstream-request.ts';
import { lookUp, type CachePorts } from '../domain/sharing/cache.ts';
import { isWrite, type RouteCaches } from '../domain/sharing/cache-entries.ts';
import type { SharedCall } from '../domain/sharing/shared-call.ts';
import type { Answer } from '../domain/upstream.ts';

/** An answer that the route's cache has stored; undefined: R is to be asked. */
export type Cache = (shared: SharedCall) => Answer | undefined;

/** Tells caches of an answer that R gave. */
export type NoteWrite = (call: Matched, status: number) => void;

/**
 * Replies with what the route's cache has stored where that fits what the caller says to caches. Undefined: R is to be
 * asked, and where the cache is concerned, `call.lookup` sees to what comes back. Throws NOT_CACHED.
 */
export function createCache(ports: CachePorts): Cache {
  return function cache(shared) {
    const policy = shared.sharing.cache;
    return policy?.methods.has(shared.call.method) === true ? lookUp(shared, policy, ports) : undefined;
  };
}

/** Tells caches that follow RFC 9111 of writes to what they have stored, by calls that none of them was asked for. */
export function createNoteWrite({ caches }: { readonly caches: RouteCaches }): NoteWrite {
  return function noteWrite(call, status) {
    const { service } = call.route;
    if (!isWrite(call.method, status) || !caches.hasFollowers(service.name)) return;
    caches.invalidate(service.name, composeUpstream(call as Admitted, call.content).target);
  };
}
