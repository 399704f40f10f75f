import { GatewayError, toGatewayError } from '../domain/errors.ts';
import type { CacheResult, Observe } from '../domain/events.ts';
import type { Answer, Question } from '../domain/exchange.ts';
import { dropBody } from '../domain/http/dress.ts';
import type { Clock, Digest } from '../domain/ports.ts';
import type { CachePolicy } from '../domain/route.ts';
import { wishOf, type Wish } from '../domain/sharing/cache/cache-control.ts';
import {
  forwardStatus,
  hitStatus,
  ONLY_IF_CACHED_STATUS,
  staleStatus,
  type Forwarded,
} from '../domain/sharing/cache/cache-status.ts';
import {
  fitnessOf,
  isBetterThanNone,
  isFailureOfR,
  isForAll,
  isNoAnswer,
  termOf,
} from '../domain/sharing/cache/freshness.ts';
import { isWrite } from '../domain/sharing/cache/lately-written.ts';
import type { Memories } from '../domain/sharing/cache/memories.ts';
import type { Memory } from '../domain/sharing/cache/memory.ts';
import { fromRemembered, leftMsOf, toRemembered } from '../domain/sharing/cache/remembered.ts';
import type { Keep, Remember, Shared } from '../domain/sharing/shared.ts';

interface RememberPorts {
  readonly memories: Memories;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly observe: Observe;
}

/** The entity tags given to answers that lacked one, for those who share the answer with whoever asked for it. */
type Kept = WeakMap<Answer, { readonly tag: string | undefined }>;

/**
 * Replies from what the route remembers where that fits the caller's wish; else asks, and says who would remember the
 * answer. Where R gives none, one past its time serves for as long as the route allows.
 *
 * Each answer says in `Cache-Status` what the memory made of it (RFC 9211), failures too.
 */
export function createRemember(ports: RememberPorts): Remember {
  const kept: Kept = new WeakMap();
  return function remember(shared, ask) {
    const { complete, sharing } = shared;
    const { cache } = sharing;
    if (!cache?.methods.has(complete.method)) return pass(ports, shared, ask(undefined));
    return new Visit(ports, { shared, policy: cache, kept }).answer(ask);
  };
}

/** Tells routes that follow RFC 9111 of writes to what they remember, by requests that share nothing. */
export function createNoteWrite({ memories }: Pick<RememberPorts, 'memories'>) {
  return function noteWrite(question: Question, answer: Answer): void {
    const { service } = question.route;
    if (isWrite(question.method, answer.status) && memories.isWriteOfUse(service.name)) {
      memories.written(service.name, question.message().target);
    }
  };
}

async function pass({ memories }: RememberPorts, shared: Shared, asked: Promise<Answer>): Promise<Answer> {
  const answer = await asked;
  const { method, route } = shared.complete;
  if (isWrite(method, answer.status)) memories.written(route.service.name, shared.message.target);
  return answer;
}

interface VisitParts {
  readonly shared: Shared;
  readonly policy: CachePolicy;
  readonly kept: Kept;
}

/** One request to a route that remembers. */
class Visit {
  readonly #ports: RememberPorts;
  readonly #parts: VisitParts;
  readonly #memory: Memory;
  readonly #wish: Wish;
  readonly #askedMs: number;
  /** As the key has them. */
  readonly #versions: string;
  #isStored = false;

  constructor(ports: RememberPorts, parts: VisitParts) {
    this.#ports = ports;
    this.#parts = parts;
    const { complete } = parts.shared;
    this.#memory = ports.memories.of(complete.route, parts.policy);
    this.#wish = wishOf(complete.rawHeaders);
    this.#askedMs = ports.clock.nowMs();
    this.#versions = complete.route.service.versions;
  }

