import type { Validation } from './compose-validation.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import type { Clock } from './domain/clock.ts';
import { PREFIX_BYTES } from './domain/grpc/envelope.ts';
import { OwnRpcs, type OwnBounds, type OwnMethod } from './domain/grpc/own-rpc.ts';
import type { Unpack } from './domain/http/content-coding.ts';
import { KnownOutputs } from './domain/inference/inference-transcoder.ts';
import { INFERENCE_FILE, INFERENCE_SERVICE } from './domain/inference/rpc-form.ts';
import type { Route } from './domain/route.ts';
import { readOwnProto } from './edges/protobufjs-own.ts';
import { hasInstance } from './stages/batch-proof.ts';
import { createInference, type Inference } from './stages/inference.ts';
import type { Match } from './stages/match.ts';

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

/** Puts together the door of the Open Inference Protocol, where `inference` is written. */
export function composeInference({
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
