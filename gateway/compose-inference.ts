import type { Validation } from './compose-validation.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import type { Clock } from './domain/clock.ts';
import { KnownOutputs } from './domain/inference/known-outputs.ts';
import type { Route } from './domain/route.ts';
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
  readonly clock: Clock;
}

/** Puts together the door of the Open Inference Protocol, where `inference` is written. */
export function composeInference({
  config,
  validation,
  ...parts
}: InferenceParts): Partial<Inference> & Pick<Inference, 'match'> {
  if (config.inference === undefined) return { match: parts.match };
  return createInference({
    ...parts,
    path: config.inference.path,
    columnsFor: validation.columnsFor,
    outputs: new KnownOutputs(),
    isReady: route => hasInstance(route.service),
  });
}
