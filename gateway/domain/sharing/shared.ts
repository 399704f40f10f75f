import type { Answer, Ask, Complete, Question } from '../exchange.ts';
import type { UpstreamMessage } from '../ports.ts';
import type { Sharing } from '../route.ts';

/** A request on a route that shares, as R would see it. */
export interface Shared {
  readonly complete: Complete;
  readonly sharing: Sharing;
  /** What R is sent: nothing of the request is in it that is not in the key. */
  readonly message: UpstreamMessage;
  /** Equal for requests that agree in all but their bodies: route, versions, target, fields, and what varies the answer. */
  readonly group: string;
  /** Equal for requests that ask the same of the same versions of a model: the digest of the group and the body's value. */
  readonly key: string;
}

/** Takes a good answer, to remember it; `askedMs`: when R was asked, if that was before this request came. */
export type Keep = (answer: Answer, askedMs?: number) => void;

/** Replies from what is remembered, or asks, and says who would remember the answer. */
export type Remember = (shared: Shared, ask: (keep: Keep | undefined) => Promise<Answer>) => Promise<Answer>;

/** Puts the question for this request alone, or joins one in flight that asks the same. What comes back is kept once. */
export type Join = (shared: Shared, keep: Keep | undefined, ask: Ask) => Promise<Answer>;

/** Lets a question travel with others that wait for the same service. */
export type Gather = (shared: Shared, question: Question, ask: Ask) => Promise<Answer>;
