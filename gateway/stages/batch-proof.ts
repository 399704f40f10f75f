import { backOffMs } from '../domain/back-off.ts';
import type { Clock } from '../domain/clock.ts';
import type { Deadlines, Timed } from '../domain/deadlines.ts';
import { GatewayError } from '../domain/errors.ts';
import type { Observe } from '../domain/events.ts';
import { isIdentityField } from '../domain/http/upstream-request.ts';
import type { BatchPolicy, Route } from '../domain/route.ts';
import type { Service } from '../domain/service.ts';
import { bodyTextOf } from '../domain/sharing/batch/answer-form.ts';
import { isOfModel } from '../domain/sharing/batch/batch-rules.ts';
import { Evidence, examplesOf, PREDICT_TARGET, predictMessage, withPairs } from '../domain/sharing/batch/proof.ts';
import type { Rows } from '../domain/sharing/batch/rows.ts';
import { subjectName, type ProofVerdict, type Subject, type Subjects } from '../domain/sharing/batch/subject.ts';
import {
  type Answer,
  type SendUpstream,
  dropBody,
  type UpstreamMessage,
  type UpstreamRequest,
  type Via,
  type Waiting,
} from '../domain/upstream.ts';

/** What one instance said. */
export interface Said {
  readonly answer: Answer;
  /** Its model's; empty where it has none. */
  readonly version: string;
  /** A model that is not reached by HTTP has failed: it would do so again. */
  readonly hasFailed?: boolean;
}

/** Puts a message to a service. Rejects where it could not be asked. */
export type SendForProof = (message: UpstreamMessage) => Promise<Said>;

/** One upstream request waits and runs at most so long. */
const OWN_MS_MAX = 10_000;

/** By this name the gateway's own upstream requests wait in the queue. */
const CALLER_ID = 'penstock';

interface OwnPorts {
  readonly send: SendUpstream;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
}

/** The upstream requests that the gateway puts in its own name: each takes a permit like any other, after all callers. */
export class OwnRequests {
  readonly #ports: OwnPorts;
  readonly #running = new Set<OwnRequest>();
  isClosed = false;

  constructor(ports: OwnPorts) {
    this.#ports = ports;
  }

  /** Asks a route's service. A streamed answer is dropped, since there is no reader for it. */
  async put(route: Route, message: UpstreamMessage): Promise<Said> {
    if (this.isClosed) throw new GatewayError('CALLER_GONE', 'the gateway ends');
    const own = new OwnRequest(this.#ports.clock.nowMs() + OWN_MS_MAX);
    this.#running.add(own);
    try {
      return await own.run(this.#ports, route, message);
    } finally {
      this.#running.delete(own);
      this.#ports.deadlines.remove(own);
    }
  }

  /** Leaves what is under way, and puts no more. */
  close(): void {
    this.isClosed = true;
    for (const own of this.#running) own.leave(new GatewayError('CALLER_GONE', 'the gateway ends'));
  }
}

class OwnRequest implements Waiting, Timed {
  readonly endsMs: number;
  watchedAt = -1;
  #request: UpstreamRequest | undefined;
  #resolve: (said: Said) => void = () => undefined;
  #reject: (failure: GatewayError) => void = () => undefined;

  constructor(endsMs: number) {
    this.endsMs = endsMs;
  }

  run({ send, deadlines }: OwnPorts, route: Route, message: UpstreamMessage): Promise<Said> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      deadlines.add(this);
      this.#request = send({
        ...{ id: 'proof', route, method: message.method, callerId: CALLER_ID, affinity: '', priority: 'low' },
        ...{ endsMs: this.endsMs, isShared: true, waiting: this, message: () => message, keepLate: undefined },
      });
    });
  }

  answered(answer: Answer): void {
    dropBody(answer);
    this.#resolve({ answer, version: answer.via?.version ?? '' });
  }

  failed(failure: GatewayError, via: Via): void {
    if (!isOfModel(failure)) {
      this.#reject(failure);
      return;
    }
    const answer = { status: failure.status, fields: [], body: NO_BODY, via };
    this.#resolve({ answer, version: via.version ?? '', hasFailed: failure.code === 'MODEL_FAILED' });
  }

  onTimeOver(): void {
    this.leave(new GatewayError('DEADLINE_EXCEEDED', `no answer within ${OWN_MS_MAX} ms`));
  }

  leave(reason: GatewayError): void {
    this.#request?.leave(reason);
    this.#reject(reason);
  }
}

