import { BoundedMap } from '../bounded-map.ts';
import type { Clock } from '../clock.ts';
import { hasField, removeField, type RawFields } from '../http/fields.ts';
import type { CachePolicy, RouteSpec } from '../route.ts';
import type { Answer, Via } from '../upstream.ts';
import type { Freshness, WholeAnswer } from './freshness.ts';
import type { Digest } from './shared-call.ts';

/** An answer of R's that may serve again. */
export interface CacheEntry {
  readonly status: number;
  /** R's own, an entity tag among them where it has a body, and no `Age`. */
  readonly fields: RawFields;
  readonly body: Buffer;
  /** The entity tag that R's answer lacked; undefined: it lacked none. */
  readonly addedTag: string | undefined;
  readonly freshness: Freshness;
  /** What R was asked, as it stood in the request line. */
  readonly target: string;
  /** When it was asked for, by the steady clock. */
  readonly requestedMs: number;
}

/** What there is to know of an answer beside itself. */
interface EntryTraits extends Pick<CacheEntry, 'freshness' | 'target' | 'requestedMs'> {
  readonly digest: Digest;
}

/** An answer as it is stored. */
export function toEntry({ status, fields: answered, body }: WholeAnswer, traits: EntryTraits): CacheEntry {
  const { freshness, target, requestedMs, digest } = traits;
  const fields = [...answered];
  removeField(fields, 'age'); // what it was when it came is in the freshness
  const isTagged = body.length === 0 || hasField(fields, 'etag');
  const addedTag = isTagged ? undefined : `"${digest(body)}"`; // a strong one (RFC 9110 §8.8.3)
  if (addedTag !== undefined) fields.push('ETag', addedTag);
  return { status, fields, body, addedTag, freshness, target, requestedMs };
}

/** How a stored answer is given. */
interface Given {
  readonly nowMs: number;
  readonly cacheStatus: string;
  /** Of what was answered instead, where R was asked. */
  readonly via: Via | null;
}

/** A stored answer as it is given: with its age (RFC 9111 §5.1), and how it came about. */
export function fromEntry({ status, fields: stored, body, freshness }: CacheEntry, given: Given): Answer {
  const { nowMs, cacheStatus, via } = given;
  const ageSeconds = Math.max(0, Math.floor((nowMs - freshness.bornMs) / 1000));
  const fields = [...stored, 'Age', String(ageSeconds), 'Cache-Status', cacheStatus];
  return { status, fields, body, via };
}

/** How long a stored answer is still fresh; negative: since when it is not. */
export function leftMsOf({ freshness }: CacheEntry, nowMs: number): number {
  return freshness.bornMs + freshness.lifetimeMs - nowMs;
}

/** Entries by key, in bounded room: the least recently used goes first. */
export interface CacheStore {
  get(key: string): CacheEntry | undefined;
  /** In the place of what was there under the key. False: it is larger than all the room. */
  set(key: string, entry: CacheEntry): boolean;
  delete(key: string): void;
  /** Deletes all, and says how many there were. */
  clear(): number;
}

/** How much a store may hold. */
export interface StoreRoom {
  readonly entriesMax: number;
  readonly bytesMax: number;
  /** Called for each that is no longer there, replaced ones among them, before anything else is asked of the store. */
  readonly onGone?: ((key: string, entry: CacheEntry) => void) | undefined;
}

/** Makes a store, empty. */
export type CreateCacheStore = (room: StoreRoom) => CacheStore;

/** One route's cache, in the room that its policy gives it. */
export class RouteCache {
  readonly #store: CacheStore;
  /** Which keys stand for what R was asked; undefined where writes invalidate nothing. */
  readonly #keys: KeysByTarget | undefined;
  readonly #writes = new RecentWrites();
  #purgedMs = -Infinity;