  answer(ask: (keep: Keep | undefined) => Promise<Answer>): Promise<Answer> {
    if (this.#wish.isNoStore) return this.#forward('bypass', ask);
    const known = this.#memory.find(this.#parts.shared.key);
    if (known === undefined) return this.#forward('uri-miss', ask);
    const fitness = fitnessOf(known.term, this.#wish, this.#askedMs);
    if (fitness !== 'fits') return this.#forward(fitness === 'stale' ? 'stale' : 'request', ask);
    this.#tell('hit');
    return Promise.resolve(fromRemembered(known, this.#askedMs, hitStatus(leftMsOf(known, this.#askedMs))));
  }

  async #forward(why: Forwarded, ask: (keep: Keep | undefined) => Promise<Answer>): Promise<Answer> {
    if (this.#wish.isOnlyIfCached) throw this.#notCached();
    let answer: Answer;
    try {
      answer = await ask(this.#wish.isNoStore ? undefined : (answer, askedMs) => this.#keep(answer, askedMs));
    } catch (error) {
      return this.#insteadOfFailure(why, toGatewayError(error));
    }
    const instead = isNoAnswer(answer.status) ? this.#instead(answer.status) : undefined;
    if (instead !== undefined) {
      dropBody(answer);
      return instead;
    }
    this.#tell(this.#resultOf(why));
    return this.#asForwarded(why, answer);
  }

  /** RFC 9111 §5.2.1.7. */
  #notCached(): GatewayError {
    this.#tell('miss');
    return new GatewayError('NOT_CACHED', 'only-if-cached, and nothing that fits is remembered', {
      fields: ['Cache-Status', ONLY_IF_CACHED_STATUS],
    });
  }

  #insteadOfFailure(why: Forwarded, failure: GatewayError): Answer {
    const instead = isFailureOfR(failure) ? this.#instead(failure.code) : undefined;
    if (instead !== undefined) return instead;
    this.#tell(this.#resultOf(why));
    this.#parts.shared.complete.notes.owedFields.push('Cache-Status', forwardStatus(why));
    throw failure;
  }

  /** Looked up anew: while R was asked, another answer may have come, or all have been forgotten. */
  #instead(failure: number | string): Answer | undefined {
    const known = this.#memory.find(this.#parts.shared.key);
    const nowMs = this.#ports.clock.nowMs();
    if (known === undefined || !isBetterThanNone(known.term, this.#wish, nowMs)) return undefined;
    const leftMs = leftMsOf(known, nowMs);
    this.#tell(leftMs > 0 ? 'hit' : 'stale');
    return fromRemembered(known, nowMs, leftMs > 0 ? hitStatus(leftMs) : staleStatus(leftMs, failure));
  }

  /** What may not be remembered still shows that what was is over, but for a failure, which shows nothing. */
  #keep(answer: Answer, askedMs = this.#askedMs): void {
    const { shared, policy, kept } = this.#parts;
    if (shared.complete.route.service.versions !== this.#versions) return; // it may be of a version not in the key
    const { clock, digest } = this.#ports;
    const when = { askedMs, answeredMs: clock.nowMs(), answeredWallMs: clock.wallMs() };
    const whole = isForAll(answer) ? answer : undefined;
    const term = whole && termOf(policy, whole.rawHeaders, when);
    if (whole === undefined || term === undefined) {
      if (answer.status < 500) this.#memory.forget(shared.key);
      return;
    }
    const remembered = toRemembered(whole, { ...when, term, target: shared.message.target, digest });
    this.#isStored = this.#memory.keep(shared.key, remembered);
    if (this.#isStored) kept.set(answer, remembered);
  }

  /** R's own answer, with the entity tag by which the caller may ask for it again. */
  #asForwarded(why: Forwarded, answer: Answer): Answer {
    const kept = this.#parts.kept.get(answer);
    const isStored = kept !== undefined;
    const status = forwardStatus(why, { isStored, isCollapsed: isStored && !this.#isStored });
    const tagFields = kept?.tag === undefined ? [] : ['ETag', kept.tag];
    const rawHeaders = [...answer.rawHeaders, ...tagFields, 'Cache-Status', status];
    return { kind: 'answer', status: answer.status, rawHeaders, body: answer.body };
  }

  #resultOf(why: Forwarded): CacheResult {
    return this.#wish.isNoCache || why === 'request' || why === 'bypass' ? 'bypass' : 'miss';
  }

  #tell(result: CacheResult): void {
    this.#ports.observe({ kind: 'cache', route: this.#parts.shared.complete.route.id, result });
  }
}