/** What is to be found out, and how it is asked. */
export interface ProofWanted {
  readonly subject: Subject;
  /** Those that the service has now, as `Service.versions`. */
  readonly versions: string;
  /** As calls are sent, but with nothing of a caller; the bodies are the proof's own. */
  readonly message: Omit<UpstreamMessage, 'body'>;
  readonly policy: BatchPolicy;
  readonly bodyBytesMax: number;
}

interface ProofPorts {
  readonly send: SendForProof;
  readonly nowMs: () => number;
  readonly report: (isOn: boolean, reason: string) => void;
}

/** While a service has several versions chance decides which one answers: so often all are asked again. */
const ROUNDS_MAX = 12;

/** Publishes the examples beside where predictions are made, by vetiver's convention. */
const PROTOTYPE = '/prototype';

/** What to write where a model cannot be asked. */
export const DECLARE =
  'write `batch: { rowsIndependent: true }` if no row’s answer depends on the rows beside it: see docs/adding-a-model.md';

const NO_BODY = Buffer.alloc(0);

/** The rows of a proof, and the message they are sent with. */
interface ProofRequest {
  readonly calls: readonly Rows[];
  readonly message: Omit<UpstreamMessage, 'body'>;
  readonly isOfCallers: boolean;
}

/**
 * Asks a live service whether it answers rows together as it answers each alone, and judges by that. True: all its
 * versions are judged, or there is nothing to judge by. Rejects where it could not be asked.
 *
 * The rows are those that the model publishes, and carry nothing of any caller. Where it publishes none, or none that it
 * answers itself, and the operator declares its rows independent, they are those that callers of one group have sent, as
 * that group sends them.
 */
export async function proveBatch(wanted: ProofWanted, ports: ProofPorts): Promise<boolean> {
  const { subject, versions, policy, bodyBytesMax } = wanted;
  const isJudged = () => subject.standing(versions, ports.nowMs()) !== 'open';
  const request = await rowsToSend(wanted, ports);
  if (request === undefined) return true;
  const each = versions.split(',');
  const plan = { calls: request.calls, format: policy.rows, rowsMax: policy.sizeMax, bodyBytesMax };
  const evidence = new Evidence(plan, each);
  const roundsMax = each.length > 1 ? 2 * ROUNDS_MAX : 2; // once alone, and once together
  let isFit = true;
  for (let round = 0; round < roundsMax && isFit && !isJudged(); round++) {
    for (const [index, body] of evidence.missing()) {
      const { answer, version } = await ports.send({ ...request.message, body });
      evidence.take(version, index, answer);
    }
    for (const version of each) {
      const verdict = evidence.verdictOf(version);
      isFit &&= verdict?.kind !== 'unfit';
      settle(wanted, request, { ...ports, version, verdict });
    }
  }
  return isJudged();
}

async function rowsToSend(wanted: ProofWanted, ports: ProofPorts): Promise<ProofRequest | undefined> {
  const calls = await publishedRows(wanted, ports);
  if (calls !== undefined) return { calls, message: wanted.message, isOfCallers: false };
  const seen = wanted.policy.rowsIndependent ? wanted.subject.rowsSeen() : undefined;
  return seen && { calls: withPairs(seen.rows, wanted.policy.rows), message: seen.message, isOfCallers: true };
}

/** True when there are rows to ask with, or may be. */
function mayProve(wanted: ProofWanted, nowMs: number): boolean {
  const { subject, policy } = wanted;
  return mayBePublished(wanted, nowMs) || (policy.rowsIndependent && subject.rowsSeen() !== undefined);
}

