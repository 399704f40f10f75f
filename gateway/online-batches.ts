import type { CompiledRoutes, RoutedAddress } from './config/compile.ts';
import type { Problem } from './config/problem.ts';
import { dropBody } from './domain/http/dress.ts';
import { toReplyDraft } from './domain/http/reply-head.ts';
import type { Transport } from './domain/ports.ts';
import type { BatchPolicy } from './domain/route.ts';
import { proveBatch, type AskForProof } from './domain/sharing/proof/batch-proof.ts';
import { predictMessage } from './domain/sharing/proof/prediction.ts';
import { createSubject } from './domain/sharing/batch/batch-subject.ts';
import { systemClock as clock } from './edges/clock.ts';
import { createTransport } from './edges/undici.ts';

/** A question that takes longer says nothing. */
const PATIENCE_MS = 10_000;
/** Of a service so many are asked: they may be of different versions. */
const INSTANCES_MAX = 8;
const ANSWER_BYTES_MAX = 1024 * 1024;

/** What an instance has shown: rows together are answered as alone, or what was found instead. */
interface Shown {
  readonly origin: string;
  readonly verdict: 'proven' | 'refuted' | 'open';
  readonly reason: string;
}

/**
 * Asks the instances behind every route that lets calls travel together, with the examples that the model publishes,
 * whether rows together get the answers they get alone. Where not, the route's `batch` is an error.
 */
export async function askBatches(routes: CompiledRoutes, known: readonly RoutedAddress[]): Promise<Problem[]> {
  const transport = createTransport({ clock });
  try {
    const asked = routes.specs.map(async ({ id, serviceName, policy }) => {
      const batch = policy.sharing?.batch;
      if (batch === undefined) return [];
      const origins = known.filter(({ service }) => service === serviceName).flatMap(({ instances }) => instances);
      const shown = origins
        .slice(0, INSTANCES_MAX)
        .map(origin => askInstance(origin, { routes, serviceName, batch, transport }));
      return problemOf(await Promise.all(shown), (severity, message, hint) =>
        routes.problemAt(id, 'batch', { severity, message, hint }),
      );
    });
    return (await Promise.all(asked)).flat();
  } finally {
    await transport.close();
  }
}

type ToProblem = (severity: 'error' | 'warning', message: string, hint: string) => Problem;

/** The worst that an instance has shown is said for all. */
function problemOf(shown: readonly Shown[], toProblem: ToProblem): Problem[] {
  const refuted = shown.find(({ verdict }) => verdict === 'refuted');
  if (refuted !== undefined) {
    const message = `${refuted.origin}${refuted.reason}: its calls cannot travel together`;
    return [toProblem('error', message, 'take `batch` away: see docs/adding-a-model.md, "What travels together"')];
  }
  const open = shown.find(({ verdict }) => verdict === 'open');
  if (open === undefined) return [];
  const message = `${open.origin}: ${open.reason}`;
  return [
    toProblem('warning', message, 'calls travel singly until those that come have shown that rows may travel together'),
  ];
}

interface Asking {
  readonly routes: CompiledRoutes;
  readonly serviceName: string;
  readonly batch: BatchPolicy;
  readonly transport: Transport;
}

async function askInstance(origin: string, { routes, serviceName, batch, transport }: Asking): Promise<Shown> {
  const { sharedSecret } = routes.policyOf(serviceName);
  const message = predictMessage(sharedSecret);
  const subject = createSubject();
  let reason = 'it publishes no examples at /prototype to prove by that rows may travel together';
  const tell = (_: boolean, told: string) => {
    reason = told;
  };
  try {
    const ask = asking(origin, transport);
    await proveBatch({ subject, versions: '', message, format: batch.rows }, { ask, nowMs: () => clock.nowMs(), tell });
  } catch (error) {
    reason = error instanceof Error ? error.message : 'it could not be asked';
  }
  return { origin, verdict: subject.standing('', clock.nowMs()), reason };
}

function asking(origin: string, transport: Transport): AskForProof {
  const bounds = {
    reuse: false,
    connectTimeoutMs: PATIENCE_MS,
    hangMsMax: PATIENCE_MS,
    bufferBytesMax: ANSWER_BYTES_MAX,
  };
  return async message => {
    const answer = await transport.send({ ...message, origin }, bounds).answer;
    dropBody(answer);
    const { status, fields } = toReplyDraft(answer);
    return { answer: { kind: 'answer', status, rawHeaders: fields, body: answer.body }, version: '' };
  };
}
