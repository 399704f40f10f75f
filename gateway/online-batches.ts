import type { CompiledRoutes, RoutedAddress } from './config/compile.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import type { Problem } from './config/problem.ts';
import { Deadlines } from './domain/deadlines.ts';
import { dropBody, toAnswer } from './domain/http/reply.ts';
import type { BatchPolicy } from './domain/route.ts';
import { predictMessage } from './domain/sharing/batch/proof.ts';
import { Subject } from './domain/sharing/batch/subject.ts';
import type { ExchangeBounds, Transport, UpstreamAnswer } from './domain/upstream.ts';
import { systemClock as clock } from './edges/clock.ts';
import { isRecord } from './domain/unknown-value.ts';
import { createTransport } from './edges/r-transport/transport.ts';
import { askAdmin } from './online-local.ts';
import { DECLARE, proveBatch, type AskForProof } from './stages/batch-proof.ts';

/** An exchange that takes longer says nothing. */
const PATIENCE_MS = 10_000;
/** Of a service so many are asked: they may be of different versions. */
const INSTANCES_MAX = 8;
const BYTES_MAX = 1024 * 1024;

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
  const deadlines = new Deadlines(clock);
  const transport = createTransport({ clock, deadlines });
  try {
    const asked = routes.specs.map(async ({ id, serviceName, policy }) => {
      const batch = policy.sharing?.batch;
      if (batch === undefined) return [];
      const origins = known.filter(({ service }) => service === serviceName).flatMap(({ instances }) => instances);
      const shown = origins
        .slice(0, INSTANCES_MAX)
        .map(origin => askInstance(origin, { routes, serviceName, batch, transport }));
      return problemOf(await Promise.all(shown), batch, (severity, message, hint) =>
        routes.problemAt(id, 'batch', { severity, message, hint }),
      );
    });
    return (await Promise.all(asked)).flat();
  } finally {
    await transport.close();
    deadlines.close();
  }
}

/** Asks the gateway of this configuration, if one runs, what it has found out against batches of its routes. */
export async function askRunning(admin: GatewayConfig['admin'], routes: CompiledRoutes): Promise<Problem[]> {
  const batching = routes.specs.filter(({ policy }) => policy.sharing?.batch !== undefined);
  const said = batching.length === 0 ? undefined : await askAdmin(admin, '/api/routes');
  if (!Array.isArray(said)) return [];
  return said.filter(isRecord).flatMap(({ id, batching: known }) => {
    const isOurs = batching.some(route => route.id === id);
    if (!isOurs || typeof id !== 'string' || !isRecord(known) || typeof known['reason'] !== 'string') return [];
    const message = `the running gateway has found: ${known['reason']}`;
    return [routes.problemAt(id, 'batch', { severity: 'error', message, hint: LOOK_UP })];
  });
}

const LOOK_UP = 'see docs/adding-a-model.md, "What travels together"';

type ToProblem = (severity: 'error' | 'warning', message: string, hint: string) => Problem;

/** The worst that an instance has shown is said for all. */
function problemOf(shown: readonly Shown[], { rowsIndependent }: BatchPolicy, toProblem: ToProblem): Problem[] {
  const refuted = shown.find(({ verdict }) => verdict === 'refuted');
  if (refuted !== undefined) {
    const message = `${refuted.origin}${refuted.reason}: its calls cannot travel together`;
    return [toProblem('error', message, `take \`batch\` away: ${LOOK_UP}`)];
  }
  const open = shown.find(({ verdict }) => verdict === 'open');
  if (open === undefined) return [];
  const hint = rowsIndependent
    ? 'calls travel singly until those that come have been compared'
    : `no calls travel together: ${DECLARE}`;
  return [toProblem('warning', `${open.origin}: ${open.reason}`, hint)];
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
  const subject = new Subject();
  const nowMs = () => clock.nowMs();
  let reason = 'it publishes no examples at /prototype to prove by that rows may travel together';
  const report = (_: boolean, said: string) => {
    reason = said;
  };
  try {
    // Nothing is declared to a proof that is asked for its examples alone: what it says otherwise is for the log.
    const policy = { ...batch, rowsIndependent: true };
    const wanted = { subject, versions: '', message, policy, bodyBytesMax: BYTES_MAX };
    await proveBatch(wanted, { ask: asking(origin, transport), nowMs, report });
  } catch (error) {
    reason = error instanceof Error ? error.message : 'it could not be asked';
  }
  return { origin, verdict: subject.standing('', nowMs()), reason };
}

const BOUNDS: ExchangeBounds = {
  reuse: false,
  connectTimeoutMs: PATIENCE_MS,
  hangMsMax: PATIENCE_MS,
  bufferBytesMax: BYTES_MAX,
};

function asking(origin: string, transport: Transport): AskForProof {
  return async message => {
    const answer = await new Promise<UpstreamAnswer>((resolve, reject) => {
      const onEnd: Parameters<Transport['send']>[2]['listener']['onEnd'] = end =>
        end.kind === 'answered' ? resolve(end.answer) : reject(end.failure);
      const listener = { onInterim: () => undefined, onStream: resolve, onEnd };
      transport.send(origin, message, { bounds: BOUNDS, listener });
    });
    dropBody(answer);
    return { answer: toAnswer(answer, null), version: '' };
  };
}