/** A query makes another path of it, and callers may write any: what is asked for with GET is never theirs to say. */
function mayBePublished({ subject, versions, message }: ProofWanted, nowMs: number): boolean {
  const { withoutPrototype, withoutPrototypeUntilMs } = subject.proof;
  const isKnown = withoutPrototype === versions && nowMs < withoutPrototypeUntilMs;
  return message.target.endsWith(PREDICT_TARGET) && !message.target.includes('?') && !isKnown;
}

/** What the model publishes; undefined: nothing that helps, and it is not asked again for a while. */
async function publishedRows(wanted: ProofWanted, ports: ProofPorts): Promise<readonly Rows[] | undefined> {
  if (!mayBePublished(wanted, ports.nowMs())) return undefined;
  const { subject, versions, message, policy } = wanted;
  const target = `${message.target.slice(0, -PREDICT_TARGET.length)}${PROTOTYPE}`;
  const fields = withoutContent(message.fields);
  const { answer, hasFailed } = await ports.send({ ...message, method: 'GET', target, fields, body: NO_BODY });
  if (answer.status >= 500 && hasFailed !== true) throw new Error(`${target} was answered with ${answer.status}`);
  const text = answer.status === 200 ? bodyTextOf(answer) : undefined;
  const examples =
    text === undefined ? undefined : examplesOf(Buffer.from(text, 'latin1').toString('utf8'), policy.rows);
  if (examples === undefined) subject.hasNoPrototype(versions, ports.nowMs());
  return examples;
}

interface Settling extends ProofPorts {
  readonly version: string;
  readonly verdict: ProofVerdict | undefined;
}

function settle(wanted: ProofWanted, { message, isOfCallers }: ProofRequest, settling: Settling): void {
  const { version, verdict, nowMs, report } = settling;
  const { subject, versions, policy } = wanted;
  if (verdict === undefined || subject.standing(version, nowMs()) !== 'open') return;
  const of = placeOf(message, version);
  if (verdict.kind !== 'unfit') {
    subject.judge(version, verdict, nowMs());
    if (verdict.kind === 'refuted' && isOfCallers) subject.doubt(version, nowMs());
    const isOn = verdict.kind === 'proven';
    report(isOn, `${of}: ${isOn ? 'rows together are answered as each alone' : verdict.reason}`);
    return;
  }
  const hint = policy.rowsIndependent ? '' : `: ${DECLARE}`;
  const isSaid = isOfCallers || subject.proof.saidOf === versions;
  if (!isSaid) report(false, `${of}: with the examples of ${PROTOTYPE} ${verdict.reason}${hint}`);
  subject.proof.saidOf = versions;
  subject.hasNoPrototype(versions, nowMs());
  subject.forgetRowsSeen(); // callers may bring better ones
}

/** What callers write into a query is not for the log. */
export function placeOf({ target }: Pick<UpstreamMessage, 'target'>, version: string): string {
  const [path = ''] = target.split('?', 1);
  return version === '' ? path : `${path} of version ${version}`;
}

function withoutContent(fields: readonly string[]): string[] {
  return fields.filter((_, i) => !(fields[i - (i % 2)] ?? '').toLowerCase().startsWith('content-'));
}

/** A proof, and by which route it is asked for. */
export interface RouteProof {
  readonly route: Route;
  readonly policy: BatchPolicy;
  readonly subject: Subject;
  readonly message: Omit<UpstreamMessage, 'body'>;
  /** A call has come for it: the path is one that callers use. */
  readonly isCalled: boolean;
}

interface ProverPorts {
  readonly own: OwnRequests;
  readonly clock: Clock;
  readonly observe: Observe;
}

/** Proofs under way at once, of all services: they take permits that callers could have. */
const PROOFS_MAX = 4;
/** Of one service: paths may be anything that callers write, and other services have models, too. */
const PROOFS_OF_ONE_MAX = 2;

const BACK_OFF = { baseMs: 1_000, maxMs: 60_000 };

/** Finds out, in the background, whether rows may travel together. What fails for want of an answer is tried again, ever more seldom. */
export class Prover {
  readonly #ports: ProverPorts;
  /** By service. */
  readonly #running: string[] = [];

  constructor(ports: ProverPorts) {
    this.#ports = ports;
  }

