import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { GatewayError } from '../../domain/errors.ts';
import type { Observe } from '../../domain/events.ts';
import type { Answer, Received, Reply } from '../../domain/exchange.ts';
import type { Clock } from '../../domain/ports.ts';
import { toProblem } from '../../domain/problem.ts';
import type { Intake } from './incoming.ts';
import type { InHand } from './in-hand.ts';
import { toFailure, type ProtocolFault } from './protocol-fault.ts';
import { answerRaw } from './raw-answer.ts';
import { refuseRaw } from './refuse-raw.ts';
import { HttpWire, UpgradeWire } from './wire.ts';
import type { WriteAnswer } from './writer.ts';

interface AcceptParts {
  readonly flow: (received: Received) => Promise<Reply>;
  readonly intake: Intake;
  readonly write: WriteAnswer;
  readonly inHand: InHand;
  readonly observe: Observe;
  readonly clock: Clock;
  readonly urlBytesMax: number;
  /** Why nothing new is taken, while that is so. */
  readonly refusal: () => GatewayError | undefined;
}

/** What can come in over a connection, and what becomes of it. */
export interface Accept {
  request(req: IncomingMessage, res: ServerResponse, isAskedToContinue: boolean): void;
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** What is no request at all. */
  fault(error: ProtocolFault, socket: Duplex): void;
}

/** Sends what comes in through the flow, and what comes back to the caller. */
export function createAccept(parts: AcceptParts): Accept {
  const { intake, write, observe, clock, refusal, urlBytesMax } = parts;
  /** The request now on each connection, for a fault in the middle of its body. */
  const current = new WeakMap<Duplex, HttpWire>();

  return {
    request(req, res, isAskedToContinue) {
      const wire = new HttpWire(req, res, isAskedToContinue);
      const received = intake(wire, refusal());
      current.set(req.socket, wire);
      keepInHand(parts, { received, half: res, isAnswered: () => res.writableFinished });
      void pass(parts, { received, half: res, answer: reply => write(wire, received, reply) });
    },

    upgrade(req, socket, head) {
      const received = intake(new UpgradeWire(req, socket, head), refusal());
      let isAnswered = false;
      const answer = (reply: Answer) => {
        isAnswered = true;
        answerRaw(socket, reply, clock.wallMs());
      };
      socket.on('error', ignore); // 'close' follows, and tells all there is to tell
      keepInHand(parts, { received, half: socket, isAnswered: () => isAnswered });
      void pass(parts, { received, half: socket, answer });
    },

    fault(error, socket) {
      const failure = toFailure(error, socket, urlBytesMax);
      const open = current.get(socket);
      if (open !== undefined && !open.res.writableFinished) {
        if (failure === undefined || open.req.complete) socket.destroy();
        else open.fail(failure);
      } else if (failure === undefined) socket.destroy();
      else refuseRaw(failure, socket, { observe, clock });
    },
  };
}

/** One request, and the half of the connection that its caller hears. */
interface Heard {
  readonly received: Received;
  readonly half: ServerResponse | Duplex;
}

/** A request is in hand until its half of the connection is done with it. */
function keepInHand({ inHand }: AcceptParts, about: Heard & { readonly isAnswered: () => boolean }): void {
  const { received, half, isAnswered } = about;
  inHand.begin();
  half.once('close', () => {
    inHand.end();
    if (isAnswered()) received.deadline.end();
    else received.deadline.hangUp();
  });
}

/** Nothing that happens to a request is thrown any further than here. */
async function pass(parts: AcceptParts, about: Heard & { readonly answer: (reply: Answer) => void }): Promise<void> {
  const { received, half, answer } = about;
  try {
    const reply = await parts.flow(received).catch((error: unknown) => lastResort(parts.observe, received, error));
    if (reply.kind === 'answer') answer(reply);
  } catch (error) {
    parts.observe({ kind: 'internal-error', where: 'edge', error, requestId: received.id });
    half.destroy();
  }
}

/** The flow answers its own failures; what still fails is a mistake of ours, and the caller hears no more than that. */
function lastResort(observe: Observe, { id }: Received, error: unknown): Answer {
  observe({ kind: 'internal-error', where: 'edge', error, requestId: id });
  const problem = toProblem(new GatewayError('INTERNAL', 'outside the flow', { cause: error }), id);
  return { ...problem, rawHeaders: [...problem.rawHeaders, 'X-Request-Id', id] };
}

function ignore(): void {
  // See where it is used.
}
