import type { Limits } from './domain/admission/limits.ts';
import { isMatched, type Admitted, type Call, type Complete, type WayBack } from './domain/call.ts';
import { toGatewayError, type GatewayError } from './domain/errors.ts';
import { MessageWait } from './domain/grpc/own-rpc.ts';
import { answerOfOurOwn } from './domain/http/options.ts';
import { withPlumberError } from './domain/http/plumber-error.ts';
import { PluginWait } from './domain/plugin/guard.ts';
import { filterReply, unlessNotModified } from './domain/http/reply.ts';
import { SharedCall, type Digest } from './domain/sharing/shared-call.ts';
import type { Answer, SendUpstream } from './domain/upstream.ts';
import type { Admit } from './stages/admit.ts';
import type { Audit } from './stages/audit.ts';
import { requestOf } from './stages/attempt.ts';
import type { SendShared } from './domain/sharing/flight.ts';
import type { Cache, NoteWrite } from './stages/cache.ts';
import type { Coalesce } from './stages/coalesce.ts';
import type { SpeakCsv } from './stages/csv.ts';
import type { Compress } from './stages/compress.ts';
import type { Match } from './stages/match.ts';
import type { ObserveCall } from './stages/observe.ts';
import type { Preflight } from './stages/preflight.ts';
import { prepare } from './stages/prepare.ts';
import type { Receive } from './stages/receive.ts';
import type { Respond } from './stages/respond.ts';
import type { Stream } from './stages/stream.ts';
import type { Validate } from './stages/validate.ts';

/**
 * What happens to a call, in order. Read this file first.
 *
 *   match      finds the route                                           404 405
 *   audit      where the route asks for it, nothing is done that could not be written down   503
 *   preflight  answers a browser's preflight request, which has no credential yet
 *   admit      who is calling, may they, and not too often               401 403 429
 *   prepare    lets a plug-in wait for what it must know, where the route has one that does   500
 *   stream     a stream goes its own way from here                       501 502 503
 *   receive    takes the body in                                         400 408 413
 *   transcode  makes JSON of what a caller says in another form          400 415 422
 *   validate   refuses what the service cannot take                      400 422
 *   limit      where rows are counted, once they are known                429
 *   cache      an answer that the route keeps
 *   coalesce   equal calls share one upstream request
 *   batch      different calls travel as one upstream request
 *   attempt    queues for an instance, tries and retries                 502 503 504
 *   forward    one exchange with one instance
 *
 * and back: cache, the caller's own form, the route's filters, `compress`, `respond` (any failure becomes problem+json), and `observe` when the reply is over.
 *
 * Every stage takes a call as the stage before it left it; the types make it impossible to forward what was not admitted.
 * The common way runs through in one go, from the arrival to the write towards R; a stage that has to wait keeps the next
 * one, and goes on with it later. A stage refuses by throwing a GatewayError.
 *
 * `attempt` stands before the queue because a retry queues and chooses anew; it never insists on the instance that failed.
 * The body is taken in after admission, so that a stranger's body costs no memory.
 */
export function createFlow(stages: Stages): Flow {
  const { match, audit, preflight, admit, stream, receive, speakCsv, validate, limits } = stages;
  const { ownAnswer, cache, coalesce, batch, attempt, respond } = stages;

  const back = createBack(stages);

  function enter(call: Call): void {
    try {
      if (call.refusal !== undefined) throw call.refusal;
      const own = ownAnswerTo(call, ownAnswer);
      if (own !== undefined) {
        if (own instanceof MessageWait) own.within(call, () => enter(call));
        else respond.answer(call, own);
        return;
      }
      const matched = match(call);
      if (matched.route.policy.isAudited) audit.demand(matched);
      const early = matched.isPreflight ? preflight(matched) : undefined;
      if (early === undefined) admit(matched, admitted);
      else respond.answer(call, early);
    } catch (error) {
      if (error instanceof PluginWait) error.within(call, () => enter(call));
      else call.fail(toGatewayError(error));
    }
  }

  function admitted(call: Admitted): void {
    if (call.route.preparing === undefined) prepared(call);
    else prepare(call, prepared);
  }

  function prepared(call: Admitted): void {
    if (!call.route.policy.isStream) receive(call, complete);
    else if (!isAnsweredHere(respond, call)) stream(call);
  }

  function complete(call: Complete): void {
    if (isAnsweredHere(respond, call)) return;
    if (call.route.policy.csv && call.transcoder === undefined) speakCsv(call);
    if (call.transcoder === undefined) understood(call);
    else call.transcoder.request(call, understood);
  }

  function understood(call: Complete): void {
    if (call.route.policy.validate === undefined) sound(call);
    else validate(call, sound);
  }

  function sound(call: Complete): void {
    if (call.route.policy.countsRows) limits.countRows(call, counted);
    else counted(call);
  }

  function counted(call: Complete): void {
    const { sharing } = call.route.policy;
    if (sharing?.methods.has(call.method) !== true) {
      call.sends(attempt(requestOf(call)));
      return;
    }
    const shared = new SharedCall(call, sharing, stages.digest);
    const known = cache(shared);
    if (known === undefined) coalesce(shared, batch);
    else back.answered(call, known);
  }

  return { enter, enterAdmitted: call => admitted(held(audit, call)), back };
}

