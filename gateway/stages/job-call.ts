import { Call, type BodyReader, type CallerSide, type IncomingBody, type WayBack } from '../domain/call.ts';
import type { Clock } from '../domain/clock.ts';
import type { Deadlines } from '../domain/deadlines.ts';
import { fieldOf } from '../domain/http/fields.ts';
import { upstreamResourceOf } from '../domain/http/upstream-request.ts';
import type { InputError } from '../domain/errors.ts';
import type { CallOutcome } from '../domain/jobs/answers.ts';
import type { Job } from '../domain/jobs/job.ts';
import type { Admitted } from '../domain/call.ts';
import type { Route } from '../domain/route.ts';
import { printable } from '../domain/printable.ts';
import { isRecord, recordOf, textOf } from '../domain/unknown-value.ts';
import type { Answer } from '../domain/upstream.ts';

/** Larger answers are no answers to a few rows. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const PROBLEM_BYTES_MAX = 256 * 1024;
const DETAIL_CHARS_MAX = 500;
const BROKE_OFF = 'The answer broke off.';

interface JobCallParts {
  readonly job: Job;
  readonly route: Route;
  /** The number of its first row. */
  readonly row: number;
  readonly content: Buffer;
  readonly signal: AbortSignal;
}

/** What a call of a job enters the flow with. */
export interface JobCallPorts {
  /** Where the flow begins for a call that is admitted. What it throws is the call's failure. */
  readonly enterAdmitted: (call: Admitted) => void;
  readonly back: WayBack;
  readonly deadlines: Deadlines;
  readonly clock: Clock;
}

/**
 * Puts rows of a job to the flow as a call of the job's owner, and resolves with what came of it. It is admitted already:
 * its owner was when the job was made. An abort hangs up.
 */
export function callForRows(ports: JobCallPorts, parts: JobCallParts): Promise<CallOutcome> {
  const { enterAdmitted, back, deadlines, clock } = ports;
  const { job, route, row, content, signal } = parts;
  return new Promise(resolve => {
    const side = new JobSide(content, outcome => {
      signal.removeEventListener('abort', hangUp);
      resolve(outcome);
    });
    const { origin, caller } = job;
    const call = new Call(
      {
        ...{ id: `${job.id}-${row}`, method: 'POST', path: origin.path, query: origin.query },
        ...{ hasQuery: origin.query !== '', fields: [...origin.fields, 'Content-Type', 'application/json'] },
        ...{ scheme: origin.scheme, host: origin.host, peerAddress: origin.callerAddress },
        ...{ callerAddress: origin.callerAddress, isPeerTrusted: false, isUpgrade: false, httpVersion: '1.1' },
        ...{ body: side, wire: side, refusal: undefined },
      },
      { arrivedMs: clock.nowMs(), back, deadlines },
    );
    const hangUp = () => call.hangUp();
    signal.addEventListener('abort', hangUp, { once: true });
    call.wallMs = clock.wallMs();
    call.arm(route.policy.timeoutMs);
    const known = call.matched(route, new Map(Object.entries(origin.variables))).admitted(caller);
    known.resume(() => enterAdmitted(known));
  });
}

/** The path that the service is asked for, once the route's filters have had their way. */
export function pathAtService({ id, origin, caller }: Job, route: Route): string {
  const { path, query, scheme, host, callerAddress, fields } = origin;
  const about = { id, method: 'POST', path, query, scheme, host, fields, caller, route, wallMs: 0 };
  const variables = new Map(Object.entries(origin.variables));
  return upstreamResourceOf({ ...about, variables, callerAddress, peerAddress: callerAddress }).path;
}

/** The caller's side of a call that no connection brought. */
class JobSide implements CallerSide, IncomingBody {
  readonly length: number;
  readonly #content: Buffer;
  readonly #onOver: (outcome: CallOutcome) => void;

  constructor(content: Buffer, onOver: (outcome: CallOutcome) => void) {
    this.length = content.length;
    this.#content = content;
    this.#onOver = onOver;
  }

  read(_bytesMax: number, reader: BodyReader): void {
    reader.onBody(this.#content);
  }

  leave(): void {
    // It was told at once.
  }

  send(call: Call, answer: Answer): void {
    if (Buffer.isBuffer(answer.body)) this.#over(call, answer, answer.body);
    else void this.#collect(call, answer, answer.body);
  }

  interim(): void {
    // A job has no use for it.
  }

  destroy(): void {
    // There is no connection.
  }

  async #collect(call: Call, answer: Answer, body: Exclude<Answer['body'], Buffer>): Promise<void> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    call.poured = body;
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES_MAX) break; // what is left is thrown away: the body is destroyed
        chunks.push(chunk);
      }
      this.#over(call, answer, Buffer.concat(chunks));
    } catch {
      call.record.code ??= 'CONNECTION_LOST'; // it broke off, or its time is over
      this.#over(call, answer, Buffer.alloc(0));
    }
  }

  #over(call: Call, { status, fields }: Answer, body: Buffer): void {
    call.record.bytesOut = body.length;
    call.over();
    const { code } = call.record;
    const isProblem = fieldOf(fields, 'content-type')?.startsWith('application/problem+json') === true;
    const problem = isProblem ? problemIn(body) : undefined;
    const seconds = Number(fieldOf(fields, 'retry-after') ?? NaN);
    this.#onOver({
      ...{ status, code, body, errors: problem?.errors ?? [] },
      detail: problem?.detail ?? (code === null ? `The model answered with the status ${status}.` : BROKE_OFF),
      retryAfterMs: Number.isFinite(seconds) ? seconds * 1_000 : undefined,
    });
  }
}

interface Problem {
  readonly detail: string;
  readonly errors: readonly InputError[];
}

/** What a problem says, be it the gateway's own or the model's (RFC 9457); undefined where it says nothing. */
function problemIn(body: Buffer): Problem | undefined {
  const said = body.length > PROBLEM_BYTES_MAX ? {} : recordOf(jsonIn(body));
  const detail = printable(textOf(said['detail']), DETAIL_CHARS_MAX);
  const errors = Array.isArray(said['errors']) ? said['errors'].filter(isRecord) : [];
  if (detail === '') return undefined;
  return {
    detail,
    errors: errors.map(({ pointer, detail: why }) => ({
      pointer: textOf(pointer),
      detail: printable(textOf(why), DETAIL_CHARS_MAX),
    })),
  };
}

function jsonIn(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}
