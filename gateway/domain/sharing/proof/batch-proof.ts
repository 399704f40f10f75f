import { examplesOf } from './batch-examples.ts';
import { bodyTextOf } from '../batch/answer-form.ts';
import { createEvidence, type Evidence } from './batch-evidence.ts';
import type { ProofVerdict, Subject } from '../batch/batch-subject.ts';
import type { Answer } from '../../exchange.ts';
import type { UpstreamMessage } from '../../ports.ts';
import { PREDICT_TARGET } from './prediction.ts';
import type { Parcel, RowFormat } from '../batch/row-parcel.ts';

/** What is to be found out, and how it is asked. */
export interface ProofWanted {
  readonly subject: Subject;
  /** Those that the service has now, as `Service.versions`. */
  readonly versions: string;
  /** As calls are sent; the bodies are the proof's own. */
  readonly message: Omit<UpstreamMessage, 'body'>;
  readonly format: RowFormat;
}

/** What one instance said. */
export interface Said {
  readonly answer: Answer;
  /** Its model's; empty where it has none. */
  readonly version: string;
}

/** Puts a message to the service. */
export type AskForProof = (message: UpstreamMessage) => Promise<Said>;

/** Who is asked, and told. */
interface ProofPorts {
  readonly ask: AskForProof;
  readonly nowMs: () => number;
  readonly tell: (isOn: boolean, reason: string) => void;
}

/** While a service has several versions chance decides which one answers: so often all are asked again. */
const ROUNDS_MAX = 6;

/** Publishes the examples beside where predictions are made, by vetiver's convention. */
const PROTOTYPE = '/prototype';

const NO_BODY = Buffer.alloc(0);

/**
 * Asks a live service whether it answers rows together as it answers each alone, and judges by that. True: all its
 * versions are judged. Rejects where it could not be asked.
 *
 * The rows are those that the model publishes; where it publishes none, or none that it answers itself, they are those
 * that callers have sent.
 */
export async function proveBatch(wanted: ProofWanted, ports: ProofPorts): Promise<boolean> {
  const { subject, versions } = wanted;
  const isJudged = () => subject.standing(versions, ports.nowMs()) !== 'open';
  const rows = (await publishedRows(wanted, ports)) ?? subject.rowsSeen();
  if (rows.length === 0) return true; // nothing to judge by, and nothing went wrong
  const evidence = createEvidence(rows, wanted.format);
  const roundsMax = versions.includes(',') ? ROUNDS_MAX : 1;
  for (let round = 0; round < roundsMax && !isJudged(); round++) {
    await askAll(wanted, ports.ask, evidence);
    for (const version of versions.split(','))
      settle(wanted, version, { ...ports, verdict: evidence.verdictOf(version) });
  }
  return isJudged();
}

/** True when there are rows to ask with, or may be. */
export function mayProve(wanted: ProofWanted): boolean {
  return mayBePublished(wanted) || wanted.subject.rowsSeen().length > 0;
}

/** With a query the path is another: the caller must not be able to say what is asked for with GET. */
function mayBePublished({ subject, versions, message }: ProofWanted): boolean {
  return (
    message.target.endsWith(PREDICT_TARGET) &&
    !message.target.includes('?') &&
    subject.proof.withoutPrototype !== versions
  );
}

/** What the model publishes; undefined: nothing that helps, and it is not asked again. */
async function publishedRows(wanted: ProofWanted, { ask }: ProofPorts): Promise<readonly Parcel[] | undefined> {
  if (!mayBePublished(wanted)) return undefined;
  const { subject, versions, message, format } = wanted;
  const target = `${message.target.slice(0, -PREDICT_TARGET.length)}${PROTOTYPE}`;
  const rawHeaders = withoutContent(message.rawHeaders);
  const { answer } = await ask({ ...message, method: 'GET', target, rawHeaders, body: NO_BODY });
  if (answer.status >= 500) throw new Error(`${target} was answered with ${answer.status}`);
  const text = answer.status === 200 ? bodyTextOf(answer) : undefined;
  const examples = text === undefined ? undefined : examplesOf(Buffer.from(text, 'latin1').toString('utf8'), format);
  if (examples === undefined) subject.proof.withoutPrototype = versions;
  return examples;
}

/** All that a version has not answered yet. */
async function askAll({ versions, message }: ProofWanted, ask: AskForProof, evidence: Evidence): Promise<void> {
  const each = versions.split(',');
  for (const [i, body] of evidence.bodies.entries()) {
    if (!each.some(version => evidence.isMissing(version, i))) continue;
    const { answer, version } = await ask({ ...message, body });
    evidence.take(version, i, answer);
  }
}

interface Settling extends ProofPorts {
  readonly verdict: ProofVerdict | undefined;
}

function settle(wanted: ProofWanted, version: string, { verdict, nowMs, tell }: Settling): void {
  const { subject, versions, message } = wanted;
  if (verdict === undefined || subject.standing(version, nowMs()) !== 'open') return;
  const [path = ''] = message.target.split('?', 1); // what callers write into a query is not for the log
  const of = version === '' ? path : `${path} of version ${version}`;
  const isOfCallers = !mayBePublished(wanted);
  if (verdict.kind !== 'unfit') {
    subject.judge(version, verdict, nowMs());
    if (verdict.kind === 'refuted' && isOfCallers) subject.doubt(version, nowMs());
    const isOn = verdict.kind === 'proven';
    tell(isOn, `${of}: ${isOn ? 'rows together are answered as each alone' : verdict.reason}`);
    return;
  }
  if (!isOfCallers) tell(false, `${of}: with the examples of ${PROTOTYPE} ${verdict.reason}`);
  subject.proof.withoutPrototype = versions;
  subject.forgetRowsSeen(); // callers may bring better ones
}

function withoutContent(rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter((_, i) => !(rawHeaders[i - (i % 2)] ?? '').toLowerCase().startsWith('content-'));
}
