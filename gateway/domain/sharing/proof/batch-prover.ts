import type { Observe } from '../../events.ts';
import type { Ask } from '../../exchange.ts';
import { mayProve, proveBatch, type ProofWanted } from './batch-proof.ts';
import { createAskForProof } from './batch-questions.ts';
import type { Clock } from '../../ports.ts';
import type { Route } from '../../route.ts';

/** A proof, and by which route it is asked for. */
export interface RouteProof extends Omit<ProofWanted, 'versions'> {
  readonly route: Route;
}

/** Finds out, in the background, whether rows may travel together. */
export interface Prover {
  /** Begins, unless it is under way, or was in vain a moment ago, or there is nothing to ask with. It never throws. */
  consider(wanted: RouteProof): void;
  /** Breaks off what is under way. */
  close(): void;
}

interface ProverPorts {
  readonly ask: Ask;
  readonly clock: Clock;
  readonly observe: Observe;
}

/** Proofs under way at once, of all services: they take places that callers could have. */
const PROOFS_MAX = 4;
/** Of one service: paths may be anything that callers write, and other services have models, too. */
const PROOFS_OF_ONE_MAX = 2;

const BACK_OFF_MS = 1_000;
const BACK_OFF_MS_MAX = 60_000;

/** A proof that fails for want of an answer is tried again, ever more seldom. */
export function createProver({ ask, clock, observe }: ProverPorts): Prover {
  const closing = new AbortController();
  const running: string[] = []; // by service
  const isOccupied = (service: string) =>
    running.length >= PROOFS_MAX || running.filter(name => name === service).length >= PROOFS_OF_ONE_MAX;

  async function run(wanted: ProofWanted, route: Route): Promise<void> {
    const { proof } = wanted.subject;
    proof.isRunning = true;
    running.push(route.service.name);
    const isJudged = await proveBatch(wanted, {
      ask: createAskForProof({ ask, clock, closing: closing.signal }, route),
      nowMs: () => clock.nowMs(),
      tell: (isOn, reason) => observe({ kind: 'batching', route: route.id, isOn, reason }),
    }).catch(() => false); // no place, or no answer
    running.splice(running.indexOf(route.service.name), 1);
    proof.isRunning = false;
    proof.failures = isJudged ? 0 : proof.failures + 1;
    proof.notBeforeMs = clock.nowMs() + Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS * 2 ** Math.min(proof.failures, 10));
  }

  return {
    consider({ route, ...asked }) {
      const { proof } = asked.subject;
      if (proof.isRunning || isOccupied(route.service.name) || closing.signal.aborted) return;
      const wanted = { ...asked, versions: route.service.versions };
      if (clock.nowMs() >= proof.notBeforeMs && mayProve(wanted)) void run(wanted, route);
    },
    close: () => closing.abort(),
  };
}
