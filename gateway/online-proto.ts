import { protoText } from './domain/grpc/proto-text.ts';
import { Deadlines } from './domain/deadlines.ts';
import { SHARED_SECRET_FIELD } from './domain/http/upstream-request.ts';
import { bodyTextOf } from './domain/sharing/batch/answer-form.ts';
import { examplesOf, predictMessage } from './domain/sharing/batch/proof.ts';
import { parseJson, readPrototype } from './domain/validation/prototype.ts';
import { systemClock as clock } from './edges/clock.ts';
import { createTransport } from './edges/r-transport/transport.ts';
import type { Contract } from './load.ts';
import { sendTo, BOUNDS, whereIs } from './online.ts';
import type { SendForProof } from './stages/batch-proof.ts';

const NO_BODY = Buffer.alloc(0);

/**
 * A `.proto` for a service, made from what an instance of it publishes at `/prototype` and what it answers to two rows of
 * its own examples; a problem, in words, where none says so.
 */
export async function protoOf(contract: Contract, service: string): Promise<{ text: string } | { problem: string }> {
  const { routes } = contract;
  if (routes === undefined) return { problem: 'the routes file cannot be used' };
  const origins = (await whereIs(contract, service)).filter(origin => origin.startsWith('http'));
  const [origin] = origins;
  if (origin === undefined)
    return { problem: `no instance of ${service} is known that speaks HTTP: is the gateway running?` };
  const { sharedSecret, tls } = routes.policyOf(service);
  const deadlines = new Deadlines(clock);
  const transport = createTransport({ clock, deadlines });
  try {
    const send = sendTo(origin, { transport, bounds: { ...BOUNDS, tls } });
    return await protoBy(send, { service, sharedSecret, origin });
  } catch (error) {
    return { problem: `${origin} does not answer: ${error instanceof Error ? error.message : 'unknown'}` };
  } finally {
    await transport.close();
    deadlines.close();
  }
}

interface ProtoSource {
  readonly service: string;
  readonly sharedSecret: string | undefined;
  readonly origin: string;
}

async function protoBy(send: SendForProof, { service, sharedSecret, origin }: ProtoSource) {
  const secret = sharedSecret === undefined ? [] : [SHARED_SECRET_FIELD, sharedSecret];
  const { answer } = await send({
    method: 'GET',
    target: '/prototype',
    host: undefined,
    fields: secret,
    body: NO_BODY,
  });
  const prototype = answer.status === 200 ? textIn(answer) : '';
  const columns = readPrototype(prototype);
  if (columns === undefined) return { problem: `${origin} publishes no columns at /prototype` };
  const rows = (examplesOf(prototype, 'array') ?? []).slice(0, 2).flatMap(({ pieces }) => pieces);
  const body = Buffer.from(`[${rows.join(',')}]`);
  const said = rows.length === 0 ? undefined : await send({ ...predictMessage(sharedSecret), body });
  const isGood = said?.answer.status === 200;
  return { text: protoText({ service, columns, answer: isGood ? parseJson(textIn(said.answer)) : undefined }) };
}

function textIn(answer: Parameters<typeof bodyTextOf>[0]): string {
  return Buffer.from(bodyTextOf(answer) ?? '', 'latin1').toString('utf8');
}
