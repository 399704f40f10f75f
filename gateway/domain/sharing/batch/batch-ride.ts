import { fieldsText } from './answer-fields.ts';
import { bodyTextOf, splitAnswer } from './answer-form.ts';
import { Batch } from './batch.ts';
import { noteDivided } from './batch-failure.ts';
import { createHurry, type Hurry } from './batch-hurry.ts';
import type { BatchMember } from './batch-member.ts';
import type { Subject } from './batch-subject.ts';
import { type GatewayError, toGatewayError } from '../../errors.ts';
import type { Observe } from '../../events.ts';
import type { Answer, Ask, Question } from '../../exchange.ts';
import { dropBody } from '../../http/dress.ts';
import type { Clock } from '../../ports.ts';
import type { BatchPolicy } from '../../route.ts';
import { isWronged } from '../wronged.ts';

/** What rides are told time by, and tell. */
export interface RidePorts {
  readonly clock: Clock;
  readonly observe: Observe;
}

interface RideOptions {
  readonly subject: Subject;
  readonly policy: BatchPolicy;
  readonly ask: Ask;
  /** Of whoever came first. */
  readonly question: Question;
  /** Part of a batch that failed: nobody joins, nobody is left behind. */
  readonly isFixed: boolean;
  /** It departs, or is given up: from here on nobody may join. */
  readonly onClosed: (ride: BatchRide) => void;
}

/** Of one who would join: `full`, nobody need ask any more; `alone`, it is for themselves that there is no room or time. */
export type Joined = 'in' | 'full' | 'alone';

/** Failures that one member may have brought upon all: R died of it, hung, or answered what is no answer. */
const BROUGHT_ON: ReadonlySet<string> = new Set([
  'CONNECTION_LOST',
  'ATTEMPT_TIMEOUT',
  'UPSTREAM_FAULT',
  'STREAM_NOT_ENABLED',
]);

/**
 * The way of one batch: it is put to R, its answer is split, and where it failed its members are asked again.
 *
 * An answer of R's that cannot be split is divided in halves until the guilty call stands alone. What broke an instance
 * is asked one by one at once: halves would break more of them on the way.
 */
export class BatchRide {
  readonly #ports: RidePorts;
  readonly #options: RideOptions;
  readonly #batch: Batch;
  readonly #hurry: Hurry;
  #isClosed = false;
  #hasStarted = false;
  #cancelWait: (() => void) | undefined;

