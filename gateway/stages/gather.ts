import { subjectName, type Subject, type Subjects } from '../domain/sharing/batch/batch-subject.ts';
import { bodyReadingOf } from '../domain/sharing/body-reading.ts';
import { BatchMember } from '../domain/sharing/batch/batch-member.ts';
import type { Prover } from '../domain/sharing/proof/batch-prover.ts';
import { BatchRide, type RidePorts } from '../domain/sharing/batch/batch-ride.ts';
import { OpenRides } from '../domain/sharing/batch/open-rides.ts';
import { readParcel } from '../domain/sharing/batch/row-parcel.ts';
import type { Gather, Shared } from '../domain/sharing/shared.ts';
import type { Answer, Ask, Question } from '../domain/exchange.ts';
import type { BatchPolicy, Route } from '../domain/route.ts';

interface GatherPorts extends RidePorts {
  readonly subjects: Subjects;
  readonly prover: Prover;
}

/** A question that may travel with others, and how. */
interface Boarding {
  readonly shared: Shared;
  readonly question: Question;
  readonly ask: Ask;
  readonly policy: BatchPolicy;
  readonly subject: Subject;
}

/**
 * Lets questions travel together that wait for the same service and differ in nothing but their rows.
 *
 * The first is put at once, and waits for a place like any other; those that come meanwhile join it. Where the model has
 * not shown that rows together get the answers they get alone, and where a body is not rows beyond doubt, each travels
 * by itself.
 */
export function createGather(ports: GatherPorts): Gather {
  const { clock, subjects, prover } = ports;
  const openRides = new WeakMap<Route, OpenRides>(); // a generation's own: the next one's rules may be others

  return function gather(shared, question, ask) {
    const policy = shared.sharing.batch;
    if (policy === undefined || question.method !== 'POST') return ask(question);
    const { message } = shared;
    const reading = bodyReadingOf(message.rawHeaders, message.body);
    if (reading === 'bytes') return ask(question);
    const { service } = question.route;
    const subject = subjects.of(subjectName(service.name, message, [reading, policy.rows]));
    const boarding = { shared, question, ask, policy, subject };
    switch (subject.standing(service.versions, clock.nowMs())) {
      case 'proven':
        return board(boarding);
      case 'refuted':
        return ask(question);
      case 'open':
        learnFrom(boarding);
        return ask(question);
    }
  };

  function learnFrom({ shared: { message }, question: { route }, policy, subject }: Boarding): void {
    const parcel = readParcel(message.body, policy.rows, policy.sizeMax);
    if (parcel === undefined) return;
    subject.notice(parcel);
    prover.consider({ subject, route, message, format: policy.rows });
  }

  function board(boarding: Boarding): Promise<Answer> {
    const { shared, question, ask, policy, subject } = boarding;
    const nowMs = clock.nowMs();
    if (subject.blame.isApart(question.callerId, nowMs)) return ask(question);
    const rowsMax = subject.size.rowsMax(policy.sizeMax, nowMs);
    const parcel = rowsMax > 1 ? readParcel(shared.message.body, policy.rows, rowsMax) : undefined;
    if (parcel === undefined) return ask(question);
    const member = new BatchMember({ question, message: shared.message, parcel, nowMs });
    const group = groupOf(shared, question, parcel.shape);
    const isInLine = question.route.service.waitingOf(question.callerId) > 0;
    ridesOf(question.route).board({ member, group, rowsMax, isInLine }, onClosed => {
      return new BatchRide(ports, [member], { subject, policy, ask, question, isFixed: false, onClosed });
    });
    return member.outcome;
  }

  function ridesOf(route: Route): OpenRides {
    const known = openRides.get(route);
    if (known !== undefined) return known;
    const rides = new OpenRides();
    openRides.set(route, rides);
    return rides;
  }
}

/** All that calls must agree in to travel together: what R sees of them but their rows, and what the rows are to R. */
function groupOf({ group }: Shared, { affinity }: Question, shape: string): string {
  return `${group}${affinity.length}:${affinity}${shape}`;
}
