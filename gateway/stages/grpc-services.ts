import type { Call, CallerSide } from '../domain/call.ts';
import type { Clock } from '../domain/clock.ts';
import { GatewayError } from '../domain/errors.ts';
import { malformed, speechOf, timeoutOf } from '../domain/grpc/speech.ts';
import {
  SERVING,
  servingOf,
  servingOfAll,
  type HealthPorts,
  type Serving,
  type Reflection,
} from '../domain/grpc/own-services.ts';
import { OwnRpc, type MessageWait, type OwnMessages, type OwnRpcs } from '../domain/grpc/own-rpc.ts';
import type { Ending, MessagesOut } from '../domain/grpc/reply.ts';
import { refusalsIn } from '../domain/grpc/transcoder.ts';
import type { Answer } from '../domain/upstream.ts';

/** What the services of gRPC's own answer from. */
interface Ports extends HealthPorts {
  /** Whether callers find anything by gRPC here. */
  readonly isOpen: () => boolean;
  /** Calls of `grpc.health.v1.Health`. */
  readonly health: () => OwnRpcs;
  /** The messages of `grpc.reflection`, by the path of its method. */
  readonly reflecting: () => ReadonlyMap<string, OwnMessages>;
  readonly reflection: () => Reflection;
  readonly converse: (wire: CallerSide, about: Conversing) => Ending;
  readonly openMessages: () => MessagesOut;
  /** The gateway is about to end. */
  readonly isEnding: () => boolean;
  readonly clock: Clock;
}

interface Conversing {
  readonly bytesMax: number;
  readonly reply: (message: Buffer) => Buffer;
}

/** How often a service is looked at that is watched. */
const LOOK_MS = 1_000;
const WATCHES_MAX = 1_000;

/** Names of services, files and symbols are no longer. */
const REFLECTION_BYTES_MAX = 4 * 1_024;
/** A caller that explores asks again within this time. */
const REFLECTION_MS_MAX = 300_000;

/** A watch ends when the gateway does: its caller is to come again, perhaps to another. */
const GATEWAY_ENDS = ['grpc-status', '14', 'grpc-message', 'the gateway ends'];

/** Answers calls of gRPC's own services, `grpc.health.v1.Health` and `grpc.reflection`, over HTTP/2; undefined: it is no such call. */
export function createGrpcServices(ports: Ports): (call: Call) => Answer | MessageWait | undefined {
  const { isOpen, health, reflecting } = ports;
  const watch = createWatch(ports);

  function answerHealth(call: Call, rpc: OwnRpc): Answer {
    const { service = '' } = rpc.said.message as { readonly service?: string };
    switch (rpc.originalPath.slice(rpc.originalPath.lastIndexOf('/') + 1)) {
      case 'List':
        return rpc.reply({
          statuses: Object.fromEntries([...servingOfAll(ports)].map(([of, status]) => [of, { status }])),
        });
      case 'Watch':
        return watch(call, rpc, service);
      default: {
        const status = servingOf(service, ports);
        if (status !== undefined) return rpc.reply({ status });
        throw new GatewayError('NO_ROUTE', 'health of what is not there', {
          detail: 'No service of this name is here.',
        });
      }
    }
  }

  function reflect(call: Call, messages: OwnMessages): Answer | undefined {
    const speech = speechOf(call.fields);
    if (speech?.protocol !== 'grpc' || call.method !== 'POST') return undefined;
    call.transcoder = refusalsIn(speech);
    call.arm(Math.min(REFLECTION_MS_MAX, timeoutOf(call, speech)));
    const reflection = ports.reflection();
    const reply = (content: Buffer) => {
      const message = messages.read(content, speech.format);
      if (typeof message === 'string') throw malformed(`The message is no ServerReflectionRequest: ${message}`);
      return messages.write(reflection.reply({ ...message }), speech.format);
    };
    return streamed(ports.converse(call.wire, { bytesMax: REFLECTION_BYTES_MAX, reply }));
  }

  return call => {
    if (call.httpVersion !== '2.0' || !call.path.startsWith('/grpc.') || !isOpen()) return undefined;
    const messages = reflecting().get(call.path);
    if (messages !== undefined) return reflect(call, messages);
    const rpc = health().entered(call);
    return rpc instanceof OwnRpc ? answerHealth(call, rpc) : rpc;
  };
}

type Watch = (call: Call, rpc: OwnRpc, name: string) => Answer;

/** Reports a service each time that it changes. */
function createWatch(ports: Ports): Watch {
  const { openMessages, isEnding, clock } = ports;
  let watches = 0;
  return (call, rpc, name) => {
    if (rpc.speech.protocol !== 'grpc')
      throw new GatewayError('NOT_IMPLEMENTED', 'a watch by another protocol than gRPC', { detail: WATCH_IS_GRPC });
    if (watches >= WATCHES_MAX)
      throw new GatewayError('RATE_LIMITED', `${watches} watches are open`, {
        detail: 'Too many services are watched.',
      });
    watches += 1;
    call.arm(rpc.timeoutMs);
    const out = openMessages();
    let sent: Serving | undefined;
    let cancel = () => undefined as unknown;
    const look = () => {
      const now = servingOf(name, ports) ?? SERVING.SERVICE_UNKNOWN;
      if (now !== sent) out.write(rpc.written({ status: now }));
      sent = now;
      if (isEnding()) out.end();
      else cancel = clock.after(LOOK_MS, look);
    };
    out.onClose(() => {
      cancel();
      watches -= 1;
    });
    look();
    return streamed({ body: out.body, trailers: GATEWAY_ENDS });
  };
}

const WATCH_IS_GRPC = 'Watch is spoken by gRPC, over HTTP/2.';

function streamed({ body, trailers }: Ending): Answer {
  return { status: 200, fields: ['Content-Type', 'application/grpc'], body, trailers, via: null };
}
