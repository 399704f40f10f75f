import type { Observe } from '../events.ts';
import type { Ask } from '../exchange.ts';
import { mayProve, proveBatch, type ProofWanted } from './batch-proof.ts';
import { createAskForProof } from './batch-questions.ts';
import type { Clock } from '../ports.ts';

/** Finds out, in the background, whether rows may travel together. */
export interface Prover {
  /** Begins, unless it is under way, or was in vain a moment ago, or there is nothing to ask with. It never throws. */
  consider(wanted: ProofWanted): void;
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

const BACK_OFF_MS = 1_000;
const BACK_OFF_MS_MAX = 60_000;

/** A proof that fails for want of an answer is tried again, ever more seldom. */
export function createProver({ ask, clock, observe }: ProverPorts): Prover {
  const closing = new AbortController();
  const askForProof = createAskForProof({ ask, clock, closing: closing.signal });
  let running = 0;

  async function run(wanted: ProofWanted): Promise<void> {
    const { proof } = wanted.subject;
    const { id: route } = wanted.route;
    proof.isRunning = true;
    running += 1;
    const isJudged = await proveBatch(wanted, {
      ask: askForProof,
      nowMs: () => clock.nowMs(),
      tell: (isOn, reason) => observe({ kind: 'batching', route, isOn, reason }),
    }).catch(() => false); // no place, or no answer
    running -= 1;
    proof.isRunning = false;
    proof.failures = isJudged ? 0 : proof.failures + 1;
    proof.notBeforeMs = clock.nowMs() + Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS * 2 ** Math.min(proof.failures, 10));
  }

  return {
    consider(wanted) {
      const { proof } = wanted.subject;
      if (proof.isRunning || running >= PROOFS_MAX || closing.signal.aborted) return;
      if (clock.nowMs() >= proof.notBeforeMs && mayProve(wanted)) void run(wanted);
    },
    close: () => closing.abort(),
  };
}
