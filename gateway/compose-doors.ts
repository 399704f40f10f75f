import type { Validation } from './compose-validation.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import type { Clock } from './domain/clock.ts';
import { PREFIX_BYTES } from './domain/grpc/envelope.ts';
import { OwnRpcs, type OwnBounds, type OwnMethod } from './domain/grpc/own-rpc.ts';
import { type HealthPorts, Reflection } from './domain/grpc/own-services.ts';
import type { Unpack } from './domain/http/content-coding.ts';
import { KnownOutputs } from './domain/inference/inference-transcoder.ts';
import { INFERENCE_FILE, INFERENCE_SERVICE } from './domain/inference/rpc-form.ts';
import type { Route } from './domain/route.ts';
import { converse, openMessages } from './edges/grpc/conversation.ts';
import { readOwnProto } from './edges/protobufjs-own.ts';
import { hasInstance } from './stages/batch-proof.ts';
import { createGrpcServices } from './stages/grpc-services.ts';
import { createInference, type Inference } from './stages/inference.ts';
import type { Match } from './stages/match.ts';

/** Callers of other protocols than REST, and what they ask of the gateway itself. */
interface Doors {
  /** Finds the route of every call, whatever its protocol. */
  readonly match: Match;
  /** Answers what a protocol asks of the gateway itself; undefined: no door is open. */
  readonly ownAnswer: OwnAnswer | undefined;
}

type OwnAnswer = NonNullable<Inference['ownAnswer']>;

/** Puts together the doors that the configuration opens: the Open Inference Protocol, and gRPC. */
export function composeDoors(parts: InferenceParts & GrpcParts): Doors {
  const { match, ownAnswer: ofInference } = composeInference(parts);
  const ofGrpc = composeGrpc(parts);
  if (ofGrpc === undefined || ofInference === undefined) return { match, ownAnswer: ofGrpc ?? ofInference };
  return { match, ownAnswer: call => ofGrpc(call) ?? ofInference(call) };
}

interface InferenceParts {
  readonly config: Pick<GatewayConfig, 'inference'>;
  readonly version: string;
  /** Finds the route of every other call. */
  readonly match: Match;
  readonly validation: Pick<Validation, 'columnsFor'>;
  /** Those of the current generation. */
  readonly routes: () => readonly Route[];
  readonly isServerReady: () => boolean;
  /** For messages that come compressed. */
  readonly unpack: Unpack;
  readonly clock: Clock;
}

/** The door of the Open Inference Protocol, where `inference` is written. */
function composeInference({
  config: { inference },
  validation,
  unpack,
  ...parts
}: InferenceParts): Partial<Inference> & Pick<Inference, 'match'> {
  if (inference === undefined) return { match: parts.match };
  return createInference({
    ...parts,
    path: inference.path,
    rpcs: inference.grpc ? new OwnRpcs(INFERENCE_SERVICE, methodsOver(parts.routes), unpack) : undefined,
    columnsFor: validation.columnsFor,
    outputs: new KnownOutputs(),
    isReady: route => hasInstance(route.service),
  });
}

/** Which model a message is for stands in it: until that is read it may be as large, and take as long, as those of any. */
function methodsOver(routes: () => readonly Route[]): OwnMethod[] {
  const known = new WeakMap<readonly Route[], OwnBounds>();
  const bounds = () => {
    const now = routes();
    const most = known.get(now) ?? boundsOver(now);
    known.set(now, most);
    return most;
  };
  const { methods } = readOwnProto(INFERENCE_FILE, INFERENCE_SERVICE);
  return [...methods].map(([path, messages]) => ({ path, messages, bounds }));
}

function boundsOver(routes: readonly Route[]): OwnBounds {
  const policies = routes.filter(({ policy }) => !policy.isStream).map(({ policy }) => policy);
  const most = (of: (policy: Route['policy']) => number) => policies.reduce((max, each) => Math.max(max, of(each)), 0);
  return {
    bytesMax: most(({ bodyBytesMax }) => bodyBytesMax) + PREFIX_BYTES,
    timeoutMs: most(({ timeoutMs }) => timeoutMs),
  };
}

interface GrpcParts extends Pick<HealthPorts, 'isServerReady' | 'routes'> {
  readonly config: Pick<GatewayConfig, 'inference' | 'listen'>;
  /** Whether a route has `grpc`. */
  readonly hasRpcs: () => boolean;
  readonly isEnding: () => boolean;
  readonly unpack: Unpack;
  readonly clock: Clock;
}

const HEALTH = 'grpc.health.v1.Health';
const REFLECTIONS = ['grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'] as const;
const OWN_BOUNDS = { bytesMax: 4 * 1_024, timeoutMs: 10_000 };

/** The services of gRPC's own, where callers speak HTTP/2; their files are read with the first call of one. */
function composeGrpc({ config, hasRpcs, unpack, ...parts }: GrpcParts) {
  const { inference, listen } = config;
  if (!listen.h2c && listen.tls === undefined) return undefined;
  const speaksInference = inference?.grpc === true;
  const own = [HEALTH, ...REFLECTIONS, ...(speaksInference ? [INFERENCE_SERVICE] : [])];
  const health = once(() => readOwnProto('grpc/health/v1/health.proto', HEALTH));
  const reflections = once(() => REFLECTIONS.map(service => readOwnProto(fileOf(service), service)));
  const rpcs = once(() => {
    const methods = [...health().methods].map(([path, messages]) => ({ path, messages, bounds: () => OWN_BOUNDS }));
    return new OwnRpcs(HEALTH, methods, unpack);
  });
  const published = once(() =>
    [...(speaksInference ? [readOwnProto(INFERENCE_FILE, INFERENCE_SERVICE)] : []), health(), ...reflections()].map(
      ({ descriptor }) => descriptor,
    ),
  );
  const known = new WeakMap<readonly Route[], Reflection>();
  const reflection = () => {
    const routes = parts.routes();
    const now = known.get(routes) ?? reflectionOf(routes, { own, published: published() });
    known.set(routes, now);
    return now;
  };
  return createGrpcServices({
    ...parts,
    ...{ own, reflection, converse, openMessages, health: rpcs },
    isReady: route => hasInstance(route.service),
    isOpen: () => speaksInference || hasRpcs(),
    reflecting: once(() => new Map(reflections().flatMap(({ methods }) => [...methods]))),
  });
}

function fileOf(service: string): string {
  return `${service.replaceAll('.', '/').replace(/\/\w+$/, '')}/reflection.proto`;
}

interface Reflected {
  readonly own: readonly string[];
  readonly published: ConstructorParameters<typeof Reflection>[1];
}

/** What is served behind a credential is not told to callers without one. */
function reflectionOf(routes: readonly Route[], { own, published }: Reflected): Reflection {
  const open = routes.flatMap(({ policy: { auth, grpc } }) =>
    grpc === undefined || auth?.allow.includes('anonymous') === false ? [] : [grpc],
  );
  const files = open.flatMap(({ describe }) => describe?.() ?? []);
  return new Reflection([...own, ...open.map(({ name }) => name)], [...published, ...files]);
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