  constructor(ports: RidePorts, members: readonly BatchMember[], options: RideOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#batch = new Batch(members, options.question, {
      format: options.policy.rows,
      nowMs: () => ports.clock.nowMs(),
      depart: () => this.#depart(),
      emptied: () => this.#close(),
      late: (_, answer) => this.#give(answer),
    });
    const { repeatableTimeoutMs } = options.question.route.policy.retry; // only what may be repeated travels together
    this.#hurry = createHurry({ time: options.subject.time, attemptMs: repeatableTimeoutMs, clock: ports.clock });
  }

  /** Whose turn it takes. */
  get callerId(): string {
    return this.#batch.callerId;
  }

  /** Starts at once, or when it has waited for others as long as the route says. */
  begin(): void {
    const { waitMsMax } = this.#options.policy;
    if (this.#options.isFixed || waitMsMax === 0) this.start();
    else this.#cancelWait = this.#ports.clock.after(waitMsMax, () => this.start());
  }

  start(): void {
    if (this.#hasStarted || this.#batch.deadline.signal.aborted) return;
    this.#hasStarted = true;
    this.#cancelWait?.();
    void this.#travel();
  }

  /** Takes one more in, if it may. */
  tryJoin(member: BatchMember, rowsMax: number): Joined {
    const batch = this.#batch;
    const { parcel, message, question } = member;
    const { bodyBytesMax } = batch.route.policy;
    const rows = batch.rows + parcel.rows;
    if (this.#isClosed) return 'full';
    if (rows > rowsMax || batch.bytes + message.body.length > bodyBytesMax) {
      return 2 * parcel.rows > rowsMax || 2 * message.body.length > bodyBytesMax ? 'alone' : 'full';
    }
    if (!this.#hurry.areInTime(rows, batch)) return 'full';
    if (!this.#hurry.isInTime(rows, question.deadline.remainingMs())) return 'alone';
    batch.add(member);
    if (rows === rowsMax) this.start();
    return 'in';
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelWait?.();
    this.#options.onClosed(this);
  }

  /** A place was found: whoever would not be answered in time among the others waits for the next. */
  #depart(): readonly BatchMember[] {
    this.#close();
    const batch = this.#batch;
    const staying = this.#options.isFixed ? [] : this.#tooMany();
    for (const member of staying) batch.remove(member);
    const members = batch.waiting;
    if (staying.length > 0) this.#again(staying, false);
    this.#ports.observe({ kind: 'batch', service: batch.route.service.name, rows: batch.rows });
    return members;
  }

  /** Those who came last, as many as must stay that the others are in time. The first always travels. */
  #tooMany(): readonly BatchMember[] {
    const { waiting } = this.#batch;
    const rowsMax = this.#options.subject.size.rowsMax(this.#options.policy.sizeMax, this.#ports.clock.nowMs());
    if (this.#batch.rows <= rowsMax && this.#hurry.areInTime(this.#batch.rows, this.#batch)) return [];
    const leftMs = this.#hurry.leftMs(this.#batch);
    let rows = 0;
    const firstOut = waiting.findIndex(({ parcel }, i) => {
      rows += parcel.rows;
      return i > 0 && (rows > rowsMax || !this.#hurry.isInTime(rows, leftMs));
    });
    return firstOut < 0 ? [] : waiting.slice(firstOut);
  }

  async #travel(): Promise<void> {
    try {
      const answer = await this.#options.ask(this.#batch);
      this.#note();
      if (!this.#give(answer)) this.#divide(answer);
    } catch (error) {
      this.#note();
      this.#fail(toGatewayError(error));
    }
  }

  #note(): void {
    const { members, notes, departedMs = this.#ports.clock.nowMs() } = this.#batch;
    const told = members.length > 0 ? members : this.#batch.waiting;
    for (const member of told) if (!member.hasLeft) member.note(notes, departedMs);
  }

  /** To each their own. False: the answer is not one that can be split. */
  #give(answer: Answer): boolean {
    const { members } = this.#batch;
    if (members.length === 1) {
      this.#learn(answer);
      if (answer.status !== 200) this.#blame(members[0]);
      members[0]?.answer(answer);
      return true;
    }
    const texts = this.#split(answer);
    if (texts === undefined) return false;
    this.#learn(answer);
    const { status, rawHeaders } = answer;
    for (let i = 0; i < members.length; i++) {
      members[i]?.answer({ kind: 'answer', status, rawHeaders, body: Buffer.from(texts[i] ?? '', 'latin1') });
    }
    return true;
  }

  #split(answer: Answer): readonly string[] | undefined {
    const { members, notes } = this.#batch;
    const { subject } = this.#options;
    const form = subject.formOf(notes.version ?? '');
    const text = bodyTextOf(answer);
    if (answer.status !== 200 || form === undefined || text === undefined) return undefined;
    if (fieldsText(answer) !== subject.fieldsOf(notes.version ?? '')) return undefined; // one caller's, and nobody knows whose
    const counts = members.map(({ parcel }) => parcel.rows);
    return splitAnswer(text, form, counts);
  }

  /** How long so many rows take, and that they went well. */
  #learn({ status }: Answer): void {
    const { subject, policy, isFixed } = this.#options;
    const { rows, departedMs, notes, route, members } = this.#batch;
    if (status !== 200 || departedMs === undefined || notes.attempts > 1) return;
    subject.time.learn(rows, this.#ports.clock.nowMs() - departedMs);
    if (isFixed || members.length === 1) return;
    if (!subject.size.succeeded(rows, policy.sizeMax)) return;
    this.#ports.observe({ kind: 'batching', route: route.id, isOn: true, reason: 'a batch went well again' });
  }

  /** Everyone still there is asked again. */
  #divide(answer: Answer): void {
    dropBody(answer);
    this.#countFailure();
    const members = this.#batch.waiting;
    const middle = Math.ceil(members.length / 2);
    for (const part of [members.slice(0, middle), members.slice(middle)]) this.#again(part, true);
  }

  #fail(error: GatewayError): void {
    const members = this.#batch.waiting;
    this.#close();
    if (BROUGHT_ON.has(error.code)) {
      if (this.#batch.members.length > 1) {
        this.#countFailure();
        for (const member of members) this.#again([member], true);
        return;
      }
      this.#blame(this.#batch.members[0]);
    }
    const { callerId, route } = this.#batch;
    const refused = { callerId, route, nowMs: this.#ports.clock.nowMs() };
    const wronged = members.filter(({ joinedMs, question }) =>
      isWronged(error, { callerId: question.callerId, joinedMs }, refused),
    );
    for (const member of members) if (!wronged.includes(member)) member.fail(error);
    this.#again(wronged, false);
  }

  #again(members: readonly BatchMember[], isFixed: boolean): void {
    const [first] = members;
    if (first === undefined) return;
    const { question } = first;
    new BatchRide(this.#ports, members, { ...this.#options, question, isFixed, onClosed: () => undefined }).start();
  }

  /** Its parts fail for the same reason as the whole did: only that counts. */
  #countFailure(): void {
    if (!this.#options.isFixed) noteDivided(this.#batch, { ...this.#ports, ...this.#options });
  }

  /** It fails alone as well: it is why the batch did in which it was. */
  #blame(member: BatchMember | undefined): void {
    const { subject, isFixed } = this.#options;
    if (isFixed && member !== undefined) subject.blame.note(member.question.callerId);
  }
}