/** A call that passes `audit` by is held to it as well. */
function held(audit: Audit, call: Admitted): Admitted {
  if (call.route.policy.isAudited) audit.demand(call);
  return call;
}

/** Where calls come in, and their way back. */
export interface Flow {
  readonly enter: (call: Call) => void;
  /** For a call whose caller was admitted before: one of a job. Throws AUDIT_UNAVAILABLE, and what stages throw. */
  readonly enterAdmitted: (call: Admitted) => void;
  readonly back: WayBack;
}

/** From an answer, or a failure, to the caller. */
function createBack({ noteWrite, compress, respond, observe }: Stages): WayBack {
  return {
    answered(call, answer) {
      if (call.lookup === undefined && answer.via !== null && call.method !== 'GET') noteWrite(call, answer.status);
      const stored = call.lookup?.answered(answer) ?? answer;
      const known = stored.status < 400 ? stored : withPlumberError(stored, call);
      const translated = call.transcoder === undefined ? known : call.transcoder.answer(call, known);
      filterReply(translated, call);
      const reply = unlessNotModified(translated, call);
      if (call.route.policy.compress) compress(call, reply, coded => respond.answer(call, coded));
      else respond.answer(call, reply);
    },
    failed: (call, failure) => answerFailure(respond, call, failure),
    over: observe,
  };
}

/** A filter may answer in the instance's place. */
function isAnsweredHere(respond: Respond, call: Admitted): boolean {
  for (const { onBehalf } of call.route.filters) {
    const own = onBehalf?.(call);
    if (own === undefined) continue;
    respond.answer(call, own);
    return true;
  }
  return false;
}

/** What a door answers, or what HTTP itself asks of the gateway and of no route. */
function ownAnswerTo(call: Call, ofDoor: Stages['ownAnswer']): Answer | MessageWait | undefined {
  const own = ofDoor?.(call);
  return own === undefined && MAY_BE_OURS.has(call.method) ? answerOfOurOwn(call) : own;
}

/** What is asked of the gateway itself, and of no route, is asked by one of these. */
const MAY_BE_OURS: ReadonlySet<string> = new Set(['OPTIONS', 'TRACE']);

function answerFailure(respond: Respond, call: Call, failure: GatewayError): void {
  try {
    const instead = insteadOf(call, failure);
    if (instead === undefined) respond.failure(call, failure);
    else respond.answer(call, instead);
  } catch (error) {
    respond.failure(call, toGatewayError(error));
  }
}

/** What the caller gets in place of a failure of R's, where the cache has it. */
function insteadOf(call: Call, failure: GatewayError): Answer | undefined {
  const stored = call.lookup?.failed(failure);
  if (stored === undefined || !isMatched(call)) return undefined;
  const instead = call.transcoder === undefined ? stored : call.transcoder.answer(call, stored);
  filterReply(instead, call);
  return instead;
}

/** The stages, in the order a call meets them. */
export interface Stages {
  /** Answers what a door asks of the gateway itself, or has its message read first; undefined: no such door is open. */
  readonly ownAnswer: ((call: Call) => Answer | MessageWait | undefined) | undefined;
  readonly match: Match;
  readonly audit: Audit;
  readonly preflight: Preflight;
  readonly admit: Admit;
  readonly stream: Stream;
  readonly receive: Receive;
  readonly speakCsv: SpeakCsv;
  readonly validate: Validate;
  readonly limits: Pick<Limits, 'countRows'>;
  readonly digest: Digest;
  readonly cache: Cache;
  readonly noteWrite: NoteWrite;
  readonly coalesce: Coalesce;
  readonly batch: SendShared;
  readonly attempt: SendUpstream;
  readonly compress: Compress;
  readonly respond: Respond;
  readonly observe: ObserveCall;
}
