import type { GatewayConfig } from './config/gateway-config.ts';
import type { Clock } from './domain/clock.ts';
import { type HealthPorts, Reflection } from './domain/grpc/own-services.ts';
import { OwnRpcs } from './domain/grpc/own-rpc.ts';
import type { Unpack } from './domain/http/content-coding.ts';
import { INFERENCE_FILE, INFERENCE_SERVICE } from './domain/inference/rpc-form.ts';
import type { Route } from './domain/route.ts';
import { converse, openMessages } from './edges/grpc/conversation.ts';
import { readOwnProto } from './edges/protobufjs-own.ts';
import { hasInstance } from './stages/batch-proof.ts';
import { createGrpcServices } from './stages/grpc-services.ts';

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

/** Puts together gRPC's own services, where callers speak HTTP/2; their files are read with the first call of one. */
export function composeGrpc({ config, hasRpcs, unpack, ...parts }: GrpcParts) {
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