  /** Begins, unless it is under way, or was in vain a moment ago, or there is nothing to ask with. It never throws. */
  consider({ route, policy, subject, message, isCalled }: RouteProof): void {
    const { proof } = subject;
    if (proof.isRunning || this.#isOccupied(route.service.name) || this.#ports.own.isClosed) return;
    const nowMs = this.#ports.clock.nowMs();
    const { versions } = route.service;
    const wanted = {
      ...{ subject, policy, versions, bodyBytesMax: route.policy.bodyBytesMax },
      message: { ...message, fields: withoutCaller(message.fields, route) },
    };
    if (mayProve(wanted, nowMs)) {
      if (nowMs >= proof.notBeforeMs) void this.#run(wanted, route);
    } else if (isCalled && !policy.rowsIndependent) this.#sayWhatToWrite(wanted, route);
  }

  /** Once. */
  #sayWhatToWrite({ subject: { proof }, versions, message }: ProofWanted, { id }: Route): void {
    if (proof.saidOf === versions) return;
    proof.saidOf = versions;
    const reason = `${placeOf(message, '')}: there are no examples at ${PROTOTYPE} to prove by: ${DECLARE}`;
    this.#ports.observe({ kind: 'batching', route: id, isOn: false, reason });
  }

  #isOccupied(service: string): boolean {
    const running = this.#running;
    return running.length >= PROOFS_MAX || running.filter(name => name === service).length >= PROOFS_OF_ONE_MAX;
  }

  async #run(wanted: ProofWanted, route: Route): Promise<void> {
    const { own, clock, observe } = this.#ports;
    const { proof } = wanted.subject;
    proof.isRunning = true;
    this.#running.push(route.service.name);
    const isJudged = await proveBatch(wanted, {
      send: message => own.put(route, message),
      nowMs: () => clock.nowMs(),
      report: (isOn, reason) => observe({ kind: 'batching', route: route.id, isOn, reason }),
    }).catch(() => false); // no permit, or no answer
    this.#running.splice(this.#running.indexOf(route.service.name), 1);
    proof.isRunning = false;
    proof.failures = isJudged ? 0 : proof.failures + 1;
    proof.notBeforeMs = clock.nowMs() + backOffMs(proof.failures + 1, BACK_OFF);
  }
}

/** The examples that a model publishes must not travel in a caller's name, nor under a token of theirs. */
function withoutCaller(fields: readonly string[], { policy }: Route): string[] {
  const varied = new Set(policy.sharing?.varyBy.flatMap(key => (key.kind === 'header' ? [key.name] : [])));
  return fields.filter((_, i) => {
    const name = (fields[i - (i % 2)] ?? '').toLowerCase();
    return !isIdentityField(name) && (!varied.has(name) || name.startsWith('content-'));
  });
}

interface WatchPorts {
  readonly routes: () => readonly Route[];
  readonly subjects: Subjects;
  readonly prover: Prover;
  readonly clock: Clock;
}

const LOOK_EVERY_MS = 1_000;

/**
 * Has a proof made of every route that batches as soon as an instance is there, and again when a new version is, so that
 * the first callers need not wait for it. Models at other paths are asked when calls to them come. Gives back what ends it.
 */
export function watchForProofs({ routes, subjects, prover, clock }: WatchPorts): () => void {
  let cancel = clock.after(0, look);

  function look(): void {
    cancel = clock.after(LOOK_EVERY_MS, look);
    for (const route of routes()) {
      const batch = route.policy.sharing?.batch;
      if (batch !== undefined) consider(route, batch);
    }
  }

  function consider(route: Route, policy: BatchPolicy): void {
    const { service } = route;
    const message = predictMessage(service.policy.sharedSecret);
    const subject = subjects.of(subjectName(service.name, message, ['json', policy.rows]));
    const isOpen = subject.standing(service.versions, clock.nowMs()) === 'open';
    if (isOpen && hasInstance(service)) prover.consider({ subject, route, policy, message, isCalled: false });
  }

  return () => cancel();
}

/** Whether some instance can be asked. */
export function hasInstance(service: Service): boolean {
  return service.view().instances.some(({ state }) => state === 'in-rotation' || state === 'slow-start');
}