  constructor({ entriesMax, bytesMax, ttlMs }: CachePolicy, createStore: CreateCacheStore) {
    const keys = ttlMs === 'http' ? new KeysByTarget() : undefined;
    this.#keys = keys;
    this.#store = createStore({
      entriesMax,
      bytesMax,
      onGone: keys && ((key, { target }) => keys.delete(key, target)),
    });
  }

  get(key: string): CacheEntry | undefined {
    return this.#store.get(key);
  }

  /** False: it is too large, was invalidated before it came, or what was asked for later has come sooner. */
  set(key: string, entry: CacheEntry): boolean {
    const { requestedMs, target } = entry;
    if (this.#purgedMs >= requestedMs || this.#writes.isSince(target, requestedMs)) return false;
    if ((this.#store.get(key)?.requestedMs ?? -Infinity) > requestedMs) return false;
    if (!this.#store.set(key, entry)) return false;
    this.#keys?.add(key, target);
    return true;
  }

  delete(key: string): void {
    this.#store.delete(key);
  }

  /** Deletes all, keeps out what is still under way, and says how many answers went. */
  purge(nowMs: number): number {
    this.#purgedMs = nowMs;
    return this.#store.clear();
  }

  /** Something wrote to this target: what R answered for it is deleted (RFC 9111 §4.4). */
  invalidate(target: string, nowMs: number): void {
    this.#writes.add(target, nowMs);
    for (const key of this.#keys?.of(target) ?? []) this.#store.delete(key);
  }
}

/** As many as the store has entries. */
class KeysByTarget {
  readonly #keys = new Map<string, Set<string>>();

  of(target: string): string[] {
    return [...(this.#keys.get(target) ?? [])];
  }

  add(key: string, target: string): void {
    const keys = this.#keys.get(target);
    if (keys === undefined) this.#keys.set(target, new Set([key]));
    else keys.add(key);
  }

  delete(key: string, target: string): void {
    const keys = this.#keys.get(target);
    keys?.delete(key);
    if (keys?.size === 0) this.#keys.delete(target);
  }
}

/** Targets whose writes are known: those of some seconds, even where writing is all that callers do. */
const TARGETS_MAX = 1_024;

/**
 * What was written to lately, so that an answer asked for before is not stored after. Of targets beyond `targetsMax` it
 * only knows when the last was written to.
 */
export class RecentWrites {
  readonly #writtenMs: BoundedMap<string, number>;
  #droppedMs = -Infinity;

  constructor(targetsMax = TARGETS_MAX) {
    this.#writtenMs = new BoundedMap(targetsMax, (_target, atMs) => {
      this.#droppedMs = atMs;
    });
  }

  add(target: string, nowMs: number): void {
    this.#writtenMs.set(target, nowMs);
  }

  /** True where the target was, or may have been, written to since. */
  isSince(target: string, requestedMs: number): boolean {
    return this.#droppedMs >= requestedMs || (this.#writtenMs.get(target) ?? -Infinity) >= requestedMs;
  }
}

/** RFC 9110 §9.2.1. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** True where a request may have changed what its target answers (RFC 9111 §4.4): not safe, or unknown, and no error. */
export function isWrite(method: string, status: number): boolean {
  return !SAFE.has(method) && status < 400;
}

interface RouteCachesParts {
  readonly createStore: CreateCacheStore;
  readonly clock: Pick<Clock, 'nowMs'>;
}

/** A route's cache, from the first time it is asked for. */
interface Holding {
  readonly meaning: string;
  cache: RouteCache | undefined;
}

/**
 * The routes' caches.
 *
 * They live by the route's id, and as long as its service, its filters and what it shares stay as they are. A call keeps
 * the generation it began with: where its route has changed meanwhile, it has a cache that ends with its generation, so
 * that nothing old gets into what is new.
 */
export class RouteCaches {
  readonly #createStore: CreateCacheStore;
  readonly #clock: Pick<Clock, 'nowMs'>;
  #ofRoutes = new Map<string, Holding>();
  /** By service: the caches that follow RFC 9111. */
  #following = new Map<string, Holding[]>();
  readonly #byRoute = new WeakMap<RouteSpec, RouteCache>();

  constructor({ createStore, clock }: RouteCachesParts) {
    this.#createStore = createStore;
    this.#clock = clock;
  }

  /** A generation begins: routes that mean the same go on with what they have stored, that of the others goes. */
  adopt(routes: readonly RouteSpec[]): void {
    const ofRoutes = new Map<string, Holding>();
    this.#following = new Map();
    for (const route of routes) {
      const cache = route.policy.sharing?.cache;
      if (cache === undefined) continue;
      const meaning = meaningOf(route);
      const known = this.#ofRoutes.get(route.id);
      const holding = known?.meaning === meaning ? known : { meaning, cache: undefined };
      ofRoutes.set(route.id, holding);
      if (cache.ttlMs === 'http') this.#follow(route.serviceName, holding);
    }
    this.#ofRoutes = ofRoutes;
  }

  #follow(serviceName: string, holding: Holding): void {
    const following = this.#following.get(serviceName);
    if (following === undefined) this.#following.set(serviceName, [holding]);
    else following.push(holding);
  }

  /** Of a route that has a cache. */
  of(route: RouteSpec, policy: CachePolicy): RouteCache {
    const known = this.#byRoute.get(route);
    if (known !== undefined) return known;
    const cache = this.#find(route, policy);
    this.#byRoute.set(route, cache);
    return cache;
  }

  #find(route: RouteSpec, policy: CachePolicy): RouteCache {
    const holding = this.#ofRoutes.get(route.id);
    if (holding?.meaning !== meaningOf(route)) return new RouteCache(policy, this.#createStore);
    return (holding.cache ??= new RouteCache(policy, this.#createStore));
  }

  /** Deletes what a route has stored, and says how many answers went. */
  purge(routeId: string): number {
    return this.#ofRoutes.get(routeId)?.cache?.purge(this.#clock.nowMs()) ?? 0;
  }

  /** Something wrote to a target of a service: routes that follow RFC 9111 delete what it answered (§4.4). */
  invalidate(serviceName: string, target: string): void {
    for (const { cache } of this.#following.get(serviceName) ?? []) cache?.invalidate(target, this.#clock.nowMs());
  }

  /** True where a write to this service invalidates anything. */
  hasFollowers(serviceName: string): boolean {
    return this.#following.has(serviceName);
  }
}

/** Equal for routes of which one may give what the other has stored. */
function meaningOf({ serviceName, filters, policy }: RouteSpec): string {
  return JSON.stringify(
    [serviceName, filters.map(({ text, plugin }) => [text, plugin]), policy.sharing],
    (_, value: unknown) => (value instanceof Set ? [...(value as ReadonlySet<unknown>)] : value),
  );
}
